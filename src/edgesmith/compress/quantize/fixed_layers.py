"""Batch norms and means as layers with weights, so that fixed point serves them as it serves convolutions."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from edgesmith.compress.quantize.normalization import normalization
from edgesmith.core.formats import PerTensor
from edgesmith.core.graph import Attr, Graph, Op, Tensor
from edgesmith.core.ops import attrs_of
from edgesmith.lower.canonical import canonical

ROWS, COLUMNS = 1, 2  # axes of (1, H, W, C)


def as_layers(graph: Graph, raw: Mapping[str, PerTensor]) -> Graph:
    """Write every batch norm and every mean over pictures as a convolution with a weight per channel.

    A table per channel, the integer form of a batch norm of its own, takes 256 bytes a channel; this takes 6. A mean
    over 49 cells has no power of two for its factor; a weight of 1/49 has a binary point.

    Args:
        graph: as `lower` makes it with fold=False.
        raw: formats of the inputs that arrive as integers; their normalization stays as it is.
    """
    begin = normalization(graph, raw)
    for op in graph.ops:
        if len(graph.tensors[op.inputs[0]].shape) != 4 or op.outputs[0] in begin.results:
            continue
        layer = _norm(graph, op) if op.kind == "affine" else _mean(graph, op)
        if layer is not None:
            graph = _with_layer(graph, op, *layer)
    return canonical(graph, fold=False)


def element_wise(graph: Graph) -> tuple[str, ...]:
    """What batch norms read and multiply by, in a graph of `as_layers`: they are convolutions of one cell each."""
    found: list[str] = []
    for op in graph.ops:
        if op.kind == "conv2d" and graph.tensors[op.inputs[1]].shape[1:] == (1, 1, 1):
            found.extend(op.inputs[:2])
    return tuple(found)


def _norm(graph: Graph, op: Op) -> tuple[np.ndarray, np.ndarray, dict[str, Attr]] | None:
    scale, shift = (graph.constants.get(name) for name in op.inputs[1:])
    if scale is None or shift is None:
        return None
    return scale.reshape(-1, 1, 1, 1), shift, {}


def _mean(graph: Graph, op: Op) -> tuple[np.ndarray, np.ndarray, dict[str, Attr]] | None:
    """Weights of 1/n over the n cells of a mean."""
    attrs: dict[str, Any] = attrs_of(op)
    _, height, width, channels = graph.tensors[op.inputs[0]].shape
    window: dict[str, Attr] = {}
    if op.kind == "reduce_mean" and tuple(attrs["axes"]) == (ROWS, COLUMNS) and attrs["keepdims"]:
        kernel = (height, width)
    elif op.kind == "avg_pool2d" and not any(attrs["padding"]) and attrs["dilation"] == (1, 1):
        kernel, window = attrs["kernel"], {"stride": attrs["stride"]}
    else:
        return None
    weights = np.full((channels, *kernel, 1), 1 / (kernel[0] * kernel[1]), np.float32)
    return weights, np.zeros(channels, np.float32), window


def _with_layer(graph: Graph, op: Op, w: np.ndarray, b: np.ndarray, window: dict[str, Attr]) -> Graph:
    """The graph with a depthwise convolution in the op's place."""
    names = (f"{op.outputs[0]}.weight", f"{op.outputs[0]}.bias")
    arrays = {names[0]: np.ascontiguousarray(w, np.float32), names[1]: np.ascontiguousarray(b, np.float32)}
    tensors = {**graph.tensors, **{name: Tensor(name, array.shape) for name, array in arrays.items()}}
    layer = replace(op, kind="conv2d", inputs=(op.inputs[0], *names), attrs={"groups": len(b), **window})
    ops = tuple(layer if other is op else other for other in graph.ops)
    return replace(graph, ops=ops, tensors=tensors, constants={**graph.constants, **arrays})
