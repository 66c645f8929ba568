"""Structured pruning: what goes, what it saves, and that the rest still computes."""

import pytest
import torch
from torch import nn

from edgesmith.compress.prune import METHODS, slimming
from edgesmith.compress.prune.channels import coupled_channels, remove
from edgesmith.compress.prune.greedy import MIN_CHANNELS, Pressure, fill_gradients
from edgesmith.compress.prune.l1_norm import l1_importance
from edgesmith.compress.prune.slimming import gamma_importance
from edgesmith.compress.prune.taylor import first_order
from edgesmith.core.errors import DoesNotFit
from edgesmith.core.task import Split, Task
from edgesmith.training.evaluate import loss_of


class Residual(nn.Module):
    """Two branches that must keep the same channels."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.inner = nn.Conv2d(width, 24, 3, padding=1)
        self.norm = nn.BatchNorm2d(24)
        self.outer = nn.Conv2d(24, width, 3, padding=1)
        self.head = nn.Linear(width * 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = x + self.outer(torch.relu(self.norm(self.inner(x))))
        return self.head(nn.functional.adaptive_avg_pool2d(x, 2).flatten(1))


EXAMPLE = (torch.zeros(1, 1, 6, 6),)


@pytest.fixture
def task(nprng):
    split = Split(nprng.standard_normal((12, 1, 6, 6)).astype("float32"), nprng.integers(0, 3, 12))
    return Task("noise", split, split, split, split)


def parameters(module: nn.Module) -> dict[str, int]:
    layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, (nn.Conv2d, nn.Linear))}
    return {name: sum(p.numel() for p in layer.parameters()) for name, layer in layers.items()}


def cost_of(limit: int):
    def cost(module: nn.Module) -> Pressure:
        shares = {name: count / limit for name, count in parameters(module).items()}
        return Pressure(sum(shares.values()), shares)

    return cost


def test_a_sum_couples_both_branches_and_the_outputs_stay():
    sets = {s.root: s for s in coupled_channels(Residual(), EXAMPLE)}
    assert {part.path for s in sets.values() for part in s.parts} == {"stem", "inner", "norm", "outer", "head"}
    assert sorted(s.size for s in sets.values()) == [16, 24]


def test_removing_channels_equals_computing_without_them(rng):
    """A channel whose filters and readers are zero changes nothing when it goes."""
    module = Residual().eval()
    with torch.no_grad():
        module.inner.weight[5] = 0
        module.inner.bias[5] = 0
        module.norm.bias[5] = 0
        module.norm.running_mean[5] = 0
    root = next(s.root for s in coupled_channels(module, EXAMPLE) if s.size == 24)
    smaller = remove(module, EXAMPLE, {root: [5]})
    x = torch.randn(2, 1, 6, 6, generator=rng)
    assert smaller.inner.out_channels == 23 and module.inner.out_channels == 24
    assert torch.allclose(module(x), smaller(x), atol=1e-6)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.card.name)
def test_every_method_meets_its_cost_and_leaves_the_input_alone(method, task):
    torch.manual_seed(0)
    module = Residual().eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    smaller = method(cost_of(3000))(module, task)
    assert sum(parameters(smaller).values()) <= 3000
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert smaller(torch.zeros(2, 1, 6, 6)).shape == (2, 3)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.card.name)
def test_an_unreachable_cost_is_refused(method, task):
    with pytest.raises(DoesNotFit, match=f"{MIN_CHANNELS} channels"):
        method(cost_of(10))(Residual(), task)


def test_l1_importance_is_the_sum_of_magnitudes():
    module = nn.Sequential(nn.Conv2d(1, 8, 1, bias=False), nn.Conv2d(8, 2, 1))
    with torch.no_grad():
        module[0].weight[:, 0, 0, 0] = torch.arange(-4.0, 4.0)
    (coupled,) = coupled_channels(module, (torch.zeros(1, 1, 4, 4),))
    expected = torch.arange(-4.0, 4.0).abs()
    assert torch.allclose(l1_importance(module, coupled), expected / expected.mean())


def test_slimming_removes_a_silent_channel_first(task):
    """arXiv:1708.06519: a channel of small gamma matters least."""
    module = Residual().eval()
    silent = [3, 7, 11, 20]
    with torch.no_grad():
        module.norm.weight.fill_(1.0)
        module.norm.weight[silent] = 1e-4
    coupled = next(s for s in coupled_channels(module, EXAMPLE) if s.size == 24)
    assert sorted(torch.argsort(gamma_importance(module, coupled))[:4].tolist()) == silent
    limit = sum(parameters(module).values()) - 1
    assert slimming(cost_of(limit))(module, task).inner.out_channels == 20


def test_taylor_is_the_first_order_change_of_the_loss(task):
    """arXiv:1906.10771: scaling a filter by 1 - e changes the loss by -e times the sum of gradient x weight."""
    torch.manual_seed(1)
    module = Residual().eval().double()
    x, labels = torch.from_numpy(task.calibration.inputs).double(), torch.from_numpy(task.calibration.labels)

    def loss() -> torch.Tensor:
        return loss_of(module(x), x, labels, task, 0.0)

    loss().backward()
    part = next(p for s in coupled_channels(module, (x[:1],)) for p in s.parts if p.path == "inner" and p.side == "out")
    predicted = first_order(module, part)[3].item()
    before, step = loss().item(), 1e-5
    with torch.no_grad():
        module.inner.weight[3] *= 1 - step
    assert (loss().item() - before) / -step == pytest.approx(predicted, rel=1e-3, abs=1e-8)


def test_gradients_come_from_the_calibration_split(task):
    module = Residual()
    fill_gradients(module, task)
    assert all(p.grad is not None for p in module.parameters())
