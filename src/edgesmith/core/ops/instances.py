"""What compares a row with stored rows: distances, the nearest ones, support vectors, Gaussians; float and int16."""

from collections.abc import Sequence

import numpy as np

from edgesmith.core.graph import Tensor
from edgesmith.core.ops.fixed import requant
from edgesmith.core.ops.linear import REQUANT
from edgesmith.core.ops.spec import Attribute, Attrs, OpSpec, Shapes, need
from edgesmith.core.ops.trees import ordered

EXP_STEPS, EXP_REACH = 256, 12.0  # exp(-t) is tabled for t in [0, 12); exp(-12) is below half a step of Q15
LIMIT = {"limit": Attribute(int, 32767, 1, 32767)}


def _row(kind: str, x: Tensor) -> int:
    need(len(x.shape) == 2 and x.shape[0] == 1, f"{kind}: x is {x.shape}; need (1, n).")
    return x.shape[1]


def _infer_distances(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, c = inputs
    good = len(c.shape) == 2 and c.shape[1] == _row("distances", x)
    need(good, f"distances: x is {x.shape}, c {c.shape}; need (1, n), (m, n).")
    return [((1, c.shape[0]), "float32" if x.dtype == "float32" else "int32")]


def _run_distances(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, c = (array.astype(np.float64) for array in arrays)
    return [np.square(x - c).sum(axis=1).astype(np.float32)[None]]


def _run_distances_s16(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, c = (array.astype(np.int64) for array in arrays)
    return [np.square(x - c).sum(axis=1).astype(np.int32)[None]]  # wraps


def _infer_neighbours(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    d, labels = inputs
    count = _row("neighbours", d)
    need(labels.shape == (count,), f"neighbours: {count} distances, {labels.shape} labels; need as many.")
    need(attrs["k"] <= count, f"neighbours: the {attrs['k']} nearest of {count}; need as many rows.")
    return [((1, attrs["classes"]), "int32")]


def _run_neighbours(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    d, labels = arrays
    nearest = np.argsort(ordered(d.reshape(-1)), kind="stable")[: attrs["k"]]
    votes = np.bincount(labels[nearest], minlength=attrs["classes"])[: attrs["classes"]]
    return [votes.astype(np.int32)[None]]


def _infer_rbf(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    d, table = inputs
    need(table.shape == (EXP_STEPS + 1,), f"rbf_s16: the table is {table.shape}; need ({EXP_STEPS + 1},).")
    return [(d.shape, "int16")]


def exp_table() -> np.ndarray:
    """exp(-t) in Q15 at 257 points of [0, 12], the last one 0: int16."""
    points = np.arange(EXP_STEPS + 1) * (EXP_REACH / EXP_STEPS)
    table = np.rint(32767 * np.exp(-points))
    table[-1] = 0
    return table.astype(np.int16)


def _run_rbf(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    d, table = arrays
    t = np.clip(requant(d, attrs["multiplier"], attrs["shift"]), 0, (EXP_STEPS << 8) - 1)
    low, high = table[t >> 8].astype(np.int64), table[(t >> 8) + 1].astype(np.int64)
    return [(low + (((high - low) * (t & 255) + 128) >> 8)).astype(np.int16)]


def pairs_of(classes: int) -> list[tuple[int, int]]:
    """Every pair of classes (i, j), i < j, in libsvm's order."""
    return [(i, j) for i in range(classes) for j in range(i + 1, classes)]


def classes_of(pairs: int) -> int:
    """How many classes have so many pairs.

    Raises:
        BadInput: none.
    """
    classes = int((1 + (1 + 8 * pairs) ** 0.5) / 2)
    need(classes * (classes - 1) // 2 == pairs, f"{pairs} decisions are those of no number of classes.")
    return classes


def _infer_svm_pairs(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    k, dual, starts, b = inputs
    rows, classes = _row("svm_pairs", k), starts.shape[0] - 1
    good = dual.shape == (classes - 1, rows) and b.shape == (classes * (classes - 1) // 2,)
    need(good, f"svm_pairs: {rows} kernel values, dual {dual.shape}, {classes} classes, b {b.shape} do not match.")
    return [((1, b.shape[0]), "float32" if k.dtype == "float32" else "int32")]


def _run_svm_pairs(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    k, dual, starts, b = arrays
    exact = np.float64 if k.dtype == np.float32 else np.int64
    products, at = k.astype(exact) * dual.astype(exact), starts.tolist()
    found = [
        products[j - 1, at[i] : at[i + 1]].sum() + products[i, at[j] : at[j + 1]].sum()
        for i, j in pairs_of(len(at) - 1)
    ]
    return [(np.array(found) + b).astype(np.float32 if exact is np.float64 else np.int32)[None]]


def _infer_pair_votes(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    return [((1, classes_of(_row("pair_votes", inputs[0]))), "int32")]


def _run_pair_votes(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    decisions = arrays[0].reshape(-1)
    classes = classes_of(decisions.size)
    winners = [i if d > 0 else j for d, (i, j) in zip(decisions, pairs_of(classes), strict=True)]
    return [np.bincount(winners, minlength=classes).astype(np.int32)[None]]


def _infer_gaussians(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, c, w, b = inputs[:4]
    need(all(len(t.shape) == 2 for t in (x, c, w)) and len(b.shape) == 1, "gaussian_scores: need rows, and one b each.")
    rows = (1, b.shape[0])
    good = all(t.shape[0] in rows and t.shape[1] == x.shape[1] for t in (x, c, w)) and all(
        t.shape == w.shape for t in inputs[4:]
    )
    need(good, f"gaussian_scores: x {x.shape}, c {c.shape}, w {w.shape}, b {b.shape} do not match.")
    return [((1, b.shape[0]), "float32" if x.dtype == "float32" else "int32")]


def _infer_gaussians_s16(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    most = inputs[0].shape[-1] * attrs["limit"] ** 2
    need(most < 1 << 30, f"gaussian_scores_s16: squares can reach {most}; need below 2^30: a smaller limit.")
    return _infer_gaussians(inputs, attrs)


def _run_gaussians(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, c, w, b = (array.astype(np.float64) for array in arrays)
    return [(b - np.square((x - c) * w).sum(axis=1)).astype(np.float32)[None]]


def _run_gaussians_s16(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, c, w, b, right = (array.astype(np.int64) for array in arrays)
    away = np.clip(x - c, -32767, 32767)
    z = np.clip((away * w + ((1 << right) >> 1)) >> right, -attrs["limit"], attrs["limit"])
    return [(b - np.square(z).sum(axis=1)).astype(np.int32)[None]]


def _products(inputs: Sequence[Tensor], outputs: Sequence[Tensor], attrs: Attrs) -> int:
    return outputs[0].size * inputs[0].shape[-1]


def _twice(inputs: Sequence[Tensor], outputs: Sequence[Tensor], attrs: Attrs) -> int:
    return inputs[1].size


COUNTS = {"k": Attribute(int, low=1, high=1 << 16), "classes": Attribute(int, low=1, high=256)}
OPS = (
    OpSpec(
        kind="distances",
        does="squared distance of x (1, n) to each row of c (m, n)",
        inputs=("x", "c"),
        outputs=("y",),
        infer=_infer_distances,
        run=_run_distances,
        dtypes=("float32",) * 2,
        macs=_products,
    ),
    OpSpec(
        kind="distances_s16",
        does="distances of int16 rows in int32, which wraps",
        inputs=("x", "c"),
        outputs=("y",),
        infer=_infer_distances,
        run=_run_distances_s16,
        dtypes=("int16",) * 2,
        macs=_products,
    ),
    OpSpec(
        kind="neighbours",
        does="how many of the k nearest rows bear each label; of equal distances the first rows are nearer",
        inputs=("d", "labels"),
        outputs=("y",),
        infer=_infer_neighbours,
        run=_run_neighbours,
        dtypes=("float32|int32", "uint8"),
        attrs=COUNTS,
    ),
    OpSpec(
        kind="rbf_s16",
        does="exp of minus a scaled distance in Q15, from a table with interpolation",
        inputs=("d", "exp_table"),
        outputs=("y",),
        infer=_infer_rbf,
        run=_run_rbf,
        dtypes=("int32", "int16"),
        attrs=REQUANT,
    ),
    OpSpec(
        kind="svm_pairs",
        does="one decision per pair of classes from the kernel values of the support vectors, sorted by class",
        inputs=("k", "dual", "starts", "b"),
        outputs=("y",),
        infer=_infer_svm_pairs,
        run=_run_svm_pairs,
        dtypes=("float32", "float32", "int32", "float32"),
        macs=_twice,
    ),
    OpSpec(
        kind="svm_pairs_s16",
        does="svm_pairs on int16, summed in int32, which wraps",
        inputs=("k", "dual", "starts", "b"),
        outputs=("y",),
        infer=_infer_svm_pairs,
        run=_run_svm_pairs,
        dtypes=("int16", "int16", "int32", "int32"),
        macs=_twice,
    ),
    OpSpec(
        kind="pair_votes",
        does="how many pairs each class wins; a decision above 0 is for the pair's first",
        inputs=("d",),
        outputs=("y",),
        infer=_infer_pair_votes,
        run=_run_pair_votes,
        dtypes=("float32|int32",),
    ),
    OpSpec(
        kind="gaussian_scores",
        does="b minus the squared norm of (x - c) * w for each row; x, c or w of one row serves all",
        inputs=("x", "c", "w", "b"),
        outputs=("y",),
        infer=_infer_gaussians,
        run=_run_gaussians,
        dtypes=("float32",) * 4,
        macs=lambda inputs, outputs, attrs: 2 * outputs[0].size * inputs[0].shape[-1],
    ),
    OpSpec(
        kind="gaussian_scores_s16",
        does="gaussian_scores on int16: (x - c) * w shifted right, taken into [-limit, limit], squared, in int32",
        inputs=("x", "c", "w", "b", "right"),
        outputs=("y",),
        infer=_infer_gaussians_s16,
        run=_run_gaussians_s16,
        dtypes=("int16", "int16", "int16", "int32", "uint8"),
        attrs=LIMIT,
        macs=lambda inputs, outputs, attrs: 2 * outputs[0].size * inputs[0].shape[-1],
    ),
)
