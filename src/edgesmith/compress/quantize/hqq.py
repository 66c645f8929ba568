"""HQQ: scales and zero points of weights under an error that forgives outliers, without any data."""

from dataclasses import replace

import torch
from torch import Tensor

from edgesmith.compress.quantize.grids import Grid, by_range, run_size, stored
from edgesmith.compress.quantize.layers import Layer, Rounded
from edgesmith.compress.quantize.ptq import Transform
from edgesmith.compress.quantize.rounding import ENDS, Storage, Work, rounding
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput
from edgesmith.training.loop import Run

NORM, BETA, KAPPA, ROUNDS = 0.7, 10.0, 1.01, 20  # the authors' code (github.com/mobiusml/hqq)
EXPERIMENT = "benchmarks/claims/compress/hqq.py"


@method(
    Card(
        name="hqq",
        does="weights of 2 to 8 bits whose zero points or scales are found by half-quadratic splitting, without data",
        source=Source("Badri, Shaji", 2023, "https://mobiusml.github.io/hqq_blog/"),
        claims=(
            Claim("shrinkage is that of the half-quadratic step", test="test_shrinkage_solves_its_problem"),
            Claim("zero points are those of an independent code", test="test_zero_points_are_those_of_torchao"),
            Claim(
                "no less accurate than rounding to nearest (on one net of three at 2 and 3 bits: does not hold)",
                experiment=EXPERIMENT,
            ),
        ),
        omits=(
            "zero points between integers: a format's are whole, rounded at the end",
            "zero points of whole channels: those stay 0, and the scale is solved for in their place",
            "quantized scales and zero points",
        ),
    )
)
def hqq(
    weights: int = 4,
    group: int = 0,
    norm: float = NORM,
    rounds: int = ROUNDS,
    ends: int = ENDS,
    run: Run | None = None,
) -> Transform:
    """Round a copy of the module; activations stay float.

    Args:
        weights, group, ends: as in `Storage`; groups have zero points, channels have none.
        norm: p of the error's l_p norm, above 0, at most 1.
        rounds: of the alternation, at most.
        run: as in `Walk`.

    Raises:
        BadInput: bits or groups that do not exist, or another norm.
    """
    if not 0 < norm <= 1 or rounds < 0:
        raise BadInput(f"hqq: norm {norm}, {rounds} rounds; need a norm above 0, at most 1, and no negative count.")

    def solve(layer: Layer) -> Rounded:
        size = run_size(layer.weight.shape[-1], group)
        runs = layer.weight.double().reshape(*layer.weight.shape[:2], -1, size or layer.weight.shape[-1])
        grid = shifted(runs, layer.bits, norm, rounds) if size else scaled(runs, layer.bits, norm, rounds)
        return Rounded(grid.round(layer.weight.double()), grid.format())

    work = Work(run=run, settings={"norm": norm, "rounds": rounds})
    return rounding("hqq", Storage(weights, 0, group, ends), solve, work)


def shrink(x: Tensor, beta: float, norm: float = NORM) -> Tensor:
    """The generalized soft threshold: sign(x) * max(0, |x| - |x|^(p-1) / beta); 0 for 0.

    Source: Badri and Shaji, 2023, equation of W_e.
    """
    magnitude = x.abs()
    return x.sign() * torch.relu(magnitude - magnitude.clamp_min(1e-30).pow(norm - 1) / beta)


def shifted(runs: Tensor, bits: int, norm: float = NORM, rounds: int = ROUNDS) -> Grid:
    """The grid by the runs' extremes, its zero points solved for.

    Args:
        runs: (groups, rows, runs, size) float64.

    Source: Badri and Shaji, 2023: W_e = shrink(W - W_r), z = mean(W_q - (W - W_e) / s).
    """
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    least, most = runs.amin(-1).clamp_max(0), runs.amax(-1).clamp_min(0)
    scales = torch.where(most > least, (most - least) / (high - low), 1.0).float().double()[..., None]
    zeros = (low - least[..., None] / scales).clamp(low, high)
    zeros = solved(runs, scales, zeros, (low, high), norm, rounds).round().clamp(low, high)
    return stored(Grid(scales[..., 0], zeros[..., 0], bits, runs.shape[-1]))


def solved(
    runs: Tensor, scales: Tensor, zeros: Tensor, ends: tuple[int, int], norm: float = NORM, rounds: int = ROUNDS
) -> Tensor:
    """Zero points, not rounded, of least l_p error: like `scales`, (..., 1)."""
    beta, best, chosen = BETA, _error(runs, scales, zeros, ends, norm), zeros
    for _ in range(rounds):
        codes = (runs / scales + zeros).round().clamp(*ends)
        outliers = shrink(runs - (codes - zeros) * scales, beta, norm)
        zeros = (codes - (runs - outliers) / scales).mean(-1, keepdim=True)
        error = _error(runs, scales, zeros, ends, norm)
        best, chosen = torch.minimum(best, error), torch.where(error < best, zeros, chosen)
        beta *= KAPPA
    return chosen


def scaled(runs: Tensor, bits: int, norm: float = NORM, rounds: int = ROUNDS) -> Grid:
    """The symmetric grid of whole rows, its scale solved for: s = <q, W - W_e> / <q, q>."""
    whole = by_range(runs.flatten(2), bits)
    ends, beta = (whole.low, whole.high), BETA
    scales = whole.scales[..., None]
    none = torch.zeros_like(scales)
    best, chosen = _error(runs, scales, none, ends, norm), scales
    for _ in range(rounds):
        codes = (runs / scales).round().clamp(*ends)
        outliers = shrink(runs - codes * scales, beta, norm)
        power = codes.square().sum(-1, keepdim=True)
        fitted = (codes * (runs - outliers)).sum(-1, keepdim=True) / power.clamp_min(1)
        scales = torch.where((power > 0) & (fitted > 0), fitted, scales)
        error = _error(runs, scales, none, ends, norm)
        best, chosen = torch.minimum(best, error), torch.where(error < best, scales, chosen)
        beta *= KAPPA
    return stored(replace(whole, scales=chosen[..., 0]))


def _error(runs: Tensor, scales: Tensor, zeros: Tensor, ends: tuple[int, int], norm: float) -> Tensor:
    """Sum of |error|^p of each run: (..., 1)."""
    steps = (runs / scales + zeros).round().clamp(*ends)
    return (runs - (steps - zeros) * scales).abs().pow(norm).sum(-1, keepdim=True)
