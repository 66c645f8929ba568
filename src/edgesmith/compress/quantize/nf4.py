"""NF4: weights become the nearest of sixteen quantiles of a normal distribution, scaled block by block."""

import torch

from edgesmith.compress.quantize.grids import by_range, run_size
from edgesmith.compress.quantize.layers import Layer, Rounded
from edgesmith.compress.quantize.ptq import Transform
from edgesmith.compress.quantize.rounding import ENDS, Storage, Work, rounding
from edgesmith.core import formats
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput
from edgesmith.training.loop import Run

BLOCK = 64  # arXiv:2305.14314, section 3
EXPERIMENT = "benchmarks/claims/compress/nf4.py"


@method(
    Card(
        name="nf4",
        does="weights as sixteen quantiles of a normal distribution, one scale for each block of a row",
        source=Source("Dettmers et al.", 2023, "arXiv:2305.14314"),
        claims=(
            Claim("codes are those of an independent code", test="test_normal_floats_are_those_of_torchao"),
            Claim(
                "at least as accurate as 4-bit integers of the same blocks (on one net of three: else does not hold)",
                experiment=EXPERIMENT,
            ),
        ),
        omits=("double quantization of scales: they are float32", "adapters and their training (QLoRA itself)"),
    )
)
def nf4(block: int = BLOCK, ends: int = ENDS, run: Run | None = None) -> Transform:
    """Round a copy of the module; activations stay float.

    Args:
        block: weights that share a scale: the largest divisor of a row up to that.
        ends: bits of the first and the last layer's weights, integers per channel; 0: NF4 too.
        run: as in `Walk`.

    Raises:
        BadInput: a block below 1, or bits that do not exist.
    """
    if block < 1:
        raise BadInput(f"nf4: blocks of {block}; need 1 or more.")

    def solve(layer: Layer) -> Rounded:
        if layer.bits == ends:
            grid = by_range(layer.weight, layer.bits)
            return Rounded(grid.round(layer.weight.double()), grid.format())
        rows = layer.weight.flatten(0, 1).cpu().numpy()
        format_ = formats.nf4(rows, run_size(rows.shape[1], block))
        values = format_.dequantize(format_.quantize(rows))
        return Rounded(torch.from_numpy(values).reshape(layer.weight.shape).to(layer.weight), format_)

    return rounding("nf4", Storage(4, ends=ends), solve, Work(run=run, settings={"block": block}))
