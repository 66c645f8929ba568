"""A small trained-looking net, and what is exported of it."""

from functools import cache

import numpy as np
import torch
from torch import nn

from edgesmith import targets
from edgesmith.core.task import Normalize, Split, Task
from edgesmith.export import Source, from_model


class Small(nn.Module):
    """Convolutions with and without groups, a branch, pooling, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first, self.deep = nn.Conv2d(2, 6, 3, 2, 1), nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.side, self.pool = nn.Conv2d(6, 6, 1), nn.MaxPool2d(2)
        self.last = nn.Linear(6, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x))
        x = self.pool(nn.functional.hardswish(self.deep(x)) + self.side(x))
        return torch.softmax(self.last(x.mean((2, 3))), -1)


class Remembering(nn.Module):
    """An LSTM over a window."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.lstm, self.last = nn.LSTM(3, 7, batch_first=True), nn.Linear(7, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.lstm(x)[0][:, -1])


def pictures() -> Task:
    """Seeded bytes, normalized."""
    rng = np.random.default_rng(5)
    split = Split(rng.integers(0, 256, (24, 2, 12, 10), dtype=np.uint8), rng.integers(0, 5, 24))
    return Task("pictures", split, split, split, split, normalize=Normalize((120.0,), (60.0,)))


@cache
def small(precision: str = "int8", target: str | None = None) -> Source:
    """The small net on its pictures."""
    board = targets.load(target) if target else None
    return from_model(Small().eval(), (torch.zeros(1, 2, 12, 10),), pictures(), "small", precision, board)


@cache
def remembering(precision: str = "int8") -> Source:
    """The LSTM on random inputs."""
    return from_model(Remembering().eval(), (torch.zeros(1, 6, 3),), None, "remembering", precision)
