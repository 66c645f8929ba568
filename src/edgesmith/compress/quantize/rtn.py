"""RTN: every weight to its nearest integer, the baseline of all other methods."""

from edgesmith.compress.quantize.grids import Clip, check_clip, searched
from edgesmith.compress.quantize.layers import Layer, Rounded
from edgesmith.compress.quantize.ptq import Transform
from edgesmith.compress.quantize.rounding import ENDS, Storage, Work, rounding
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.training.loop import Run


@method(
    Card(
        name="rtn",
        does="every weight to the nearest of 2 to 8 bits, per channel or in groups; activations stay float or get int8",
        source=Source("Nagel et al.", 2021, "arXiv:2106.08295"),
        claims=(
            Claim("no value of the grid is nearer", test="test_rounding_finds_the_nearest_value"),
            Claim(
                "ranges by squared error lose less than the largest magnitude does",
                test="test_searched_ranges_err_less_than_whole_ones",
            ),
        ),
        omits=("bias correction and equalization: `ptq` has them",),
    )
)
def rtn(
    weights: int = 4,
    activations: int = 0,
    group: int = 0,
    clip: Clip = "none",
    ends: int = ENDS,
    run: Run | None = None,
) -> Transform:
    """Round a copy of the module.

    Args:
        weights, activations, group, ends: as in `Storage`.
        clip: "none" keeps the largest magnitude; "mse" shrinks each range to the least squared error of its weights,
            "output" to that of the layer's outputs on the calibration split.

    Raises:
        BadInput: bits, groups or a clip that do not exist.
    """
    check_clip("rtn", clip)
    work = Work(run=run, settings={"clip": clip})
    return rounding("rtn", Storage(weights, activations, group, ends), lambda layer: nearest(layer, group, clip), work)


def nearest(layer: Layer, group: int = 0, clip: Clip = "none") -> Rounded:
    """A layer's weights on the nearest values of their grid."""
    hessian = layer.hessian() if clip == "output" else None
    grid = searched(layer.weight, layer.bits, group, clip, hessian)
    return Rounded(grid.round(layer.weight.double()), grid.format())
