"""Ops that move stored values: the same kinds on integers, with inputs rescaled to the output's format."""

import numpy as np

from edgesmith.compile.integerize.builder import Builder
from edgesmith.compile.integerize.scaling import requantize_short
from edgesmith.core.formats import PerTensor
from edgesmith.core.graph import Op
from edgesmith.core.ops import attrs_of


def move(builder: Builder, op: Op) -> None:
    """Data movement, and maxima, which commute with any increasing map."""
    y = builder.affine(op.outputs[0])
    inputs = [_in_format(builder, op, name, y) for name in op.inputs]
    builder.result(op, op.kind, inputs, op.attrs)


def pad(builder: Builder, op: Op) -> None:
    """The padded value in the integers of the format."""
    y = builder.affine(op.outputs[0])
    value = float(y.quantize(np.array(attrs_of(op)["value"])))
    builder.result(op, "pad", (_in_format(builder, op, op.inputs[0], y),), {**op.attrs, "value": value})


def embedding(builder: Builder, op: Op) -> None:
    """Rows of an int8 table; the indices are integers already.

    A table that is a layer's weights too has their format, a scale per row: the embedding gets a copy in its own.
    """
    indices, table = op.inputs
    y, format_ = builder.affine(op.outputs[0]), builder.format(table)
    if format_ is None or isinstance(format_, PerTensor):
        rows = _in_format(builder, op, table, y)
    else:
        held = format_.dequantize(format_.quantize(builder.source.constants[table]))
        rows = builder.constant(f"{table}.rows", y.quantize(held), y)
    builder.result(op, "embedding", (builder.real(indices), rows))


def _in_format(builder: Builder, op: Op, name: str, y: PerTensor) -> str:
    """The value in the format y: as it is stored, or rescaled."""
    if builder.affine(name) == y:
        return builder.stored(name)
    x, x_format = builder.int8(name)
    if x_format == y:
        return x
    (multiplier,), shift = requantize_short(op, x_format.scale / y.scale)
    attrs = {"x_zero": x_format.zero_point, "multiplier": multiplier, "shift": shift, "y_zero": y.zero_point}
    return builder.emit("rescale_s8", (x,), builder.free(f"{name}.rescaled"), y, attrs)
