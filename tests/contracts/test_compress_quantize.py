"""The contract of `compress.quantize`: what every method does with awkward modules."""

import copy
import inspect
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith.compile.integerize import integerize
from edgesmith.compress.quantize import METHODS
from edgesmith.core.errors import BadInput, EdgesmithError
from edgesmith.core.formats import PerChannel, PerTensor
from edgesmith.core.graph import Graph
from edgesmith.core.task import Split, Task
from edgesmith.lower import Lifted, lift
from edgesmith.training.loop import Run
from edgesmith.training.recipe import Recipe

# What makes a method quick, given where its factory has such a parameter.
QUICK = {"recipe": Recipe(epochs=1, batch=8, learning_rate=1e-6), "iterations": 20, "seed": 3}
every_method = pytest.mark.parametrize("factory", METHODS, ids=[factory.card.name for factory in METHODS])


def transform(factory, **more):
    """The method with its defaults, made quick."""
    parameters = inspect.signature(factory).parameters
    return factory(**{name: value for name, value in QUICK.items() if name in parameters}, **more)


class Net(nn.Module):
    """A convolution, a depthwise one, a norm, and a linear layer on (n, 2, 6, 6)."""

    def __init__(self, channels: int = 4, classes: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, channels, 3, padding=1)
        self.depthwise = nn.Conv2d(channels, channels, 3, stride=2, groups=channels)
        self.mix = nn.Linear(4, 5)
        self.head = nn.Linear(channels * 5, classes)

    def forward(self, x):
        x = torch.relu(self.depthwise(torch.relu(self.conv(x))))
        return self.head(torch.relu(self.mix(x.flatten(2))).flatten(1))


@pytest.fixture(scope="module")
def task() -> Task:
    generator = np.random.default_rng(7)
    images = generator.integers(0, 256, (24, 2, 6, 6), dtype=np.uint8)
    split = Split(images, generator.integers(0, 3, 24))
    return Task("awkward", split, split, split, split)


@pytest.fixture
def net():
    torch.manual_seed(5)
    return Net().eval()


def outputs(module: nn.Module, task: Task) -> np.ndarray:
    with torch.no_grad():
        return module(torch.from_numpy(task.validation.inputs).float()).numpy()


def relative_error(made: nn.Module, module: nn.Module, task: Task) -> float:
    expected = outputs(module, task)
    return float(np.linalg.norm(outputs(made, task) - expected) / np.linalg.norm(expected))


def near(made: Lifted) -> float:
    """How far outputs may be: with weights of two bits only nets trained for long come near."""
    weights = [made.graph.tensors[op.inputs[1]].format for op in made.graph.ops if op.kind in ("conv2d", "linear")]
    return 0.5 if all(getattr(format_, "bits", 8) > 2 for format_ in weights) else 1.0


@every_method
def test_the_module_that_came_in_stays_as_it_was(factory, net, task):
    before = copy.deepcopy(net.state_dict())
    made = transform(factory)(net, task)
    assert isinstance(made, Lifted) and not net.training
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


@every_method
def test_outputs_stay_near(factory, net, task):
    made = transform(factory)(net, task)
    assert relative_error(made, net, task) < near(made)


@every_method
def test_a_seed_gives_the_same_module_twice(factory, net, task):
    first, second = (transform(factory)(net, task) for _ in range(2))
    assert first.graph.tensors == second.graph.tensors
    assert all(
        torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    )


@every_method
def test_weights_have_formats_and_lie_on_their_grids(factory, net, task):
    graph = transform(factory)(net, task).to_graph()
    names = [op.inputs[1] for op in graph.ops if op.kind in ("conv2d", "linear")]
    assert len(names) == 4 and all(graph.tensors[name].format is not None for name in names)
    values = {name: graph.tensors[name].format for name in names}
    for name, format_ in values.items():
        stored = format_.dequantize(format_.quantize(graph.constants[name]))
        again = format_.dequantize(format_.quantize(stored))
        assert np.array_equal(stored, again)


@every_method
def test_a_state_dict_loads_strictly(factory, net, task):
    """Into a module that rounds alike: by the formats, and for qfx by its casts, which round halves up."""
    made = transform(factory)(net, task)
    found = {name: made.quantizer_of(name) for name in made.graph.tensors}
    rounders = {name: quantizer for name, quantizer in found.items() if quantizer is not None}
    again = lift(made.graph, copy.deepcopy(rounders))
    again.load_state_dict(made.state_dict(), strict=True)
    assert np.array_equal(outputs(again, task), outputs(made, task))


@every_method
def test_what_it_leaves_becomes_a_program(factory, net, task):
    """Integers where activations have formats; where they stay float, `export` captures what is left."""
    made = transform(factory)(net, task)
    graph = made.to_graph()
    if integer(graph):
        kinds = {op.kind for op in integerize(graph).ops}
        assert {"conv2d_s8", "linear_s8"} <= kinds
    else:
        example = torch.from_numpy(task.validation.inputs[:1]).float()
        program = torch.export.export(made, (example,)).module()
        assert torch.allclose(program(example), made(example))


def integer(graph: Graph) -> bool:
    """Whether every layer reads integers and has weights per channel."""
    layers = [op for op in graph.ops if op.kind in ("conv2d", "linear")]
    reads = [graph.tensors[op.inputs[0]].format for op in layers]
    weights = [graph.tensors[op.inputs[1]].format for op in layers]
    return all(isinstance(f, PerTensor) for f in reads) and all(isinstance(f, PerChannel) for f in weights)


@every_method
def test_one_channel_is_enough(factory, task):
    torch.manual_seed(1)
    assert np.isfinite(outputs(transform(factory)(Net(1, 1).eval(), task_of_one(task)), task)).all()


def task_of_one(task: Task) -> Task:
    split = Split(task.train.inputs, np.zeros(len(task.train), np.int64))
    return replace(task, train=split, calibration=split, validation=split, test=split)


class Reader(nn.Module):
    """A table of 11 tokens and two linear layers on (n, 5) token ids."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(11, 6)
        self.mix = nn.Linear(6, 8)
        self.deep = nn.Linear(8, 8)
        self.head = nn.Linear(40, 3)

    def forward(self, tokens):
        x = torch.relu(self.mix(self.table(tokens)))
        return self.head(torch.relu(self.deep(x)).flatten(1))


@every_method
def test_a_model_may_read_token_ids(factory):
    torch.manual_seed(2)
    reader, generator = Reader().eval(), np.random.default_rng(3)
    split = Split(generator.integers(0, 11, (24, 5)), generator.integers(0, 3, 24))
    task = Task("tokens", split, split, split, split)
    made = transform(factory)(reader, task)
    with torch.no_grad():
        expected, found = (net(torch.from_numpy(split.inputs)) for net in (reader, made))
    assert float((found - expected).norm() / expected.norm()) < near(made)


@every_method
def test_an_empty_layer_is_refused_by_name(factory, net, task):
    with pytest.warns(UserWarning, match="zero-element"):
        net.head = nn.Linear(20, 0)
    with pytest.raises(EdgesmithError, match="need"):
        transform(factory)(net, task)


@every_method
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(factory, net, task, bad):
    with torch.no_grad():
        net.mix.weight[0, 0] = bad
    with pytest.raises(BadInput, match="finite"):
        transform(factory)(net, task)


@every_method
def test_weights_of_zeros_stay_zeros(factory, net, task):
    with torch.no_grad():
        net.mix.weight.zero_()
    made = transform(factory)(net, task)
    assert np.isfinite(outputs(made, task)).all()


@every_method
def test_a_huge_outlier_leaves_finite_outputs(factory, net, task):
    with torch.no_grad():
        net.conv.weight[0, 0, 0, 0] = 1e6
    assert np.isfinite(outputs(transform(factory)(net, task), task)).all()


@every_method
def test_dead_channels_do_no_harm(factory, net, task):
    """A channel that is always 0, and one that nothing reads."""
    with torch.no_grad():
        net.conv.weight[1] = 0
        net.conv.bias[1] = -1
        net.depthwise.weight[2] = 0
    made = transform(factory)(net, task)
    assert np.isfinite(outputs(made, task)).all() and relative_error(made, net, task) < near(made)


@every_method
def test_a_weight_may_lie_in_any_order_in_memory(factory, net, task):
    expected = transform(factory)(net, task)
    odd = copy.deepcopy(net)
    odd.mix.weight = nn.Parameter(net.mix.weight.detach().t().contiguous().t())
    odd.conv.weight = nn.Parameter(net.conv.weight.detach().to(memory_format=torch.channels_last))
    assert not odd.mix.weight.is_contiguous()
    assert np.allclose(outputs(transform(factory)(odd, task), task), outputs(expected, task), rtol=1e-3, atol=1e-3)


@every_method
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_quantized_as_its_float32_values(factory, net, task, dtype):
    half = copy.deepcopy(net).to(dtype)
    wide = copy.deepcopy(half).float()
    made = transform(factory)(half, task)
    assert half.conv.weight.dtype == dtype
    assert np.array_equal(outputs(made, task), outputs(transform(factory)(wide, task), task))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@every_method
def test_an_accelerator_gives_what_the_cpu_gives(factory, net, task):
    if "run" not in inspect.signature(factory).parameters:
        pytest.skip("neither trains nor reconstructs")
    made = transform(factory, run=Run(accelerator="cuda"))(net, task)
    assert all(not tensor.is_cuda for tensor in made.state_dict().values())
    assert relative_error(made, transform(factory)(net, task), task) < 0.05
