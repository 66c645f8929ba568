"""Quantize and dequantize pairs: they compute nothing here, they say how a tensor is stored."""

from dataclasses import replace

import numpy as np

from edgesmith.core.errors import Unsupported
from edgesmith.lower.bounded import stored
from edgesmith.lower.onnx.node import Lowering, Node, Stored, Value


def _scales(n: Node) -> tuple[np.ndarray, np.ndarray, str]:
    scales = n.array(1).astype(np.float64).reshape(-1)
    zeros = n.array(2) if n.given(2) else np.zeros(scales.shape, np.uint8)
    zeros = np.broadcast_to(zeros.reshape(-1), scales.shape) if zeros.size in (1, scales.size) else np.zeros(0)
    if not scales.size or zeros.size != scales.size or not np.isfinite(scales).all() or (scales <= 0).any():
        raise Unsupported("has scales that are not above zero, or other zero points.")
    return scales, zeros.astype(np.int64), str((n.array(2) if n.given(2) else zeros).dtype)


def quantize(n: Node) -> Value:
    """Notes the format; a float that others read too is kept apart."""
    scales, zeros, dtype = _scales(n)
    if n.constant(0):
        raise Unsupported(
            "quantizes a constant; need weights stored as integers. Save the model with folded constants."
        )
    x = n.x()
    pending = Stored(None, scales, zeros, n.whole("axis", 1), dtype)
    if n.b.tensors[x].format is None and n.readers[0] > 1:
        x = n.b.op("clamp", x)
    return replace(pending, name=stored(n.b, x, pending.format()))


def dequantize(n: Node) -> Value:
    """The value again, in the format noted; or a constant with its scales."""
    scales, zeros, _ = _scales(n)
    value = n.inputs[0]
    if isinstance(value, Stored) and value.integers is None:
        same = np.array_equal(value.scales, scales) and np.array_equal(value.zeros, zeros)
        if not same:
            raise Unsupported("reads integers by other scales than they were made with.")
        return value.name
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iu":
        raise Unsupported("reads integers that are computed; need a quantize before, or a constant.")
    axis = n.whole("axis", 1)
    if scales.size > 1 and (not -value.ndim <= axis < value.ndim or value.shape[axis] != scales.size):
        raise Unsupported(f"has {scales.size} scales along axis {axis} of {value.shape}.")
    return Stored(value, scales, zeros, axis, str(value.dtype))


LOWERINGS: dict[str, Lowering] = {"QuantizeLinear": quantize, "DequantizeLinear": dequantize}
