"""Rounding to the values of any format: floats, posits; scales by least squared error, fixed or learned."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from edgesmith.core.formats import Format

# What the authors of arXiv:2303.17951 search the greatest value in, as a share of the peak, in a third of their steps
# (range_estimators.py of their repository FP8-quantization).
SHARES = np.linspace(0.1, 1.2, 37)
# What the peak is brought to where values near one are the finest, as posits' are.
PEAKS = np.geomspace(0.25, 64, 33)
LEAST_SCALE = 1e-12  # keeps a scale above zero


class Unit(Protocol):
    """A format at scale one."""

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Real values to stored codes."""

    def dequantize(self, stored: np.ndarray) -> np.ndarray:
        """Stored codes to real values."""


@dataclass(frozen=True)
class Grid:
    """The values of a format, and where rounding passes from one to the next.

    Attributes:
        values: (k,) float32, ascending.
        bounds: (k - 1,) float32: the greatest that still rounds to the value of the same index.
        table: what a float32 rounds to, by its bits without the last `dropped`, and whether those are all zero.
    """

    values: Tensor
    bounds: Tensor
    table: Tensor
    dropped: int

    @property
    def greatest(self) -> float:
        """The greatest value."""
        return float(self.values[-1])

    def nearest(self, x: Tensor) -> Tensor:
        """x, float32, rounded as the format rounds it; NaN stays."""
        bits = x.contiguous().view(torch.int32)
        rest = (bits & ((1 << self.dropped) - 1)) != 0
        key = (bits >> self.dropped).mul_(2).add_(rest).add_(len(self.table) // 2)
        return self.table.index_select(0, key.reshape(-1)).reshape(x.shape)


def grid_of(unit: Unit, codes: np.ndarray) -> Grid:
    """The grid of a format at scale one; its bounds are found by bisection of its own rounding, to the last bit.

    Args:
        codes: every stored code, as `dequantize` takes them; values that are not finite are left out.
    """
    values = unit.dequantize(codes).astype(np.float32).reshape(-1)
    values = np.unique(values[np.isfinite(values)] + np.float32(0))  # -0 is 0
    low, high = values[:-1].copy(), values[1:].copy()
    for _ in range(33):  # float32 has 32 bits between any two
        middle = _from_ordinal((_ordinal(low) + _ordinal(high)) // 2)
        down = unit.dequantize(unit.quantize(middle)).astype(np.float32).reshape(-1) <= values[:-1]
        low, high = np.where(down, middle, low), np.where(down, high, middle)
    dropped = _same_within(low)
    return Grid(
        torch.from_numpy(values), torch.from_numpy(low), torch.from_numpy(_table(values, low, dropped)), dropped
    )


def _same_within(bounds: np.ndarray) -> int:
    """How many last bits of a float32, where they are not all zero, never decide between two values; at most 16."""
    after = _ordinal(bounds) + 1  # a middle that goes down is a bound itself, one that goes up comes right after one
    for bits in range(16, 0, -1):
        if ((after % (1 << bits) == 0) | ((after - 1) % (1 << bits) == 0)).all():
            return bits
    return 0


def _table(values: np.ndarray, bounds: np.ndarray, dropped: int) -> np.ndarray:
    """Grid.table: one float32 stands for all that share an entry."""
    half = 1 << (31 - dropped)
    stem = np.arange(-half, half).astype(np.int32) << dropped
    bits = np.stack((stem, stem | (1 if dropped else 0)), axis=1).reshape(-1)
    numbers = bits.view(np.float32)
    found = values[np.searchsorted(bounds, numbers, side="left").clip(max=len(values) - 1)]
    return np.where(np.isnan(numbers), numbers, found)


def _ordinal(x: np.ndarray) -> np.ndarray:
    """float32 to integers in the same order, neighbours one apart."""
    bits = (x + np.float32(0)).view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


def _from_ordinal(ordinal: np.ndarray) -> np.ndarray:
    """Inverse of `_ordinal`."""
    bits = np.where(ordinal < 0, -ordinal | 0x80000000, ordinal)
    return bits.astype(np.uint32).view(np.float32)


class _Rounded(torch.autograd.Function):
    """scale * nearest(x / scale); gradients as LSQ's (arXiv:1902.08153, equation 3), for any grid."""

    @staticmethod
    def forward(ctx, x: Tensor, scale: Tensor, grid: Grid) -> Tensor:  # type: ignore[no-untyped-def]
        steps = x / scale
        nearest = grid.nearest(steps)
        ctx.save_for_backward(steps, nearest)
        ctx.grid, ctx.shape = grid, scale.shape
        return nearest * scale

    @staticmethod
    def backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
        steps, nearest = ctx.saved_tensors
        inside = steps.abs() <= ctx.grid.greatest
        slope = (nearest - torch.where(inside, steps, torch.zeros_like(steps))) * gradient
        return gradient * inside, slope.sum_to_size(ctx.shape), None


def rounded(x: Tensor, scale: Tensor, grid: Grid) -> Tensor:
    """x rounded to `scale` times a grid.

    Args:
        x: float32, any shape.
        scale: broadcasts to x.
    """
    return _Rounded.apply(x, scale, grid)


def tops_of(grid: Grid) -> np.ndarray:
    """What a search brings the peak to: near the greatest value, or near one where a grid reaches far beyond it."""
    last = float(grid.values[-2]) / grid.greatest
    return grid.greatest / SHARES if last > 0.6 else PEAKS[grid.greatest * 1.01 >= PEAKS]


def weight_scales(weight: Tensor, grid: Grid) -> Tensor:
    """The scale of each output channel whose squared error is least.

    Args:
        weight: (channels, ...).

    Returns:
        (channels,); 1 for a channel of zeros.
    """
    rows = weight.detach().reshape(len(weight), -1)

    def error(scales: Tensor) -> Tensor:
        return (rows - rounded(rows, scales[:, None], grid)).square().sum(1)

    return _best(rows.abs().amax(1), grid, error)


def tensor_scale(values: Tensor, counts: Tensor, grid: Grid) -> float:
    """The scale of least squared error over a histogram.

    Args:
        values, counts: (bins,) the centres of the bins and how often values fell into them.
    """
    peak = values[counts > 0].abs().amax()[None] if bool((counts > 0).any()) else values.new_zeros(1)

    def error(scale: Tensor) -> Tensor:
        return (counts * (values - rounded(values, scale, grid)).square()).sum()[None]

    return float(_best(peak, grid, error))


def _best(peaks: Tensor, grid: Grid, error: Callable[[Tensor], Tensor]) -> Tensor:
    """Of the scales that bring each peak to one of `tops_of`, the one of least error; 1 where the peak is zero."""
    held = torch.where(peaks > 0, peaks, torch.ones_like(peaks))
    best, least = held.clone(), torch.full_like(held, torch.inf)
    for top in tops_of(grid):
        scales = (held / float(top)).clamp_min(LEAST_SCALE)
        found = error(scales)
        best, least = torch.where(found < least, scales, best), torch.minimum(found, least)
    return torch.where(peaks > 0, best, torch.ones_like(best))


class Rounding(nn.Module):
    """Rounds a tensor to a grid whose scale is a parameter, in place of a format of the graph.

    Attributes:
        scale: (1,), or (channels,) of a weight.
    """

    def __init__(self, grid: Grid, scale: Tensor, to_format: Callable[[Tensor], Format]) -> None:
        super().__init__()
        self.grid, self.to_format = grid, to_format
        self.scale = nn.Parameter(scale.float())
        self.table: Tensor
        self.register_buffer("table", grid.table, persistent=False)  # goes where the module goes

    def forward(self, x: Tensor) -> Tensor:
        """x rounded; the scale's gradient is divided by sqrt(values * greatest) as LSQ's (section 2.2)."""
        scale = self.scale.abs().clamp_min(LEAST_SCALE)
        factor = (x.numel() / len(scale) * max(self.grid.greatest, 1.0)) ** -0.5
        scale = (scale - scale * factor).detach() + scale * factor
        grid = replace(self.grid, table=self.table)
        return rounded(x, scale.reshape(-1, *[1] * (x.ndim - 1)) if len(scale) > 1 else scale, grid)

    def format(self, values: Tensor | None) -> Format:
        """The format with the scale as it is now."""
        return self.to_format(self.scale.detach().abs().clamp_min(LEAST_SCALE))
