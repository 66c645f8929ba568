"""Imported .tflite files against LiteRT: floats to a few units in the last place, int8 to a step."""

import numpy as np
import pytest

from edgesmith.compile.integerize import integerize
from edgesmith.core.errors import BadInput, Missing, Unsupported
from edgesmith.lower.tflite import lower_tflite
from edgesmith.pipeline.verify import Interpreted
from edgesmith.run.litert import LiteRt
from lower.tflite.files import NETS, RELU, SAME, Net

pytest.importorskip("ai_edge_litert", reason='run: pip install "edgesmith[tflite]"')
RUNS = 8


@pytest.fixture
def model(tmp_path):
    def written(data: bytes):
        path = tmp_path / "net.tflite"
        path.write_bytes(data)
        return path

    return written


@pytest.mark.parametrize("net", NETS)
def test_float_files_compute_what_litert_computes(net, model, nprng):
    path = model(NETS[net](False))
    graph = lower_tflite(path)
    theirs, ours = LiteRt(path), Interpreted(graph)
    for _ in range(RUNS):
        x = nprng.normal(0, 1, graph.tensors[graph.inputs[0]].shape).astype(np.float32)
        found = list(ours.run({graph.inputs[0]: x}).values())
        for want, got in zip(theirs.run([x]), found, strict=True):
            np.testing.assert_allclose(got.reshape(want.shape), want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("net", NETS)
def test_int8_files_agree_with_litert_within_two_steps(net, model, nprng):
    """TFLite rounds its multiplier to 31 bits and the product twice; ours once (docs/numbers.md)."""
    path = model(NETS[net](True))
    graph = lower_tflite(path)
    integer = integerize(graph, stored=graph.inputs)
    assert all(integer.tensors[name].dtype == "int8" for name in (*integer.inputs, *integer.outputs))
    theirs, ours = LiteRt(path), Interpreted(integer)
    steps = []
    for _ in range(RUNS):
        x = nprng.integers(-128, 128, graph.tensors[graph.inputs[0]].shape).astype(np.int8)
        found = list(ours.run({graph.inputs[0]: x}).values())
        for want, got in zip(theirs.run([x]), found, strict=True):
            steps.append(np.abs(want.astype(int) - got.reshape(want.shape)).ravel())
    differing = np.concatenate(steps)
    assert differing.max() <= 2 and (differing > 0).mean() < 0.25


def test_the_files_own_scales_are_kept(model):
    graph = lower_tflite(model(NETS["convolutions"](True)))
    x = graph.tensors[graph.inputs[0]].format
    assert (x.scale, x.zero_point, x.dtype) == (np.float32(0.05), 3, "int8")
    last = graph.tensors[graph.outputs[0]].format
    assert last.scale == np.float32(0.3)


def test_an_int8_input_may_come_as_floats_too(model, nprng):
    graph = lower_tflite(model(NETS["convolutions"](True)))
    stored, real = integerize(graph, stored=graph.inputs), integerize(graph)
    name = graph.inputs[0]
    x = nprng.integers(-128, 128, graph.tensors[name].shape).astype(np.int8)
    a = Interpreted(stored).run({name: x})
    b = Interpreted(real).run({name: graph.tensors[name].format.dequantize(x)})
    for tensor in graph.outputs:
        assert np.array_equal(a[tensor], b[tensor])


def test_refused_operators_are_all_named_with_a_way_round(model):
    n = Net(quantized=False)
    x, y, z = (n.act(1, 4) for _ in range(3))
    n.op("CUSTOM:Odd", [x], [y])
    n.op("SIN", [y], [z])
    with pytest.raises(Unsupported, match=r"2 op\(s\)[^\n]*\n  CUSTOM:Odd \(op 0, 't1'\).*convert[^\n]*\n  SIN \(op 1"):
        lower_tflite(model(n.done([x], [z])))


def test_asymmetric_weights_are_refused(model):
    n = Net()
    x, y = n.act(1, 4), n.act(1, 3)
    w = n.tensor("w", (3, 4), "int8", [0.1], [7], data=np.zeros((3, 4), np.int8))
    n.op("FULLY_CONNECTED", [x, w, -1], [y], "FullyConnectedOptions")
    with pytest.raises(Unsupported, match="'w' as int8 with zero point"):
        lower_tflite(model(n.done([x], [y])))


def test_weights_of_a_float_layer_may_be_stored_as_int8(model, nprng):
    """A dynamic-range model: the weights are int8, all else is float. Ours are floats then."""
    n = Net(quantized=False)
    x, y = n.act(1, 3, 3, 2), n.act(1, 3, 3, 4)
    stored = nprng.integers(-127, 128, (4, 3, 3, 2)).astype(np.int8)
    w = n.tensor("w", (4, 3, 3, 2), "int8", [0.01] * 4, data=stored)
    settings = {"padding": SAME, "strideH": 1, "strideW": 1, "fusedActivationFunction": RELU}
    n.op("CONV_2D", [x, w, -1], [y], "Conv2DOptions", settings)
    graph = lower_tflite(model(n.done([x], [y])))
    weight = graph.constants[graph.ops[0].inputs[1]]
    np.testing.assert_allclose(weight, stored * np.float32(0.01), rtol=1e-6)
    assert all(tensor.format is None for tensor in graph.tensors.values())


def test_what_is_no_model_says_so(model, tmp_path):
    with pytest.raises(BadInput, match="TFL3"):
        lower_tflite(model(b"not a model at all"))
    with pytest.raises(Missing, match="not a file"):
        lower_tflite(tmp_path / "none.tflite")
