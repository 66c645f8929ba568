"""Lowerings of softmax and normalizations; ours work along the last axis."""

from functools import partial

from edgesmith.core.errors import Unsupported
from edgesmith.lower.builder import Builder
from edgesmith.lower.call import Call, Lowering, axis_of


def last(b: Builder, x: str, axis: int) -> tuple[str, tuple[int, ...] | None]:
    """x with `axis` moved to the end, and the axes that move it back; None when it is there already."""
    rank = len(b.shape(x))
    if axis == rank - 1:
        return x, None
    there = (*(i for i in range(rank) if i != axis), axis)
    back = tuple(there.index(i) for i in range(rank))
    return b.op("permute", x, axes=there), back


def _along(b: Builder, kind: str, x: str, axis: int, *constants: str) -> str:
    moved, back = last(b, x, axis)
    y = b.op(kind, moved, *constants)
    return y if back is None else b.op("permute", y, axes=back)


def _softmax(logarithm: bool, b: Builder, call: Call) -> str:
    x = call.tensor("self")
    y = _along(b, "softmax", x, axis_of(call["dim"], len(b.shape(x))))
    return b.op("log", y) if logarithm else y


def batch_norm(b: Builder, call: Call) -> str:
    """In inference: one scale and shift per channel, which a pass folds into the layer before."""
    x = call.tensor("input")
    mean, variance = call["running_mean"], call["running_var"]
    if call.get("training") or mean is None or variance is None:
        raise Unsupported("normalizes by its batch; need running statistics. Call module.eval() first.")
    deviation = b.op("sqrt", b.op("add", variance, b.scalar(call["eps"], variance)))
    scale = b.op("div", call["weight"] or b.filled("weight", b.shape(mean), 1.0), deviation)
    shift = b.op("mul", mean, scale)
    shift = b.op("sub", call["bias"] or b.filled("bias", b.shape(mean), 0.0), shift)
    return _along(b, "affine", x, 1, scale, shift)


def batch_norm_with_statistics(b: Builder, call: Call) -> list[str]:
    """The functional form; its saved statistics are empty in inference."""
    return [batch_norm(b, call)]


def _flat(b: Builder, x: str, axes: int) -> str:
    """The last `axes` axes as one."""
    if axes == 1:
        return x
    shape = b.shape(x)
    size = 1
    for entry in shape[len(shape) - axes :]:
        size *= entry
    return b.op("reshape", x, shape=(*shape[: len(shape) - axes], size))


def _shaped(b: Builder, y: str, shape: tuple[int, ...]) -> str:
    return y if b.shape(y) == shape else b.op("reshape", y, shape=shape)


def _gamma(b: Builder, call: Call, name: str, axes: int, value: float) -> str:
    size = 1
    for entry in call["normalized_shape"]:
        size *= entry
    given = call[name]
    return _flat(b, given, axes) if given is not None else b.filled(name, (size,), value)


def layer_norm(b: Builder, call: Call) -> str:
    """Several axes are flattened into one."""
    x, axes = call.tensor("input"), len(call["normalized_shape"])
    gamma, beta = _gamma(b, call, "weight", axes, 1.0), _gamma(b, call, "bias", axes, 0.0)
    y = b.op("layer_norm", _flat(b, x, axes), gamma, beta, eps=float(call["eps"]))
    return _shaped(b, y, b.shape(x))


def rms_norm(b: Builder, call: Call) -> str:
    """torch's default eps is float32's machine epsilon."""
    x, axes = call.tensor("input"), len(call["normalized_shape"])
    eps = 2.0**-23 if call["eps"] is None else float(call["eps"])
    y = b.op("rms_norm", _flat(b, x, axes), _gamma(b, call, "weight", axes, 1.0), eps=eps)
    return _shaped(b, y, b.shape(x))


def _normalized_groups(b: Builder, x: str, groups: int, eps: float, weight: str | None, bias: str | None) -> str:
    """Each group of channels normalized as one row, then one scale and shift per channel."""
    shape = b.shape(x)
    row = b.tensors[x].size // groups
    grouped = b.op("reshape", x, shape=(1, groups, row))
    ones, zeros = b.filled("ones", (row,), 1.0), b.filled("zeros", (row,), 0.0)
    y = b.op("reshape", b.op("layer_norm", grouped, ones, zeros, eps=eps), shape=shape)
    if weight is None and bias is None:
        return y
    scale, shift = weight or b.filled("weight", shape[1:2], 1.0), bias or b.filled("bias", shape[1:2], 0.0)
    return _along(b, "affine", y, 1, scale, shift)


def group_norm(b: Builder, call: Call) -> str:
    """A layer norm over each group."""
    x = call.tensor("input")
    return _normalized_groups(b, x, call["num_groups"], float(call["eps"]), call["weight"], call["bias"])


def instance_norm(b: Builder, call: Call) -> str:
    """A group norm with one group per channel."""
    x = call.tensor("input")
    if not call["use_input_stats"]:
        raise Unsupported("uses running statistics; need those of the input. Use batch norm.")
    return _normalized_groups(b, x, b.shape(x)[1], float(call["eps"]), call["weight"], call["bias"])


def shiftmax(b: Builder, call: Call) -> str:
    """Along the last axis."""
    return b.op("shiftmax", call.tensor("x"))


def shift_gelu(b: Builder, call: Call) -> str:
    """Rows are those of the last axis."""
    return b.op("shift_gelu", call.tensor("x"), limit=float(call["limit"]))


LOWERINGS: dict[str, Lowering] = {
    "edgesmith.shiftmax.default": shiftmax,
    "edgesmith.shift_gelu.default": shift_gelu,
    "aten.softmax.int": partial(_softmax, False),
    "aten._softmax.default": partial(_softmax, False),
    "aten.log_softmax.int": partial(_softmax, True),
    "aten._log_softmax.default": partial(_softmax, True),
    "aten.batch_norm.default": batch_norm,
    "aten._native_batch_norm_legit_no_training.default": batch_norm_with_statistics,
    "aten.layer_norm.default": layer_norm,
    "aten.rms_norm.default": rms_norm,
    "aten.group_norm.default": group_norm,
    "aten.instance_norm.default": instance_norm,
}
