"""Lowerings of LSTM and GRU: one op per layer and direction."""

from edgesmith.core.errors import Unsupported
from edgesmith.lower.builder import Builder
from edgesmith.lower.call import Call, Lowering
from edgesmith.lower.shape import cut

GATES = {"lstm": 4, "gru": 3}


def _sequence(b: Builder, x: str, batch_first: bool) -> str:
    """(1, T, I), (T, 1, I) or (T, I) to (T, 1, I)."""
    shape = b.shape(x)
    if len(shape) == 2:
        return b.op("reshape", x, shape=(shape[0], 1, shape[1]))
    if shape[0 if batch_first else 1] != 1:
        raise Unsupported(f"has a batch of {shape[0 if batch_first else 1]}; need 1.")
    return b.op("permute", x, axes=(1, 0, 2)) if batch_first else x


def _initial(b: Builder, states: str, layer: int) -> str:
    """Row `layer` of (layers, 1, H) as (H,)."""
    row = cut(b, states, 0, layer, layer + 1)
    return b.op("reshape", row, shape=b.shape(states)[-1:])


def _parameters(b: Builder, kind: str, call: Call, layer: int) -> list[str]:
    """w_ih, w_hh, b_ih, b_hh of one layer; zeros where there are no biases."""
    each = 4 if call["has_biases"] else 2
    found = list(call["params"][each * layer : each * (layer + 1)])
    rows = b.shape(found[1])[0]
    if b.shape(found[1])[1] * GATES[kind] != rows:
        raise Unsupported("projects its hidden state; need proj_size 0.")
    return found if each == 4 else [*found, *(b.filled(part, (rows,), 0.0) for part in ("b_ih", "b_hh"))]


def _joined(b: Builder, finals: list[str], like: str) -> str:
    """Final states of all layers in the shape torch gives them."""
    rank = len(b.shape(like))
    rows = [b.op("reshape", name, shape=(*(1,) * (rank - 1), b.shape(name)[0])) for name in finals]
    return b.op("concat", *rows, axis=0) if len(rows) > 1 else rows[0]


def _layers(b: Builder, kind: str, call: Call, initial: list[str]) -> list[str]:
    if call["bidirectional"]:
        raise Unsupported("runs in both directions; need one. Use a deeper net in one direction.")
    if call["train"] and call["dropout"]:
        raise Unsupported("drops out between layers; need inference. Call module.eval() first.")
    x = call.tensor("input")
    batch_first = bool(call["batch_first"]) and len(b.shape(x)) == 3
    y = _sequence(b, x, batch_first)
    finals: list[list[str]] = [[] for _ in initial]
    for layer in range(call["num_layers"]):
        states = [_initial(b, rows, layer) for rows in initial]
        y, *ends = b.op_many(kind, y, *states, *_parameters(b, kind, call, layer))
        for collected, end in zip(finals, ends, strict=True):
            collected.append(end)
    y = b.op("permute", y, axes=(1, 0, 2)) if batch_first else y
    y = y if len(b.shape(y)) == len(b.shape(x)) else b.op("reshape", y, shape=(b.shape(y)[0], b.shape(y)[2]))
    return [y, *(_joined(b, ends, rows) for ends, rows in zip(finals, initial, strict=True))]


def lstm(b: Builder, call: Call) -> list[str]:
    """y, h, c."""
    return _layers(b, "lstm", call, list(call["hx"]))


def gru(b: Builder, call: Call) -> list[str]:
    """y, h."""
    return _layers(b, "gru", call, [call.tensor("hx")])


LOWERINGS: dict[str, Lowering] = {"aten.lstm.input": lstm, "aten.gru.input": gru}
