"""The memory keeps the newest rows whole and draws evenly; targets follow by their rate."""

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith.collaborate.offloading.replay import Replay, follow
from edgesmith.core.errors import BadInput


def filled(count: int, size: int = 4) -> Replay:
    replay = Replay(size, {"state": (2,), "reward": ()}, seed=3)
    for index in range(count):
        replay.add(state=np.array([index, -index]), reward=10.0 * index)
    return replay


def test_the_oldest_rows_go_first() -> None:
    drawn = filled(6).draw(200)["reward"]
    assert set(drawn.tolist()) == {20.0, 30.0, 40.0, 50.0}


def test_columns_of_a_row_stay_together() -> None:
    drawn = filled(6).draw(50)
    assert drawn["state"].shape == (50, 2)
    assert torch.equal(drawn["state"][:, 0] * 10, drawn["reward"])
    assert torch.equal(drawn["state"][:, 0], -drawn["state"][:, 1])


def test_rows_are_drawn_evenly() -> None:
    counts = torch.bincount(filled(4).draw(8000)["reward"].long() // 10)
    assert counts.min() > 1800


def test_the_same_seed_draws_the_same_rows() -> None:
    assert torch.equal(filled(4).draw(20)["reward"], filled(4).draw(20)["reward"])


def test_an_empty_memory_says_so() -> None:
    with pytest.raises(BadInput, match="nothing was added"):
        filled(0).draw(1)


def test_a_target_moves_by_its_rate() -> None:
    target, net = nn.Linear(1, 1), nn.Linear(1, 1)
    nn.init.constant_(target.weight, 1.0)
    nn.init.constant_(net.weight, 5.0)
    follow(target, net, 0.25)
    assert target.weight.item() == 2.0
    assert net.weight.item() == 5.0
