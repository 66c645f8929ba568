"""LSTM and GRU in float32, one layer, one direction, batch one, torch's gate order."""

from collections.abc import Sequence

import numpy as np

from edgesmith.core.graph import Tensor
from edgesmith.core.ops.spec import Attrs, Macs, OpSpec, Shapes, need


def check_cell(kind: str, gates: int, x: Tensor, w_ih: Tensor, w_hh: Tensor, vectors: Sequence[Tensor]) -> int:
    """Check the shapes of a recurrent op and return H.

    Args:
        x: (T, 1, I).
        w_ih, w_hh: (gates * H, I) and (gates * H, H).
        vectors: biases and such, each (gates * H,).

    Raises:
        BadInput: a shape does not match.
    """
    need(len(x.shape) == 3 and x.shape[1] == 1, f"{kind}: x is {x.shape}; need (T, 1, I).")
    need(len(w_hh.shape) == 2, f"{kind}: w_hh is {w_hh.shape}; need ({gates} * H, H).")
    hidden = w_hh.shape[1]
    need(w_hh.shape[0] == gates * hidden, f"{kind}: w_hh is {w_hh.shape}; need ({gates * hidden}, {hidden}).")
    wanted = (gates * hidden, x.shape[2])
    need(w_ih.shape == wanted, f"{kind}: w_ih is {w_ih.shape}; need {wanted}.")
    for tensor in vectors:
        need(tensor.shape == wanted[:1], f"{kind}: {tensor.name!r} is {tensor.shape}; need {wanted[:1]}.")
    return hidden


def check_states(kind: str, hidden: int, states: Sequence[Tensor]) -> None:
    """Check that every state is (H,)."""
    for tensor in states:
        need(tensor.shape == (hidden,), f"{kind}: state {tensor.name!r} is {tensor.shape}; need ({hidden},).")


def _infer_lstm(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, h0, c0, w_ih, w_hh, *biases = inputs
    hidden = check_cell("lstm", 4, x, w_ih, w_hh, biases)
    check_states("lstm", hidden, (h0, c0))
    return [((x.shape[0], 1, hidden), "float32"), ((hidden,), "float32"), ((hidden,), "float32")]


def _infer_gru(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, h0, w_ih, w_hh, *biases = inputs
    hidden = check_cell("gru", 3, x, w_ih, w_hh, biases)
    check_states("gru", hidden, (h0,))
    return [((x.shape[0], 1, hidden), "float32"), ((hidden,), "float32")]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


def _run_lstm(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, h, c, w_ih, w_hh, b_ih, b_hh = (array.astype(np.float64) for array in arrays)
    ys = []
    for row in x[:, 0] @ w_ih.T + b_ih:
        i, f, g, o = np.split(row + w_hh @ h + b_hh, 4)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        h = _sigmoid(o) * np.tanh(c)
        ys.append(h)
    return [array.astype(np.float32) for array in (np.stack(ys)[:, None], h, c)]


def _run_gru(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, h, w_ih, w_hh, b_ih, b_hh = (array.astype(np.float64) for array in arrays)
    ys = []
    for row in x[:, 0] @ w_ih.T + b_ih:
        (xr, xz, xn), (hr, hz, hn) = np.split(row, 3), np.split(w_hh @ h + b_hh, 3)
        z = _sigmoid(xz + hz)
        n = np.tanh(xn + _sigmoid(xr + hr) * hn)
        h = (1 - z) * n + z * h
        ys.append(h)
    return [array.astype(np.float32) for array in (np.stack(ys)[:, None], h)]


def _macs_after(first_weight: int) -> Macs:
    def macs(inputs: Sequence[Tensor], outputs: Sequence[Tensor], attrs: Attrs) -> int:
        w_ih, w_hh = inputs[first_weight : first_weight + 2]
        return inputs[0].shape[0] * (w_ih.size + w_hh.size)

    return macs


LSTM_MACS = _macs_after(3)
GRU_MACS = _macs_after(2)

OPS = (
    OpSpec(
        kind="lstm",
        does="long short-term memory over x (T, 1, I); gates in the order input, forget, cell, output",
        inputs=("x", "h0", "c0", "w_ih", "w_hh", "b_ih", "b_hh"),
        outputs=("y", "h", "c"),
        infer=_infer_lstm,
        run=_run_lstm,
        dtypes=("float32",) * 7,
        macs=LSTM_MACS,
    ),
    OpSpec(
        kind="gru",
        does="gated recurrent unit over x (T, 1, I); gates in the order reset, update, new",
        inputs=("x", "h0", "w_ih", "w_hh", "b_ih", "b_hh"),
        outputs=("y", "h"),
        infer=_infer_gru,
        run=_run_gru,
        dtypes=("float32",) * 6,
        macs=GRU_MACS,
    ),
)
