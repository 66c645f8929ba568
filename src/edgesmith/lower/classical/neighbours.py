"""k nearest neighbours: votes of the stored samples that are nearest."""

import math
from typing import Any

import numpy as np

from edgesmith.core.errors import Unsupported
from edgesmith.lower.classical.flow import ACC, Flow, Scores


def neighbours(estimator: Any, flow: Flow) -> Scores:
    """KNeighborsClassifier with Euclidean distances and equal votes."""
    euclidean = estimator.effective_metric_ == "euclidean"
    if not euclidean or estimator.weights != "uniform":
        raise Unsupported(
            f"lower: kNN with metric {estimator.effective_metric_!r} and weights {estimator.weights!r} has no "
            "lowering; need euclidean and uniform."
        )
    labels = np.asarray(estimator._y)
    if labels.ndim != 1 or len(estimator.classes_) > 256:
        raise Unsupported("lower: kNN with several outputs or more than 256 classes has no lowering.")
    builder = flow.builder
    distances, _ = squared_distances(flow, np.asarray(estimator._fit_X, np.float64))
    named = builder.constant("neighbours.labels", labels.astype(np.uint8))
    votes = builder.op("neighbours", distances, named, k=int(estimator.n_neighbors), classes=len(estimator.classes_))
    return Scores(votes, None)


def squared_distances(flow: Flow, rows: np.ndarray) -> tuple[str, float]:
    """Squared distances to real rows (m, n): the tensor, and its unit."""
    builder = flow.builder
    if not flow.fixed:
        return builder.op("distances", flow.real(), builder.constant("rows", rows)), 1.0
    limit = min(32767, math.isqrt(ACC // rows.shape[1]) // 2)
    seen = flow.values
    flow.values = np.concatenate([seen, rows])  # the stored rows are seen too
    x = flow.int16(limit, common=True)
    flow.values = seen
    stored = builder.constant("rows", x.quantize(rows))
    return builder.op("distances_s16", x.tensor, stored), float(x.step[0] ** 2)
