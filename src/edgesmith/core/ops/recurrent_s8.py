"""Integer LSTM and GRU: int8 values, int16 gates and cells, tables for sigmoid and tanh (docs/numbers.md)."""

from collections.abc import Sequence

import numpy as np

from edgesmith.core.graph import Tensor
from edgesmith.core.ops.conv import INT8
from edgesmith.core.ops.fixed import clamp, requant, rshift
from edgesmith.core.ops.linear import REQUANT
from edgesmith.core.ops.recurrent import GRU_MACS, LSTM_MACS, check_cell, check_states
from edgesmith.core.ops.spec import Attribute, Attrs, OpSpec, Shapes, need

WEIGHTS = ("w_ih", "w_hh", "b_ih", "b_hh", "ih_multiplier", "ih_shift", "hh_multiplier", "hh_shift", "sigmoid", "tanh")
WEIGHT_DTYPES = ("int8", "int8", "int32", "int32", "int32", "uint8", "int32", "uint8", "int16", "int16")
HIDDEN = {"h_zero": Attribute(int, 0, -128, 127), **REQUANT, **INT8}
TABLE_ENTRIES = 513


def interpolate(table: np.ndarray, gate: np.ndarray) -> np.ndarray:
    """A function of Q3.12 gates through a 513-entry int16 table: int64 of the shape of gate, Q0.15."""
    t, place = table.astype(np.int64), gate.astype(np.int64) + 32768
    i, f = place >> 7, place & 127
    return t[i] + (((t[i + 1] - t[i]) * f + 64) >> 7)


def clamp16(value: np.ndarray) -> np.ndarray:
    """Saturate to int16, kept as int64."""
    return np.clip(value, -32768, 32767)


def _check(kind: str, gates: int, x: Tensor, states: Sequence[Tensor], weights: Sequence[Tensor]) -> int:
    hidden = check_cell(kind, gates, x, weights[0], weights[1], weights[2:8])
    check_states(kind, hidden, states)
    for table in weights[8:]:
        need(
            table.shape == (TABLE_ENTRIES,), f"{kind}: table {table.name!r} is {table.shape}; need ({TABLE_ENTRIES},)."
        )
    return hidden


def _infer_lstm(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, h0, c0, *weights = inputs
    hidden = _check("lstm_s8", 4, x, (h0, c0), weights)
    return [((x.shape[0], 1, hidden), "int8"), ((hidden,), "int8"), ((hidden,), "int16")]


def _infer_gru(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, h0, *weights = inputs
    hidden = _check("gru_s8", 3, x, (h0,), weights)
    return [((x.shape[0], 1, hidden), "int8"), ((hidden,), "int16")]


def _gates(weights: Sequence[np.ndarray], x: np.ndarray) -> np.ndarray:
    """gx of every step: (T, 1, I) int8 to (T, gates * H) int64."""
    acc = (x[:, 0].astype(np.float64) @ weights[0].T.astype(np.float64)).astype(np.int64) + weights[2]
    return requant(acc, weights[4], weights[5])


def _recur(weights: Sequence[np.ndarray], h8: np.ndarray) -> np.ndarray:
    """gh of one step: (H,) int8 to (gates * H,) int64."""
    acc = (weights[1].astype(np.float64) @ h8.astype(np.float64)).astype(np.int64) + weights[3]
    return requant(acc, weights[6], weights[7])


def _hidden(value: np.ndarray, attrs: Attrs) -> np.ndarray:
    return clamp(requant(value, attrs["multiplier"], attrs["shift"]) + attrs["h_zero"], attrs["low"], attrs["high"])


def _cell_gate(c: np.ndarray, cell_bits: int) -> np.ndarray:
    """The cell at scale 2^-cell_bits as a Q3.12 gate."""
    return clamp16(rshift(c, cell_bits - 12) if cell_bits >= 12 else c << (12 - cell_bits))


def _run_lstm(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, h8, c0, *weights = arrays
    sigmoid, tanh = weights[8:]
    c, bits, ys = c0.astype(np.int64), attrs["cell_bits"], []
    for gx in _gates(weights, x):
        i, f, g, o = np.split(clamp16(gx + _recur(weights, h8)), 4)
        kept = rshift(interpolate(sigmoid, f) * c, 15)
        c = clamp16(kept + rshift(interpolate(sigmoid, i) * interpolate(tanh, g), 30 - bits))
        h8 = _hidden(interpolate(sigmoid, o) * interpolate(tanh, _cell_gate(c, bits)), attrs)
        ys.append(h8)
    return [np.stack(ys)[:, None], h8, c.astype(np.int16)]


def _run_gru(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, h0, *weights = arrays
    sigmoid, tanh = weights[8:]
    h, ys = h0.astype(np.int64), []
    for gx in _gates(weights, x):
        xr, xz, xn = np.split(gx, 3)
        hr, hz, hn = np.split(_recur(weights, _hidden(h, attrs)), 3)
        r, z = (interpolate(sigmoid, clamp16(gate)) for gate in (xr + hr, xz + hz))
        n = interpolate(tanh, clamp16(xn + rshift(r * clamp16(hn), 15)))
        h = clamp16(rshift((32768 - z) * n + z * h, 15))
        ys.append(_hidden(h, attrs))
    return [np.stack(ys)[:, None], h.astype(np.int16)]


OPS = (
    OpSpec(
        kind="lstm_s8",
        does="lstm on int8 with an int16 cell at scale 2^-cell_bits; multiplier and shift make h from o * tanh(c)",
        inputs=("x", "h0", "c0", *WEIGHTS),
        outputs=("y", "h", "c"),
        infer=_infer_lstm,
        run=_run_lstm,
        dtypes=("int8", "int8", "int16", *WEIGHT_DTYPES),
        attrs={"cell_bits": Attribute(int, low=0, high=15), **HIDDEN},
        macs=LSTM_MACS,
    ),
    OpSpec(
        kind="gru_s8",
        does="gru on int8 with an int16 Q0.15 state; multiplier and shift make the int8 h from it",
        inputs=("x", "h0", *WEIGHTS),
        outputs=("y", "h"),
        infer=_infer_gru,
        run=_run_gru,
        dtypes=("int8", "int16", *WEIGHT_DTYPES),
        attrs=HIDDEN,
        macs=GRU_MACS,
    ),
)
