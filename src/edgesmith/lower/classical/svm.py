"""Support vector machines: SVC and SVR with a linear or a Gaussian kernel."""

from typing import Any

import numpy as np

from edgesmith.core.errors import Unsupported
from edgesmith.core.ops.fixed import multiplier_of
from edgesmith.core.ops.instances import EXP_REACH, EXP_STEPS, exp_table, pairs_of
from edgesmith.lower.classical.flow import ACC, Flow, Scores, fixed_linear
from edgesmith.lower.classical.linear import coefficients
from edgesmith.lower.classical.neighbours import squared_distances
from edgesmith.lower.classical.trees import class_count

ONE = 32767  # of a kernel value in Q15


def svm(estimator: Any, flow: Flow) -> Scores:
    """Decisions, or one vote per pair of classes that a class wins; of SVR the prediction.

    Raises:
        Unsupported: another kernel.
    """
    classes = class_count(estimator)
    if estimator.kernel == "linear":
        scores = flow.linear(*coefficients(estimator))
    elif estimator.kernel == "rbf":
        scores = _gaussian(estimator, flow, classes)
    else:
        raise Unsupported(f"lower: an SVM with the kernel {estimator.kernel!r} has no lowering; need linear or rbf.")
    if classes > 2:
        return Scores(flow.builder.op("pair_votes", scores.tensor), None)
    return scores.opposites(flow.builder) if classes == 2 else scores


def _gaussian(estimator: Any, flow: Flow, classes: int) -> Scores:
    """exp(-gamma d) of the distances to the support vectors, weighted."""
    builder, gamma = flow.builder, float(estimator._gamma)
    distances, unit = squared_distances(flow, np.asarray(estimator.support_vectors_, np.float64))
    dual, b = (np.atleast_2d(np.asarray(estimator.dual_coef_, np.float64)), np.asarray(estimator.intercept_, float))
    starts = np.cumsum([0, *estimator.n_support_]).astype(np.int32) if classes > 2 else None
    if flow.fixed:
        multiplier, shift = multiplier_of(gamma * unit * (EXP_STEPS << 8) / EXP_REACH)
        table = builder.constant("exp_table", exp_table())
        values = builder.op("rbf_s16", distances, table, multiplier=multiplier, shift=shift)
        return _fixed_decisions(flow, values, dual, b, starts)
    scaled = builder.op("mul", distances, builder.constant("gamma", np.array([-gamma])))
    values = builder.op("exp", scaled)
    if starts is None:
        parts = builder.constant("dual", dual), builder.constant("b", b)
        return Scores(builder.op("linear", values, *parts), None)
    names = [builder.constant(name, array) for name, array in (("dual", dual), ("starts", starts), ("b", b))]
    return Scores(builder.op("svm_pairs", values, *names), None)


def _fixed_decisions(flow: Flow, values: str, dual: np.ndarray, b: np.ndarray, starts: np.ndarray | None) -> Scores:
    """Decisions of int16 coefficients on kernel values in Q15, in int32 that never wraps."""
    builder = flow.builder
    if starts is None:
        return fixed_linear(builder, values, dual / ONE, b, ONE)
    sums = [
        np.abs(dual[j - 1, starts[i] : starts[i + 1]]).sum() + np.abs(dual[i, starts[j] : starts[j + 1]]).sum()
        for i, j in pairs_of(len(starts) - 1)
    ]
    worst = float((np.array(sums) + np.abs(b)).max())
    step = max(float(np.abs(dual).max()) / 32767, worst * ONE / (ACC - (dual.shape[1] + 2) * ONE))
    stored = np.rint(dual / step).astype(np.int16), np.rint(b / step * ONE).astype(np.int32)
    names = [builder.constant(n, a) for n, a in (("dual", stored[0]), ("starts", starts), ("b", stored[1]))]
    return Scores(builder.op("svm_pairs_s16", values, *names), step / ONE)
