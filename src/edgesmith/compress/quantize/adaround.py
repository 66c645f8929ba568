"""AdaRound: whether each weight goes up or down is learned, so that a layer's outputs stay as they were."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from edgesmith.compress.quantize.grids import Clip, Grid, check_clip, searched
from edgesmith.compress.quantize.layers import Layer, Rounded
from edgesmith.compress.quantize.ptq import Transform
from edgesmith.compress.quantize.rounding import ENDS, Storage, Work, rounding
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput
from edgesmith.lower.torch_ops import limited
from edgesmith.training.loop import Run

STRETCH = (-0.1, 1.1)  # gamma, zeta of the rectified sigmoid (arXiv:2004.10568, equation 23)
BETAS = (20.0, 2.0)  # the regularizer's power, annealed; the rest are those of AIMET, the authors' code
WARM = 0.2  # share of the steps without the regularizer
WEIGHT = 1.0  # of the regularizer, a mean, beside the error as a share of that of rounding; our measurement
TINY = 1e-20  # an error that counts as none
LEARNING_RATE = 0.01
STEPS, ROWS, BATCH = 1000, 4096, 256  # the paper takes 10,000 steps of 32 images; our measurement
EXPERIMENT = "benchmarks/claims/compress/adaround.py"


@method(
    Card(
        name="adaround",
        does="weights rounded up or down as a layer's outputs ask, learned with a rectified sigmoid for each weight",
        source=Source("Nagel et al.", 2020, "arXiv:2004.10568"),
        claims=(
            Claim("outputs on new inputs err less than by rounding", test="test_learned_rounding_generalizes"),
            Claim("every weight is one of its two neighbours", test="test_every_weight_goes_to_a_neighbour"),
            Claim("more accurate than rounding at 4, 3 and 2 bits", experiment=EXPERIMENT),
        ),
        omits=(
            "batches of whole images: rows of a layer's inputs are drawn",
            "10,000 steps a layer: 1,000 unless told otherwise",
            "the regularizer's weight of 0.01 on absolute errors: here errors count as shares of that of rounding",
        ),
    )
)
def adaround(
    weights: int = 4,
    activations: int = 0,
    group: int = 0,
    iterations: int = STEPS,
    clip: Clip = "mse",
    ends: int = ENDS,
    seed: int = 0,
    run: Run | None = None,
    own: Mapping[str, int] | None = None,
) -> Transform:
    """Round a copy of the module.

    Args:
        weights, activations, group, ends, own: as in `Storage`.
        iterations: steps a layer; 0 rounds to nearest.
        clip: how scales are chosen before; as in `rtn`. Squared error is the paper's (section 5).
        seed: of the rows drawn.
        run: as in `Walk`.

    Raises:
        BadInput: bits, groups or a clip that do not exist, or a negative count.
    """
    check_clip("adaround", clip)
    if iterations < 0:
        raise BadInput(f"adaround: {iterations} iterations; need 0 or more.")

    def solve(layer: Layer) -> Rounded:
        hessian = layer.hessian() if clip == "output" else None
        grid = searched(layer.weight, layer.bits, group, clip, hessian)
        generator = torch.Generator().manual_seed(seed)
        weight = reconstructed(layer, grid, rows_of_outputs(layer, generator), iterations, generator)
        return Rounded(weight, grid.format())

    work = Work(True, run, {"iterations": iterations, "clip": clip, "seed": seed})
    return rounding("adaround", Storage(weights, activations, group, ends, own), solve, work)


@dataclass(frozen=True)
class Rows:
    """Inputs of a layer and what it should make of them.

    Attributes:
        x: (groups, rows, K) as rounded layers make them.
        y: (groups, rows, out / groups) of the float model, after the layer's activation function.
    """

    x: Tensor
    y: Tensor


def rows_of_outputs(layer: Layer, generator: torch.Generator, count: int = ROWS) -> Rows:
    """About `count` rows, as many of each batch of samples; targets by asymmetric reconstruction (equation 25)."""
    each = math.ceil(count / max(len(layer._chunks), 1))
    inputs, outputs = [], []
    for x, exact in zip(layer.inputs(), layer.inputs(exact=True), strict=True):
        chosen = torch.randperm(x.shape[1], generator=generator)[:each].to(x.device)
        inputs.append(x[:, chosen])
        outputs.append(output(layer, exact[:, chosen], layer.weight))
    return Rows(torch.cat(inputs, 1), torch.cat(outputs, 1))


def output(layer: Layer, x: Tensor, weight: Tensor) -> Tensor:
    """(groups, rows, K) through the layer and its activation function."""
    return limited(x @ weight.transpose(1, 2) + layer.bias[:, None], layer.attrs)


def output_error(layer: Layer, x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Squared error of a row of outputs, on average."""
    return (output(layer, x, weight) - y).square().sum((0, 2)).mean()


def reconstructed(layer: Layer, grid: Grid, rows: Rows, iterations: int, generator: torch.Generator) -> Tensor:
    """Weights on the grid, each its lower or upper neighbour, of least output error: (groups, rows, K) float64.

    Source: arXiv:2004.10568, equations 21 to 25.
    """
    weight = layer.weight.double()
    scales, zeros = grid.columns(weight.shape[-1])
    floor = (weight / scales).floor()
    low, high = grid.low - zeros, grid.high - zeros  # ends in steps from 0
    if iterations == 0:
        return grid.round(weight)
    choice = inverse_rectified((weight / scales - floor).clamp(0, 1)).float().requires_grad_(True)
    steps, floors, ends = scales.float(), floor.float(), (low.float(), high.float())
    optimizer = torch.optim.Adam([choice], LEARNING_RATE)
    unit = output_error(layer, rows.x, rows.y, grid.round(weight).float()).clamp_min(TINY)
    with torch.enable_grad():
        for step in range(iterations):
            drawn = torch.randint(rows.x.shape[1], (BATCH,), generator=generator).to(rows.x.device)
            soft = (floors + rectified(choice)).clamp(*ends) * steps
            loss = output_error(layer, rows.x[:, drawn], rows.y[:, drawn], soft) / unit
            if step >= WARM * iterations:
                loss = loss + WEIGHT * regularizer(choice, beta_at(step / iterations))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    up = (rectified(choice.detach()) >= 0.5).double()
    return (floor + up).clamp(low, high) * scales


def rectified(v: Tensor) -> Tensor:
    """h(V) = clip(sigmoid(V) (zeta - gamma) + gamma, 0, 1) (equation 23)."""
    gamma, zeta = STRETCH
    return (v.sigmoid() * (zeta - gamma) + gamma).clamp(0, 1)


def inverse_rectified(h: Tensor) -> Tensor:
    """V with h(V) = h, for h in [0, 1]."""
    gamma, zeta = STRETCH
    return ((h - gamma) / (zeta - gamma)).logit()


def regularizer(v: Tensor, beta: float) -> Tensor:
    """Mean of 1 - |2 h(V) - 1|^beta: 0 where every weight has chosen (equation 24)."""
    return (1 - (2 * rectified(v) - 1).abs().pow(beta)).mean()


def beta_at(done: float) -> float:
    """The power after this share of the steps: from 20 to 2 by half a cosine, after the warm start.

    >>> beta_at(0.2), round(beta_at(1.0), 6)
    (20.0, 2.0)
    """
    first, last = BETAS
    share = max(0.0, done - WARM) / (1 - WARM)
    return last + 0.5 * (first - last) * (1 + math.cos(math.pi * share))
