"""Exported models compute in other runtimes what they compute here, or nothing is written."""

import numpy as np
import onnx
import pytest

from edgesmith.compile.integerize import integerize
from edgesmith.core.errors import BadInput, Missing, Unsupported, VerificationFailed
from edgesmith.core.formats import PerTensor
from edgesmith.core.ops import interpret
from edgesmith.export import FORMATS, export
from edgesmith.export.onnx_file import OnnxFile
from edgesmith.export.tflite import channels_last
from edgesmith.lower.onnx import lower_onnx
from edgesmith.lower.tflite import lower_tflite
from export.nets import remembering, small


@pytest.mark.parametrize("source", [small, remembering])
@pytest.mark.parametrize("to", ["onnx", "onnx-int8"])
def test_onnx_models_agree_with_onnx_runtime(source, to, tmp_path):
    done = export(source(), to, tmp_path)
    assert done.relation.holds and done.files[0].suffix == ".onnx"


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_tflite_models_agree_with_litert(precision, tmp_path):
    pytest.importorskip("ai_edge_litert", reason='run: pip install "edgesmith[tflite]"')
    done = export(small(precision), "tflite", tmp_path)
    assert done.relation.holds and done.files[0].suffix == ".tflite"


def test_an_int8_tflite_model_comes_back_as_the_same_program(tmp_path):
    """Every weight, bias, scale and multiplier survives the way through the file."""
    pytest.importorskip("ai_edge_litert", reason='run: pip install "edgesmith[tflite]"')
    source = channels_last(small())
    graph = lower_tflite(export(small(), "tflite", tmp_path).files[0])
    ours, back = source.program, integerize(graph, graph.inputs)
    for sample in source.samples:
        (want,) = interpret(ours, sample).values()
        (got,) = interpret(back, dict(zip(back.inputs, sample.values(), strict=True))).values()
        assert np.abs(want.astype(int) - got.reshape(want.shape)).max() <= 1


def test_a_model_with_states_has_no_tflite_form(tmp_path):
    with pytest.raises(Unsupported, match="Use --to onnx"):
        export(remembering(), "tflite", tmp_path)


def test_a_float_model_comes_back_as_it_went(tmp_path):
    source = small()
    graph = lower_onnx(export(source, "onnx", tmp_path).files[0])
    x = source.real(source.samples[0])
    (want,) = interpret(source.floats(), x).values()
    (got,) = interpret(graph, dict(zip(graph.inputs, x.values(), strict=True))).values()
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_an_int8_model_is_stored_as_integers(tmp_path):
    """Weights int8, biases int32, pictures uint8: nothing of a layer is left in float."""
    model = onnx.load(export(small(), "onnx-int8", tmp_path).files[0])
    kinds = {tensor.data_type for tensor in model.graph.initializer if np.prod(tensor.dims, initial=1) > 9}
    assert kinds <= {onnx.TensorProto.INT8, onnx.TensorProto.INT32}
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    transposes = [node for node in model.graph.node if node.op_type == "Transpose"]
    assert not transposes, "layers are channels first on both sides"


def test_an_int8_model_comes_back_with_the_same_formats(tmp_path):
    source = small()
    graph = lower_onnx(export(source, "onnx-int8", tmp_path).files[0])
    last = source.graph.tensors[source.graph.outputs[0]].format
    back = graph.tensors[graph.outputs[0]].format
    assert isinstance(last, PerTensor) and isinstance(back, PerTensor)
    assert (back.scale, back.zero_point) == (pytest.approx(last.scale, rel=1e-6), last.zero_point)


@pytest.mark.parametrize("to", ["onnx", "onnx-int8"])
def test_a_model_that_drifts_is_not_written(to, tmp_path, monkeypatch):
    right = OnnxFile.bias
    monkeypatch.setattr(OnnxFile, "bias", lambda f, op: f.node("Add", [right(f, op), f.const(0.5, "float32")]))
    with pytest.raises(VerificationFailed, match="drifts") as caught:
        export(small(), to, tmp_path)
    assert caught.value.exit_code == 6 and not list(tmp_path.iterdir())


def test_a_float_model_has_no_int8_form(tmp_path):
    with pytest.raises(Unsupported, match="need formats"):
        export(small("float32"), "onnx-int8", tmp_path)


def test_what_cannot_be_exported_says_what_can(tmp_path):
    with pytest.raises(BadInput, match=f"need one of {', '.join(FORMATS)}"):
        export(small(), "caffe", tmp_path)


@pytest.mark.filterwarnings("ignore")  # of executorch itself, while it is imported
def test_executorch_computes_the_same(tmp_path):
    pytest.importorskip("executorch", reason='run: pip install "edgesmith[executorch]"')
    done = export(small(), "executorch", tmp_path)
    assert done.relation.holds and done.files[0].read_bytes()[4:8] == b"ET12"


def test_a_missing_package_is_named_with_the_command_that_adds_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "executorch", None)
    monkeypatch.setitem(__import__("sys").modules, "executorch.exir", None)
    monkeypatch.setitem(__import__("sys").modules, "executorch.backends.xnnpack.partition.xnnpack_partitioner", None)
    with pytest.raises(Missing, match=r'pip install "edgesmith\[executorch\]"'):
        export(small(), "executorch", tmp_path)
