"""Arithmetic on two tensors, and every function of one, as integer ops."""

import numpy as np

from edgesmith.compile.integerize.builder import Builder
from edgesmith.compile.integerize.scaling import bounds, division, one_short, requantize, requantize_short
from edgesmith.core.formats import PerTensor
from edgesmith.core.graph import Attr, Op
from edgesmith.core.ops import attrs_of
from edgesmith.core.ops.elementwise import apply
from edgesmith.core.ops.shift_s8 import DELTA_BITS, DELTA_STEP
from edgesmith.core.ops.tables import gelu_delta_table, lookup_table


def _operands(builder: Builder, op: Op) -> tuple[tuple[str, str], PerTensor, PerTensor, PerTensor, dict[str, Attr]]:
    """Both int8 inputs, the formats of a, b and y, and the attributes every binary op has."""
    (a, a_format), (b, b_format) = (builder.int8(name) for name in op.inputs)
    y = builder.affine(op.outputs[0])
    zeros: dict[str, Attr] = {"a_zero": a_format.zero_point, "b_zero": b_format.zero_point}
    return (a, b), a_format, b_format, y, {**zeros, **bounds(op, y)}


def add(builder: Builder, op: Op) -> None:
    """Addition, and subtraction with a negative multiplier."""
    inputs, a, b, y, attrs = _operands(builder, op)
    sign = -1 if op.kind == "sub" else 1
    (a_multiplier, b_multiplier), shift = requantize_short(op, a.scale / y.scale, sign * b.scale / y.scale)
    builder.result(
        op, "add_s8", inputs, {**attrs, "a_multiplier": a_multiplier, "b_multiplier": b_multiplier, "shift": shift}
    )


def mul(builder: Builder, op: Op) -> None:
    """Multiplication."""
    inputs, a, b, y, attrs = _operands(builder, op)
    builder.result(op, "mul_s8", inputs, {**attrs, **requantize(op, a.scale * b.scale / y.scale)})


def div(builder: Builder, op: Op) -> None:
    """Division; one rounding of the exact quotient."""
    inputs, a, b, y, attrs = _operands(builder, op)
    builder.result(op, "div_s8", inputs, {**attrs, **division(a.scale / (b.scale * y.scale))})


def unary(builder: Builder, op: Op) -> None:
    """Any function of one 8-bit value is a table of 256."""
    name, y = op.inputs[0], builder.affine(op.outputs[0])
    x, attrs = builder.affine(name), attrs_of(op)
    table = lookup_table(lambda real: apply(op.kind, real, attrs), x, y)
    builder.result(op, "lookup", (builder.stored(name), builder.constant(f"{op.outputs[0]}.table", table)))


def gelu(builder: Builder, op: Op) -> None:
    """A table of 256, or ReLU minus its distance to GELU with one table for all layers."""
    if attrs_of(op)["approximate"] != "delta":
        return unary(builder, op)
    x, x_format = builder.int8(op.inputs[0])
    y = builder.affine(op.outputs[0])
    (index, index_shift), (relu, relu_shift) = (
        one_short(op, x_format.scale * steps) for steps in (256 << DELTA_STEP, 1 << DELTA_BITS)
    )
    attrs = {
        "x_zero": x_format.zero_point,
        "exp_multiplier": index,
        "exp_shift": index_shift,
        "relu_multiplier": relu,
        "relu_shift": relu_shift,
        **requantize(op, 2.0**-DELTA_BITS / y.scale),
        **bounds(op, y),
    }
    table = builder.constant("gelu_delta.table", gelu_delta_table())
    return builder.result(op, "gelu_delta_s8", (x, table), attrs)


def affine(builder: Builder, op: Op) -> None:
    """A scale and a shift per channel: one table per channel."""
    name, y = op.inputs[0], builder.affine(op.outputs[0])
    scale, shift = (builder.source.constants[part].astype(np.float64) for part in op.inputs[1:])
    x = builder.affine(name)

    def row(a: float, b: float) -> np.ndarray:
        return lookup_table(lambda real: real * a + b, x, y)

    rows = [row(a, b) for a, b in zip(scale, shift, strict=True)]
    builder.result(op, "lookup", (builder.stored(name), builder.constant(f"{op.outputs[0]}.table", np.stack(rows))))
