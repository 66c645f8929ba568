"""compile --integer-only and --method: what they refuse, and which forms they ask for."""

import numpy as np
import pytest
import torch

from edgesmith.core.errors import BadInput, Unsupported
from edgesmith.core.task import Split, Task
from edgesmith.pipeline.programs import Numbers, programs
from edgesmith.zoo.models.vit import Vit

FORMS = {
    "ptq": {"softmax_s8", "lookup", "layer_norm_s8"},
    "i-vit": {"shiftmax_s8", "shift_gelu_s8", "i_layer_norm_s8"},
    "i-segmenter": {"shiftmax_s8", "shift_gelu_s8", "i_layer_norm_s8"},
    "edge-moe": {"single_pass_softmax_s8", "gelu_delta_s8", "layer_norm_s8"},
}


@pytest.fixture(scope="module")
def vit():
    torch.manual_seed(0)
    raw = np.random.default_rng(0).integers(0, 256, (6, 1, 14, 14)).astype(np.uint8)
    split = Split(raw, np.zeros(6, np.int64))
    net = Vit(channels=1, size=14, patch=7, classes=3, width=16, depth=1).eval()
    return net, (torch.zeros(1, 1, 14, 14),), Task("bytes", split, split, split, split)


@pytest.mark.parametrize("method", FORMS)
def test_a_method_asks_for_its_forms_and_leaves_no_float(vit, method):
    numbers = Numbers(calibration="minmax", method=method, images=1, integer_only=True)
    compiled = programs(*vit, "net", numbers).compiled
    assert FORMS[method] <= {op.kind for op in compiled.ops}
    assert all(tensor.dtype != "float32" for tensor in compiled.tensors.values())


def test_a_float_op_is_refused_by_name_when_only_integers_are_wanted(vit):
    """Float inputs must be quantized on the way in: that is a float op."""
    net, example, task = vit
    floats = Split(task.train.inputs.astype(np.float32) / 7, task.train.labels)
    real = Task("readings", floats, floats, floats, floats)
    with pytest.raises(Unsupported, match=r"ops? compute in floats, the first is quantize"):
        programs(net, example, real, "net", Numbers(calibration="minmax", integer_only=True))


@pytest.mark.parametrize(
    "given, says",
    [
        ({"method": "i-bert"}, "'i-bert'; need one of: ptq, i-vit"),
        ({"precision": "float32", "integer_only": True}, "float32 has no integer forms"),
        ({"precision": "float32", "method": "i-vit"}, "float32 has no integer forms"),
        ({"images": -1}, "-1 images"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(given, says):
    with pytest.raises(BadInput, match=says):
        Numbers(**given)
