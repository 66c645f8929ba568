"""What a lowered graph looks like: nothing to spare, clear refusals, states, formats."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgesmith import zoo
from edgesmith.core.errors import BadInput, Unsupported
from edgesmith.core.formats import PerChannel, PerTensor
from edgesmith.core.ops import interpret
from edgesmith.core.task import Normalize
from edgesmith.lower import channels_last_input, lift, load_pt2, lower, lower_pt2, with_normalize
from edgesmith.lower.fake_quantize import fake_quantize
from lower.small_models import normed


def kinds(graph) -> list[str]:
    return [op.kind for op in graph.ops]


def run(graph, *inputs: Tensor, states=None) -> np.ndarray:
    feed = {name: x.numpy() for name, x in zip(graph.inputs, inputs, strict=True)}
    return next(iter(interpret(graph, feed, states).values()))


@pytest.mark.parametrize("name", ["digits-cnn", "digits-resnet", "ds-cnn", "resnet8", "mobilenet-v2-0.35-96"])
def test_a_convolutional_net_keeps_no_permute_norm_padding_or_activation(name):
    module, inputs = zoo.load_model(name)
    graph = channels_last_input(lower(module, inputs))
    assert not {"permute", "affine", "pad", "clamp"} & set(kinds(graph))
    assert kinds(graph).count("reshape") <= 1
    x = torch.rand_like(inputs[0])
    found = run(graph, x.permute(0, 2, 3, 1).contiguous())
    assert np.allclose(found, module(x).detach().numpy(), atol=1e-4)


def test_a_normalized_model_takes_its_input_channels_last():
    module = with_normalize(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), Normalize((1.0, 2.0, 3.0), (2.0, 4.0, 8.0)))
    x = 9 * torch.rand(1, 3, 6, 6)
    graph = channels_last_input(lower(module, (x,)))
    assert kinds(graph) == ["sub", "div", "conv2d", "permute"]
    found = run(graph, x.permute(0, 2, 3, 1).contiguous())
    assert np.allclose(found, module(x).detach().numpy(), atol=1e-5)


def test_batch_norm_folds_to_the_weights_that_algebra_gives(rng):
    conv, norm = nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)
    normed(norm)
    graph = lower(nn.Sequential(conv, norm), (torch.rand(1, 2, 4, 4),))
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    op = next(op for op in graph.ops if op.kind == "conv2d")
    expected_w = (conv.weight * factor[:, None, None, None]).permute(0, 2, 3, 1)
    expected_b = (conv.bias - norm.running_mean) * factor + norm.bias
    assert np.allclose(graph.constants[op.inputs[1]], expected_w.detach().numpy(), atol=1e-6)
    assert np.allclose(graph.constants[op.inputs[2]], expected_b.detach().numpy(), atol=1e-6)


def test_batch_norm_stays_when_told_so():
    module = normed(nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.ReLU())).eval()
    x = torch.rand(1, 2, 4, 4)
    graph = lower(module, (x,), fold=False)
    assert "affine" in kinds(graph)
    assert np.allclose(run(graph, x), module(x).detach().numpy(), atol=1e-5)


def test_a_batch_norm_read_twice_does_not_change_what_else_reads_the_convolution():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            return torch.relu(self.norm(y)) + y

    module, x = normed(Twice()).eval(), torch.rand(1, 2, 4, 4)
    assert np.allclose(run(lower(module, (x,)), x), module(x).detach().numpy(), atol=1e-5)


def test_lowering_leaves_the_module_as_it_was():
    module = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout())
    module.train()
    module[2].eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    lower(module, (torch.rand(1, 3),))
    assert module.training and module[1].training and not module[2].training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(parameter.requires_grad for parameter in module.parameters())


class Refused(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = torch.cumsum(x, 1)  # first
        z = torch.relu(y).sin()  # second
        return z + 1


def test_every_op_without_lowering_is_named_with_its_line_and_a_way_round():
    with pytest.raises(Unsupported) as caught:
        lower(Refused(), (torch.rand(1, 4),))
    message = str(caught.value)
    assert "2 op(s)" in message
    assert "aten.cumsum.default at test_lowering.py:" in message and "# first" in message
    assert "aten.sin.default" in message and "# second" in message
    assert "triangular matrix" in message and "buffer" in message


def test_an_op_that_nothing_reads_is_no_obstacle():
    class Unread(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            values, indices = x.max(1)
            torch.cumsum(x, 1)
            return values

    x = torch.rand(1, 4)
    assert run(lower(Unread(), (x,)), x) == x.max()


def test_a_recurrent_layer_in_both_directions_is_refused():
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(3, 4, bidirectional=True, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.lstm(x)[0]

    with pytest.raises(Unsupported, match="both directions"):
        lower(Both(), (torch.rand(1, 5, 3),))


def test_a_path_that_depends_on_values_is_refused():
    class Branch(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(Unsupported, match="Branch cannot be captured"):
        lower(Branch(), (torch.rand(1, 4),))


def test_a_weight_that_is_not_a_number_is_refused():
    module = nn.Linear(2, 2)
    with torch.no_grad():
        module.weight[0, 0] = float("nan")
    with pytest.raises(BadInput, match="weight"):
        lower(module, (torch.rand(1, 2),))


class Stream(nn.Module):
    """The mean of the last four inputs, and a count that decays."""

    past: Tensor
    level: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("past", torch.zeros(1, 4, 3))
        self.register_buffer("level", torch.ones(1, 3))

    def forward(self, x: Tensor) -> Tensor:
        self.past[:, :-1] = self.past[:, 1:].clone()
        self.past[:, -1] = x
        self.level.mul_(0.5).add_(x)
        return self.past.mean(1) + self.level


def test_changed_buffers_are_states():
    module, xs = Stream(), torch.rand(6, 1, 3)
    graph = lower(module, (xs[0],))
    assert sorted(state.tensor for state in graph.states) == ["level", "past"]
    states = {state.tensor: state.initial for state in graph.states}
    window, level = np.zeros((4, 3), np.float32), np.ones(3, np.float32)
    for x in xs:
        window = np.concatenate((window[1:], x.numpy()))
        level = level * 0.5 + x[0].numpy()
        assert np.allclose(run(graph, x, states=states)[0], window.mean(0) + level, atol=1e-6)


def test_a_lifted_graph_carries_its_states_and_lowers_to_them():
    module, xs = Stream(), torch.rand(5, 1, 3)
    graph = lower(module, (xs[0],))
    lifted = lift(graph).eval()
    again = lower(lifted, (xs[0],))
    assert kinds(again) == kinds(graph) and len(again.states) == 2
    states = {state.tensor: state.initial for state in graph.states}
    with torch.no_grad():
        for x in xs:
            assert np.allclose(lifted(x).numpy(), run(graph, x, states=states), atol=1e-6)
        lifted.reset()
        first = lifted(xs[0])
    assert np.allclose(first.numpy(), run(graph, xs[0]), atol=1e-6)


def with_formats(graph):
    """Formats as quantization would place them: on every float result, input and weight."""
    from dataclasses import replace

    tensors = {}
    for index, (name, tensor) in enumerate(graph.tensors.items()):
        format_ = PerTensor(0.01 + index * 1e-3 / 3, index % 7)
        if name in graph.constants:
            weight = len(tensor.shape) > 1
            per_channel = PerChannel(tuple(0.01 + i / 999 for i in range(tensor.shape[0])))
            initial = any(op.kind == "lstm" and name in op.inputs[1:3] for op in graph.ops)
            format_ = per_channel if weight else format_ if initial else None
        tensors[name] = replace(tensor, format=format_)
    return replace(graph, tensors=tensors)


@pytest.mark.parametrize("name", ["digits-cnn", "digits-resnet", "vit", "lstm"])
def test_formats_survive_lifting_and_lowering_exactly(name):
    module, inputs = zoo.load_model(name)
    graph = with_formats(lower(module, inputs))
    again = lower(lift(graph), inputs)
    assert kinds(again) == kinds(graph)
    for op, other in zip(graph.ops, again.ops, strict=True):
        for mine, theirs in zip((*op.inputs, *op.outputs), (*other.inputs, *other.outputs), strict=True):
            assert again.tensors[theirs].format == graph.tensors[mine].format, (op.kind, mine)
            if mine in graph.constants:
                assert np.array_equal(again.constants[theirs], graph.constants[mine])


def test_raw_integers_keep_their_format():
    class Raw(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.float() / 255

    graph = lower(Raw(), (torch.zeros(1, 4, dtype=torch.uint8),))
    assert graph.tensors[graph.inputs[0]].format == PerTensor(1.0, 0, "uint8")
    assert graph.tensors[graph.inputs[0]].dtype == "float32"


def test_fake_quantization_rounds_to_the_format_and_passes_gradients_inside():
    x = torch.tensor([-2.0, -0.26, 0.25, 0.76, 9.0], requires_grad=True)
    format_ = PerTensor(0.5, -126)
    y = fake_quantize(x, torch.tensor([0.5], dtype=torch.float64), -126, -128, 127, -1)
    assert np.allclose(y.detach().numpy(), format_.dequantize(format_.quantize(x.detach().numpy())))
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 1.0, 1.0, 1.0, 1.0]  # -2 lies below -128: (-128 + 126) / 2 = -1


def test_fake_quantization_per_channel_agrees_with_the_format(nprng):
    w = nprng.normal(size=(3, 5)).astype(np.float32)
    format_ = PerChannel((0.01, 0.02, 0.005))
    scales = torch.tensor(format_.scales, dtype=torch.float64)
    y = fake_quantize(torch.from_numpy(w), scales, 0, -127, 127, 0)
    assert np.allclose(y.numpy(), format_.dequantize(format_.quantize(w)), atol=1e-7)


def test_observers_see_inputs_weights_and_results():
    module, inputs = zoo.load_model("digits-cnn")
    graph = lower(module, inputs)
    lifted, seen = lift(graph), {}
    with torch.no_grad(), lifted.observe(lambda name, value: seen.__setitem__(name, tuple(value.shape))):
        lifted(torch.rand(5, 1, 8, 8))
    assert set(seen) == set(graph.tensors)
    assert seen[graph.outputs[0]] == (5, 1, 10)
    seen.clear()
    lifted(inputs[0])
    assert not seen


def test_weights_of_a_lifted_graph_are_parameters_that_train(rng):
    module, inputs = zoo.load_model("digits-cnn")
    graph = lower(module, inputs)
    lifted = lift(graph)
    lifted(torch.rand(4, 1, 8, 8)).square().sum().backward()
    weights = {name for op in graph.ops if op.kind in ("conv2d", "linear") for name in op.inputs[1:]}
    assert len(list(lifted.parameters())) == len(weights)
    assert all(parameter.grad is not None for parameter in lifted.parameters())
    lift(graph).load_state_dict(lifted.state_dict(), strict=True)


def test_a_pt2_file_is_opened_only_when_trusted(tmp_path):
    module, x = nn.Sequential(nn.Linear(4, 3), nn.ReLU()).eval(), torch.rand(1, 4)
    path = tmp_path / "model.pt2"
    torch.export.save(torch.export.export(module, (x,)), path)
    with pytest.raises(Unsupported, match="--trust"):
        load_pt2(path)
    graph = lower_pt2(path, trust=True)
    assert kinds(graph) == ["linear"]
    assert np.allclose(run(graph, x), module(x).detach().numpy(), atol=1e-6)


def test_a_damaged_pt2_file_is_bad_input(tmp_path):
    path = tmp_path / "model.pt2"
    path.write_bytes(b"PK\x03\x04 not a program")
    with pytest.raises(BadInput, match="model.pt2"):
        load_pt2(path, trust=True)
