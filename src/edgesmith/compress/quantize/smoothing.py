"""Scales that move from a tensor's channels into the weights that read it: the float function stays as it is.

Where all that read a tensor are layers, its channel j can be divided by s_j in what makes the tensor and multiplied in
the weights that read it (arXiv:2211.10438, equation 3). That is exact behind a norm, and behind a layer without or
with a ReLU.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from edgesmith.compress.quantize.equalization import input_channels, scalable, through
from edgesmith.compress.quantize.layers import SOLVED
from edgesmith.core.graph import Graph, Op
from edgesmith.core.ops import attrs_of

# What makes a tensor, by kind: the inputs that its output is proportional to, channel by channel.
MAKERS: Mapping[str, tuple[int, ...]] = {
    "conv2d": (1, 2),
    "linear": (1, 2),
    "layer_norm": (1, 2),
    "rms_norm": (1,),
    "affine": (1, 2),
}


@dataclass(frozen=True)
class Reader:
    """A layer that reads a maker's channels.

    Attributes:
        op: its index.
        channel: for each of its input channels the maker's output channel.
    """

    op: int
    channel: np.ndarray


@dataclass(frozen=True)
class Site:
    """A place where scales can move.

    Attributes:
        maker: index of the op that makes the tensor.
        readers: every layer that reads it, directly or through ops that treat channels alike.
    """

    maker: int
    readers: tuple[Reader, ...]
    channels: int


def sites(graph: Graph) -> tuple[Site, ...]:
    """Every place where scales can move exactly."""
    users = graph.consumers()
    shared = {name for name in graph.constants if len(users[name]) > 1}
    found = []
    for index, op in enumerate(graph.ops):
        if op.kind in MAKERS and scalable(op) and _own(graph, [op.inputs[i] for i in MAKERS[op.kind]], shared):
            channels = graph.tensors[op.outputs[0]].shape[-1]
            readers = _readers(graph, op.outputs[0], np.arange(channels), users)
            weights = [graph.ops[reader.op].inputs[1] for reader in readers or ()]
            if readers and _own(graph, weights, shared):
                found.append(Site(index, tuple(readers), channels))
    return tuple(found)


def _own(graph: Graph, names: list[str], shared: set[str]) -> bool:
    """Whether all are constants that nothing else reads."""
    return all(name in graph.constants and name not in shared for name in names)


def _readers(graph: Graph, name: str, channel: np.ndarray, users: Mapping[str, list[int]]) -> list[Reader] | None:
    """The layers at the end of every path; None where a path ends elsewhere."""
    if name in graph.kept() or not users[name]:
        return None
    found: list[Reader] = []
    for index in users[name]:
        op = graph.ops[index]
        if op.kind in SOLVED and op.inputs[0] == name and op.inputs.count(name) == 1:
            found.append(Reader(index, channel))
            continue
        mapped = through(graph, op, channel)
        further = None if mapped is None else _readers(graph, op.outputs[0], mapped, users)
        if further is None:
            return None
        found += further
    return found


def unscaled(graph: Graph) -> tuple[str, ...]:
    """Names of the weights at no site: what they read comes through a sum, or a function that is not proportional."""
    covered = {reader.op for site in sites(graph) for reader in site.readers}
    layers = [(index, op) for index, op in enumerate(graph.ops) if op.kind in SOLVED]
    return tuple(op.inputs[1] for index, op in layers if index not in covered)


def moved(graph: Graph, site: Site, scale: np.ndarray) -> Graph:
    """The graph with a site's tensor divided by `scale`, (channels,) above zero, its readers' weights multiplied."""
    constants = dict(graph.constants)
    maker = graph.ops[site.maker]
    for position in MAKERS[maker.kind]:
        value = constants[maker.inputs[position]].astype(np.float64)
        by_row = scale.reshape(-1, *([1] * (value.ndim - 1)))
        constants[maker.inputs[position]] = (value / by_row).astype(np.float32)
    for reader in site.readers:
        op = graph.ops[reader.op]
        weight = constants[op.inputs[1]].astype(np.float64)
        constants[op.inputs[1]] = (weight * scale_of_weight(op, weight, reader, scale)).astype(np.float32)
    return replace(graph, constants=constants)


def scale_of_weight(op: Op, weight: np.ndarray, reader: Reader, scale: np.ndarray) -> np.ndarray:
    """The factor of every entry of a reader's weight, of its shape."""
    return scale[reader.channel[input_channels(op, weight, len(reader.channel))]]


def weight_peaks(graph: Graph, site: Site) -> np.ndarray:
    """Largest magnitude of the readers' weights on each channel: (channels,)."""
    peaks = np.zeros(site.channels)
    for reader in site.readers:
        op = graph.ops[reader.op]
        weight = graph.constants[op.inputs[1]]
        at = reader.channel[input_channels(op, weight, len(reader.channel))]
        np.maximum.at(peaks, at.reshape(-1), np.abs(weight).astype(np.float64).reshape(-1))
    return peaks


def channel_factors(op: Op, weight: np.ndarray, reader: Reader, scales: np.ndarray) -> torch.Tensor:
    """`scale_of_weight` as the layer's matrix has it: (groups, 1 or rows, K)."""
    groups = int(attrs_of(op).get("groups", 1))  # type: ignore[call-overload]
    factors = scale_of_weight(op, weight, reader, scales)
    return torch.from_numpy(np.ascontiguousarray(factors)).reshape(groups, len(weight) // groups, -1)
