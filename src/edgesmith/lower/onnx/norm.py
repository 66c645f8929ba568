"""Lowerings of softmax and normalizations."""

import math

import numpy as np

from edgesmith.core.errors import Unsupported
from edgesmith.core.graph import Attr
from edgesmith.lower.norm import last
from edgesmith.lower.onnx.node import Lowering, Node, Value


def softmax(n: Node) -> Value:
    """Along one axis; before opset 13 along all from an axis on, which must then be the last."""
    x = n.x()
    rank = len(n.b.shape(x))
    axis = n.axis(n.whole("axis", 1 if n.opset < 13 else -1), rank)
    if n.opset < 13 and axis != rank - 1:
        raise Unsupported(f"runs over all axes from {axis} on; need the last alone.")
    moved, back = last(n.b, x, axis)
    y = n.b.op("softmax", n.carry(x, moved))
    return y if back is None else n.b.op("permute", y, axes=back)


def log_softmax(n: Node) -> Value:
    """x - max - log(sum(exp(x - max)))."""
    x = n.x()
    rank = len(n.b.shape(x))
    along: dict[str, Attr] = {"axes": (n.axis(n.whole("axis", -1), rank),), "keepdims": True}
    centred = n.b.op("sub", x, n.b.op("reduce_max", x, **along))
    return n.b.op("sub", centred, n.b.op("log", n.b.op("reduce_sum", n.b.op("exp", centred), **along)))


def batch_norm(n: Node) -> Value:
    """In inference: one scale and shift per channel, which a pass folds into the layer before."""
    if n.whole("training_mode"):
        raise Unsupported("normalizes by its batch; need inference.")
    gamma, beta, mean, variance = (n.array(i).astype(np.float64) for i in range(1, 5))
    if not gamma.shape == beta.shape == mean.shape == variance.shape:
        raise Unsupported("has parameters of different shapes.")
    with np.errstate(all="ignore"):
        scale = gamma / np.sqrt(variance + n.real("epsilon", 1e-5))
        arrays = [array.astype(np.float32) for array in (scale, beta - mean * scale)]
    names = [n.b.constant(f"{n.b.stem}.{part}", a) for part, a in zip(("scale", "shift"), arrays, strict=True)]
    x = n.x()
    moved, back = last(n.b, x, 1)
    y = n.b.op("affine", n.carry(x, moved), *names)
    return y if back is None else n.b.op("permute", y, axes=back)


def _over_last_axes(n: Node, kind: str, parts: tuple[str, ...], epsilon: float) -> Value:
    x = n.x()
    shape = n.b.shape(x)
    axis = n.axis(n.whole("axis", -1), len(shape))
    size = math.prod(shape[axis:])
    flat = x if axis == len(shape) - 1 else n.carry(x, n.b.op("reshape", x, shape=(*shape[:axis], size)))
    names = []
    for position, part in enumerate(parts, 1):
        fill = np.full(size, 1.0 if part == "gamma" else 0.0, np.float32)
        given = n.array(position).reshape(-1) if n.given(position) else fill
        names.append(n.b.constant(f"{n.b.stem}.{part}", np.broadcast_to(given, (size,)).astype(np.float32)))
    y = n.b.op(kind, flat, *names, eps=epsilon)
    return y if flat == x else n.b.op("reshape", y, shape=shape)


def layer_norm(n: Node) -> Value:
    """Over the axes from `axis` on."""
    return _over_last_axes(n, "layer_norm", ("gamma", "beta"), n.real("epsilon", 1e-5))


def rms_norm(n: Node) -> Value:
    """The same without a mean."""
    return _over_last_axes(n, "rms_norm", ("gamma",), n.real("epsilon", 1e-5))


LOWERINGS: dict[str, Lowering] = {
    "Softmax": softmax,
    "LogSoftmax": log_softmax,
    "BatchNormalization": batch_norm,
    "LayerNormalization": layer_norm,
    "RMSNormalization": rms_norm,
}
