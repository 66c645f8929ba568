"""GPTQ: one column of weights rounded after the other, the columns still free making up for its error."""

from collections.abc import Mapping

import torch
from torch import Tensor

from edgesmith.compress.quantize.grids import Clip, Grid, check_clip, rounded, searched
from edgesmith.compress.quantize.layers import Layer, Rounded
from edgesmith.compress.quantize.ptq import Transform
from edgesmith.compress.quantize.rounding import ENDS, Storage, Work, rounding
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput
from edgesmith.training.loop import Run

DAMPING = 0.01  # of the mean diagonal (arXiv:2210.17323, section 3.3)
BLOCK = 128  # columns updated together (likewise)
EXPERIMENT = "benchmarks/claims/compress/gptq.py"


@method(
    Card(
        name="gptq",
        does="weights rounded column by column, later columns correcting earlier ones by the inputs' second moments",
        source=Source("Frantar et al.", 2022, "arXiv:2210.17323"),
        claims=(
            Claim("uncorrelated inputs leave rounding to nearest", test="test_uncorrelated_inputs_leave_rounding"),
            Claim("outputs err less than by rounding", test="test_outputs_err_less_than_by_rounding"),
            Claim("blocks change no result", test="test_blocks_change_no_result"),
            Claim("no less accurate than rounding at 8 to 2 bits", experiment=EXPERIMENT),
        ),
        omits=(
            "groups whose scales follow the updated weights: scales are those of the weights as they came",
            "layers other than convolutions and linear ones: rounded by their range",
            "weights of dead inputs are rounded, not set to 0",
        ),
    )
)
def gptq(
    weights: int = 4,
    activations: int = 0,
    group: int = 0,
    act_order: bool = True,
    damping: float = DAMPING,
    block: int = BLOCK,
    clip: Clip = "mse",
    ends: int = ENDS,
    run: Run | None = None,
    own: Mapping[str, int] | None = None,
) -> Transform:
    """Round a copy of the module.

    Args:
        weights, activations, group, ends, own: as in `Storage`.
        act_order: columns of large inputs first (the authors' code, option --act-order).
        damping: added to the diagonal, as a share of its mean.
        block: columns whose updates are done together.
        clip: how scales are chosen before; as in `rtn`. Squared error is the authors' at few bits.
        run: as in `Walk`.

    Raises:
        BadInput: bits, groups or a clip that do not exist; damping not above zero; a block below 1.
    """
    check_clip("gptq", clip)
    if not damping > 0 or block < 1:
        raise BadInput(f"gptq: damping {damping}, block {block}; need damping above zero and blocks of 1 or more.")

    def solve(layer: Layer) -> Rounded:
        hessian = layer.hessian()
        grid = searched(layer.weight, layer.bits, group, clip, hessian)
        weight = compensated(layer.weight, hessian, grid, act_order, damping, block)
        return Rounded(weight, grid.format())

    settings = {"act_order": act_order, "damping": damping, "block": block, "clip": clip}
    work = Work(run=run, settings=settings)
    return rounding("gptq", Storage(weights, activations, group, ends, own), solve, work)


def compensated(
    weight: Tensor, hessian: Tensor, grid: Grid, act_order: bool = True, damping: float = DAMPING, block: int = BLOCK
) -> Tensor:
    """Weights on the grid, rounded in order with the error of each spread over those that follow.

    Args:
        weight: (groups, rows, K).
        hessian: (groups, K, K) second moments of the inputs, of any factor.

    Returns:
        (groups, rows, K) float64.

    Source: arXiv:2210.17323, algorithm 1.
    """
    diagonal = hessian.diagonal(dim1=1, dim2=2)
    order = diagonal.argsort(dim=1, descending=True, stable=True) if act_order else _counted(diagonal)
    w = _columns(weight.double(), order)
    scales, zeros = (_columns(part, order) for part in grid.columns(weight.shape[-1]))
    inverse = inverse_factor(_both(hessian, order), damping)
    done = torch.empty_like(w)
    for begin in range(0, w.shape[-1], block):
        end = min(begin + block, w.shape[-1])
        errors = []
        for column in range(begin, end):
            at = slice(column, column + 1)
            done[..., at] = rounded(w[..., at], scales[..., at], zeros[..., at], grid.low, grid.high)
            error = (w[..., at] - done[..., at]) / inverse[:, at, at]
            w[..., column:end] -= error * inverse[:, at, column:end]
            errors.append(error)
        w[..., end:] -= torch.cat(errors, -1) @ inverse[:, begin:end, end:]
    return _columns(done, order.argsort(1))


def inverse_factor(hessian: Tensor, damping: float) -> Tensor:
    """Upper Cholesky factor of the inverse of the damped second moments: (groups, K, K) float64.

    Inputs that are always 0 count as uncorrelated ones. Damping grows tenfold while the matrix is not positive.

    Raises:
        BadInput: it never is.
    """
    h = hessian.double().clone()
    diagonal = h.diagonal(dim1=1, dim2=2)
    mean = diagonal.mean(1, keepdim=True)
    diagonal += torch.where(diagonal == 0, torch.where(mean > 0, mean, 1.0), 0.0)
    for _ in range(6):
        diagonal += damping * mean
        factor, failed = torch.linalg.cholesky_ex(h)
        if not failed.any():
            upper, failed = torch.linalg.cholesky_ex(torch.cholesky_inverse(factor), upper=True)
            if not failed.any():
                return upper
        damping *= 10
    raise BadInput("gptq: the inputs' second moments have no inverse; need finite inputs. Raise the damping.")


def _counted(diagonal: Tensor) -> Tensor:
    return torch.arange(diagonal.shape[1], device=diagonal.device).expand(diagonal.shape)


def _columns(matrix: Tensor, order: Tensor) -> Tensor:
    """(groups, rows, K) with the columns of each group in its order."""
    return matrix.gather(2, order[:, None].expand(matrix.shape))


def _both(matrix: Tensor, order: Tensor) -> Tensor:
    """(groups, K, K) with rows and columns in each group's order."""
    return _columns(_columns(matrix, order).transpose(1, 2), order).transpose(1, 2)
