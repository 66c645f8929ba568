"""Layers with weights, and products of two activations, as integer ops."""

import numpy as np

from edgesmith.compile.integerize.builder import Builder
from edgesmith.compile.integerize.scaling import bounds, kept, requantize, requantize_each
from edgesmith.core.errors import Unsupported
from edgesmith.core.formats import PerChannel, with_bias_room
from edgesmith.core.graph import Attr, Op
from edgesmith.core.ops.values import INT32

WINDOW = ("stride", "padding", "dilation", "groups")


def conv2d(builder: Builder, op: Op) -> None:
    """The zero point of x goes into the bias: a cell outside x reads as zero."""
    x, x_format = builder.int8(op.inputs[0])
    attrs = {**kept(op, *WINDOW), "x_zero": x_format.zero_point}
    _weighted(builder, op, "conv2d_s8", x, attrs, folded=True)


def conv_transpose2d(builder: Builder, op: Op) -> None:
    """The zero point stays apart: how many taps reach a cell varies."""
    x, x_format = builder.int8(op.inputs[0])
    attrs = {**kept(op, *WINDOW, "output_padding"), "x_zero": x_format.zero_point}
    _weighted(builder, op, "conv_transpose2d_s8", x, attrs, folded=False)


def linear(builder: Builder, op: Op) -> None:
    """As a convolution without a window."""
    _weighted(builder, op, "linear_s8", builder.int8(op.inputs[0])[0], {}, folded=True)


def matmul(builder: Builder, op: Op) -> None:
    """Both operands keep their zero points."""
    (a, a_format), (b, b_format) = (builder.int8(name) for name in op.inputs)
    y = builder.affine(op.outputs[0])
    attrs = {
        **kept(op, "transpose_b"),
        "a_zero": a_format.zero_point,
        "b_zero": b_format.zero_point,
        **requantize(op, a_format.scale * b_format.scale / y.scale),
        **bounds(op, y),
    }
    builder.result(op, "matmul_s8", (a, b), attrs)


def _weighted(builder: Builder, op: Op, kind: str, x: str, attrs: dict[str, Attr], folded: bool) -> None:
    _, x_format = builder.int8(op.inputs[0])
    y = builder.affine(op.outputs[0])
    w, weight_format = quantized_weight(builder, op, op.inputs[1], op.inputs[2], x_format.scale)
    b = quantized_bias(op, builder.source.constants[op.inputs[2]], weight_format, x_format.scale)
    if folded:
        b = folded_bias(op, b, builder.constants[w], x_format.zero_point)
    factors = x_format.scale * np.array(weight_format.scales) / y.scale
    multiplier, shift = requantize_each(op, factors)
    names = (
        builder.constant(f"{op.outputs[0]}.bias", b.astype(np.int32)),
        builder.constant(f"{op.outputs[0]}.multiplier", multiplier),
        builder.constant(f"{op.outputs[0]}.shift", shift),
    )
    builder.result(op, kind, (x, w, *names), {**attrs, **bounds(op, y)})


def quantized_weight(builder: Builder, op: Op, weight: str, bias: str, x_scale: float) -> tuple[str, PerChannel]:
    """The int8 weight constant and its format, whose scales leave room for the bias."""
    format_ = builder.format(weight)
    if not isinstance(format_, PerChannel) or format_.axis != 0:
        raise Unsupported(
            f"integerize: weight {weight!r} of {op.kind} ({op.name}) has the format {format_}; need one scale per "
            "output channel."
        )
    format_ = with_bias_room(format_, builder.source.constants[bias], x_scale)
    return builder.constant(weight, format_.quantize(builder.source.constants[weight]), format_), format_


def quantized_bias(op: Op, bias: np.ndarray, weight: PerChannel, x_scale: float) -> np.ndarray:
    """The bias at scale x_scale * weight scale: (O,) int64."""
    return np.rint(bias.astype(np.float64) / (x_scale * np.array(weight.scales))).astype(np.int64)


def folded_bias(op: Op, bias: np.ndarray, w: np.ndarray, x_zero: int) -> np.ndarray:
    """bias - x_zero * sum(w) per output channel, every sum checked to stay within int32.

    Args:
        bias: (O,) int64, unfolded.
        w: (O, ...) int8.

    Raises:
        Unsupported: a channel can overflow (docs/numbers.md, Overflow).
    """
    rows = w.reshape(len(w), -1).astype(np.int64)
    worst = 255 * np.abs(rows).sum(axis=1) + np.abs(bias)
    if (worst > INT32.max).any():
        channel = int(worst.argmax())
        raise Unsupported(
            f"integerize: channel {channel} of {op.kind} ({op.name}, {op.source or 'no source line'}) can reach "
            f"{int(worst[channel])}; need below 2^31. Split the layer, or leave it float."
        )
    return bias - x_zero * rows.sum(axis=1)
