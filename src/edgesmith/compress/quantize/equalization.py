"""Cross-layer equalization: weight ranges of neighbouring layers evened out, channel by channel.

Where a layer feeds only one other through functions with f(s x) = s f(x), its output channels can be scaled down
and the next layer's input channels up by the same factors (arXiv:1906.04721, section 4.1).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgesmith.core.graph import Graph, Op
from edgesmith.core.ops import attrs_of

LAYERS = ("conv2d", "conv_transpose2d", "linear")
ROUNDS = 20  # a chain of layers evens out like heat; the zoo's nets change by less than 1% after 10
HOMOGENEOUS = ("max_pool2d", "avg_pool2d", "upsample_nearest", "reduce_mean", "reduce_sum", "reshape", "leaky_relu")


@dataclass(frozen=True)
class Pair:
    """Two layers with a common channel axis.

    Attributes:
        first, second: op indices.
        channel: for each input channel of `second`, the output channel of `first` that it repeats.
    """

    first: int
    second: int
    channel: np.ndarray


def equalize(graph: Graph, rounds: int = ROUNDS) -> Graph:
    """Even out the weight ranges of all pairs; the graph computes the same function.

    Args:
        graph: float, batch norms folded.

    Source: arXiv:1906.04721, equation 11.
    """
    constants = dict(graph.constants)
    pairs = find_pairs(graph)
    for _ in range(rounds):
        for pair in pairs:
            _equalize_pair(graph.ops[pair.first], graph.ops[pair.second], pair.channel, constants)
    return replace(graph, constants=constants)


def find_pairs(graph: Graph) -> tuple[Pair, ...]:
    """Every layer that feeds exactly one other through channel-wise functions that are linear for positive factors."""
    readers, kept = graph.consumers(), graph.kept()
    shared = {name for name in graph.constants if len(readers[name]) > 1}
    pairs = []
    for index, op in enumerate(graph.ops):
        if op.kind in LAYERS and scalable(op) and not shared.intersection(op.inputs):
            pair = _follow(graph, index, readers, kept)
            if pair and not shared.intersection(graph.ops[pair.second].inputs):
                pairs.append(pair)
    return tuple(pairs)


def scalable(op: Op) -> bool:
    """Whether the op's fused activation commutes with positive factors: none, or a ReLU."""
    attrs = attrs_of(op)
    return attrs.get("low", 0.0) in (0.0, float("-inf")) and attrs.get("high", float("inf")) == float("inf")


def _follow(graph: Graph, index: int, readers: Mapping[str, list[int]], kept: set[str]) -> Pair | None:
    name = graph.ops[index].outputs[0]
    channel = np.arange(graph.tensors[name].shape[-1])
    for _ in graph.ops:
        if name in kept or len(readers[name]) != 1:
            return None
        following = graph.ops[readers[name][0]]
        if following.kind in LAYERS and following.inputs[0] == name and following.inputs[1] in graph.constants:
            return Pair(index, readers[name][0], channel)
        mapped = through(graph, following, channel)
        if mapped is None:
            return None
        channel, name = mapped, following.outputs[0]
    return None


def through(graph: Graph, op: Op, channel: np.ndarray) -> np.ndarray | None:
    """The channel of each entry of the last axis after the op; None where the op mixes or moves channels."""
    if op.kind == "clamp" and scalable(op):
        return channel
    if op.kind not in HOMOGENEOUS:
        return None
    before, after = graph.tensors[op.inputs[0]].shape, graph.tensors[op.outputs[0]].shape
    if op.kind in ("reduce_mean", "reduce_sum"):
        return channel if len(before) - 1 not in attrs_of(op)["axes"] else None  # type: ignore[operator]
    if op.kind == "reshape":
        return _reshaped(before, after, channel)
    return channel


def _reshaped(before: tuple[int, ...], after: tuple[int, ...], channel: np.ndarray) -> np.ndarray | None:
    """Flattening repeats the channels; a split of the last axis is refused."""
    if not after or after[-1] % before[-1]:
        return None
    return np.tile(channel, after[-1] // before[-1])


def _equalize_pair(first: Op, second: Op, channel: np.ndarray, constants: dict[str, np.ndarray]) -> None:
    """s_i = sqrt(r1_i r2_i) / r2_i; the first layer is divided by it, the second multiplied."""
    w1, b1 = (constants[name].astype(np.float64) for name in first.inputs[1:3])
    w2 = constants[second.inputs[1]].astype(np.float64)
    reads = input_channels(second, w2, len(channel))
    count = len(w1)
    r1 = np.abs(w1).reshape(count, -1).max(axis=1)
    r2 = np.zeros(count)
    np.maximum.at(r2, channel[reads], np.abs(w2))
    good = (r1 > 0) & (r2 > 0)
    scale = np.sqrt(np.divide(r1, r2, out=np.ones(count), where=good), where=good, out=np.ones(count))
    rows = scale.reshape(-1, *([1] * (w1.ndim - 1)))
    constants[first.inputs[1]] = (w1 / rows).astype(np.float32)
    constants[first.inputs[2]] = (b1 / scale).astype(np.float32)
    constants[second.inputs[1]] = (w2 * scale[channel[reads]]).astype(np.float32)


def input_channels(op: Op, w: np.ndarray, count: int) -> np.ndarray:
    """The input channel that each weight multiplies: integers of the shape of w, (O, ..., C / groups)."""
    groups = int(attrs_of(op).get("groups", 1))  # type: ignore[call-overload]
    per_group = count // groups
    group = np.arange(len(w)) * groups // len(w)
    rows = (group * per_group).reshape(-1, *([1] * (w.ndim - 1)))
    return np.broadcast_to(rows + np.arange(per_group), w.shape)
