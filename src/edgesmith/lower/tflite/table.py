"""Every TensorFlow Lite operator that has a lowering."""

from collections.abc import Mapping

from edgesmith.lower.tflite import elementwise, layers, pooling, recurrent, shape
from edgesmith.lower.tflite.node import Lowering

LOWERINGS: Mapping[str, Lowering] = {
    **elementwise.LOWERINGS,
    **layers.LOWERINGS,
    **pooling.LOWERINGS,
    **recurrent.LOWERINGS,
    **shape.LOWERINGS,
}
# Those that keep values between runs; `lowering` handles them itself.
VARIABLES = ("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")

WAYS_ROUND: Mapping[str, str] = {
    "RESIZE_BILINEAR": "Resize by whole factors to the nearest cell, or with a transposed convolution.",
    "ARG_MAX": "Return the scores, and take the argmax where they are read.",
    "SVDF": "Train a depthwise convolution over time instead.",
    "SHAPE": "Convert the model with a fixed input shape.",
    "CAST": "Keep the model in one type.",
}
OTHERWISE = "Write it with supported ops, or cut the model before it."


def way_round(kind: str) -> str:
    """Advice for an operator without a lowering."""
    if kind.startswith("CUSTOM:"):
        return "It is code of another runtime: convert the model without it, or cut the model before it."
    return WAYS_ROUND.get(kind, OTHERWISE)
