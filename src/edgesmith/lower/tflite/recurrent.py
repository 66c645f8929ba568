"""Lowering of UNIDIRECTIONAL_SEQUENCE_LSTM: its two variable tensors become states of the graph.

The cell is not clipped. The usual clip of 10 is never reached by an int16 cell at 2^-12 or finer, which saturates
before; a coarser or a float cell reaches it only when ten steps in a row add their most.

A gate's parts are added before they saturate (docs/numbers.md, Recurrent ops); TensorFlow Lite saturates the input's
part to int16 first, so that loud inputs can give another gate there.
"""

import numpy as np

from edgesmith.core.errors import Unsupported
from edgesmith.core.formats import PerChannel
from edgesmith.core.graph import State
from edgesmith.lower.tflite.node import Lowering, Node, real

INPUT_WEIGHTS, HIDDEN_WEIGHTS, BIASES = range(1, 5), range(5, 9), range(12, 16)
ABSENT = (9, 10, 11, 16, 17, 20, 21, 22, 23)  # peepholes, projection, layer norms
HIDDEN, CELL = 18, 19
TANH, TIME_MAJOR = 4, 3


def lstm(n: Node) -> str:
    """(1, T, I) or, time first, (T, 1, I); gates in the order input, forget, cell, output, which is torch's."""
    if any(n.given(i) for i in ABSENT):
        raise Unsupported("has peepholes, a projection or layer norms; need a plain LSTM.")
    if n.whole(0, "b") != TANH:
        raise Unsupported("has another activation than tanh.")
    x = n.x()
    shape, hidden = n.b.shape(x), n.value(HIDDEN).shape[-1:]
    if len(shape) != 3 or shape[0 if not n.flag(TIME_MAJOR) else 1] != 1 or not hidden:
        raise Unsupported(f"reads {shape}; need a batch of 1 and three axes.")
    steps = shape[0] if n.flag(TIME_MAJOR) else shape[1]
    rows = n.b.op("reshape", x, shape=(steps, 1, shape[2]))
    n.carry(n.op.inputs[0], rows)
    states = [_state(n, position, hidden[0]) for position in (HIDDEN, CELL)]
    weights = [_stacked(n, positions) for positions in (INPUT_WEIGHTS, HIDDEN_WEIGHTS)]
    bias = np.concatenate([real(n.value(i)).reshape(-1) for i in BIASES])
    biases = (n.constant(f"{n.b.stem}.b_ih", bias), n.b.filled("b_hh", bias.shape, 0.0))
    y, h, c = n.b.op_many("lstm", rows, *states, *weights, *biases)
    for name, position, state in ((h, HIDDEN, states[0]), (c, CELL, states[1])):
        if format_ := n.value(position).format:
            n.b.set_format(name, format_)
        n.b.states.append(State(state, name, np.zeros(hidden, np.float32)))
    if format_ := n.output().format:
        n.b.set_format(y, format_)
    return n.b.op("reshape", y, shape=n.output().shape)


def _state(n: Node, position: int, hidden: int) -> str:
    value = n.value(position)
    if not value.variable or value.shape[-1] != hidden or value.index in n.names:
        raise Unsupported(f"has the state {value.name!r} of shape {value.shape}; need a variable of {hidden} entries.")
    n.names[value.index] = n.b.declare(value.name, (hidden,), "float32", value.format)
    return n.names[value.index]


def _stacked(n: Node, positions: range) -> str:
    """The four gates' matrices as one, each row with its gate's scale."""
    values = [n.value(i) for i in positions]
    for value in values:
        n.check_weight(value)
    array = np.concatenate([real(value) for value in values])
    scales = np.concatenate([np.broadcast_to(v.scales, v.shape[:1]) for v in values]) if n.quantized else np.zeros(0)
    return n.constant(values[0].name, array, PerChannel(tuple(map(float, scales))) if n.quantized else None)


LOWERINGS: dict[str, Lowering] = {"UNIDIRECTIONAL_SEQUENCE_LSTM": lstm}
