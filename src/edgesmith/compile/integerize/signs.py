"""Tensors of signs as integer ops: what makes them, pads them, and the convolutions that read them."""

import numpy as np

from edgesmith.compile.integerize.builder import Builder
from edgesmith.compile.integerize.products import folded_bias, quantized_bias, quantized_weight
from edgesmith.compile.integerize.scaling import bounds, kept, requantize_each
from edgesmith.core.errors import Unsupported
from edgesmith.core.formats import BIAS_LIMIT, Signs
from edgesmith.core.graph import Attr, Op
from edgesmith.core.ops import attrs_of
from edgesmith.core.ops.binary import FRACTION_BITS, pack, tree_of
from edgesmith.core.ops.values import INT32

UNIT = (1 << 30, 30)  # multiplier and shift of a sum that is stored as it is


def take(builder: Builder, op: Op) -> bool:
    """Append the integer form of an op that reads or makes signs; False leaves the op to the other rules.

    Raises:
        Unsupported: the op has no form on signs.
    """
    reads, makes = (isinstance(builder.format(names[0]), Signs) for names in (op.inputs, op.outputs))
    if not (reads or makes):
        return False
    if op.kind == "conv2d" and reads:
        _convolution(builder, op)
    elif op.kind == "conv2d":
        _from_integers(builder, op)
    elif op.kind == "clamp" and makes and not reads:
        x, format_ = builder.stored(op.inputs[0]), builder.affine(op.inputs[0])
        _sign(builder, op, x, format_.zero_point)
    elif op.kind == "clamp" and makes or (op.kind == "pad" and makes and reads and _padding(builder, op)):
        builder.store(op.outputs[0], builder.stored(op.inputs[0]))  # who reads a pad looks at it himself
    else:
        raise _refused(op, "only convolutions read signs, and cells padded with -1")
    return True


def _refused(op: Op, need: str) -> Unsupported:
    where = f"{op.kind} ({op.name}, {op.source or 'no source line'})"
    return Unsupported(f"integerize: {where} reads or makes signs; {need}. Keep its input in int8.")


def _sign(builder: Builder, op: Op, x: str, zero: int) -> None:
    name = builder.emit("binarize", (x,), op.outputs[0], None, {"zero": zero}, origin=op)
    builder.store(op.outputs[0], name)


def _from_integers(builder: Builder, op: Op) -> None:
    """A convolution of int8 whose sums keep their sign on the way to `binarize`."""
    x, x_format = builder.int8(op.inputs[0])
    w, weight = quantized_weight(builder, op, op.inputs[1], op.inputs[2], x_format.scale)
    b = quantized_bias(op, builder.source.constants[op.inputs[2]], weight, x_format.scale)
    b = folded_bias(op, b, builder.constants[w], x_format.zero_point)
    multiplier, shift = UNIT
    names = (
        builder.constant(f"{op.outputs[0]}.bias", b.astype(np.int32)),
        builder.constant(f"{op.outputs[0]}.multiplier", np.full(len(b), multiplier, np.int32)),
        builder.constant(f"{op.outputs[0]}.shift", np.full(len(b), shift, np.uint8)),
    )
    attrs = {**kept(op, "stride", "padding", "dilation", "groups"), "x_zero": x_format.zero_point, "y_zero": 0}
    sums = builder.emit("conv2d_s8", (x, w, *names), builder.free(f"{op.outputs[0]}.sums"), None, attrs, origin=op)
    _sign(builder, op, sums, 0)


def _convolution(builder: Builder, op: Op) -> None:
    """Sums of products of signs, compared where the result is signs, else requantized."""
    x, w, bias = op.inputs
    x_format, w_format = builder.format(x), builder.format(w)
    attrs = attrs_of(op)
    plain = attrs["groups"] == 1 and attrs["padding"] == (0, 0, 0, 0)
    if not isinstance(w_format, Signs) or w_format.axis != 0 or not plain:
        raise _refused(op, "its weights must be signs, one scale an output channel, its padding -1, without groups")
    assert isinstance(x_format, Signs)
    bits = w_format.quantize(builder.source.constants[w])
    scales = x_format.scales[0] * np.asarray(w_format.scales)
    channels = int(bits.shape[-1])
    common: dict[str, Attr] = {"channels": channels, **kept(op, "stride", "dilation"), "padding": _around(builder, x)}
    weights = _weights(builder, w, bits, w_format.parents, common)
    steps = builder.source.constants[bias].astype(np.float64) / scales
    stored = builder.stored(x)
    kind = "mst_conv2d" if w_format.parents else "binary_conv2d"
    if isinstance(builder.format(op.outputs[0]), Signs):
        threshold = np.clip(np.ceil(-steps), INT32.min, INT32.max).astype(np.int32)
        names = (stored, *weights, builder.constant(f"{op.outputs[0]}.threshold", threshold))
        builder.store(op.outputs[0], builder.emit(kind, names, op.outputs[0], None, common, origin=op))
        return
    y = builder.affine(op.outputs[0])
    b = np.clip(np.rint(steps * (1 << FRACTION_BITS)), -BIAS_LIMIT, BIAS_LIMIT).astype(np.int32)
    multiplier, shift = requantize_each(op, scales / (y.scale * (1 << FRACTION_BITS)))
    vectors = [
        builder.constant(f"{op.outputs[0]}.{name}", array)
        for name, array in (("bias", b), ("multiplier", multiplier), ("shift", shift))
    ]
    builder.result(op, f"{kind}_s8", (stored, *weights, *vectors), {**common, **bounds(op, y)})


def _weights(
    builder: Builder, name: str, bits: np.ndarray, parents: tuple[int, ...], common: dict[str, Attr]
) -> tuple[str, ...]:
    """The constants of either form; a tree's depth goes into the attributes."""
    if not parents:
        return (builder.constant(name, pack(bits)),)
    root, tree, depth = tree_of(bits, parents)
    common["depth"] = depth
    return builder.constant(f"{name}.root", root), builder.constant(f"{name}.tree", tree)


def _around(builder: Builder, x: str) -> tuple[int, ...]:
    """The padding that a pad before the convolution stands for: top, bottom, left, right."""
    maker = builder.source.producer().get(x)
    op = builder.source.ops[maker] if maker is not None else None
    if op is None or op.kind != "pad":
        return (0, 0, 0, 0)
    before, after = op.attrs["before"], op.attrs["after"]
    return (before[1], after[1], before[2], after[2])  # type: ignore[index, return-value]


def _padding(builder: Builder, op: Op) -> bool:
    """Whether a pad writes cells of -1 around a tensor of signs in NHWC."""
    attrs, format_ = attrs_of(op), builder.format(op.inputs[0])
    sides = [attrs[key][axis] for key in ("before", "after") for axis in (0, 3)]  # type: ignore[index]
    assert isinstance(format_, Signs)
    maker = builder.source.producer().get(op.inputs[0])
    twice = maker is not None and builder.source.ops[maker].kind == "pad"
    return not any(sides) and attrs["value"] == -format_.scales[0] and not twice
