"""Random arrays of classical ops, valid by construction: (generator) to (kind, arrays, attributes)."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgesmith.core.ops.instances import exp_table

Rng = np.random.Generator
Made = tuple[str, list[np.ndarray], dict[str, Any]]
Maker = Callable[[Rng], Made]


def size(rng: Rng, low: int = 1, high: int = 9) -> int:
    return int(rng.integers(low, high + 1))


def s16(rng: Rng, *shape: int, most: int = 32767) -> np.ndarray:
    return rng.integers(-most - 1, most + 1, shape).astype(np.int16)


def f32(rng: Rng, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape).astype(np.float32)


def one_tree(rng: Rng, nodes: int, features: int, leaves: int) -> np.ndarray:
    """Nodes (n, 3) of a tree of any shape, children after their parents."""
    rows = [[int(rng.integers(features)), ~int(rng.integers(leaves)), ~int(rng.integers(leaves))] for _ in range(nodes)]
    open_ = [(0, 1), (0, 2)]
    for node in range(1, nodes):
        parent, side = open_.pop(int(rng.integers(len(open_))))
        rows[parent][side] = node
        open_ += [(node, 1), (node, 2)]
    return np.array(rows, np.int16).reshape(-1, 3)


def forest(kind: str) -> Maker:
    def make(rng: Rng) -> Made:
        features, leaves, outputs = size(rng, 1, 20), size(rng, 1, 12), size(rng, 1, 6)
        trees = [one_tree(rng, size(rng, 0, 30), features, leaves) for _ in range(size(rng, 1, 8))]
        starts = np.cumsum([0, *map(len, trees)])[:-1]
        heads = [0 if len(tree) else ~int(rng.integers(leaves)) for tree in trees]
        roots = np.stack([starts, heads], axis=1).astype(np.int32)
        nodes = np.concatenate([*trees, one_tree(rng, 1, features, leaves)])  # at least one, of the last tree
        if not len(trees[-1]):
            roots[-1, 1] = 0
        elif len(nodes) > starts[-1] + len(trees[-1]):
            nodes = nodes[:-1]
        input_type = str(rng.choice(["float32", "uint8", "int16"]))
        x = {"float32": f32(rng, 1, features), "uint8": rng.integers(0, 256, (1, features)).astype(np.uint8)}.get(
            input_type, s16(rng, 1, features)
        )
        threshold = f32(rng, len(nodes)) if input_type == "float32" else s16(rng, len(nodes))
        if input_type == "float32" and rng.random() < 0.5:  # equal, zeros of both signs, infinities
            threshold[:] = rng.choice(x[0], len(nodes))
            threshold[rng.random(len(nodes)) < 0.3] = -0.0
            x[rng.random(x.shape) < 0.2] = rng.choice(np.float32([0.0, -0.0, np.inf, -np.inf, np.nan]))
        first = np.concatenate([[0], np.cumsum(rng.integers(0, 4, leaves))]).astype(np.uint16)
        entries = int(first[-1])
        classes = rng.integers(0, outputs, entries).astype(np.uint8)
        whole = kind.endswith("_s16")
        values = s16(rng, entries) if whole else f32(rng, entries)
        base = rng.integers(-(1 << 20), 1 << 20, outputs).astype(np.int32) if whole else f32(rng, outputs)
        return kind, [x, nodes, threshold, roots, first, classes, values, base], {}

    return make


def distances(kind: str) -> Maker:
    def make(rng: Rng) -> Made:
        draw = s16 if kind.endswith("_s16") else f32
        n = size(rng, 1, 40)
        return kind, [draw(rng, 1, n), draw(rng, size(rng, 1, 30), n)], {}

    return make


def neighbours(rng: Rng) -> Made:
    m, classes = size(rng, 1, 60), size(rng, 1, 7)
    few = rng.integers(0, 9, (1, m))  # with many ties
    d = few.astype(np.int32) if rng.random() < 0.5 else few.astype(np.float32) * np.float32(0.3)
    return (
        "neighbours",
        [d, rng.integers(0, classes, m).astype(np.uint8)],
        {"k": size(rng, 1, min(m, 9)), "classes": classes},
    )


def rbf(rng: Rng) -> Made:
    d = rng.integers(-5, 1 << 31, (1, size(rng, 1, 50))).astype(np.int32)
    return "rbf_s16", [d, exp_table()], {"multiplier": int(rng.integers(1 << 30, 1 << 31)), "shift": size(rng, 44, 52)}


def svm_pairs(kind: str) -> Maker:
    def make(rng: Rng) -> Made:
        classes, m = size(rng, 2, 5), size(rng, 1, 40)
        starts = np.array([0, *sorted(rng.integers(0, m + 1, classes - 1)), m], np.int32)
        pairs = classes * (classes - 1) // 2
        if kind.endswith("_s16"):
            b = rng.integers(-(1 << 31), 1 << 31, pairs).astype(np.int32)
            return kind, [s16(rng, 1, m), s16(rng, classes - 1, m), starts, b], {}
        return kind, [f32(rng, 1, m), f32(rng, classes - 1, m), starts, f32(rng, pairs)], {}

    return make


def pair_votes(rng: Rng) -> Made:
    classes = size(rng, 2, 7)
    d = rng.integers(-2, 3, (1, classes * (classes - 1) // 2))
    return "pair_votes", [d.astype(np.int32 if rng.random() < 0.5 else np.float32)], {}


def gaussians(kind: str) -> Maker:
    def make(rng: Rng) -> Made:
        m, n = size(rng, 1, 6), size(rng, 1, 20)
        own_x, own_c, own_w = (m if rng.random() < 0.5 else 1 for _ in range(3))
        if not kind.endswith("_s16"):
            return kind, [f32(rng, own_x, n), f32(rng, own_c, n), f32(rng, own_w, n), f32(rng, m)], {}
        b = rng.integers(-(1 << 31), 1 << 31, m).astype(np.int32)
        right = rng.integers(0, 31, (own_w, n)).astype(np.uint8)
        arrays = [s16(rng, own_x, n), s16(rng, own_c, n), s16(rng, own_w, n), b, right]
        return kind, arrays, {"limit": size(rng, 1, int((2**30 / n) ** 0.5) - 1) if n > 1 else 32767}

    return make


def quantize(rng: Rng) -> Made:
    x, n = f32(rng, size(rng, 1, 4), size(rng, 1, 12)) * np.float32(3000), 0
    n = x.shape[1]
    x[rng.random(x.shape) < 0.05] = rng.choice(np.float32([np.nan, np.inf, -np.inf, 1e38]))
    return "quantize_s16", [x, f32(rng, n), f32(rng, n)], {"limit": size(rng, 1, 32767)}


def affine(rng: Rng) -> Made:
    rows, n = size(rng, 1, 4), size(rng, 1, 12)
    dtype = np.dtype(str(rng.choice(["uint8", "int8", "int16"])))
    info = np.iinfo(dtype)
    x = rng.integers(info.min, info.max, (rows, n), dtype, endpoint=True)
    b = rng.integers(-(1 << 28), 1 << 28, n).astype(np.int32)
    right = rng.integers(0, 31, n).astype(np.uint8)
    return "affine_s16", [x, s16(rng, n), b, right], {"limit": size(rng, 1, 32767)}


def requantize(rng: Rng) -> Made:
    n = size(rng, 1, 12)
    x = rng.integers(-(1 << 31), 1 << 31, (size(rng, 1, 4), n)).astype(np.int32)
    multiplier = rng.integers(1 << 30, 1 << 31, n).astype(np.int32)
    return "requantize_s16", [x, multiplier, rng.integers(1, 63, n).astype(np.uint8)], {"limit": size(rng, 1, 32767)}


def linear(rng: Rng) -> Made:
    n, out = size(rng, 1, 40), size(rng, 1, 9)
    b = rng.integers(-(1 << 31), 1 << 31, out).astype(np.int32)
    return "linear_s16", [s16(rng, size(rng, 1, 3), n), s16(rng, out, n), b], {}


def opposites(rng: Rng) -> Made:
    x = rng.integers(-(1 << 31), 1 << 31, (size(rng, 1, 5), 1)).astype(np.int32)
    if rng.random() < 0.5:
        return "opposites", [f32(rng, size(rng, 1, 5), 1)], {}
    return "opposites", [np.where(rng.random(x.shape) < 0.3, -(1 << 31), x).astype(np.int32)], {}


INTEGER: Mapping[str, Maker] = {
    "tree_ensemble_s16": forest("tree_ensemble_s16"),
    "distances_s16": distances("distances_s16"),
    "neighbours": neighbours,
    "rbf_s16": rbf,
    "svm_pairs_s16": svm_pairs("svm_pairs_s16"),
    "pair_votes": pair_votes,
    "gaussian_scores_s16": gaussians("gaussian_scores_s16"),
    "quantize_s16": quantize,
    "affine_s16": affine,
    "requantize_s16": requantize,
    "linear_s16": linear,
    "opposites": opposites,
}
FLOAT: Mapping[str, Maker] = {
    "tree_ensemble": forest("tree_ensemble"),
    "distances": distances("distances"),
    "svm_pairs": svm_pairs("svm_pairs"),
    "gaussian_scores": gaussians("gaussian_scores"),
}
