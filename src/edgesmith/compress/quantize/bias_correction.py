"""Bias correction: the mean error that rounded weights cause goes into the bias.

A layer with weights W + e makes outputs that are off by e * E[x] on average (arXiv:1906.04721, section 4.2). Layers
are linear in their input, so the mean input over the calibration samples is all that is needed.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgesmith.core import ops
from edgesmith.core.graph import Graph, Op

LAYERS = ("conv2d", "conv_transpose2d", "linear")
UNBOUNDED = {"low": float("-inf"), "high": float("inf")}


def correct_bias(graph: Graph, means: Mapping[str, np.ndarray]) -> Graph:
    """Take each layer's mean output error off its bias.

    Args:
        graph: float, annotated; weights have their formats.
        means: mean over calibration samples of every layer's input, of its tensor's shape.

    Returns:
        the graph with other biases; formats are kept.

    Source: arXiv:1906.04721, section 4.2 and appendix D (empirical bias correction).
    """
    constants = dict(graph.constants)
    for op in layers_to_correct(graph):
        error = mean_error(graph, op, means[op.inputs[0]])
        bias = constants[op.inputs[2]]
        constants[op.inputs[2]] = (bias - error).astype(bias.dtype)
    return replace(graph, constants=constants)


def layers_to_correct(graph: Graph) -> tuple[Op, ...]:
    """Layers with a constant weight and a bias of their own."""
    readers = graph.consumers()
    layers = [op for op in graph.ops if op.kind in LAYERS and set(op.inputs[1:]) <= set(graph.constants)]
    return tuple(op for op in layers if len(readers[op.inputs[2]]) == 1)


def mean_error(graph: Graph, op: Op, mean: np.ndarray) -> np.ndarray:
    """Mean over output cells of (quantized - float) pre-activation, per output channel: (O,) float64.

    Args:
        mean: the layer's mean input, of its tensor's shape.
    """
    w, format_ = graph.constants[op.inputs[1]], graph.tensors[op.inputs[1]].format
    if format_ is None:
        return np.zeros(len(w))
    difference = format_.dequantize(format_.quantize(w)).astype(np.float64) - w
    attrs = {**ops.attrs_of(op), **UNBOUNDED}
    outputs = ops.spec_of(op).run([mean, difference, np.zeros(len(w))], attrs)[0]
    return outputs.reshape(-1, len(w)).mean(axis=0, dtype=np.float64)
