"""Stages of random networks and the schedules to try on them."""

from collections.abc import Iterator

import numpy as np

from core.sketch import Sketch
from edgesmith.compile.patch.schedule import Schedule
from edgesmith.compile.patch.stage import Stage, stage_of
from edgesmith.core.errors import Unsupported
from edgesmith.core.graph import Graph


def stages_of(graph: Graph) -> Iterator[Stage]:
    """Every stage that a result of the graph can end."""
    for op in graph.ops:
        try:
            yield stage_of(graph, op.outputs[0])
        except Unsupported:
            continue


def schedules(stage: Stage, rng: np.random.Generator) -> list[Schedule]:
    """A grid of patches and a number of bands, both random."""
    height, width = stage.size(stage.cut, 1), stage.size(stage.cut, 2)
    rows, columns, bands = (int(rng.integers(1, most + 1)) for most in (height, width, 2 * height + 3))
    return [Schedule("patches", rows, columns, stage.cut, ""), Schedule("lines", bands, 1, stage.cut, "")]


def image_net(size: int = 12) -> Graph:
    """Float: a convolution, a residual block, a strided convolution, pooling to a vector."""
    rng, net = np.random.default_rng(5), Sketch()

    def conv(x: str, out: int, stride: int = 1) -> str:
        w, b = rng.standard_normal((out, 3, 3, net.tensors[x].shape[3])), rng.standard_normal(out)
        return net("conv2d", x, net.const(w), net.const(b), stride=(stride, stride), padding=(1, 1, 1, 1), low=0.0)

    x = conv(net.input(1, size, size, 2), 4)
    y = net("add", x, conv(conv(x, 4), 4), low=0.0)
    z = conv(y, 6, stride=2)
    return net.graph(net("reduce_mean", z, axes=(1, 2)))
