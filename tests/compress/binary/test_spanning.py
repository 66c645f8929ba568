"""Spanning trees of output channels against every tree there is, and their execution against the plain convolution."""

from itertools import product

import numpy as np
import pytest

import binary_arrays
from edgesmith.compress.binary.spanning import ROOT, differences, spanning_tree, total_distance, tree_depth
from edgesmith.core.errors import BadInput
from edgesmith.core.ops import SPECS
from edgesmith.core.ops.binary import tree_bits, tree_of


def every_tree(count: int):
    """All (count - 1)-edge sets without a cycle, by Pruefer's sequences: Cayley's count^(count - 2)."""
    for code in product(range(count), repeat=count - 2):
        degree = [1 + code.count(v) for v in range(count)]
        edges = []
        for v in code:
            leaf = degree.index(1)
            edges.append((leaf, v))
            degree[leaf], degree[v] = 0, degree[v] - 1
        edges.append(tuple(v for v in range(count) if degree[v] == 1))
        yield edges


def depth_from(root: int, edges) -> int:
    """The farthest vertex, by breadth."""
    reached, depth = {root}, 0
    while True:
        more = {b for e in edges for a, b in (e, e[::-1]) if a in reached} - reached
        if not more:
            return depth
        reached, depth = reached | more, depth + 1


TREES = list(every_tree(5))


@pytest.mark.parametrize("seed", range(20))
def test_the_tree_is_the_least_of_all_trees_of_five_channels(seed):
    """Few weights, so that distances are often equal."""
    rng = np.random.default_rng(seed)
    assert len(TREES) == 125
    distances = differences(rng.random((5, rng.integers(3, 40))) < 0.5)
    least = min(sum(distances[a, b] for a, b in edges) for edges in TREES)
    tree = spanning_tree(distances)
    assert total_distance(distances, tree) == least
    shallow = min(
        depth_from(root, edges) for edges in TREES for root in range(5) if sum(distances[e] for e in edges) == least
    )
    assert shallow <= tree_depth(tree) <= shallow + 1


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(10))
def test_no_channel_is_deeper_than_the_bound(seed, depth):
    rng = np.random.default_rng(seed)
    distances = differences(rng.random((5, 30)) < 0.5)
    tree = spanning_tree(distances, depth)
    assert tree_depth(tree) <= depth
    bounded = [
        sum(distances[e] for e in edges) for edges in TREES for root in range(5) if depth_from(root, edges) <= depth
    ]
    total = total_distance(distances, tree)
    assert total >= min(bounded)
    assert depth in (2, 3) or total == min(bounded)  # a star, or no bound at all


def test_equal_channels_make_a_star():
    tree = spanning_tree(differences(np.zeros((6, 9), bool)))
    assert tree_depth(tree) == 1 and tree.count(ROOT) == 1


@pytest.mark.parametrize("depth", [None, 1, 3])
def test_a_tree_gives_the_plain_convolution_bit_by_bit(depth):
    """By differences or not: the same signs."""
    rng = np.random.default_rng(3)
    _, (x, w, threshold), attrs = binary_arrays.binary_conv2d(rng)
    channels = attrs["channels"]
    bits = tree_bits_of_plain(w, channels)
    root, tree, deepest = tree_of(bits, spanning_tree(differences(bits), depth))
    assert depth is None or deepest <= depth
    np.testing.assert_array_equal(tree_bits(root, tree, len(w), channels, deepest), bits)
    wanted = SPECS["binary_conv2d"].run([x, w, threshold], SPECS["binary_conv2d"].complete(attrs))[0]
    full = SPECS["mst_conv2d"].complete({**attrs, "depth": deepest})
    np.testing.assert_array_equal(SPECS["mst_conv2d"].run([x, root, tree, threshold], full)[0], wanted)


def tree_bits_of_plain(w: np.ndarray, channels: int) -> np.ndarray:
    """The bits of packed weights, one by one."""
    return np.stack([w[..., c // 32] >> np.uint32(c % 32) & 1 for c in range(channels)], axis=-1).astype(bool)


def test_what_is_no_distance_is_refused():
    with pytest.raises(BadInput, match="need bool"):
        differences(np.zeros((2, 3)))
    with pytest.raises(BadInput, match="symmetric"):
        spanning_tree(np.array([[0, 1], [2, 0]]))
    with pytest.raises(BadInput, match="depth is 0"):
        spanning_tree(np.array([[0, 1], [1, 0]]), 0)
    with pytest.raises(BadInput, match="2 roots"):
        tree_of(np.zeros((2, 1, 1, 3), bool), (ROOT, ROOT))
    with pytest.raises(BadInput, match="reaches 1 of 3"):
        tree_of(np.zeros((3, 1, 1, 3), bool), (ROOT, 2, 1))
