"""The grids that weights are rounded to, on tensors: rows of weights, a scale for each run of a row."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from edgesmith.core.errors import BadInput
from edgesmith.core.formats import Group, PerChannel

Clip = Literal["none", "mse", "output"]
CLIPS = ("none", "mse", "output")
SHRINKS = 20  # ranges tried, down to half: those of AWQ's authors' code (github.com/mit-han-lab/llm-awq)
LEAST_SCALE = 1e-12
FULL = 8  # bits whose magnitudes stay equal


@dataclass(frozen=True)
class Grid:
    """Symmetric integers, or with a zero point, of runs of weights.

    Attributes:
        scales: (groups, rows, runs) float, above zero.
        zeros: as scales, the integer that stands for 0; all 0 for symmetric grids.
        bits: 2 to 8.
        size: weights of a run; 0: whole rows, per channel.
    """

    scales: Tensor
    zeros: Tensor
    bits: int
    size: int = 0

    @property
    def low(self) -> int:
        """The least integer."""
        return -(1 << (self.bits - 1)) + (self.bits == FULL and not self.size)

    @property
    def high(self) -> int:
        """The greatest integer."""
        return (1 << (self.bits - 1)) - 1

    def columns(self, k: int) -> tuple[Tensor, Tensor]:
        """Scale and zero of every weight: (groups, rows, k) each."""
        each = k // self.scales.shape[-1]
        return self.scales.repeat_interleave(each, -1), self.zeros.repeat_interleave(each, -1)

    def round(self, weight: Tensor) -> Tensor:
        """(groups, rows, K) to the nearest values of the grid."""
        scales, zeros = self.columns(weight.shape[-1])
        return rounded(weight, scales, zeros, self.low, self.high)

    def format(self) -> PerChannel | Group:
        """As the weight's tensor carries it."""
        scales = tuple(map(float, self.scales.reshape(-1).double().cpu()))
        if not self.size:
            return PerChannel(scales, bits=self.bits)
        zeros = tuple(int(z) - self.low for z in self.zeros.reshape(-1).cpu())
        middle = all(zero == -self.low for zero in zeros)
        return Group(scales, self.size, self.bits, () if middle else zeros)


def rounded(weight: Tensor, scales: Tensor, zeros: Tensor, low: int, high: int) -> Tensor:
    """scale * (q - zero), q the nearest integer in [low, high]."""
    return ((weight / scales).round().add(zeros).clamp(low, high) - zeros) * scales


def run_size(k: int, group: int) -> int:
    """Weights of a run: the largest divisor of a row that is not above `group`; 0 for whole rows.

    >>> run_size(27, 16), run_size(256, 64), run_size(9, 0)
    (9, 64, 0)
    """
    return next(size for size in range(min(group, k), 0, -1) if k % size == 0) if group else 0


def by_range(weight: Tensor, bits: int, group: int = 0) -> Grid:
    """Each run's largest magnitude maps to the greatest integer; a run of zeros has scale 1.

    Args:
        weight: (groups, rows, K).
        group: weights that share a scale, 0 for a whole row.
    """
    size = run_size(weight.shape[-1], group)
    runs = weight.reshape(*weight.shape[:2], -1, size or weight.shape[-1])
    peaks = runs.abs().amax(-1).double()
    scales = torch.where(peaks > LEAST_SCALE, peaks / ((1 << (bits - 1)) - 1), 1.0)
    return stored(Grid(scales, torch.zeros_like(scales), bits, size))


def stored(grid: Grid) -> Grid:
    """The grid with scales as its format keeps them: groups' as float32."""
    scales = grid.scales.float().double() if grid.size else grid.scales.double()
    return Grid(scales.clamp_min(LEAST_SCALE), grid.zeros.double(), grid.bits, grid.size)


def searched(weight: Tensor, bits: int, group: int = 0, clip: Clip = "mse", hessian: Tensor | None = None) -> Grid:
    """The grid among shrunken ranges of least error of each run ("mse"), or of least output error ("output").

    Args:
        hessian: (groups, K, K) mean of x x^T, for "output"; then all runs of a row shrink alike.

    Source: arXiv:2306.00978, section 4 (clipping by search), and its authors' code.
    """
    whole = by_range(weight, bits, group)
    if clip == "none":
        return whole
    best = torch.full(whole.scales.shape, float("inf"), dtype=torch.float64, device=weight.device)
    chosen = whole.scales.clone()
    for step in range(SHRINKS + 1):
        scales = whole.scales * (1 - step / (2 * SHRINKS))
        grid = stored(Grid(scales, whole.zeros, bits, whole.size))
        error = weight.double() - grid.round(weight.double())
        loss = output_loss(error, hessian) if clip == "output" else run_loss(error, scales.shape[-1])
        better = loss < best
        best, chosen = torch.where(better, loss, best), torch.where(better, grid.scales, chosen)
    return stored(Grid(chosen, whole.zeros, bits, whole.size))


def run_loss(error: Tensor, runs: int) -> Tensor:
    """Sum of squares of each run: (groups, rows, runs)."""
    return error.square().reshape(*error.shape[:2], runs, -1).sum(-1)


def output_loss(error: Tensor, hessian: Tensor | None) -> Tensor:
    """Mean squared error of each row's output: (groups, rows, 1)."""
    if hessian is None:
        raise BadInput("grids: clipping by output error needs the layer's inputs; need a hessian.")
    return ((error.double() @ hessian) * error).sum(-1, keepdim=True)


def check_clip(method: str, clip: str) -> None:
    """Raise BadInput for a way of clipping that does not exist."""
    if clip not in CLIPS:
        raise BadInput(f"{method}: clip is {clip!r}; need one of {', '.join(CLIPS)}.")
