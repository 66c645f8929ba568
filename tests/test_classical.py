"""Classical models through compile, verify, run and fit, and on emulated boards."""

import json
from dataclasses import replace

import numpy as np
import pytest

from edgesmith import targets, zoo
from edgesmith.core.budget import Budget
from edgesmith.core.errors import BadInput, DoesNotFit
from edgesmith.core.graph import Graph
from edgesmith.core.ops import check, interpret
from edgesmith.core.task import Split, Task
from edgesmith.fit import fit_classical
from edgesmith.fit.classical import Settings, space
from edgesmith.fit.fit import Effort
from edgesmith.lower.classical import Classical, lower_classical, together
from edgesmith.pipeline.build import bind_for, firmware, native
from edgesmith.pipeline.execute import certify_artifact
from edgesmith.pipeline.verify import against_float, first_difference
from edgesmith.run.emulated import Emulated
from edgesmith.run.native import Native
from lower.classical_models import CLASSIFIERS, CLUSTERINGS, REGRESSORS, fitted, rows

GROUPS = {"classifier": CLASSIFIERS, "regressor": REGRESSORS, "clustering": CLUSTERINGS}


@pytest.fixture(scope="module")
def every_model() -> Graph:
    x, _ = rows(0, 3)
    graphs = {
        f"{group}.{name}.{precision}".replace(" ", "-"): lower_classical(Classical(fitted(group, name)), x, precision)
        for group, names in GROUPS.items()
        for name in names
        for precision in ("fixed", "float32")
    }
    graph = together(graphs)
    check(graph)
    return graph


def differing(graph: Graph, runner: Native | Emulated) -> list[str]:
    """Outputs that differ from numpy's: integers in any bit, floats beyond rounding; some rows lie far outside."""
    x = np.concatenate([rows(4, 3, 3)[0], rows(5, 3, 1)[0] * np.float32(50)])
    found = []
    for row in x:
        got, wanted = runner.run({"x": row[None]}), interpret(graph, {"x": row[None]})
        found += [name for name in graph.outputs if first_difference(wanted[name], got[name]) is not None]
    return found


def test_every_model_gives_here_what_numpy_gives(every_model):
    assert not differing(every_model, native(every_model))


@pytest.mark.parametrize("board", ["rp2040", "nucleo-l4r5zi"])
def test_every_model_gives_on_a_board_what_numpy_gives(every_model, board, tmp_path):
    """Each byte of integers, rounding of floats: a Cortex-M0+ without and a Cortex-M4 with an FPU."""
    compiled = bind_for(every_model, targets.load(board))
    linked = firmware(compiled, tmp_path, roomy=True)
    with Emulated(linked, compiled.program.interface, compiled.target) as running:
        assert not differing(every_model, running)


def task_of(x: np.ndarray, labels: np.ndarray) -> Task:
    parts = [Split(x[a:b], labels[a:b]) for a, b in ((0, 80), (80, 120), (120, 180), (180, 240))]
    return Task("blobs", *parts, classes=("a", "b", "c"))


@pytest.fixture(scope="module")
def blobs() -> Task:
    return task_of(*rows(7, 3))


def test_a_fit_cuts_a_forest_until_it_fits_and_goes_on_where_it_was(blobs, tmp_path):
    model, effort = Classical(fitted("classifier", "forest")), Effort(trials=3)
    whole = space(model)[1]
    assert whole == Settings("float32") and space(model)[2].trees == 0 < space(model)[2].depth
    said: list[str] = []
    budget = Budget.parse(flash="4KB", ram="2KB")
    found = fit_classical(
        model, blobs, target="rp2040", budget=budget, out=tmp_path, effort=effort, progress=said.append
    )
    after = found.data["after"]["readings"]
    assert after["flash"]["value"] <= 4096 and after["accuracy"]["value"] >= 0.85
    assert [c["state"] for c in found.candidates] == ["evaluated"] * 3
    assert all(row["holds"] for row in found.data["parity"]) and len(found.data["parity"]) == 4
    seconds = [c["seconds"] for c in found.candidates]
    again = fit_classical(model, blobs, target="rp2040", budget=budget, out=tmp_path, effort=effort)
    assert [c["seconds"] for c in again.candidates] == seconds
    with pytest.raises(BadInput, match="holds a fit with"):
        fit_classical(Classical(fitted("classifier", "tree")), blobs, target="rp2040", budget=budget, out=tmp_path)
    assert all(relation.holds is not False for relation in certify_artifact(found.best.folder, None, 3, False))


def test_what_would_fit_is_said_when_nothing_does(blobs, tmp_path):
    with pytest.raises(DoesNotFit, match=r"even the smallest candidate .* --max-flash"):
        fit_classical(
            Classical(fitted("classifier", "logistic")),
            blobs,
            target="rp2040",
            budget=Budget.parse(flash="500B"),
            out=tmp_path,
        )
    assert not json.loads((tmp_path / "report.json").read_text())["outcome"]["fits"]


def test_fixed_point_that_decides_otherwise_is_noticed():
    x, _ = rows(0, 3)
    source = lower_classical(Classical(fitted("classifier", "logistic")), x, "float32")
    graph = lower_classical(Classical(fitted("classifier", "logistic")), x, "fixed")
    samples = [{"x": row[None]} for row in x[:40]]
    assert against_float(source, graph, samples).holds
    (weight,) = (name for name in graph.constants if name.startswith("linear.w"))
    broken = replace(graph, constants={**graph.constants, weight: -graph.constants[weight]})
    assert against_float(source, broken, samples).holds is False
    assert against_float(source, graph, None).holds is None


def test_a_model_of_the_zoo_is_fitted_alike_each_time():
    one, two = zoo.load("digits-svm"), zoo.load("digits-svm")
    x = one.task.test.inputs.reshape(len(one.task.test), -1).astype(np.float32)
    predicted = one.module.estimator.predict(x)
    assert (predicted == two.module.estimator.predict(x)).all()
    assert (predicted == one.task.test.labels).mean() > 0.97


MODEL = """
def tree():
    import numpy as np
    from sklearn.tree import DecisionTreeClassifier
    x = np.random.default_rng(0).integers(0, 9, (90, 64)).astype(np.uint8)
    return DecisionTreeClassifier(max_depth=3, random_state=0).fit(x, np.arange(90) % 10)
"""


def test_a_fitted_model_of_ones_own_is_compiled_from_its_function(tmp_path):
    (tmp_path / "mine.py").write_text(MODEL)
    spec = f"{tmp_path / 'mine.py'}:tree"
    with pytest.raises(BadInput, match="--trust"):
        zoo.load_model(spec)
    model, (example,) = zoo.load_model(spec, trust=True)
    assert model.kind == "DecisionTreeClassifier" and example.shape == (1, 64)
