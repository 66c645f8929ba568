"""The main job end to end on a small net: it fits, resumes, refuses, explains."""

import json
from dataclasses import replace

import optuna
import pytest
import torch

import edgesmith
from edgesmith import Budget, zoo
from edgesmith.core import artifact as artifacts
from edgesmith.core.errors import BadInput, DoesNotFit, Unsupported
from edgesmith.core.ops import interpret
from edgesmith.core.task import ACCURACY
from edgesmith.fit.fit import Effort, ranked
from edgesmith.fit.search import PATIENCE, stale, value
from edgesmith.fit.space import Settings, first, parameters, suggest
from edgesmith.pipeline.realize import samples_of

QUICK = Effort(trials=3, epochs=1, jobs=1)
SMALL = Budget.parse(flash="20KB", ram="8KB")


@pytest.fixture(scope="module")
def bed():
    return zoo.load("digits-cnn")


@pytest.fixture(scope="module")
def fitted(bed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fits") / "cnn"
    return edgesmith.fit(bed.module, bed.task, target="stm32f103", budget=SMALL, out=folder, name="cnn", effort=QUICK)


def test_every_limit_holds_as_linked(fitted):
    readings = fitted.data["after"]["readings"]
    assert readings["flash"]["value"] <= 20 * 1024 < fitted.data["before"]["readings"]["flash"]["value"]
    assert readings["ram"]["value"] <= 8 * 1024


def test_the_certificate_holds_relation_by_relation(fitted):
    assert len(fitted.data["parity"]) == 4
    assert all(relation["holds"] for relation in fitted.data["parity"])


def test_the_artifact_loads_and_computes_what_was_reported(fitted, bed):
    loaded = artifacts.load(fitted.best.folder)
    (sample,) = samples_of(loaded.graph, bed.task.test, 1)
    assert interpret(loaded.graph, sample)
    assert loaded.manifest["readings"]["flash"] == fitted.data["after"]["readings"]["flash"]


def test_report_and_its_data_are_there(fitted):
    assert fitted.report().read_text().startswith("<!")
    assert json.loads((fitted.folder / "report.json").read_text()) == json.loads(json.dumps(fitted.data))
    assert "<table>" in fitted._repr_html_()


def test_too_big_candidates_are_never_trained(fitted):
    states = {c["settings"]["criterion"] + c["settings"]["precision"]: c for c in fitted.candidates}
    assert not states["nonefloat32"]["fits"]
    assert states["taylorint8"]["fits"]


def test_a_second_run_takes_over_every_finished_trial(fitted, bed):
    before = {path: path.stat().st_mtime_ns for path in fitted.folder.glob("trials/*/result.json")}
    again = edgesmith.fit(
        bed.module, bed.task, target="stm32f103", budget=SMALL, out=fitted.folder, name="cnn", effort=QUICK
    )
    assert len(again.candidates) == len(fitted.candidates) == len(before)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_another_budget_in_the_same_folder_is_refused(fitted, bed):
    with pytest.raises(BadInput, match="holds a fit with budget"):
        edgesmith.fit(
            bed.module, bed.task, target="stm32f103", budget=Budget(ram_bytes=1), out=fitted.folder, name="cnn"
        )


def test_when_nothing_fits_it_says_what_would(bed, tmp_path):
    with pytest.raises(DoesNotFit, match=r"flash is .*KB, .*x the limit of 4KB.*relax --max-flash"):
        edgesmith.fit(
            bed.module, bed.task, target="stm32f103", budget=Budget.parse(flash="4KB"), out=tmp_path, effort=QUICK
        )
    assert not json.loads((tmp_path / "report.json").read_text())["outcome"]["fits"]


def test_weights_that_are_not_finite_are_refused_at_once(bed, tmp_path):
    broken = zoo.load("digits-cnn").module
    with torch.no_grad():
        next(broken.parameters()).view(-1)[0] = float("nan")
    with pytest.raises(BadInput, match="NaN"):
        edgesmith.fit(broken, bed.task, target="stm32f103", budget=SMALL, out=tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_an_op_without_lowering_is_refused_before_any_trial(bed, tmp_path):
    class Odd(torch.nn.Module):
        def forward(self, x):
            return torch.linalg.det(x.flatten(1)[:, :9].reshape(-1, 3, 3))

    with pytest.raises(Unsupported, match="det"):
        edgesmith.fit(Odd(), bed.task, target="stm32f103", budget=SMALL, out=tmp_path, effort=QUICK)
    assert not (tmp_path / "trials").exists()


def result(validation: float, ratio: float, state: str = "done") -> dict:
    return {"state": state, "validation": validation, "ratios": {"flash_bytes": ratio}}


def test_what_fits_always_ranks_above_what_does_not():
    assert value(result(0.1, 0.9), "max") > value(result(0.99, 1.1), "max") > value(result(0.99, 2.0), "max")
    assert value(result(3.0, 0.9), "min") < value(result(1.0, 0.9), "min")


def test_the_search_ends_when_gains_do():
    good = [result(0.9, 0.5)]
    assert not stale(good + [result(0.9, 0.5)] * (PATIENCE - 1), "max")
    assert stale(good + [result(0.9, 0.5)] * PATIENCE, "max")
    assert not stale([result(0.9, 2.0)] * 20, "max"), "nothing fits yet"


def test_the_most_accurate_that_fits_comes_first_then_the_cheaper():
    results = [result(0.9, 0.5), result(0.95, 0.9), result(0.95, 0.4), result(0.99, 1.2), result(0.5, 0.1, "too big")]
    assert ranked(results, ACCURACY) == [results[2], results[1], results[0]]


def test_the_search_asks_for_what_its_parameters_say():
    int8 = first(5)[1]
    own = [replace(int8, bits="own", quantizer="bitnet", learned=1), replace(int8, bits="own", quantizer="nf4")]
    qfx = replace(int8, bits="2", quantizer="qfx", learned=2)
    for settings in [*first(5), replace(first(5)[4], fill=0.5, learned=2), replace(int8, bits="4"), qfx, *own]:
        assert suggest(optuna.trial.FixedTrial(parameters(settings)), 5) == settings


def test_settings_survive_the_search():
    for settings in first(5):
        for name, given in parameters(settings).items():
            assert getattr(settings, "quantizer" if name.startswith("quantizer_") else name) == given
        assert Settings(**settings.to_json()) == settings
