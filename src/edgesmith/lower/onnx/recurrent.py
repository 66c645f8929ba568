"""Lowerings of LSTM and GRU: one direction, batch one."""

import numpy as np

from edgesmith.core.errors import Unsupported
from edgesmith.lower.onnx.node import Lowering, Node, Value

# ONNX has the gates as i, o, f, c and as z, r, h; torch as i, f, g, o and as r, z, n.
ORDER = {"lstm": (0, 2, 3, 1), "gru": (1, 0, 2)}


def _rows(kind: str, array: np.ndarray, hidden: int) -> np.ndarray:
    """The gates' rows in torch's order."""
    return np.concatenate([array[gate * hidden : (gate + 1) * hidden] for gate in ORDER[kind]])


def _initial(n: Node, position: int, hidden: int) -> str:
    if not n.given(position):
        return n.b.filled("initial", (hidden,), 0.0)
    return n.b.op("reshape", n.x(position), shape=(hidden,))


def _layer(kind: str, n: Node) -> list[Value]:
    gates = len(ORDER[kind])
    if n.attr("direction", "forward") != "forward" or n.whole("layout") or n.attr("clip") is not None:
        raise Unsupported("runs backward, batch first or clipped; need a plain layer in one direction.")
    if n.attr("activations") not in (None, ["Sigmoid", "Tanh", "Tanh"][: gates - 1]):
        raise Unsupported("has other activations than sigmoid and tanh.")
    w, r = n.array(1), n.array(2)
    hidden = r.shape[-1]
    if w.ndim != 3 or w.shape[:2] != (1, gates * hidden) or r.shape != (1, gates * hidden, hidden):
        raise Unsupported(f"has weights of shape {w.shape} and {r.shape}; need one direction.")
    biases = n.array(3).reshape(-1) if n.given(3) else np.zeros(2 * gates * hidden, np.float32)
    if biases.size != 2 * gates * hidden or n.given(7):
        raise Unsupported("has peepholes, or a bias of another size.")
    parts = {"w_ih": w[0], "w_hh": r[0], "b_ih": biases[: gates * hidden], "b_hh": biases[gates * hidden :]}
    names = [
        n.b.constant(f"{n.b.stem}.{part}", np.ascontiguousarray(_rows(kind, array, hidden)).astype(np.float32))
        for part, array in parts.items()
    ]
    states = [_initial(n, 5 + i, hidden) for i in range(2 if kind == "lstm" else 1)]
    y, *finals = n.b.op_many(kind, n.x(), *states, *names)
    steps = n.b.shape(y)[0]
    return [
        n.b.op("reshape", y, shape=(steps, 1, 1, hidden)),
        *(n.b.op("reshape", final, shape=(1, 1, hidden)) for final in finals),
    ]


def lstm(n: Node) -> list[Value]:
    """y, h, c."""
    return _layer("lstm", n)


def gru(n: Node) -> list[Value]:
    """y, h; the reset gate must act on the product, as torch's does."""
    if not n.whole("linear_before_reset"):
        raise Unsupported("resets before the product; need linear_before_reset.")
    return _layer("gru", n)


LOWERINGS: dict[str, Lowering] = {"LSTM": lstm, "GRU": gru}
