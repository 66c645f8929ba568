"""BitNet b1.58: the paper's rounding, and a trained net whose integer program is ternary."""

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith import zoo
from edgesmith.compile.integerize import integerize
from edgesmith.compress.quantize import bitnet, ptq
from edgesmith.compress.quantize.bitnet import Ternary, inner_layers, ternarized
from edgesmith.core.errors import BadInput
from edgesmith.training.evaluate import evaluate_raw
from edgesmith.training.recipe import Recipe


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


def test_the_scale_is_the_mean_magnitude(rng):
    """arXiv:2402.17764, equations 1 to 3, number by number."""
    weight = torch.randn(8, 5, 3, 3, generator=rng)
    sign, scale = ternarized(weight)
    gamma = sum(abs(w) for w in weight.flatten().tolist()) / weight.numel()
    assert float(scale) == pytest.approx(gamma, rel=1e-6)
    for w, s in zip(weight.flatten().tolist(), sign.flatten().tolist(), strict=True):
        assert s == max(-1, min(1, round(w / gamma)))


def test_zero_weights_stay_zero_and_finite():
    sign, scale = ternarized(torch.zeros(4, 4))
    assert not sign.any() and float(scale) > 0


def test_the_gradient_passes_straight_through(rng):
    weight = torch.randn(3, 4, generator=rng, requires_grad=True)
    slope = torch.randn(3, 4, generator=rng)
    (Ternary()(weight) * slope).sum().backward()
    assert torch.equal(weight.grad, slope)


@pytest.fixture(scope="module")
def trained():
    bed = zoo.load("digits-resnet")
    return bed, bitnet(Recipe(epochs=2, batch=64, learning_rate=3e-3))(bed.module, bed.task)


def test_a_trained_net_is_ternary_in_integers(trained):
    """Folded batch norms only scale channels: every inner weight stays -1, 0 or 1 in the program."""
    _, module = trained
    graph = integerize(module.to_graph())
    weights = [graph.constants[op.inputs[1]] for op in graph.ops if op.kind in ("conv2d_s8", "linear_s8")]
    assert len(weights) > 10
    assert all(set(np.unique(w)) <= {-1, 0, 1} for w in weights[1:-1])
    assert all(len(np.unique(w)) > 3 for w in (weights[0], weights[-1]))


def test_trained_ternary_weights_beat_two_bits_after_training(trained):
    bed, module = trained
    rounded = ptq(weights=2)(bed.module, bed.task)
    validation = bed.task.validation
    assert evaluate_raw(module, bed.task, validation) > evaluate_raw(rounded, bed.task, validation) + 0.3


def test_the_module_that_came_in_is_as_it_was():
    bed = zoo.load("digits-cnn")
    before = {name: value.clone() for name, value in bed.module.state_dict().items()}
    bitnet(Recipe(epochs=1, train_samples=64), from_scratch=True)(bed.module, bed.task)
    after = bed.module.state_dict()
    assert set(after) == set(before) and all(torch.equal(before[name], after[name]) for name in before)


def test_from_scratch_depends_on_the_seed_alone():
    bed = zoo.load("digits-cnn")

    def weights(seed: int) -> torch.Tensor:
        made = bitnet(Recipe(epochs=1, train_samples=64), from_scratch=True, seed=seed)(bed.module, bed.task)
        return max(made.parameters(), key=torch.numel).detach().clone()

    assert torch.equal(weights(3), weights(3)) and not torch.equal(weights(3), weights(4))


def test_a_net_without_inner_layers_is_refused():
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))
    assert inner_layers(net) == ()
    with pytest.raises(BadInput, match="between the first and the last"):
        bitnet()(net, zoo.load("digits-cnn").task)
