"""Sums over decision trees: forests and boosting, with leaves in float32 or in fixed point."""

from collections.abc import Mapping, Sequence

import numpy as np

from edgesmith.core.graph import Tensor
from edgesmith.core.ops.spec import Attribute, Attrs, OpSpec, Shapes, need

INT32_MAX = (1 << 31) - 1
INPUTS = ("x", "nodes", "threshold", "roots", "spans", "classes", "values", "base")


def ordered(values: np.ndarray) -> np.ndarray:
    """Numbers as integers in the same order: a float32 by its bits, -0 as 0, an integer as it is; int64.

    A NaN lies beyond the infinity of its sign.
    """
    if values.dtype != np.float32:
        return values.astype(np.int64)
    bits = (values + np.float32(0)).view(np.int32).astype(np.int64)
    return np.where(bits < 0, bits ^ 0x7FFFFFFF, bits)


def leaves(x: np.ndarray, nodes: np.ndarray, threshold: np.ndarray, roots: np.ndarray) -> list[int]:
    """The leaf that each tree comes to."""
    keys, limits = ordered(x.reshape(-1)).tolist(), ordered(threshold).tolist()
    rows, found = nodes.tolist(), []
    for start, at in roots.tolist():
        while at >= 0:
            feature, low, high = rows[start + at]
            at = low if keys[feature] <= limits[start + at] else high
        found.append(~at)
    return found


def _infer(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, nodes, threshold, roots, first, classes, values, base = inputs
    need(len(x.shape) == 2 and x.shape[0] == 1, f"tree_ensemble: x is {x.shape}; need (1, features).")
    need(len(nodes.shape) == 2 and nodes.shape[1] == 3, f"tree_ensemble: nodes are {nodes.shape}; need (n, 3).")
    need(threshold.shape == nodes.shape[:1], f"tree_ensemble: {threshold.shape} thresholds for {nodes.shape} nodes.")
    kind = "float32" if x.dtype == "float32" else "int16"
    need(threshold.dtype == kind, f"tree_ensemble: x is {x.dtype}, thresholds {threshold.dtype}; need {kind}.")
    need(len(roots.shape) == 2 and roots.shape[1] == 2, f"tree_ensemble: roots are {roots.shape}; need (trees, 2).")
    rows = len(first.shape) == 1 and first.shape[0] >= 2 and len(classes.shape) == 1
    need(rows and classes.shape == values.shape, f"tree_ensemble: leaves are {first.shape}, {values.shape}.")
    need(len(base.shape) == 1, f"tree_ensemble: base is {base.shape}; need (outputs,).")
    return [((1, base.shape[0]), base.dtype)]


def _run(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, nodes, threshold, roots, first, classes, values, base = arrays
    y = base.astype(np.float64 if base.dtype.kind == "f" else np.int64)
    for leaf in leaves(x, nodes, threshold, roots):
        entries = slice(int(first[leaf]), int(first[leaf + 1]))
        np.add.at(y, classes[entries], values[entries].astype(y.dtype))
    return [y.astype(base.dtype)[None]]


def _steps(inputs: Sequence[Tensor], outputs: Sequence[Tensor], attrs: Attrs) -> int:
    return int(attrs["steps"])


def check_trees(arrays: Mapping[str, np.ndarray], shape: tuple[int, ...], attrs: Attrs) -> None:
    """Check that every walk ends, in a leaf that exists, and that no sum can leave int32.

    Raises:
        BadInput: a node, leaf, class or feature that is not there, a child before its parent, sums too large.
    """
    need(set(INPUTS[1:]) <= set(arrays), "trees are computed; need constants.")
    nodes, roots, first = (arrays[key].astype(np.int64) for key in ("nodes", "roots", "spans"))
    classes, outputs = arrays["classes"].astype(np.int64), arrays["base"].size
    need(bool(((nodes[:, 0] >= 0) & (nodes[:, 0] < shape[-1])).all()), "a node asks for a feature that is not there.")
    growing = bool((np.diff(first) >= 0).all()) and first[0] == 0 and first[-1] == classes.size
    need(growing, "the leaves do not share out the entries in order.")
    need(bool((classes < outputs).all()), "a leaf counts for an output that is not there.")
    need(not np.isnan(arrays["threshold"].astype(np.float64)).any(), "a threshold is not a number.")
    starts = roots[:, 0]
    ends = np.append(starts[1:], len(nodes))
    sizes, leaf_count = ends - starts, first.size - 1
    plain = starts[0] == 0 and bool((sizes >= 0).all())
    need(plain, "trees do not follow one another.")
    heads = roots[:, 1]
    alone = np.where(sizes > 0, heads == 0, (heads < 0) & (~heads < leaf_count))
    need(bool(alone.all()), "a tree begins neither at its first node nor at a leaf.")
    tree = np.repeat(np.arange(len(starts)), sizes)
    need(len(tree) == len(nodes), "a node belongs to no tree.")
    own = np.arange(len(nodes)) - starts[tree]
    for child in nodes[:, 1], nodes[:, 2]:
        good = np.where(child >= 0, (child > own) & (child < sizes[tree]), ~child < leaf_count)
        need(bool(good.all()), "a child is not after its parent in the tree, or no leaf.")
    _check_sums(arrays, roots, first, classes)


def _check_sums(arrays: Mapping[str, np.ndarray], roots: np.ndarray, first: np.ndarray, classes: np.ndarray) -> None:
    """Every tree's worst leaf at once stays within int32."""
    if arrays["values"].dtype.kind == "f":
        return
    worst = int(np.abs(arrays["values"].astype(np.int64)).max(initial=0)) * int(np.diff(first).max(initial=0))
    base = int(np.abs(arrays["base"].astype(np.int64)).max(initial=0))
    need(worst * len(roots) + base <= INT32_MAX, "a sum over the trees can leave int32; need smaller values.")


# Comparisons that one run is expected to make: what the cost of the op is counted in, in place of products.
STEPS = {"steps": Attribute(int, 0, 0, 1 << 30)}
TREES = ("int16", "float32|int16", "int32", "uint16", "uint8")
OPS = (
    OpSpec(
        kind="tree_ensemble",
        does="base plus the entries of the leaf that each tree leads to; left is x[feature] <= threshold",
        inputs=INPUTS,
        outputs=("y",),
        infer=_infer,
        run=_run,
        dtypes=("float32|uint8|int16", *TREES, "float32", "float32"),
        attrs=STEPS,
        macs=_steps,
    ),
    OpSpec(
        kind="tree_ensemble_s16",
        does="tree_ensemble whose leaves are int16, summed in int32; the same decisions",
        inputs=INPUTS,
        outputs=("y",),
        infer=_infer,
        run=_run,
        dtypes=("float32|uint8|int16", *TREES, "int16", "int32"),
        attrs=STEPS,
        macs=_steps,
    ),
)
