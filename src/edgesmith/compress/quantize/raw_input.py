"""Formats of what a sensor gives: its own integers, and their normalization without loss."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgesmith.core.formats import PerTensor, affine
from edgesmith.core.graph import Graph
from edgesmith.core.ops import interpret

RAW = ("uint8", "int16")  # sensor integers that an integer graph takes as they are
PROBES = (0, 1, 2, 100, 254, 255)
OFF_ZERO = 0.01  # of a step: how far real zero may lie from a stored integer
STRAIGHT = 1e-5  # relative: float32 rounding of a normalization


def raw_formats(graph: Graph, samples: np.ndarray) -> dict[str, PerTensor]:
    """The format of an input that arrives as the sensor's integers; none for floats."""
    kind = str(samples.dtype)
    return {name: PerTensor(1.0, 0, kind) for name in graph.inputs} if kind in RAW else {}


def lossless_format(graph: Graph, name: str, raw: Mapping[str, PerTensor]) -> PerTensor | None:
    """The int8 format with one step per step of a byte, where the tensor is a factor and an offset of raw bytes.

    The byte v is stored as v - 128, or 127 - v for a negative factor: nothing is rounded.

    Args:
        name: a result of the normalization of the graph's inputs.

    Returns:
        None when channels differ, or real zero lies between two bytes.
    """
    part = replace(graph, outputs=(name,), states=()).pruned()
    if len(part.inputs) != 1 or part.inputs[0] not in raw:
        return None
    found = [_probed(part, value) for value in PROBES]
    if any(values.min() != values.max() for values in found):
        return None
    y = np.array([values.flat[0] for values in found], np.float64)
    slope = (y[-1] - y[0]) / 255
    straight = np.abs(y - (y[0] + slope * np.array(PROBES))).max() <= STRAIGHT * np.abs(y).max()
    if slope == 0 or not straight or abs(y[0] / slope - np.rint(y[0] / slope)) > OFF_ZERO:
        return None
    format_ = affine(y.min(), y.max())
    return format_ if np.isclose(format_.scale, abs(slope)) else None


def _probed(graph: Graph, value: int) -> np.ndarray:
    """The graph's output when every cell of its input is `value`."""
    (name,) = graph.inputs
    return interpret(graph, {name: np.full(graph.tensors[name].shape, value, np.float32)})[graph.outputs[0]]
