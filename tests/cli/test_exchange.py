"""Models of other frameworks on the command line: verify, run, compile; and export."""

import json

import numpy as np
import onnx
import pytest

from lower.onnx.files import Net


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small float ONNX file."""
    n = Net(8)
    y = n("Relu", n("Conv", "x", n.weight(4, 1, 3, 3), n.weight(4)))
    path = tmp_path_factory.mktemp("models") / "net.onnx"
    onnx.save(n.done((1, 1, 8, 8), n("Gemm", n("Flatten", y), n.weight(10, 144), n.weight(10), transB=1)), path)
    return path


def test_a_file_is_held_against_its_own_runtime(edgesmith, model):
    done = edgesmith("verify", model, "--samples", "2", "--json")
    relations = json.loads(done.out)
    assert done.code == 0 and [relation["holds"] for relation in relations] == [True, True]
    assert relations[1]["name"] == "outputs = ONNX Runtime"


def test_a_file_runs_without_being_compiled_for_a_board(edgesmith, model, tmp_path):
    x = np.random.default_rng(0).normal(0, 1, (1, 1, 8, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    found = [edgesmith("run", model, tmp_path / "x.npy", "--on", place, "--json") for place in ("host", "numpy")]
    a, b = (np.array(next(iter(json.loads(one.out).values()))) for one in found)
    np.testing.assert_allclose(a, b, atol=1e-5)
    refused = edgesmith("run", model, tmp_path / "x.npy", "--on", "board")
    assert refused.code == 4 and "edgesmith compile" in refused.err


def test_a_file_is_compiled_and_the_artifact_exported(edgesmith, model, tmp_path):
    made = edgesmith("compile", model, "--data", "digits", "--target", "stm32f103", "--out", tmp_path / "artifact")
    assert made.code == 0, made.err
    done = edgesmith(
        "export", tmp_path / "artifact", "--to", "onnx-int8", "--data", "digits", "--out", tmp_path / "out"
    )
    assert done.code == 0 and "8 validation samples of digits" in done.out
    int8 = tmp_path / "out" / "net_int8.onnx"
    again = edgesmith("compile", int8, "--target", "stm32f103", "--out", tmp_path / "again", "--json")
    assert again.code == 0 and json.loads(again.out)["calibrated_on"] == "the model's own formats"
    refused = edgesmith("fit", int8, "--data", "digits", "--target", "stm32f103", "--out", tmp_path / "fit")
    assert refused.code == 4 and "int8 already" in refused.err


def test_formats_that_are_not_there_are_refused(edgesmith, model, tmp_path):
    done = edgesmith("export", model, "--to", "caffe", "--out", tmp_path)
    assert done.code == 3 and "onnx-int8" in done.err
    damaged = tmp_path / "net.tflite"
    damaged.write_bytes(b"TFL3" * 9)
    assert edgesmith("compile", damaged, "--target", "stm32f103", "--out", tmp_path / "a").code == 3
