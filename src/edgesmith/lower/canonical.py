"""The passes that make a lowered graph canonical, each Graph -> Graph; what is computed stays the same."""

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgesmith.core import ops
from edgesmith.core.graph import Attr, Graph, Op, Tensor
from edgesmith.lower.hoist import axes_of, hoist_permutes
from edgesmith.lower.layout import settle_layout

WEIGHTED = ("conv2d", "conv_transpose2d", "linear")
CLAMPED = (*WEIGHTED, "add", "sub", "mul", "div", "clamp")
MOVEMENT = ("permute", "reshape")
TO_NHWC = (0, 2, 3, 1)
NUMBER = re.compile(r"(:\d+)+$")
PADDING = {"conv2d": 0.0, "max_pool2d": -np.inf}  # what a cell outside counts as
NO_LIMITS = (-np.inf, np.inf)


def canonical(graph: Graph, fold: bool = True) -> Graph:
    """Settle layouts; fold batch norms (unless told not to) and padding; fuse activations; share equal ops."""
    graph = share(settle_layout(spread_formats(graph)))
    if fold:
        graph = fold_affine(graph)
    return tidy_names(fuse_clamps(fold_padding(hoist_permutes(graph))))


def channels_last_input(graph: Graph) -> Graph:
    """Let an input (1, C, H, W) that is only permuted to (1, H, W, C) come in that way; the name stays."""
    for name in graph.inputs:
        readers = [graph.ops[index] for index in graph.consumers()[name]]
        turns = all(axes_of(graph, op) == TO_NHWC for op in readers)
        leaving = graph.kept().intersection((name, *(op.outputs[0] for op in readers)))
        if readers and turns and not leaving:
            graph = _turned(graph, name, readers)
    return graph


def channels_first_input(graph: Graph) -> Graph:
    """Let every input (1, H, W, C) come in as (1, C, H, W), with a permute behind it; names stay."""
    for name in graph.inputs:
        old = graph.tensors[name]
        if len(old.shape) != 4:
            continue
        inside = next(n for i in range(2, 3 + len(graph.tensors)) if (n := f"{name}:{i}") not in graph.tensors)
        batch, height, width, channels = old.shape
        turn = Op("permute", (name,), (inside,), {"axes": TO_NHWC}, f"{name}.channels_last")
        steps = [replace(op, inputs=tuple(inside if n == name else n for n in op.inputs)) for op in graph.ops]
        first = replace(old, shape=(batch, channels, height, width))
        tensors = {**graph.tensors, name: first, inside: replace(old, name=inside)}
        graph = replace(graph, ops=(turn, *steps), tensors=tensors)
    return graph


def _turned(graph: Graph, name: str, readers: list[Op]) -> Graph:
    """The input with its axes permuted, in place of the results of the permutes that read it."""
    gone = {op.outputs[0] for op in readers}
    rest = [op for op in graph.ops if op not in readers]
    rest = [replace(op, inputs=tuple(name if n in gone else n for n in op.inputs)) for op in rest]
    old = graph.tensors[name]
    tensors = {key: tensor for key, tensor in graph.tensors.items() if key not in gone}
    tensors[name] = replace(old, shape=tuple(old.shape[axis] for axis in TO_NHWC))
    return replace(graph, ops=tuple(rest), tensors=tensors)


def tidy_names(graph: Graph) -> Graph:
    """Numbers that told tensors apart on the way go where the plain name is free."""
    names: dict[str, str] = {}
    taken = set(graph.tensors)
    for name in graph.tensors:
        plain = NUMBER.sub("", name)
        if plain not in taken:
            names[name] = plain
            taken.add(plain)
    return renamed(graph, names)


def renamed(graph: Graph, names: Mapping[str, str]) -> Graph:
    """The graph with tensors called `names[old]` where that is given."""

    def new(name: str) -> str:
        return names.get(name, name)

    def each(old: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(new, old))

    return replace(
        graph,
        tensors={new(name): replace(tensor, name=new(name)) for name, tensor in graph.tensors.items()},
        ops=tuple(replace(op, inputs=each(op.inputs), outputs=each(op.outputs)) for op in graph.ops),
        inputs=each(graph.inputs),
        outputs=each(graph.outputs),
        constants={new(name): array for name, array in graph.constants.items()},
        states=tuple(replace(state, tensor=new(state.tensor), update=new(state.update)) for state in graph.states),
    )


def spread_formats(graph: Graph) -> Graph:
    """Data movement changes no value, so its input and its result share a format where one of them has none."""
    tensors, readers = dict(graph.tensors), graph.consumers()
    kept = graph.kept()
    for op in reversed(graph.ops):
        x = op.inputs[0]
        wanted = {tensors[graph.ops[i].outputs[0]].format for i in readers[x] if graph.ops[i].kind in MOVEMENT}
        alone = all(graph.ops[i].kind in MOVEMENT for i in readers[x]) and x not in kept
        per_tensor = x not in graph.constants and x not in graph.inputs
        if op.kind in MOVEMENT and alone and per_tensor and len(wanted) == 1 and tensors[x].format is None:
            tensors[x] = replace(tensors[x], format=wanted.pop())
    for op in graph.ops:
        if op.kind in MOVEMENT and tensors[op.outputs[0]].format is None and op.inputs[0] not in graph.constants:
            tensors[op.outputs[0]] = replace(tensors[op.outputs[0]], format=tensors[op.inputs[0]].format)
    return replace(graph, tensors=tensors)


def share(graph: Graph) -> Graph:
    """Equal ops on equal inputs become one."""
    seen: dict[tuple[object, ...], tuple[str, ...]] = {}
    names: dict[str, str] = {}
    kept, result = graph.kept(), []
    for op in graph.ops:
        op = replace(op, inputs=tuple(names.get(name, name) for name in op.inputs))
        formats = tuple(graph.tensors[name].format for name in op.outputs)
        key = (op.kind, op.inputs, tuple(sorted(op.attrs.items())), formats)
        if key in seen and not kept.intersection(op.outputs):
            names.update(zip(op.outputs, seen[key], strict=True))
            continue
        seen.setdefault(key, op.outputs)
        result.append(op)
    return replace(graph, ops=tuple(result)).pruned()


def _sole_producer(graph: Graph, op: Op, kinds: tuple[str, ...]) -> int | None:
    """Index of the op that makes op's first input, when nothing else reads that and it is not stored in a format."""
    x = op.inputs[0]
    index = graph.producer().get(x)
    if index is None or graph.ops[index].kind not in kinds:
        return None
    free = len(graph.consumers()[x]) == 1 and x not in graph.kept() and graph.tensors[x].format is None
    return index if free else None


def _limits(op: Op) -> tuple[float, float]:
    attrs = ops.attrs_of(op)
    return float(attrs["low"]), float(attrs["high"])  # type: ignore[arg-type]


def _joined(graph: Graph, index: int, second: Op, inputs: tuple[str, ...], attrs: dict[str, Attr]) -> Graph:
    """The op at `index` with other inputs and attributes, making what `second` made; `second` goes."""
    first = replace(graph.ops[index], inputs=inputs, attrs=attrs, outputs=second.outputs)
    kept = [first if i == index else op for i, op in enumerate(graph.ops) if op is not second]
    return replace(graph, ops=tuple(kept)).pruned()


def fold_affine(graph: Graph) -> Graph:
    """A scale and shift per channel goes into the weights and bias of the layer before it."""
    for op in graph.ops:
        if op.kind != "affine":
            continue
        index = _sole_producer(graph, op, WEIGHTED)
        if index is not None and _foldable(graph, graph.ops[index], op):
            graph = _folded(graph, index, op)
    return graph


def _foldable(graph: Graph, layer: Op, affine: Op) -> bool:
    parameters = (*layer.inputs[1:], *affine.inputs[1:])
    plain = all(name in graph.constants and graph.tensors[name].format is None for name in parameters)
    return plain and _limits(layer) == NO_LIMITS


def _folded(graph: Graph, index: int, affine: Op) -> Graph:
    layer = graph.ops[index]
    w, bias, scale, shift = (graph.constants[n].astype(np.float64) for n in (*layer.inputs[1:], *affine.inputs[1:]))
    arrays = (w * scale.reshape(-1, *(1,) * (w.ndim - 1)), bias * scale + shift)
    names = []
    for name, array in zip(layer.inputs[1:], arrays, strict=True):
        graph, placed = _with_constant(graph, name, array.astype(np.float32))
        names.append(placed)
    return _joined(graph, index, affine, (layer.inputs[0], *names), dict(layer.attrs))


def _with_constant(graph: Graph, name: str, array: np.ndarray) -> tuple[Graph, str]:
    """A changed constant: under its own name where one op reads it, else under a new one."""
    if len(graph.consumers()[name]) > 1 or name in graph.kept():
        name = next(new for i in range(2, 2 + len(graph.tensors)) if (new := f"{name}:{i}") not in graph.tensors)
    tensors = {**graph.tensors, name: Tensor(name, array.shape)}
    return replace(graph, tensors=tensors, constants={**graph.constants, name: array}), name


def fold_padding(graph: Graph) -> Graph:
    """Zeros written around a convolution's input, and minus infinity around a max pool's, become its own padding."""
    makers, result = graph.producer(), list(graph.ops)
    for index, op in enumerate(result):
        source = makers.get(op.inputs[0]) if op.kind in PADDING else None
        if source is not None and result[source].kind == "pad" and _pads_cells(graph, result[source], PADDING[op.kind]):
            result[index] = _with_padding(op, result[source])
    return replace(graph, ops=tuple(result)).pruned()


def _pads_cells(graph: Graph, pad: Op, value: float) -> bool:
    attrs = ops.attrs_of(pad)
    before, after = graph.tensors[pad.inputs[0]].format, graph.tensors[pad.outputs[0]].format
    sides = [attrs[key][axis] for key in ("before", "after") for axis in (0, 3)]  # type: ignore[index]
    return attrs["value"] == value and not any(sides) and after in (None, before)


def _with_padding(window: Op, pad: Op) -> Op:
    before, after = pad.attrs["before"], pad.attrs["after"]
    extra = (before[1], after[1], before[2], after[2])  # type: ignore[index]
    own = ops.attrs_of(window)["padding"]
    padding = tuple(a + b for a, b in zip(own, extra, strict=True))  # type: ignore[call-overload]
    return replace(window, inputs=(pad.inputs[0], *window.inputs[1:]), attrs={**window.attrs, "padding": padding})


def fuse_clamps(graph: Graph) -> Graph:
    """A relu or clamp becomes the bounds of the op before it."""
    for op in graph.ops:
        if op.kind != "clamp":
            continue
        current = next((other for other in graph.ops if other.outputs == op.outputs), None)
        index = _sole_producer(graph, current, CLAMPED) if current is not None else None
        if current is None or index is None:
            continue
        first = graph.ops[index]
        low, high = (float(np.clip(limit, *_limits(current))) for limit in _limits(first))
        graph = _joined(graph, index, current, first.inputs, {**first.attrs, "low": low, "high": high})
    return graph
