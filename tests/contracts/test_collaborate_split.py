"""The contract of `collaborate.split`: what every method does with a small residual net on small pictures."""

import copy
import inspect

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith.collaborate.split import METHODS
from edgesmith.collaborate.split.bottlefit import Stages
from edgesmith.collaborate.split.bottleneck import Bottleneck
from edgesmith.collaborate.split.entropic_student import Encoding, RateTraining
from edgesmith.core.errors import BadInput
from edgesmith.core.formats import PerTensor
from edgesmith.core.formats.packing import packed_bytes
from edgesmith.core.task import Normalize, Task
from edgesmith.data.splits import take
from edgesmith.lower import lower
from edgesmith.pipeline.programs import Numbers, programs
from edgesmith.training.recipe import Recipe

CUT, BEHIND = "early", "late"
ONE = Recipe(epochs=1, batch=8, learning_rate=1e-3)
# What makes a method quick and fits the net below, given where its factory has such a parameter.
QUICK = {
    "layers": (CUT, BEHIND),
    "stages": Stages(ONE, ONE),
    "bottleneck": Bottleneck(channels=2, width=4, halvings=2),
    "recipe": ONE,
    "training": RateTraining(0.1, ONE, ONE),
    "encoding": Encoding(widths=(4, 4), channels=2),
    "seed": 3,
}
every_method = pytest.mark.parametrize("factory", METHODS, ids=[factory.card.name for factory in METHODS])


class Block(nn.Module):
    """A convolution with a norm, and a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x):
        return torch.relu(self.norm(self.conv(x)) + x)


class Net(nn.Module):
    """(n, 1, 16, 16) to (n, 3), the picture halved once before the cut."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 6, 3, stride=2, padding=1)
        self.early, self.late = Block(6), Block(6)
        self.classify = nn.Linear(6 * 64, 3)

    def forward(self, x):
        return self.classify(self.late(self.early(torch.relu(self.stem(x)))).flatten(1))


@pytest.fixture(scope="module")
def task() -> Task:
    generator = np.random.default_rng(7)
    images = generator.integers(0, 256, (64, 1, 16, 16), dtype=np.uint8)
    labels = generator.integers(0, 3, 64)
    parts = [take(images, labels, np.arange(64)[start::4]) for start in range(4)]
    return Task("pictures", *parts, normalize=Normalize((128.0,), (64.0,)))


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(5)
    return Net().eval()


def transform(factory, **more):
    """The method with its defaults, made quick."""
    parameters = inspect.signature(factory).parameters
    return factory(**{name: value for name, value in QUICK.items() if name in parameters} | more)


@pytest.fixture(scope="module", params=METHODS, ids=[factory.card.name for factory in METHODS])
def made(request, net, task):
    return transform(request.param)(net, task)


def inputs(task: Task) -> torch.Tensor:
    return torch.from_numpy(task.normalize(task.validation.inputs))


@every_method
def test_the_module_that_came_in_stays_as_it_was(factory, net, task):
    before, asks = copy.deepcopy(net.state_dict()), [p.requires_grad for p in net.parameters()]
    transform(factory)(net, task)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert not net.training and asks == [p.requires_grad for p in net.parameters()]


@every_method
def test_a_seed_gives_the_same_halves_twice_and_another_seed_others(factory, net, task):
    first, second = (transform(factory)(net, task) for _ in range(2))
    assert first.format == second.format and first.shape == second.shape
    for half in ("head", "tail"):
        a, b = (getattr(model, half).state_dict() for model in (first, second))
        assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    other = transform(factory, seed=4)(net, task).head.state_dict()
    assert any(not torch.equal(other[name], value) for name, value in first.head.state_dict().items())


@torch.no_grad()
def test_joined_is_the_tail_of_what_was_sent(made, task):
    for x in inputs(task).split(1):
        payload = made.encode(made.head(x))
        assert torch.equal(made.joined()(x), made.tail(made.decode(payload)))


@torch.no_grad()
def test_a_payload_is_as_many_bytes_as_it_says(made, task):
    values = made.head(inputs(task)[:1])
    payload = made.encode(values)
    assert tuple(values.shape[1:]) == made.shape and isinstance(made.format, PerTensor)
    assert made.payload_bytes == packed_bytes(made.shape, made.bits)
    if made.code is None:
        assert len(payload) == made.payload_bytes
    else:  # as its tables say, up to a stream's end
        stored = made.format.quantize(values.numpy())[0]
        assert abs(len(payload) - made.code.expected_bits(np.moveaxis(stored, 0, -1)) / 8) < 5
    inside = values.clamp(
        made.format.scale * (made.format.low - made.format.zero_point),
        made.format.scale * (made.format.high - made.format.zero_point),
    )
    assert (made.decode(payload) - inside).abs().max() <= made.format.scale / 2 * 1.0001


def test_a_payload_is_smaller_than_the_original_cut(made, net, task):
    """Both at the same bits."""
    with torch.no_grad():
        original = net.early(torch.relu(net.stem(inputs(task)[:1])))
    assert made.payload_bytes < packed_bytes(tuple(original.shape[1:]), made.bits)


def test_both_halves_become_graphs_and_integer_programs(made, task):
    x = inputs(task)[:1]
    received = made.decode(made.encode(made.head(x)))
    for half, example in ((made.head, x), (made.tail, received)):
        graph = lower(half, (example,))
        assert graph.ops
        assert torch.export.export(half, (example,))
        compiled = programs(half, (example,), None, "half", Numbers()).compiled
        assert any(op.kind.startswith("conv2d_s8") for op in compiled.ops)


@torch.no_grad()
def test_halves_are_ready_to_be_used_and_to_learn_on(made):
    assert not made.head.training and not made.tail.training
    assert all(p.requires_grad for half in (made.head, made.tail) for p in half.parameters())


def test_what_is_no_payload_is_refused(made):
    with pytest.raises(BadInput):
        made.decode(b"\0" * (made.payload_bytes + 1))
    with pytest.raises(BadInput):
        made.encode(torch.zeros(2, *made.shape))


@every_method
def test_a_layer_that_is_not_there_is_refused(factory, net, task):
    with pytest.raises(BadInput, match="no layer 'elsewhere'"):
        transform(factory, layers=("elsewhere",))(net, task)
