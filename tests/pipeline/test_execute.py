"""An artifact in use: run in three places alike, certified, its board found, its inputs checked."""

import shutil

import numpy as np
import pytest

from core.sketch import Sketch
from edgesmith import targets
from edgesmith.core import artifact as artifacts
from edgesmith.core.errors import BadInput, Missing
from edgesmith.pipeline import execute
from edgesmith.pipeline.build import native
from edgesmith.pipeline.execute import certify_artifact, named, read_inputs, run_artifact, save_outputs, target_of
from edgesmith.pipeline.realize import realize, write_artifact

BOARD = targets.load("stm32f103")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """y = 2 x + 1 on three numbers, for a Blue Pill."""
    sketch = Sketch()
    x = sketch.input(1, 3)
    y = sketch("add", sketch("add", x, x), sketch.const(np.ones((1, 3))))
    graph = sketch.graph(y)
    folder = tmp_path_factory.mktemp("execute") / "a"
    write_artifact(folder, realize(graph, BOARD), graph, None, {"settings": {}})
    return folder


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "a")


@pytest.mark.parametrize("place", ["host", "board", "numpy"])
def test_every_place_computes_the_same(made, place):
    outputs = run_artifact(made, {"": np.array([[0, 1, -2.5]], np.float32)}, place)
    assert [array.tolist() for array in outputs.values()] == [[[1, 3, -4]]]


def test_no_other_place_is_known(made):
    with pytest.raises(BadInput, match="'moon' is no place to run; need target, host, board or numpy"):
        run_artifact(made, {"": np.zeros((1, 3), np.float32)}, "moon")


def test_inputs_are_named_or_the_only_one(made):
    graph = artifacts.load(made).graph
    x = np.zeros((1, 3), np.float32)
    assert named(graph, {"": x}).keys() == named(graph, {"in0": x}).keys() == {"in0"}
    with pytest.raises(BadInput, match="'in0' is missing"):
        named(graph, {"x": x})


def test_a_certificate_is_kept_in_the_artifact(folder):
    relations = certify_artifact(folder, None, 3, trust=False)
    assert [r.holds for r in relations if "torch" not in r.name] == [True, True]
    assert artifacts.load(folder).manifest["certificate"] == [relation.to_json() for relation in relations]


def test_what_cannot_be_checked_again_stays_in_the_certificate(folder):
    kept = {"name": "accuracy end to end, within 0.005", "holds": True, "checked": 9, "detail": "as fitted"}
    artifact = artifacts.load(folder)
    artifacts.update(artifact, {"certificate": [kept, {"name": "numpy = C on this machine", "holds": False}]})
    certify_artifact(folder, None, 2, trust=False)
    certificate = artifacts.load(folder).manifest["certificate"]
    assert kept in certificate and [c["holds"] for c in certificate if c["name"] == "numpy = C on this machine"] == [
        True
    ]


def test_a_break_is_written_into_the_certificate(folder, monkeypatch):
    from dataclasses import replace

    from edgesmith.pipeline import verify

    def wrong(graph):
        constants = {name: array + 1 for name, array in graph.constants.items()}
        return native(replace(graph, constants=constants))

    monkeypatch.setattr(verify, "native", wrong)
    certify_artifact(folder, None, 2, trust=False)
    broken = artifacts.load(folder).manifest["certificate"][0]
    assert broken["holds"] is False and "first diverging op: add" in broken["detail"]


def test_an_unknown_target_is_refused(folder):
    artifact = artifacts.update(artifacts.load(folder), {"target": "my-own-board"})
    with pytest.raises(BadInput, match="'my-own-board' is not built in"):
        target_of(artifact)


def test_arrays_are_read_and_written_whole(tmp_path):
    arrays = {"file": np.arange(3, dtype=np.float32), "y": np.ones((2, 2), np.int8)}
    save_outputs(tmp_path / "y.npz", arrays)
    found = read_inputs(tmp_path / "y.npz")
    assert {name: array.tolist() for name, array in found.items()} == {n: a.tolist() for n, a in arrays.items()}
    np.save(tmp_path / "x.npy", arrays["y"])
    assert read_inputs(tmp_path / "x.npy")[""].tolist() == [[1, 1], [1, 1]]
    with pytest.raises(Missing, match="no file"):
        read_inputs(tmp_path / "absent.npy")


def test_a_file_beyond_the_limit_is_not_read(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", np.zeros(100))
    monkeypatch.setattr(execute, "MAX_INPUT_BYTES", 500)
    with pytest.raises(BadInput, match="larger than 500 bytes"):
        read_inputs(tmp_path / "x.npy")
