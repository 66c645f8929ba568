"""Imported .onnx files against ONNX Runtime and torch."""

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from edgesmith import zoo
from edgesmith.compile.integerize import integerize
from edgesmith.core.errors import BadInput, Missing, Unsupported
from edgesmith.core.formats import PerTensor
from edgesmith.core.ops import interpret
from edgesmith.lower import lift
from edgesmith.lower.onnx import lower_onnx
from edgesmith.run.onnx import OnnxRuntime
from lower.onnx.files import NETS, Net


@pytest.fixture
def model(tmp_path):
    def written(proto: onnx.ModelProto):
        path = tmp_path / "net.onnx"
        onnx.save(proto, path)
        return path

    return written


class Samples(CalibrationDataReader):
    """Seeded inputs for ONNX Runtime's calibration."""

    def __init__(self, shape):
        rng = np.random.default_rng(1)
        self.left = [{"x": rng.normal(0, 1, shape).astype(np.float32)} for _ in range(8)]

    def get_next(self):
        return self.left.pop() if self.left else None


# Without these instructions ONNX Runtime adds products of 8 bits in pairs, in 16 bits that overflow: 7 bits cannot.
SATURATES = not any(torch.cpu.get_capabilities().get(name) for name in ("avx512_vnni", "avx_vnni"))


def compared(path, graph, rng, runs=3):
    """Pairs of ONNX Runtime's outputs and ours."""
    theirs = OnnxRuntime(path)
    for _ in range(runs):
        x = rng.normal(0, 1, graph.tensors[graph.inputs[0]].shape).astype(np.float32)
        yield from zip(theirs.run([x]), interpret(graph, {graph.inputs[0]: x}).values(), strict=True)


@pytest.mark.parametrize("net", NETS)
def test_float_files_compute_what_onnx_runtime_computes(net, model, nprng):
    path = model(NETS[net]())
    for want, got in compared(path, lower_onnx(path), nprng):
        np.testing.assert_allclose(got.reshape(want.shape), want, rtol=2e-5, atol=2e-5)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # of torch itself
def test_a_net_of_the_zoo_comes_back_as_it_left_torch(tmp_path, nprng):
    bed = zoo.load("digits-cnn", with_data=False)
    path = tmp_path / "digits.onnx"
    torch.onnx.export(bed.module.eval(), bed.example_inputs, dynamo=True, verbose=False).save(str(path))
    graph = lower_onnx(path)
    x = torch.from_numpy(nprng.normal(0, 1, (3, 1, 8, 8)).astype(np.float32))
    with torch.no_grad():
        want, lifted = bed.module(x), lift(graph)(x)
    assert torch.allclose(lifted, want, atol=1e-4)


@pytest.mark.parametrize("activation", [QuantType.QInt8, QuantType.QUInt8])
@pytest.mark.parametrize("per_channel", [True, False])
def test_quantized_files_agree_with_onnx_runtime_within_two_steps(activation, per_channel, model, tmp_path, nprng):
    path, shape = model(_plain()), (1, 3, 9, 12)
    quantized = tmp_path / "int8.onnx"
    quantize_static(
        path, quantized, Samples(shape), QuantFormat.QDQ, activation_type=activation, weight_type=QuantType.QInt8,
        per_channel=per_channel, reduce_range=SATURATES, extra_options={"WeightSymmetric": True},
    )  # fmt: skip
    graph = lower_onnx(quantized)
    integer = integerize(graph)
    kinds = {op.kind for op in integer.ops}
    assert {"conv2d_s8", "linear_s8", "add_s8", "softmax_s8"} <= kinds and not kinds & {"conv2d", "linear", "add"}
    theirs, format_ = OnnxRuntime(quantized), graph.tensors[graph.outputs[0]].format
    assert isinstance(format_, PerTensor)
    steps = []
    for _ in range(10):
        x = nprng.normal(0, 1, shape).astype(np.float32)
        got = interpret(integer, {graph.inputs[0]: x})[graph.outputs[0]]
        steps.append(np.abs(np.rint((theirs.run([x])[0] - format_.dequantize(got)) / format_.scale)))
    assert np.max(steps) <= 2


def _plain() -> onnx.ModelProto:
    n = Net(7)
    y = n("Relu", n("Conv", "x", n.weight(6, 3, 3, 3), n.weight(6), pads=[1, 1, 1, 1]))
    y = n("Add", y, n("Conv", y, n.weight(6, 6, 1, 1), n.weight(6)))
    flat = n("Flatten", n("GlobalAveragePool", y))
    return n.done((1, 3, 9, 12), n("Softmax", n("Gemm", flat, n.weight(5, 6), n.weight(5), transB=1)))


def test_all_refused_operators_are_named_with_a_way_round(model):
    n = Net()
    y = n("Cos", n("ArgMax", n("Erf", "x")))
    with pytest.raises(
        Unsupported, match=r"3 op\(s\)[^\n]*\n  Erf \(node 0, 'erf0_0'\).*opset 20[^\n]*\n  ArgMax .*\n  Cos"
    ):
        lower_onnx(model(n.done((1, 4), y)))


def test_a_part_of_a_model_can_be_taken(model, nprng):
    n = Net(5)
    middle = n("Relu", n("Erf", "x"))
    scores = n("MatMul", middle, n.weight(4, 3))
    path = model(n.done((1, 4), n("Erf", scores)))
    graph = lower_onnx(path, inputs={middle: (1, 4)}, outputs=[scores])
    x = nprng.normal(0, 1, (1, 4)).astype(np.float32)
    weight = numpy_helper.to_array(onnx.load(path).graph.initializer[0])
    np.testing.assert_allclose(interpret(graph, {graph.inputs[0]: x})[graph.outputs[0]], x @ weight, rtol=1e-5)
    with pytest.raises(BadInput, match="no node makes 'nowhere'"):
        lower_onnx(path, outputs=["nowhere"])


def test_an_open_axis_needs_its_size(model):
    n = Net()
    path = model(n.done((1, "length"), n("Relu", "x")))
    with pytest.raises(Unsupported, match="axis 1 open as 'length'"):
        lower_onnx(path)
    graph = lower_onnx(path, sizes={"length": 12})
    assert graph.tensors[graph.outputs[0]].shape == (1, 12)


def test_weights_beside_the_model_are_read_and_those_elsewhere_refused(tmp_path, nprng):
    n = Net(6)
    proto = n.done((1, 4), n("MatMul", "x", n.weight(4, 300)))
    path = tmp_path / "inside" / "net.onnx"
    path.parent.mkdir()
    onnx.save(proto, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    for want, got in compared(path, lower_onnx(path), nprng, 1):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    (path.parent / "weights.bin").rename(tmp_path / "weights.bin")
    for place in ("../weights.bin", str(tmp_path / "weights.bin"), "link.bin"):
        (path.parent / "link.bin").unlink(missing_ok=True)
        (path.parent / "link.bin").symlink_to(tmp_path / "weights.bin")
        moved = onnx.load(path, load_external_data=False)
        moved.graph.initializer[0].external_data[0].value = place
        path.write_bytes(moved.SerializeToString())
        with pytest.raises(BadInput, match="need a file in the model's own folder"):
            lower_onnx(path)


def test_what_is_no_model_says_so(tmp_path):
    path = tmp_path / "x.onnx"
    path.write_bytes(b"\xff" * 40)
    with pytest.raises(BadInput, match=r"x\.onnx"):
        lower_onnx(path)
    with pytest.raises(Missing, match="not a file"):
        lower_onnx(tmp_path / "none.onnx")
