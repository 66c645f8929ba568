"""Sharpness-aware minimization against its equations."""

import math

import torch

from edgesmith.training.loop import descend
from edgesmith.training.sam import Sharpness


def quadratic(weights):
    """0.5 (4 a^2 + b^2): its gradient is (4 a, b)."""
    return lambda: 0.5 * (4 * weights[0] ** 2 + weights[1] ** 2)


def test_a_step_descends_from_the_worst_point_nearby():
    """arXiv:2010.01412, equations 2 and 3: w - lr * grad(w + rho g / |g|), by hand on a quadratic."""
    weights = torch.nn.Parameter(torch.tensor([1.0, 3.0]))
    loss = Sharpness(rho=0.5)(quadratic(weights), torch.optim.SGD([weights], 0.1))
    worst = (1 + 0.5 * 4 / 5, 3 + 0.5 * 3 / 5)  # g = (4, 3), |g| = 5
    expected = torch.tensor([1 - 0.1 * 4 * worst[0], 3 - 0.1 * worst[1]])
    assert torch.allclose(weights.detach(), expected)
    assert float(loss) == 6.5


def test_what_stays_still_is_not_moved_by_the_climb():
    still, moves = (torch.nn.Parameter(torch.tensor(value)) for value in (2.0, 1.0))
    seen = []

    def loss():
        seen.append((float(still.detach()), float(moves.detach())))
        return still**2 + moves**2

    Sharpness(0.25, (still,))(loss, torch.optim.SGD([still, moves], 0.1))
    assert seen == [(2.0, 1.0), (2.0, 1.25)]


def test_at_a_flat_point_nothing_is_divided_by_zero():
    weights = torch.nn.Parameter(torch.zeros(2))
    Sharpness()(quadratic(weights), torch.optim.SGD([weights], 0.1))
    assert weights.detach().tolist() == [0.0, 0.0]


def test_without_a_radius_it_is_plain_descent():
    found = []
    for step in (Sharpness(0.0), descend):
        weights = torch.nn.Parameter(torch.tensor([1.0, 3.0]))
        step(quadratic(weights), torch.optim.SGD([weights], 0.1))
        found.append(weights.detach())
    assert torch.equal(*found)
    assert math.isclose(float(found[0][0]), 0.6, rel_tol=1e-6)
