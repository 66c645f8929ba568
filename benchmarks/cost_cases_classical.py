"""Random ops of classical models of the sizes that fit small boards: to kind, live, constants, attributes."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgesmith.core.ops.instances import exp_table

Rng = np.random.Generator
Made = tuple[str, list[np.ndarray], list[np.ndarray], dict[str, Any]]
Maker = Callable[[Rng], Made]


def size(rng: Rng, low: int, high: int) -> int:
    """A size whose logarithm is uniform."""
    return round(math.exp(rng.uniform(math.log(low), math.log(high + 0.5))))


def s16(rng: Rng, *shape: int) -> np.ndarray:
    """Fixed point of twelve bits."""
    return rng.integers(-2048, 2048, shape).astype(np.int16)


def f32(rng: Rng, *shape: int) -> np.ndarray:
    """Normal floats."""
    return rng.standard_normal(shape).astype(np.float32)


def b32(rng: Rng, count: int) -> np.ndarray:
    """Biases."""
    return rng.integers(-9999, 9999, count).astype(np.int32)


def forest(kind: str) -> Maker:
    """Full trees of random depth, whose every walk is as long as the tree is deep."""

    def make(rng: Rng) -> Made:
        trees, depth, features, outputs = size(rng, 1, 24), size(rng, 2, 7), size(rng, 4, 64), size(rng, 1, 10)
        inner, leaves = 2**depth - 1, 2**depth
        children = 2 * np.arange(inner)[:, None] + [1, 2]
        children = np.where(children < inner, children, ~(children - inner))
        nodes = np.concatenate([np.c_[rng.integers(0, features, inner), children] for _ in range(trees)])
        roots = np.stack([np.arange(trees) * inner, np.zeros(trees)], axis=1).astype(np.int32)
        whole = kind.endswith("_s16")
        values = s16(rng, leaves) if whole else f32(rng, leaves)
        base = b32(rng, outputs) if whole else f32(rng, outputs)
        classes = rng.integers(0, outputs, leaves).astype(np.uint8)
        spans = np.arange(leaves + 1).astype(np.uint16)
        constants = [nodes.astype(np.int16), f32(rng, len(nodes)), roots, spans, classes, values, base]
        return kind, [f32(rng, 1, features)], constants, {"steps": trees * depth}

    return make


def distances(kind: str) -> Maker:
    """Stored rows."""

    def make(rng: Rng) -> Made:
        draw, n = (s16 if kind.endswith("_s16") else f32), size(rng, 3, 64)
        return kind, [draw(rng, 1, n)], [draw(rng, size(rng, 4, 160), n)], {}

    return make


def neighbours(rng: Rng) -> Made:
    """Distances in random order."""
    m, classes = size(rng, 16, 600), size(rng, 2, 10)
    d = rng.integers(0, 1 << 30, (1, m)).astype(np.int32)
    return "neighbours", [d], [rng.integers(0, classes, m).astype(np.uint8)], {"k": size(rng, 1, 9), "classes": classes}


def rbf(rng: Rng) -> Made:
    """Exponentials of distances."""
    d = rng.integers(0, 1 << 24, (1, size(rng, 8, 500))).astype(np.int32)
    return "rbf_s16", [d], [exp_table()], {"multiplier": 3 << 29, "shift": 38}


def svm_pairs(kind: str) -> Maker:
    """Support vectors shared out to classes."""

    def make(rng: Rng) -> Made:
        draw, classes, each = (s16 if kind.endswith("_s16") else f32), size(rng, 3, 10), size(rng, 3, 30)
        pairs, m = classes * (classes - 1) // 2, classes * each
        starts = (np.arange(classes + 1) * each).astype(np.int32)
        b = b32(rng, pairs) if kind.endswith("_s16") else f32(rng, pairs)
        return kind, [draw(rng, 1, m)], [draw(rng, classes - 1, m), starts, b], {}

    return make


def pair_votes(rng: Rng) -> Made:
    """Decisions of every pair."""
    classes = size(rng, 3, 12)
    return "pair_votes", [b32(rng, classes * (classes - 1) // 2)[None]], [], {}


def gaussians(kind: str) -> Maker:
    """One row against several."""

    def make(rng: Rng) -> Made:
        draw, m, n = (s16 if kind.endswith("_s16") else f32), size(rng, 2, 16), size(rng, 3, 64)
        shared = [draw(rng, m, n), draw(rng, m, n)]
        if kind.endswith("_s16"):
            shared += [b32(rng, m), np.full((m, n), 11, np.uint8)]
            return kind, [draw(rng, 1, n)], shared, {"limit": 2048}
        return kind, [draw(rng, 1, n)], [*shared, f32(rng, m)], {}

    return make


def quantize(rng: Rng) -> Made:
    """Floats to fixed point."""
    n = size(rng, 3, 200)
    return "quantize_s16", [f32(rng, 1, n)], [f32(rng, n), f32(rng, n)], {"limit": 2047}


def affine(rng: Rng) -> Made:
    """Pixels to fixed point."""
    n = size(rng, 3, 200)
    constants = [s16(rng, n), b32(rng, n), np.full(n, 5, np.uint8)]
    return "affine_s16", [rng.integers(0, 256, (1, n)).astype(np.uint8)], constants, {"limit": 2047}


def requantize(rng: Rng) -> Made:
    """Sums to fixed point."""
    n = size(rng, 3, 200)
    return "requantize_s16", [b32(rng, n)[None]], [np.full(n, 3 << 29, np.int32), np.full(n, 34, np.uint8)], {}


def linear(rng: Rng) -> Made:
    """Products with a matrix."""
    n, out = size(rng, 3, 200), size(rng, 1, 40)
    return "linear_s16", [s16(rng, 1, n)], [s16(rng, out, n), b32(rng, out)], {}


def opposites(rng: Rng) -> Made:
    """Both scores of decisions."""
    return "opposites", [b32(rng, size(rng, 1, 40))[:, None]], [], {}


CASES: Mapping[str, Maker] = {
    **{kind: forest(kind) for kind in ("tree_ensemble", "tree_ensemble_s16")},
    **{kind: distances(kind) for kind in ("distances", "distances_s16")},
    "neighbours": neighbours,
    "rbf_s16": rbf,
    **{kind: svm_pairs(kind) for kind in ("svm_pairs", "svm_pairs_s16")},
    "pair_votes": pair_votes,
    **{kind: gaussians(kind) for kind in ("gaussian_scores", "gaussian_scores_s16")},
    "quantize_s16": quantize,
    "affine_s16": affine,
    "requantize_s16": requantize,
    "linear_s16": linear,
    "opposites": opposites,
}
