"""What off-policy learners share: a memory of what happened, and target nets that follow slowly."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from edgesmith.core.errors import BadInput


class Replay:
    """The last rows that were added, drawn evenly.

    Args:
        size: rows kept; the oldest goes first.
        shapes: of each named column of one row.
        seed: of the draws.

    Raises:
        BadInput: a size below 1.
    """

    def __init__(self, size: int, shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> None:
        if size < 1:
            raise BadInput(f"replay: a size of {size}; need at least one row.")
        self.columns = {name: np.zeros((size, *shape), np.float32) for name, shape in shapes.items()}
        self.size, self.added = size, 0
        self.rng = np.random.default_rng(seed)

    def __len__(self) -> int:
        return min(self.added, self.size)

    def add(self, **row: np.ndarray | float) -> None:
        """Keep one row, in place of the oldest where all places are taken; every column is given."""
        at = self.added % self.size
        for name, column in self.columns.items():
            column[at] = row[name]
        self.added += 1

    def draw(self, n: int) -> dict[str, Tensor]:
        """Rows drawn with replacement: column name to (n, *shape) float32.

        Raises:
            BadInput: nothing was added yet.
        """
        if not len(self):
            raise BadInput("replay: nothing was added yet; add rows before drawing.")
        at = self.rng.integers(len(self), size=n)
        return {name: torch.from_numpy(column[at]) for name, column in self.columns.items()}


@torch.no_grad()
def follow(target: nn.Module, net: nn.Module, rate: float) -> None:
    """Move the target's parameters this share of the way to the net's, in place."""
    for old, new in zip(target.parameters(), net.parameters(), strict=True):
        old.lerp_(new, rate)
