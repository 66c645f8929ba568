"""Integer layers without multiplications: weights of few powers of two, scales that are powers of two."""

from dataclasses import replace

import numpy as np

from edgesmith.core.graph import Attr, Graph, Op, Tensor
from edgesmith.core.ops import attrs_of
from edgesmith.core.ops.shift_add import encode

UNIT_BITS = 30  # a requantization by 2^-n has the multiplier 2^30 and the shift 30 + n
LEAST_SHIFT, MOST_SHIFT = -8, 31


def shift_add(graph: Graph) -> Graph:
    """Write convolutions, linear layers and sums of an integer graph by shifts and additions wherever that is exact.

    It is where every weight is a sum of at most two powers of two and all requantizations of a layer are by one power
    of two, as `compress.quantize.qfx` leaves them; other ops stay as they are. The result computes the same.
    """
    for op in graph.ops:
        if op.kind in ("conv2d_s8", "linear_s8"):
            graph = _layer(graph, op)
        elif op.kind == "add_s8" and graph.tensors[op.inputs[0]].shape == graph.tensors[op.inputs[1]].shape:
            graph = _sum(graph, op)
    return graph.pruned()


def _layer(graph: Graph, op: Op) -> Graph:
    x, w, b, multiplier, shift = op.inputs
    weights, shifts = graph.constants[w], graph.constants[shift].astype(int) - UNIT_BITS
    codes = encode(weights)
    by_one = (graph.constants[multiplier] == 1 << UNIT_BITS).all() and len(set(shifts.tolist())) == 1
    if codes is None or not by_one or not LEAST_SHIFT <= shifts[0] <= MOST_SHIFT:
        return graph
    attrs: dict[str, Attr] = {**op.attrs, "shift": int(shifts[0])}
    if op.kind == "conv2d_s8":
        made, names = _coded(graph, f"{op.outputs[0]}.codes", codes)
        return _with(made, op, (replace(op, kind="shift_add_conv2d_s8", inputs=(x, names, b), attrs=attrs),))
    return _linear(graph, op, codes, attrs)


def _linear(graph: Graph, op: Op, codes: np.ndarray, attrs: dict[str, Attr]) -> Graph:
    """A linear layer is a convolution of one cell over a row of cells."""
    (out, inside), y = codes.shape, op.outputs[0]
    rows = graph.tensors[y].size // out
    graph, code = _coded(graph, f"{y}.codes", codes.reshape(out, 1, 1, inside))
    row, cells = f"{y}.row", f"{y}.cells"
    for name, like, shape in ((row, op.inputs[0], (1, 1, rows, inside)), (cells, y, (1, 1, rows, out))):
        tensor = replace(graph.tensors[like], name=name, shape=shape)
        graph = replace(graph, tensors={**graph.tensors, name: tensor})
    layer = replace(op, kind="shift_add_conv2d_s8", inputs=(row, code, op.inputs[2]), outputs=(cells,), attrs=attrs)
    before = Op("reshape", op.inputs[:1], (row,), {"shape": (1, 1, rows, inside)}, op.name, op.source)
    after = Op("reshape", (cells,), (y,), {"shape": graph.tensors[y].shape}, op.name, op.source)
    return _with(graph, op, (before, layer, after))


def _sum(graph: Graph, op: Op) -> Graph:
    attrs = attrs_of(op)
    factors = [int(attrs[f"{side}_multiplier"]) for side in "ab"]  # type: ignore[call-overload]
    shift = int(attrs["shift"])  # type: ignore[call-overload]
    if any(factor <= 0 or factor & (factor - 1) for factor in factors):
        return graph
    left = [factor.bit_length() - 1 for factor in factors]
    common = min(*left, shift)
    given = {name: value for name, value in op.attrs.items() if not name.endswith("_multiplier")}
    shifts = {"a_left": left[0] - common, "b_left": left[1] - common, "shift": shift - common}
    return _with(graph, op, (replace(op, kind="shift_add_s8", attrs={**given, **shifts}),))


def _coded(graph: Graph, name: str, codes: np.ndarray) -> tuple[Graph, str]:
    tensors = {**graph.tensors, name: Tensor(name, codes.shape, "uint8")}
    return replace(graph, tensors=tensors, constants={**graph.constants, name: codes}), name


def _with(graph: Graph, op: Op, ops: tuple[Op, ...]) -> Graph:
    """The graph with other ops in an op's place."""
    made = [new for old in graph.ops for new in (ops if old is op else (old,))]
    return replace(graph, ops=tuple(made))
