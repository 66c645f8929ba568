"""Trees, distances, support vectors, Gaussians and fixed point on int16."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesmith.core.graph import Op, Tensor
from edgesmith.core.ops.trees import ordered
from edgesmith.kernels.kernel import SUFFIX, Binding, Call, numbers

Attrs = Mapping[str, Any]
Tensors = Sequence[Tensor]


def by_order(threshold: np.ndarray) -> np.ndarray:
    """Thresholds of floats as the integers that the kernel compares."""
    return ordered(threshold).astype(np.int32) if threshold.dtype == np.float32 else threshold


def _trees(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    fields = numbers(trees=inputs[3].shape[0], outputs=outputs[0].size)
    function = f"es_{op.kind}_{SUFFIX[inputs[0].dtype]}"
    return (Call("tree_ensemble", function, "es_tree_ensemble_params", fields, arrange={2: by_order}),)


def _distances(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    m, n = inputs[1].shape
    return (Call("distances", f"es_{op.kind}", "es_distances_params", numbers(m=m, n=n)),)


def _neighbours(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    fields = numbers(m=inputs[0].size, k=attrs["k"], classes=attrs["classes"])
    return (Call("neighbours", f"es_neighbours_{SUFFIX[inputs[0].dtype]}", "es_neighbours_params", fields),)


def _rbf_s16(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    fields = numbers(m=inputs[0].size, multiplier=attrs["multiplier"], shift=attrs["shift"])
    return (Call("svm", "es_rbf_s16", "es_rbf_s16_params", fields),)


def _svm_pairs(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    fields = numbers(vectors=inputs[0].size, classes=inputs[2].size - 1)
    return (Call("svm", f"es_{op.kind}", "es_svm_pairs_params", fields),)


def _pair_votes(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    function = f"es_pair_votes_{SUFFIX[inputs[0].dtype]}"
    return (Call("svm", function, "es_pair_votes_params", numbers(classes=outputs[0].size)),)


def _gaussian_scores(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    n, steps = inputs[0].shape[1], [t.shape[1] if t.shape[0] > 1 else 0 for t in inputs[:3]]
    fields = numbers(
        m=outputs[0].size, n=n, x_step=steps[0], c_step=steps[1], w_step=steps[2], limit=attrs.get("limit", 0)
    )
    return (Call("gaussian_scores", f"es_{op.kind}", "es_gaussian_scores_params", fields),)


def _columns_s16(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    n = inputs[1].size
    fields = numbers(count=inputs[0].size // n, n=n, limit=attrs["limit"])
    function = f"es_{op.kind}_{SUFFIX[inputs[0].dtype]}" if op.kind == "affine_s16" else f"es_{op.kind}"
    return (Call("columns_s16", function, "es_columns_s16_params", fields),)


def _linear_s16(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    out, inside = inputs[1].shape
    fields = numbers(rows=outputs[0].size // out, in_features=inside, out_features=out)
    return (Call("linear_s16", "es_linear_s16", "es_linear_s16_params", fields),)


def _opposites(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    function = f"es_opposites_{SUFFIX[inputs[0].dtype]}"
    return (Call("opposites", function, "es_opposites_params", numbers(m=inputs[0].size)),)


BINDINGS: Mapping[str, Binding] = {
    "tree_ensemble": _trees,
    "tree_ensemble_s16": _trees,
    "distances": _distances,
    "distances_s16": _distances,
    "neighbours": _neighbours,
    "rbf_s16": _rbf_s16,
    "svm_pairs": _svm_pairs,
    "svm_pairs_s16": _svm_pairs,
    "pair_votes": _pair_votes,
    "gaussian_scores": _gaussian_scores,
    "gaussian_scores_s16": _gaussian_scores,
    "quantize_s16": _columns_s16,
    "affine_s16": _columns_s16,
    "requantize_s16": _columns_s16,
    "linear_s16": _linear_s16,
    "opposites": _opposites,
}
