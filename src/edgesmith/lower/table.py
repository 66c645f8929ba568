"""Every aten op that has a lowering."""

from collections.abc import Mapping

from edgesmith.lower import conv, elementwise, linear, norm, pooling, recurrent, reduction, shape, spectral
from edgesmith.lower.call import Lowering

LOWERINGS: Mapping[str, Lowering] = {
    **conv.LOWERINGS,
    **elementwise.LOWERINGS,
    **linear.LOWERINGS,
    **norm.LOWERINGS,
    **pooling.LOWERINGS,
    **recurrent.LOWERINGS,
    **reduction.LOWERINGS,
    **shape.LOWERINGS,
    **spectral.LOWERINGS,
}

# What to do about ops that people ask for most.
WAYS_ROUND: Mapping[str, str] = {
    "upsample_bilinear2d": "Use nn.Upsample(mode='nearest'), or a transposed convolution.",
    "conv3d": "Use conv2d, with depth as channels.",
    "topk": "Return the scores, and choose where they are read.",
    "cumsum": "Multiply by a constant triangular matrix.",
    "sin": "Compute it once and store it as a buffer.",
    "cos": "Compute it once and store it as a buffer.",
    "erf": "Use nn.GELU where it is part of one.",
    "where": "Write it with a mask of zeros and ones: m * a + (1 - m) * b.",
    "masked_fill": "Add a constant mask of large negative numbers instead.",
    "einsum": "Write it as matmul, with permute and reshape.",
}
OTHERWISE = "Write it with supported ops, or move it out of the model."


def way_round(target: str) -> str:
    """Advice for an op without lowering."""
    name = target.split(".")[1] if "." in target else target
    return WAYS_ROUND.get(name, OTHERWISE)
