"""Trees packed into arrays: what every forest and boosting model becomes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgesmith.core.errors import Unsupported
from edgesmith.lower.classical.flow import ACC, Flow, Scores

MOST_NODES, MOST_ENTRIES, MOST_CLASSES = 1 << 15, (1 << 16) - 1, 256
Leaf = tuple[tuple[int, float], ...]  # (output, value) pairs


@dataclass(frozen=True)
class Tree:
    """A binary tree; left is feature <= threshold.

    Attributes:
        feature, left, right: (n,) integers; left is negative in a leaf.
        threshold: (n,) float64.
        values: (n, outputs) what a leaf adds, or a node that is made a leaf.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    values: np.ndarray

    def cut(self, depth: int) -> "Tree":
        """The tree with every node at `depth` made a leaf."""
        left, level = self.left.copy(), [0]
        for _ in range(depth):
            level = [child for node in level if left[node] >= 0 for child in (self.left[node], self.right[node])]
        left[level] = -1
        return replace(self, left=left)

    def walk(self) -> Iterator[tuple[int, int]]:
        """Every node that is reached with its depth, parents first."""
        waiting = [(0, 0)]
        while waiting:
            node, depth = waiting.pop()
            yield node, depth
            if self.left[node] >= 0:
                waiting += [(int(self.right[node]), depth + 1), (int(self.left[node]), depth + 1)]


@dataclass(frozen=True)
class Forest:
    """Scores as a base and a sum over trees.

    Attributes:
        base: (outputs,).
        features: that a row has.
        classes: 0 for a regression; 2 with one output for a decision between two.
    """

    trees: tuple[Tree, ...]
    base: np.ndarray
    features: int
    classes: int

    def lowered(self, flow: Flow) -> Scores:
        """The scores of a row."""
        if flow.dtype == "int32" or (flow.fixed and bool(np.any(flow.scale <= 0))):
            x = flow.int16(32767, common=False)
            flow = replace(flow, tensor=x.tensor, scale=x.step, shift=x.middle)
        elif bool(np.any(flow.scale <= 0)):
            one = np.ones(flow.width)
            flow = replace(flow, tensor=flow.real(), scale=one, shift=0 * one)
        scores = _packed(self, flow)
        return scores.opposites(flow.builder) if self.classes == 2 and len(self.base) == 1 else scores


def _packed(forest: Forest, flow: Flow) -> Scores:
    scale = _leaf_scale(forest) if flow.fixed else 1.0
    rows: dict[Leaf, int] = {}
    packed, depths = _Packed(), 0.0
    for tree in forest.trees:
        depths += packed.add(tree, scale if flow.fixed else None, rows)
    arrays = packed.arrays(flow, rows)
    base = np.rint(forest.base / scale).astype(np.int32) if flow.fixed else forest.base.astype(np.float32)
    names = [flow.builder.constant(f"trees.{name}", array) for name, array in {**arrays, "base": base}.items()]
    kind = "tree_ensemble_s16" if flow.fixed else "tree_ensemble"
    return Scores(flow.builder.op(kind, flow.tensor, *names, steps=round(depths)), scale if flow.fixed else None)


def _leaf_scale(forest: Forest) -> float:
    """The unit of int16 leaves for which no sum leaves int32."""
    most = max(float(np.abs(tree.values).max(initial=0.0)) for tree in forest.trees)
    outputs = forest.trees[0].values.shape[1]
    total = most * len(forest.trees) * outputs + float(np.abs(forest.base).max(initial=0.0))
    return max(most / 32767, total / (ACC - (1 << 20)), 1e-30)


class _Packed:
    """Node arrays while trees are added."""

    def __init__(self) -> None:
        self.nodes: list[tuple[int, int, int]] = []
        self.threshold: list[float] = []
        self.roots: list[tuple[int, int]] = []

    def add(self, tree: Tree, scale: float | None, rows: dict[Leaf, int]) -> float:
        """Append a tree, its leaves shared with equal ones; its leaves' mean depth."""
        order = list(tree.walk())
        inner = [node for node, _ in order if tree.left[node] >= 0]
        place = {node: index for index, node in enumerate(inner)}
        leaves = {node: _leaf(tree.values[node], scale) for node, _ in order if node not in place}
        place |= {node: ~rows.setdefault(leaf, len(rows)) for node, leaf in leaves.items()}
        if len(inner) > MOST_NODES or len(rows) > MOST_NODES:
            raise Unsupported(f"lower: more than {MOST_NODES} nodes in a tree, or leaves; need fewer. Limit the depth.")
        self.roots.append((len(self.nodes), place[0]))
        self.nodes += [(int(tree.feature[n]), place[int(tree.left[n])], place[int(tree.right[n])]) for n in inner]
        self.threshold += [float(tree.threshold[n]) for n in inner]
        return float(np.mean([depth for node, depth in order if node in leaves]))

    def arrays(self, flow: Flow, rows: dict[Leaf, int]) -> dict[str, np.ndarray]:
        """The op's constants but the base."""
        if not self.nodes:  # nothing but leaves: a node that both lead to the last tree's
            self.nodes, self.threshold = [(0, self.roots[-1][1], self.roots[-1][1])], [0.0]
            self.roots[-1] = (0, 0)
        nodes, threshold = np.array(self.nodes, np.int16), np.array(self.threshold, np.float64)
        entries = [entry for leaf in rows for entry in leaf]
        if len(entries) > MOST_ENTRIES:
            raise Unsupported(f"lower: leaves hold {len(entries)} values; need at most {MOST_ENTRIES}: fewer trees.")
        first = np.cumsum([0, *map(len, rows)])
        return {
            "nodes": nodes,
            "threshold": stored_threshold(threshold, nodes[:, 0], flow),
            "roots": np.array(self.roots, np.int32),
            "spans": first.astype(np.uint16),
            "classes": np.array([output for output, _ in entries], np.uint8),
            "values": np.array([value for _, value in entries], np.int16 if flow.fixed else np.float32),
        }


def _leaf(values: np.ndarray, scale: float | None) -> Leaf:
    """The entries that are not zero, at least one."""
    stored = values if scale is None else np.rint(values / scale)
    entries = tuple((int(output), float(stored[output])) for output in np.flatnonzero(stored))
    return entries or ((0, 0.0),)


def stored_threshold(threshold: np.ndarray, feature: np.ndarray, flow: Flow) -> np.ndarray:
    """Thresholds on the stored features, rounded down so that no stored value changes sides.

    A stored float32 is at most t if it is at most the largest float32 not above t; a whole number, the floor of t.
    """
    raw = (threshold - flow.shift[feature]) / flow.scale[feature]
    return at_most(raw) if flow.dtype == "float32" else np.clip(np.floor(raw), -32768, 32767).astype(np.int16)


def at_most(values: np.ndarray) -> np.ndarray:
    """The largest float32 not above each value.

    >>> float(at_most(np.array([0.1]))[0]) <= 0.1, float(at_most(np.array([0.5]))[0])
    (True, 0.5)
    """
    with np.errstate(over="ignore"):
        near = values.astype(np.float32)
    return np.where(near.astype(np.float64) > values, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float32)


def below(values: np.ndarray) -> np.ndarray:
    """Thresholds t of `x < t` on float32 x as thresholds of `x <= t`: float64."""
    return np.nextafter(values.astype(np.float32), np.float32(-np.inf)).astype(np.float64)


def first_trees(forest: Forest, count: int, averaged: bool) -> Forest:
    """The first trees alone; those of a mean weigh more then."""
    kept = forest.trees[:count]
    factor = len(forest.trees) / len(kept) if averaged else 1.0
    return replace(forest, trees=tuple(replace(tree, values=tree.values * factor) for tree in kept))


def sizes(trees: Sequence[Tree]) -> tuple[int, int]:
    """Trees and the depth of the deepest."""
    return len(trees), max(depth for tree in trees for _, depth in tree.walk())
