"""Branching nets as architecture search makes them: random wiring, and cells of parallel branches."""

import numpy as np

from core.sketch import Sketch
from edgesmith.core.graph import Graph
from edgesmith.core.ops.fixed import multipliers_of


class Wiring(Sketch):
    """Adds convolutions and sums with random weights."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.rng = np.random.default_rng(seed)

    def convolve(self, x: str, out: int, kernel: int = 1, depthwise: bool = False) -> str:
        channels = self.tensors[x].shape[3]
        groups = channels if depthwise else 1
        w = self.const(self.rng.integers(-127, 128, (out, kernel, kernel, channels // groups)).astype(np.int8))
        bias = self.const(self.rng.integers(-999, 999, out).astype(np.int32))
        scale = map(self.const, multipliers_of(np.full(out, 0.004 / kernel)))
        padding = (kernel // 2,) * 4
        return self("conv2d_s8", x, w, bias, *scale, groups=groups, padding=padding, x_zero=3)

    def add(self, *names: str) -> str:
        """The sum of all."""
        total, *others = names
        for other in others:
            total = self("add_s8", total, other, a_multiplier=500_000, b_multiplier=500_000, shift=20)
        return total


def random_wiring(seed: int, nodes: int, near: int = 4, rewired: float = 0.75) -> Graph:
    """A Watts-Strogatz ring of `nodes`, its edges pointing forward: arXiv:1904.01569, the cells of arXiv:2003.02369.

    A node sums what comes in and convolves it, depthwise then pointwise; the nodes that nothing reads are summed.
    """
    wiring, rng = Wiring(seed), np.random.default_rng(seed)
    edges = set()
    for node in range(nodes):
        for step in range(1, near // 2 + 1):
            other = (node + step) % nodes
            if rng.random() < rewired:
                other = int(rng.choice([n for n in range(nodes) if n != node]))
            edges.add((min(node, other), max(node, other)))
    x = wiring.input(1, 8, 8, 8, dtype="int8")
    made: list[str] = []
    for node in range(nodes):
        parents = [made[a] for a, b in sorted(edges) if b == node] or [x]
        inner = wiring.convolve(wiring.add(*parents), 8, 3, depthwise=True)
        made.append(wiring.convolve(inner, 8))
    ends = [made[node] for node in range(nodes) if all(a != node for a, _ in edges)]
    return wiring.graph(wiring.add(*ends))


def inception(seed: int) -> Graph:
    """Two cells of four branches that each widen or narrow, joined along channels: arXiv:1409.4842, breadth first."""
    wiring = Wiring(seed)
    x = wiring.input(1, 8, 8, 8, dtype="int8")
    for _ in range(2):
        starts = [wiring.convolve(x, width) for width in (8, 24, 32, 16)]
        middles = [starts[0], *(wiring.convolve(s, 2 * wiring.tensors[s].shape[3], 3) for s in starts[1:])]
        ends = [wiring.convolve(middle, 8) for middle in middles]
        x = wiring("concat", *ends, axis=3)
    return wiring.graph(x)
