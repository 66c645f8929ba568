"""Gaussian naive Bayes and Gaussian mixtures: log densities as constants minus squared norms."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesmith.core.errors import Unsupported
from edgesmith.lower.classical.flow import Flow, Scores

FAR = 16.0  # of z = distance / (sqrt(2) sigma): what lies beyond counts as that far in fixed point
HALF_SUM = (1 << 30) - 1
NARROW = 16383  # of features and centres, so that their difference is an int16


def naive_bayes(estimator: Any, flow: Flow) -> Scores:
    """GaussianNB: log prior plus the log densities of the features."""
    variance = np.asarray(estimator.var_, np.float64)
    constant = np.log(estimator.class_prior_) - 0.5 * np.log(2 * np.pi * variance).sum(axis=1)
    return separable(flow, np.asarray(estimator.theta_, np.float64), np.sqrt(0.5 / variance), constant)


def mixture(estimator: Any, flow: Flow) -> Scores:
    """GaussianMixture: log weight plus log density of each component."""
    means, root = np.asarray(estimator.means_, np.float64), np.asarray(estimator.precisions_cholesky_, np.float64)
    count, width = means.shape
    constant = np.log(estimator.weights_) - 0.5 * width * math.log(2 * math.pi)
    form = estimator.covariance_type
    if form in ("diag", "spherical"):
        weight = root if form == "diag" else np.repeat(root[:, None], width, axis=1)
        return separable(flow, means, weight / math.sqrt(2), constant + np.log(weight).sum(axis=1))
    if form not in ("full", "tied"):
        raise Unsupported(f"lower: covariance_type {form!r} has no lowering; need full, tied, diag or spherical.")
    roots = root if form == "full" else np.broadcast_to(root, (count, width, width))
    constant = constant + np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1)
    return _correlated(flow, means, roots / math.sqrt(2), constant)


def separable(flow: Flow, centre: np.ndarray, weight: np.ndarray, constant: np.ndarray) -> Scores:
    """constant - |(x - centre) * weight|^2 for each row, the scaler folded in."""
    builder = flow.builder
    if not flow.fixed:
        arrays = (centre - flow.shift) / flow.scale, weight * flow.scale, constant
        names = [builder.constant(f"gaussian.{n}", a) for n, a in zip(("c", "w", "b"), arrays, strict=True)]
        return Scores(builder.op("gaussian_scores", flow.stored(), *names), None)
    x = flow.int16(NARROW, common=False)
    z = np.abs((flow.values[:, None] - centre) * weight)
    form = _z_format(float(z.max()), centre.shape[1], constant)
    factor = weight * x.step / form.step
    right = np.clip(np.floor(np.log2(32767 / factor)), 0, 30)
    m = np.minimum(np.rint(factor * 2.0**right), 32767).astype(np.int16)
    return _fixed(flow, x.tensor, x.quantize(centre), m, right.astype(np.uint8), form)


@dataclass(frozen=True)
class _ZFormat:
    """How z is stored.

    Attributes:
        limit: largest stored value, at most 32767: squares of a row add up within int32.
        step: z of one.
        constant: (rows,) of the scores, real, from the largest on.
    """

    limit: int
    step: float
    constant: np.ndarray


def _z_format(most: float, width: int, constant: np.ndarray) -> _ZFormat:
    """The finest for values of z up to `most` in rows of `width`."""
    limit = min(32767, math.isqrt(HALF_SUM // width))
    shifted = constant - constant.max()
    step = max(min(most, FAR) / limit, math.sqrt(float(np.abs(shifted).max()) / HALF_SUM), 1e-12)
    return _ZFormat(limit, step, shifted)


def _fixed(flow: Flow, x: str, centre: np.ndarray, weight: np.ndarray, right: np.ndarray, form: _ZFormat) -> Scores:
    b = np.rint(form.constant / form.step**2).astype(np.int32)
    arrays = {"c": centre, "w": weight, "b": b, "right": right}
    names = [flow.builder.constant(f"gaussian.{n}", a) for n, a in arrays.items()]
    return Scores(flow.builder.op("gaussian_scores_s16", x, *names, limit=form.limit), form.step**2)


def _correlated(flow: Flow, means: np.ndarray, roots: np.ndarray, constant: np.ndarray) -> Scores:
    """A product with each component's own root first, then the squared norms."""
    builder, (count, width) = flow.builder, means.shape
    matrix = roots.transpose(0, 2, 1).reshape(count * width, width)
    offset = -np.einsum("kf,kfg->kg", means, roots).reshape(-1)
    zero = np.zeros((1, width))
    if not flow.fixed:
        z = builder.op("reshape", flow.linear(matrix, offset).tensor, shape=(count, width))
        names = [builder.constant(f"gaussian.{n}", a) for n, a in (("c", zero), ("w", zero + 1), ("b", constant))]
        return Scores(builder.op("gaussian_scores", z, *names), None)
    values = np.abs(flow.values @ matrix.T + offset)
    form = _z_format(float(values.max()), width, constant)
    scores = flow.linear(matrix, offset)
    flow.tensor, flow.values = scores.tensor, flow.values @ matrix.T + offset
    flow.scale, flow.shift = np.full(count * width, scores.scale), np.zeros(count * width)
    short = flow.int16(form.limit, common=True, half=form.limit * form.step)
    z = builder.op("reshape", short.tensor, shape=(count, width))
    ones = np.ones((1, width), np.int16)
    return _fixed(flow, z, zero.astype(np.int16), ones, zero.astype(np.uint8), form)
