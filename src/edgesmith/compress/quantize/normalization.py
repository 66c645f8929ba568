"""Where an input's normalization ends: up to there nothing is stored, for one table or one `quantize` holds it all."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgesmith.core.formats import PerTensor
from edgesmith.core.graph import Graph, Op
from edgesmith.core.ops import attrs_of
from edgesmith.core.ops.elementwise import BINARY, FUNCTIONS

TABLE_MOVES = ("reshape", "permute", "slice", "expand", "upsample_nearest")


@dataclass(frozen=True)
class Normalization:
    """The ops between the inputs and the first stored tensors: one table, or one `quantize`, holds them.

    Attributes:
        results: what they make.
        loose: of these, the results inside, which are never stored.
    """

    results: frozenset[str]
    loose: frozenset[str]


def normalization(graph: Graph, raw: Mapping[str, PerTensor]) -> Normalization:
    """Follow bytes through any function of one value, and floats through sums and products with constants."""
    readers, kept = graph.consumers(), graph.kept()
    bytes_ = {name for name, format_ in raw.items() if format_.dtype == "uint8"}
    from_bytes = set(bytes_)
    from_floats = {name for name in graph.inputs if name not in raw and graph.tensors[name].dtype == "float32"}
    per_channel: set[str] = set()
    results: set[str] = set()
    loose: set[str] = set()
    for op in graph.ops:
        inside = next((n for n in (from_bytes, from_floats) if not n.isdisjoint(op.inputs)), None)
        if inside is None or not foldable(graph, op, linear=inside is from_floats):
            continue
        output = op.outputs[0]
        if not per_channel.isdisjoint(op.inputs) or not _alike(graph, op):
            per_channel.add(output)
        if op.kind in TABLE_MOVES and not bytes_.isdisjoint(op.inputs):
            bytes_.add(output)
            inside.add(output)
            continue
        nexts = [graph.ops[index] for index in readers[output]]
        moves_on = output in per_channel or op.kind in TABLE_MOVES
        if nexts and output not in kept and all(_goes_on(graph, n, moves_on, inside is from_floats) for n in nexts):
            inside.add(output)
            loose.add(output)
        elif op.kind in TABLE_MOVES and op.inputs[0] in graph.inputs:
            continue  # nothing is computed: the input is quantized first and moved as bytes
        results.add(output)
    return Normalization(frozenset(results), frozenset(loose))


def foldable(graph: Graph, op: Op, linear: bool) -> bool:
    """Whether one table per channel can hold the op, or one factor and offset if `linear`.

    It has one variable input, treats each element alone with constants that differ along one axis at most, or moves
    elements.
    """
    constants = [name for name in op.inputs if name in graph.constants]
    along = [sum(size > 1 for size in graph.tensors[name].shape) for name in constants]
    known = op.kind in TABLE_MOVES or (_linear(graph, op) if linear else op.kind in (*BINARY, *FUNCTIONS, "affine"))
    return known and len(op.inputs) - len(constants) == 1 and max(along, default=0) <= 1


def _linear(graph: Graph, op: Op) -> bool:
    """Whether the op, with constants, is a factor and an offset."""
    attrs = attrs_of(op)
    bounded = (attrs.get("low", -np.inf), attrs.get("high", np.inf)) != (-np.inf, np.inf)
    inverse = op.kind == "div" and op.inputs[0] in graph.constants
    return op.kind in (*BINARY, "affine") and not bounded and not inverse


def _alike(graph: Graph, op: Op) -> bool:
    """Whether the op does the same to every channel."""
    return len(op.inputs) == 1 or (op.kind != "affine" and has_scalar(graph, op))


def _goes_on(graph: Graph, following: Op, moves_on: bool, linear: bool) -> bool:
    """Whether the next op still belongs: arithmetic does, a permute only while channels may not be the last axis."""
    moves = following.kind in TABLE_MOVES
    return foldable(graph, following, linear) and (not moves or (moves_on and following.kind == "permute"))


def has_scalar(graph: Graph, op: Op) -> bool:
    """Whether one of the op's inputs is a single constant number."""
    return any(name in graph.constants and graph.tensors[name].size == 1 for name in op.inputs)
