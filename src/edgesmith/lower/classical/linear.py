"""Linear and logistic regression, linear classifiers, k-means, PCA: products with a stored matrix."""

from typing import Any

import numpy as np

from edgesmith.lower.classical.flow import Flow, Scores
from edgesmith.lower.classical.trees import class_count


def coefficients(estimator: Any) -> tuple[np.ndarray, np.ndarray]:
    """coef_ as (outputs, features) and intercept_ as (outputs,)."""
    weight = np.atleast_2d(np.asarray(estimator.coef_, np.float64))
    return weight, np.broadcast_to(np.asarray(estimator.intercept_, np.float64), (len(weight),))


def linear(estimator: Any, flow: Flow) -> Scores:
    """Any model of coef_ and intercept_: decisions of a classifier, or predictions."""
    scores = flow.linear(*coefficients(estimator))
    return scores.opposites(flow.builder) if class_count(estimator) == 2 else scores


def kmeans(estimator: Any, flow: Flow) -> Scores:
    """The nearest centre c has the largest x . c - |c|^2 / 2."""
    centres = np.asarray(estimator.cluster_centers_, np.float64)
    return flow.linear(centres, -np.square(centres).sum(axis=1) / 2)


def pca(estimator: Any, flow: Flow) -> None:
    """Components of the centred features."""
    weight = np.asarray(estimator.components_, np.float64)
    if estimator.whiten:
        weight = weight / np.sqrt(np.maximum(estimator.explained_variance_, np.finfo(np.float64).tiny))[:, None]
    flow.project(weight, -weight @ estimator.mean_)


def pca_scores(estimator: Any, flow: Flow) -> Scores:
    """Components as a model's own result."""
    weight = np.asarray(estimator.components_, np.float64)
    if estimator.whiten:
        weight = weight / np.sqrt(np.maximum(estimator.explained_variance_, np.finfo(np.float64).tiny))[:, None]
    return flow.linear(weight, -weight @ estimator.mean_)
