"""GAQAT: the measure of conflict, what freezing does, and that the result is an integer program."""

import numpy as np
import pytest
import torch

from edgesmith import zoo
from edgesmith.compile.integerize import integerize
from edgesmith.compress.quantize import gaqat
from edgesmith.compress.quantize.gaqat import Adaptive, Freezing, disorder
from edgesmith.core.errors import BadInput
from edgesmith.training.recipe import Recipe
from edgesmith.training.sam import Sharpness

QUICK = Recipe(epochs=1, batch=64, learning_rate=1e-3, train_samples=512)


def test_disorder_counts_turns():
    """The share of successive steps at which the sign of a gradient changes, of each entry alone."""
    series = torch.tensor([[1.0, 1.0, -1.0], [2.0, -1.0, -0.5], [0.5, 3.0, -2.0], [0.1, -2.0, 4.0], [0.2, 0.1, 0.3]])
    assert disorder(series).tolist() == [0.0, 1.0, 0.25]


def scale_and_weight(task_slope):
    """A loss whose slope along the scale is `task_slope` at w = 1, and 10 w - 10 more where w has been moved."""
    scale, weight = torch.nn.Parameter(torch.tensor([5.0])), torch.nn.Parameter(torch.tensor([1.0]))

    def loss():
        return (scale * (task_slope + 10 * (weight - 1)) + weight).sum()

    return scale, weight, loss


def test_a_frozen_scale_follows_the_smoothness_loss_alone():
    """With slopes that never turn the disorder is 0: from step `every` + 1 on only the gradient at w + rho counts."""
    scale, weight, loss = scale_and_weight(2.0)
    optimizer = torch.optim.SGD([{"params": [scale], "lr": 0.01}, {"params": [weight], "lr": 0.0}])
    step = Adaptive(Freezing(rho=0.1, every=2, below=0.3), [scale])
    moved = []
    for _ in range(4):
        before = float(scale.detach())
        step(loss, optimizer)
        moved.append(before - float(scale.detach()))
    both, smooth = 0.01 * (2 + 3), 0.01 * 3  # the worst point is w = 1.1, where the slope is 2 + 10 * 0.1
    assert moved == pytest.approx([both, both, smooth, smooth], abs=1e-6)
    assert step.frozen[0].tolist() == [True] and step.disorder[0].tolist() == [0.0]


def test_a_scale_whose_gradients_turn_is_thawed():
    scale, weight, _ = scale_and_weight(0.0)
    signs = iter([1.0, 1.0, 1.0, -1.0, 1.0])
    optimizer = torch.optim.SGD([scale, weight], 0.001)
    step = Adaptive(Freezing(every=2, below=0.3), [scale])
    frozen = []
    for sign in signs:
        step(lambda sign=sign: (sign * scale + weight).sum(), optimizer)
        frozen.append(bool(step.frozen[0]))
    assert frozen == [False, False, True, True, False]


def test_a_threshold_of_zero_is_sam_on_the_sum_of_both_losses():
    """Nothing is frozen, so that half the sum's gradient with rho = 0 is that of plain descent."""
    found = []
    for step, rate in ((Adaptive(Freezing(rho=0.0, below=0.0), []), 0.05), (Sharpness(0.0), 0.1)):
        scale, weight, loss = scale_and_weight(2.0)
        for _ in range(3):
            step(loss, torch.optim.SGD([scale, weight], rate))
        found.append((float(scale.detach()), float(weight.detach())))
    assert found[0] == pytest.approx(found[1])


def test_the_tuned_net_is_an_integer_program_of_its_bits():
    bed = zoo.load("digits-cnn")
    graph = integerize(gaqat(3, 4, QUICK, Freezing(every=2))(bed.module, bed.task).to_graph())
    weights = [graph.constants[op.inputs[1]] for op in graph.ops if op.kind in ("conv2d_s8", "linear_s8")]
    assert len(weights) > 2 and all(w.dtype == np.int8 and w.min() >= -4 and w.max() <= 3 for w in weights[1:-1])


@pytest.mark.parametrize("freezing", [Freezing(below=1.5), Freezing(every=1)])
def test_a_threshold_that_no_share_reaches_is_refused(freezing):
    with pytest.raises(BadInput, match="disorder of 0 to 1"):
        gaqat(freezing=freezing)
