"""What joins the features of a stream's units: shifts and differences in time, almost without weights."""

import torch
from torch import Tensor, nn

FOLDS = 4  # of the channels: one step back, one ahead, two back, two ahead (the authors' code)


def shifted(x: Tensor) -> Tensor:
    """A quarter of the channels each from one unit before, one after, two before, two after; edges keep their own.

    Args:
        x: (n, units, width).
    """
    fold = x.shape[2] // FOLDS
    parts = [x[:, :, index * fold : (index + 1) * fold] for index in range(FOLDS - 1)] + [x[:, :, 3 * fold :]]
    return torch.cat([moved(part, by) for part, by in zip(parts, (1, -1, 2, -2), strict=True)], 2)


def moved(x: Tensor, by: int) -> Tensor:
    """(n, units, width) later by so many units, or earlier by -`by`; where nothing comes from, what was there stays."""
    units = x.shape[1]
    if units <= abs(by):
        return x
    if by > 0:
        return torch.cat([x[:, :by], x[:, :-by]], 1)
    return torch.cat([x[:, -by:], x[:, by:]], 1)


def differences(x: Tensor) -> Tensor:
    """Mean step over one unit plus mean step over two: (n, units, width) to (n, width); zeros for a single unit."""
    found = torch.zeros_like(x[:, 0])
    for by in (1, 2):
        if x.shape[1] > by:
            found = found + (x[:, by:] - x[:, :-by]).mean(1)
    return found


class Aggregation(nn.Module):
    """Units' features (n, units, width), however many, to those of the stream (n, width).

    Shift, a short and a dilated depthwise convolution in time, attention over units, and a gated branch of differences.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.short = nn.Conv1d(width, width, 3, padding=1, groups=width)
        self.long = nn.Conv1d(width, width, 3, padding=2, dilation=2, groups=width)
        self.mix = nn.Linear(width, width)
        self.attention = nn.Linear(width, 1)
        self.gate = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        moved_units = shifted(x).transpose(1, 2)
        near = (self.short(moved_units) + self.long(moved_units)).transpose(1, 2)
        x = torch.relu(x + self.mix(near))
        pooled = (x * self.attention(x).softmax(1)).sum(1)
        return pooled + torch.sigmoid(self.gate(pooled)) * differences(x)


class MeanOverUnits(nn.Module):
    """The mean of the units' features, as an ablation of `Aggregation`: (n, units, width) to (n, width)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)
