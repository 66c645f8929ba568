"""Permutes near the start move up to the graph's input, so that the sensor's own layout can be what is needed."""

from dataclasses import replace
from typing import cast

import numpy as np

from edgesmith.core.graph import Attr, Graph, Op, Tensor
from edgesmith.core.ops.elementwise import BINARY, FUNCTIONS
from edgesmith.lower.axes import Axes, only_moves_ones


def hoist_permutes(graph: Graph) -> Graph:
    """Do a permute before the padding and arithmetic between it and an input, instead of after."""
    for op in graph.ops:
        axes = axes_of(graph, op)
        chain = _chain(graph, op) if axes is not None else []
        if axes is not None and chain:
            graph = _hoisted(graph, op, chain, axes)
    return graph


def axes_of(graph: Graph, op: Op) -> Axes | None:
    """The order by which an op permutes: a permute's, or that of a reshape that only moves sizes of 1."""
    if op.kind == "permute":
        return cast(Axes, tuple(op.attrs["axes"]))  # type: ignore[arg-type]
    if op.kind != "reshape":
        return None
    before, after = (graph.tensors[name].shape for name in (op.inputs[0], op.outputs[0]))
    wide, ones = ([i for i, size in enumerate(before) if (size != 1) == kind] for kind in (True, False))
    if len(before) != len(after) or [before[i] for i in wide] != [size for size in after if size != 1]:
        return None
    return tuple(wide.pop(0) if size != 1 else ones.pop(0) for size in after)


def _chain(graph: Graph, last: Op) -> list[Op]:
    """The ops from an input to `last`, itself left out; or padding alone, from anywhere.

    Empty where there are none, or where what is between is read elsewhere too.
    """
    makers, readers, kept = graph.producer(), graph.consumers(), graph.kept()
    chain: list[Op] = []
    name = last.inputs[0]
    while name not in graph.inputs:
        op = graph.ops[makers[name]] if name in makers else None
        if op is None or len(readers[name]) > 1 or name in kept or not _passable(graph, op):
            return chain if all(step.kind == "pad" for step in chain) else []
        chain.insert(0, op)
        name = _variable(graph, op)[0]
    return chain


def _variable(graph: Graph, op: Op) -> list[str]:
    return [source for source in op.inputs if source not in graph.constants]


def _passable(graph: Graph, op: Op) -> bool:
    """Whether a permute may go before the op: padding, or arithmetic on one value that keeps its rank."""
    variable = _variable(graph, op)
    known = op.kind == "pad" or op.kind in FUNCTIONS or op.kind in BINARY
    if not known or len(variable) != 1:
        return False
    return len(graph.tensors[variable[0]].shape) == len(graph.tensors[op.outputs[0]].shape)


def _hoisted(graph: Graph, last: Op, chain: list[Op], axes: Axes) -> Graph:
    root = _variable(graph, chain[0])[0]
    tensors, constants = dict(graph.tensors), dict(graph.constants)
    turned = next(n for i in range(1, 2 + len(tensors)) if (n := f"{root}.permuted:{i}") not in tensors)
    tensors[turned] = _permuted(tensors[root], axes, turned)
    names = {root: turned}
    moved = [_movement(last, root, turned, tensors, axes)]
    for op in chain:
        inputs = []
        for name in op.inputs:
            if name in constants:
                name = _constant(name, axes, tensors, constants)
            inputs.append(names.get(name, name))
        result = last.outputs[0] if op is chain[-1] else op.outputs[0]
        tensors[result] = replace(_permuted(graph.tensors[op.outputs[0]], axes, result))
        if op is chain[-1] and graph.tensors[result].format is not None:
            tensors[result] = replace(tensors[result], format=graph.tensors[result].format)
        names[op.outputs[0]] = result
        moved.append(replace(op, inputs=tuple(inputs), outputs=(result,), attrs=_attrs(op, axes)))
    start = graph.ops.index(chain[0])
    rest = [op for op in graph.ops if op is not last and op not in chain]
    position = sum(op in rest for op in graph.ops[:start])
    ops = (*rest[:position], *moved, *rest[position:])
    return replace(graph, ops=ops, tensors=tensors, constants=constants).pruned()


def _movement(last: Op, root: str, turned: str, tensors: dict[str, Tensor], axes: Axes) -> Op:
    ones = only_moves_ones(tensors[root].shape, axes)
    attrs: dict[str, Attr] = {"shape": tensors[turned].shape} if ones else {"axes": axes}
    return replace(last, kind="reshape" if ones else "permute", inputs=(root,), outputs=(turned,), attrs=attrs)


def _permuted(tensor: Tensor, axes: Axes, name: str) -> Tensor:
    return replace(tensor, name=name, shape=tuple(tensor.shape[axis] for axis in axes))


def _attrs(op: Op, axes: Axes) -> dict[str, Attr]:
    turned = {key: tuple(op.attrs[key][axis] for axis in axes) for key in ("before", "after") if key in op.attrs}  # type: ignore[index]
    return {**op.attrs, **cast(dict[str, Attr], turned)}


def _constant(name: str, axes: Axes, tensors: dict[str, Tensor], constants: dict[str, np.ndarray]) -> str:
    """A constant operand permuted along; one value alone stays."""
    array = constants[name]
    if array.size == 1:
        return name
    wide = array.reshape((1,) * (len(axes) - array.ndim) + array.shape).transpose(axes)
    new = next(n for i in range(2, 2 + len(tensors)) if (n := f"{name}:{i}") not in tensors)
    tensors[new] = replace(tensors[name], name=new, shape=wide.shape)
    constants[new] = np.ascontiguousarray(wide)
    return new
