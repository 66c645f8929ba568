"""Binary nets: gradients of signs, the stored form, the program bit for bit, and what has no form."""

import numpy as np
import pytest
import torch
from torch import nn

from compress.binary.nets import digits_net
from edgesmith import targets
from edgesmith.compile.integerize import integerize
from edgesmith.compress.binary.layers import BinaryConv2d, Sign
from edgesmith.compress.binary.program import stored
from edgesmith.compress.binary.spanning import differences, spanning_tree
from edgesmith.core.errors import BadInput, Unsupported
from edgesmith.core.formats import PerTensor, Signs, from_json
from edgesmith.core.graph import Graph
from edgesmith.core.ops import interpret
from edgesmith.data import named_task
from edgesmith.lower import channels_last_input, lift
from edgesmith.pipeline.build import bind_for, firmware, native
from edgesmith.run.emulated import Emulated

BOARD = targets.load("nucleo-l4r5zi")
FORMS = {"plain": lambda bits: (), "tree": lambda bits: spanning_tree(differences(bits), 3)}


@pytest.fixture(scope="module")
def task():
    return named_task("digits")


@pytest.fixture(scope="module", params=FORMS)
def annotated(request, task) -> Graph:
    return stored(digits_net(), task, FORMS[request.param])


def test_gradients_pass_where_values_are_within_one():
    """arXiv:1602.02830, equation 4."""
    x = torch.tensor([-1.5, -1.0, -0.1, 0.0, 0.7, 1.1], requires_grad=True)
    y = Sign()(x)
    y.sum().backward()
    assert y.tolist() == [-1, -1, -1, 1, 1, 1] and x.grad.tolist() == [0, 1, 1, 1, 1, 0]


def test_a_binary_convolution_is_one_of_signs_times_the_mean_magnitude():
    layer, x = BinaryConv2d(3, 2, stride=2), torch.where(torch.rand(2, 3, 5, 6) < 0.5, 1.0, -1.0)
    weight = layer.weight.detach()
    scale = weight.abs().mean((1, 2, 3)).reshape(1, 2, 1, 1)
    around = torch.full((2, 3, 7, 8), -1.0)
    around[:, :, 1:-1, 1:-1] = x
    expected = nn.functional.conv2d(around, weight.sign(), stride=2) * scale
    torch.testing.assert_close(layer(x), expected)


def test_numpy_c_and_the_board_agree_on_every_byte(annotated, task, tmp_path):
    graph = channels_last_input(integerize(annotated))
    program = bind_for(graph, BOARD)
    with Emulated(firmware(program, tmp_path), program.program.interface, BOARD) as board:
        for sample in task.test.inputs[:3]:
            x = {graph.inputs[0]: np.moveaxis(sample, 0, -1)[None]}
            (wanted,) = interpret(graph, x).values()
            np.testing.assert_array_equal(native(graph).run(x)[graph.outputs[0]], wanted)
            np.testing.assert_array_equal(board.run(x)[graph.outputs[0]], wanted)


def test_both_forms_of_weights_give_the_same_bytes(task):
    x = task.test.inputs[:1].transpose(0, 2, 3, 1)
    graphs = [channels_last_input(integerize(stored(digits_net(), task, form))) for form in FORMS.values()]
    results = [interpret(graph, {graph.inputs[0]: x})[graph.outputs[0]] for graph in graphs]
    np.testing.assert_array_equal(*results)
    kinds = [{op.kind for op in graph.ops} for graph in graphs]
    assert {"binary_conv2d", "binary_conv2d_s8"} <= kinds[0] and {"mst_conv2d", "mst_conv2d_s8"} <= kinds[1]


def test_the_program_follows_the_net(annotated, task):
    """Within two steps of the module that it came from; a sum that is zero may fall on either side in float."""
    graph, net = channels_last_input(integerize(annotated)), digits_net()
    format_ = annotated.tensors[annotated.outputs[0]].format
    assert isinstance(format_, PerTensor)
    steps = []
    for sample in task.test.inputs[:40]:
        made = interpret(graph, {graph.inputs[0]: np.moveaxis(sample, 0, -1)[None]})[graph.outputs[0]]
        wanted = net(torch.from_numpy(task.normalize(sample[None]))).detach().numpy()
        steps.append(np.abs(format_.dequantize(made) - wanted).max() / format_.scale)
    assert np.median(steps) < 2


def test_the_lifted_graph_is_the_net_in_its_stored_form(annotated, task):
    graph, module = integerize(annotated), lift(annotated).eval()
    x = task.test.inputs[:1]
    made = interpret(graph, {graph.inputs[0]: x.reshape(graph.tensors[graph.inputs[0]].shape)})[graph.outputs[0]]
    format_ = annotated.tensors[annotated.outputs[0]].format
    real = module(torch.from_numpy(x).float()).detach().numpy()
    assert np.abs(format_.quantize(real).astype(int) - made).max() <= 1


def test_a_format_of_signs_comes_back_from_json(nprng):
    format_ = Signs((0.5, 2.0, 1.0), 0, (1, -1, 1))
    assert from_json(format_.to_json()) == format_ and from_json(Signs().to_json()) == Signs()
    values = nprng.normal(size=(3, 4))
    expected = np.where(values < 0, -1, 1) * np.array([[0.5], [2.0], [1.0]])
    np.testing.assert_array_equal(format_.dequantize(format_.quantize(values)), expected.astype(np.float32))


@pytest.mark.parametrize(
    "fields",
    [
        *({"scales": scales} for scales in ([], [0.0], [1.0, 1.0])),
        *({"axis": axis} for axis in (-2, None)),
        {"parents": [0]},
        {"parents": "x"},
        {"axis": 0, "parents": [1]},
    ],
)
def test_malformed_formats_of_signs_are_refused(fields):
    with pytest.raises(BadInput):
        from_json({"format": "signs", "scales": [1.0], "axis": -1, "parents": [], **fields})


def test_a_net_without_binary_convolutions_is_refused(task):
    with pytest.raises(BadInput, match="no convolution reads signs"):
        stored(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 10)).eval(), task)


def test_weights_that_are_no_signs_are_refused(task):
    with pytest.raises(BadInput, match="no signs"):
        stored(nn.Sequential(nn.Conv2d(1, 4, 3), Sign(), nn.Conv2d(4, 4, 3), nn.Flatten()).eval(), task)


def test_a_layer_that_cannot_read_signs_is_named(task):
    net = nn.Sequential(nn.Conv2d(1, 4, 3), Sign(), BinaryConv2d(4, 4), Sign(), nn.Flatten(), nn.Linear(144, 10))
    with pytest.raises(Unsupported, match="reads or makes signs"):
        integerize(stored(net.eval(), task))
