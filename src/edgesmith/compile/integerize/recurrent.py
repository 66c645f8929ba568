"""LSTM and GRU as integer ops."""

import math

import numpy as np

from edgesmith.compile.integerize.builder import Builder
from edgesmith.compile.integerize.products import folded_bias, quantized_bias, quantized_weight
from edgesmith.compile.integerize.scaling import requantize, requantize_each
from edgesmith.core.errors import BadInput
from edgesmith.core.formats import PerTensor
from edgesmith.core.graph import Attr, Op
from edgesmith.core.ops.tables import sigmoid_table, tanh_table

GATE_SCALE = 2.0**-12
LSTM_H_SCALE = 2.0**-30  # of o * tanh(c), both Q0.15
GRU_H_SCALE = 2.0**-15
UNREAD_Y = PerTensor(2.0**-7, 0)  # of a GRU whose last state alone is read: it holds every hidden value


def lstm(builder: Builder, op: Op) -> None:
    """States: h int8 in the format of y, c int16 at a power of two."""
    x, h0, c0, *parameters = op.inputs
    h, c = builder.affine(h0), builder.affine(c0)
    formats = (h, h, c)
    _check(builder, op, formats)
    weights = _weights(builder, op, x, h, parameters)
    inputs = (builder.int8(x)[0], builder.stored(h0), builder.stored(c0), *weights)
    attrs = {"cell_bits": _cell_bits(op, c), **_hidden(op, h, LSTM_H_SCALE)}
    builder.results(op, "lstm_s8", inputs, formats, attrs)


def gru(builder: Builder, op: Op) -> None:
    """State: h int16 in Q0.15; y is derived from it."""
    x, h0, *parameters = op.inputs
    y = builder.affine(op.outputs[0]) if builder.format(op.outputs[0]) else UNREAD_Y
    formats = (y, PerTensor(GRU_H_SCALE, 0, "int16"))
    _check(builder, op, formats)
    weights = _weights(builder, op, x, y, parameters)
    inputs = (builder.int8(x)[0], builder.stored(h0), *weights)
    builder.results(op, "gru_s8", inputs, formats, _hidden(op, y, GRU_H_SCALE))


def _hidden(op: Op, y: PerTensor, scale: float) -> dict[str, Attr]:
    return {"h_zero": y.zero_point, **requantize(op, scale / y.scale)}


def _check(builder: Builder, op: Op, formats: tuple[PerTensor, ...]) -> None:
    """Refuse results in other formats than the op makes; a result that nothing reads may have none."""
    for name, format_ in zip(op.outputs, formats, strict=True):
        if builder.format(name) not in (None, format_):
            raise BadInput(
                f"integerize: {op.kind} ({op.name}) makes {name!r} as {format_}, not {builder.format(name)}."
            )


def _cell_bits(op: Op, c: PerTensor) -> int:
    bits = -math.log2(c.scale)
    if c.dtype != "int16" or c.zero_point or bits != int(bits) or not 0 <= bits <= 15:
        raise BadInput(f"integerize: the cell of {op.kind} ({op.name}) is {c}; need int16 at 2^-k, k from 0 to 15.")
    return int(bits)


def _weights(builder: Builder, op: Op, x: str, h: PerTensor, parameters: list[str]) -> list[str]:
    """The ten constants after the states: weights, folded biases, multipliers and shifts, gate tables."""
    w_ih, w_hh, b_ih, b_hh = parameters
    ih = _part(builder, op, w_ih, b_ih, builder.int8(x)[1])
    hh = _part(builder, op, w_hh, b_hh, h)
    arrays = {"b_ih": ih[1], "b_hh": hh[1], "ih_multiplier": ih[2], "ih_shift": ih[3]}
    arrays |= {"hh_multiplier": hh[2], "hh_shift": hh[3], "sigmoid": sigmoid_table(), "tanh": tanh_table()}
    return [ih[0], hh[0], *(builder.constant(f"{op.outputs[0]}.{part}", array) for part, array in arrays.items())]


def _part(
    builder: Builder, op: Op, weight: str, bias: str, x: PerTensor
) -> tuple[str, np.ndarray, np.ndarray, np.ndarray]:
    """One matrix: its int8 constant, folded bias, and the multipliers to the gates' scale."""
    w, format_ = quantized_weight(builder, op, weight, bias, x.scale)
    b = quantized_bias(op, builder.source.constants[bias], format_, x.scale)
    folded = folded_bias(op, b, builder.constants[w], x.zero_point).astype(np.int32)
    return w, folded, *requantize_each(op, x.scale * np.array(format_.scales) / GATE_SCALE)
