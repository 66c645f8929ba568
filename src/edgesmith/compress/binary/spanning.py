"""Spanning trees of the output channels of a binary convolution: each channel from the one it differs least from.

Source: Vo et al., MST-compression, arXiv:2308.13735: vertices are output channels, a distance is the number of weights
that differ, and of the minimum spanning trees one of least depth orders the computation. Only its abstract was at hand:
how the paper chooses the root and breaks ties is not known here; all roots are tried, and ties go to the lower level.
"""

from collections.abc import Sequence

import numpy as np

from edgesmith.core.errors import BadInput

ROOT = -1  # the parent of the root


def differences(bits: np.ndarray) -> np.ndarray:
    """How many weights differ between every two channels.

    Args:
        bits: (O, ...) bool.

    Returns:
        (O, O) int64, symmetric, zeros on the diagonal.

    Raises:
        BadInput: not bool, or no channel.
    """
    if bits.dtype != np.bool_ or bits.ndim < 1 or len(bits) < 1:
        raise BadInput(f"spanning: bits are {bits.dtype} {bits.shape}; need bool, one row or more.")
    signs = np.where(bits.reshape(len(bits), -1), 1.0, -1.0)
    return ((signs.shape[1] - signs @ signs.T) / 2).astype(np.int64)  # float64 holds these integers exactly


def spanning_tree(
    distances: np.ndarray, depth: int | None = None, roots: Sequence[int] | None = None
) -> tuple[int, ...]:
    """The parent of every vertex in a spanning tree of least total distance, and of those of one of least depth found.

    Prim's algorithm from every root. Without a bound the total is the least there is; with one, vertices at the last
    level take no children, and the total is the least of those found from all roots (exact for depth 1, a star).

    Args:
        distances: (O, O), symmetric, none negative.
        depth: most edges from the root to any vertex; None for no bound.
        roots: that are tried; None for all.

    Raises:
        BadInput: a matrix that is no distance, or a depth that no tree of several vertices has.
    """
    count = len(distances)
    square = distances.ndim == 2 and distances.shape == (count, count) and count >= 1
    if not square or (distances != distances.T).any() or (distances < 0).any():
        raise BadInput(f"spanning: distances are {distances.shape}; need a symmetric square, none below zero.")
    if depth is not None and depth < (count > 1):
        raise BadInput(f"spanning: depth is {depth}; need 1 or more for {count} channels.")
    trees = (_from_root(distances, root, count if depth is None else depth) for root in roots or range(count))
    return min(trees, key=lambda tree: (total_distance(distances, tree), tree_depth(tree)))


def centre(distances: np.ndarray) -> int:
    """The vertex from which all others are least far, in sum."""
    return int(distances.sum(axis=0).argmin())


def _from_root(distances: np.ndarray, root: int, depth: int) -> tuple[int, ...]:
    """Prim's algorithm; of equal distances the parent of the lower level, then the smaller number."""
    count = len(distances)
    levels = np.full(count, -1)
    levels[root] = 0
    parents = [ROOT] * count
    for _ in range(count - 1):
        inside = np.flatnonzero((levels >= 0) & (levels < depth))
        outside = np.flatnonzero(levels < 0)
        keys = distances[np.ix_(inside, outside)].astype(np.int64) * (count + 1) + levels[inside][:, None]
        row, column = np.unravel_index(int(keys.argmin()), keys.shape)
        parent, vertex = int(inside[row]), int(outside[column])
        parents[vertex], levels[vertex] = parent, levels[parent] + 1
    return tuple(parents)


def total_distance(distances: np.ndarray, parents: Sequence[int]) -> int:
    """The sum of the tree's edges: products beyond the root's own that an output cell takes."""
    return int(sum(distances[vertex, parent] for vertex, parent in enumerate(parents) if parent != ROOT))


def tree_depth(parents: Sequence[int]) -> int:
    """Most edges from the root to any vertex."""

    def level(vertex: int) -> int:
        steps = 0
        while parents[vertex] != ROOT:
            vertex, steps = parents[vertex], steps + 1
        return steps

    return max(map(level, range(len(parents))))
