"""Pooling and reductions as integer ops."""

import math

import numpy as np

from edgesmith.compile.integerize.builder import Builder
from edgesmith.compile.integerize.scaling import bounds, kept, requantize, requantize_each
from edgesmith.core.graph import Op
from edgesmith.core.ops import attrs_of


def avg_pool2d(builder: Builder, op: Op) -> None:
    """One multiplier per number of cells that a window may count."""
    x, x_format = builder.int8(op.inputs[0])
    y = builder.affine(op.outputs[0])
    kernel = attrs_of(op)["kernel"]
    cells = np.arange(1, math.prod(kernel) + 1)  # type: ignore[call-overload]
    tables = requantize_each(op, x_format.scale / (y.scale * cells))
    names = [
        builder.constant(f"{op.outputs[0]}.{part}", table)
        for part, table in zip(("multiplier", "shift"), tables, strict=True)
    ]
    attrs = {**kept(op, "kernel", "stride", "padding", "dilation", "count_include_pad"), **bounds(op, y)}
    builder.result(op, "avg_pool2d_s8", (x, *names), {**attrs, "x_zero": x_format.zero_point})


def reduce_sum(builder: Builder, op: Op) -> None:
    """Sums, and means with 1/n in the multiplier."""
    x, x_format = builder.int8(op.inputs[0])
    y = builder.affine(op.outputs[0])
    factor = x_format.scale / y.scale
    if op.kind == "reduce_mean":
        shape, axes = builder.source.tensors[op.inputs[0]].shape, attrs_of(op)["axes"]
        factor /= math.prod(shape[axis] for axis in axes)  # type: ignore[attr-defined]
    attrs = {**kept(op, "axes", "keepdims"), "x_zero": x_format.zero_point, **bounds(op, y)}
    builder.result(op, "reduce_sum_s8", (x,), {**attrs, **requantize(op, factor)})


def argmax(builder: Builder, op: Op) -> None:
    """Integers of one format are in the order of their values."""
    builder.plain_result(op, "argmax", (builder.int8(op.inputs[0])[0],))
