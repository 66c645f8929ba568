"""Rounding to the values of any format: floats, posits; scales by least squared error, fixed or learned."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from edgesmith.core.formats import Format

# What the authors of arXiv:2303.17951 search the greatest value in, as a share of the peak (range_estimators.py of
# their repository FP8-quantization).
SHARES = np.linspace(0.1, 1.2, 111)
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
    """

    values: Tensor
    bounds: Tensor

    @property
    def greatest(self) -> float:
        """The greatest value."""
        return float(self.values[-1])

    def nearest(self, x: Tensor) -> Tensor:
        """x, float32, rounded as the format rounds it."""
        return self.values[torch.bucketize(x, self.bounds)]


def grid_of(unit: Unit, codes: np.ndarray) -> Grid:
    """The grid of a format at scale one; its bounds are found by bisection of its own rounding, to the last bit.

    Args:
        codes: every stored code, as `dequantize` takes them; values that are not finite are left out.
    """
    values = unit.dequantize(codes).astype(np.float32).reshape(-1)
    values = np.unique(values[np.isfinite(values)] + np.float32(0))  # -0 is 0
    low, high = values[:-1].copy(), values[1:].copy()
    for _ in range(40):  # float32 has 32 bits between any two
        middle = _from_ordinal((_ordinal(low) + _ordinal(high)) // 2)
        down = unit.dequantize(unit.quantize(middle)).astype(np.float32).reshape(-1) <= values[:-1]
        low, high = np.where(down, middle, low), np.where(down, high, middle)
    return Grid(torch.from_numpy(values), torch.from_numpy(low))


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
    return _Rounded.apply(x, scale, grid)  # type: ignore[no-untyped-call, no-any-return]


def weight_scales(weight: Tensor, grid: Grid) -> Tensor:
    """The scale of each output channel whose squared error is least among SHARES of its peak.

    Args:
        weight: (channels, ...).

    Returns:
        (channels,); 1 for a channel of zeros.
    """
    rows = weight.detach().reshape(len(weight), -1)
    peaks = rows.abs().amax(1)
    return _best(peaks, grid, lambda scales: (rows - rounded(rows, scales[:, None], grid)).square().sum(1))


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
    """Of SHARES of each peak as the grid's greatest value, the one of least error."""
    whole = torch.where(peaks > 0, peaks, torch.full_like(peaks, grid.greatest)) / grid.greatest
    best, least = whole, torch.full_like(whole, torch.inf)
    for share in SHARES:
        scales = whole * float(share)
        found = error(scales)
        best, least = torch.where(found < least, scales, best), torch.minimum(found, least)
    return torch.where(peaks > 0, best, torch.ones_like(best)).clamp_min(LEAST_SCALE)


class Rounding(nn.Module):
    """Rounds a tensor to a grid whose scale is a parameter, in place of a format of the graph.

    Attributes:
        scale: (1,), or (channels,) of a weight.
    """

    def __init__(self, grid: Grid, scale: Tensor, to_format: Callable[[Tensor], Format]) -> None:
        super().__init__()
        self.grid, self.to_format = grid, to_format
        self.scale = nn.Parameter(scale.float())

    def forward(self, x: Tensor) -> Tensor:
        """x rounded; the scale's gradient is divided by sqrt(values * greatest) as LSQ's (section 2.2)."""
        scale = self.scale.abs().clamp_min(LEAST_SCALE)
        factor = (x.numel() / len(scale) * max(self.grid.greatest, 1.0)) ** -0.5
        scale = (scale - scale * factor).detach() + scale * factor
        return rounded(x, scale.reshape(-1, *[1] * (x.ndim - 1)) if len(scale) > 1 else scale, self.grid)

    def format(self, values: Tensor | None) -> Format:
        """The format with the scale as it is now."""
        return self.to_format(self.scale.detach().abs().clamp_min(LEAST_SCALE))
