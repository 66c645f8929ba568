"""Fitted models of every kind that has a lowering, on random data: name to (model, data)."""

import functools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import cluster, decomposition, ensemble, linear_model, mixture, naive_bayes, neighbors, svm, tree
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

FEATURES, SAMPLES = 6, 240
SPREAD = np.array([1, 20, 0.1, 5, 1, 300])  # of the features: scales that differ, as sensors' do


def rows(seed: int, classes: int, count: int = SAMPLES) -> tuple[np.ndarray, np.ndarray]:
    """Blobs that overlap a little: float32 rows and their classes."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, FEATURES)) * 1.8
    labels = rng.integers(0, classes, count)
    x = (centres[labels] + rng.normal(size=(count, FEATURES))) * SPREAD + 3 * SPREAD
    return x.astype(np.float32), labels


def targets(x: np.ndarray) -> np.ndarray:
    """A smooth function of the features, to regress on."""
    z = x / SPREAD - 3
    return z[:, 0] + 0.5 * z[:, 1] * z[:, 2] - np.sin(z[:, 5])


def xgboost_classifier(**options: Any) -> Any:
    import xgboost

    return xgboost.XGBClassifier(n_estimators=8, max_depth=3, n_jobs=1, **options)


def xgboost_regressor(**options: Any) -> Any:
    import xgboost

    return xgboost.XGBRegressor(n_estimators=8, max_depth=3, n_jobs=1, **options)


def lightgbm_classifier() -> Any:
    import lightgbm

    return lightgbm.LGBMClassifier(n_estimators=6, num_leaves=7, n_jobs=1, verbose=-1)


def scaled(model: Any) -> Any:
    return make_pipeline(StandardScaler(), model)


CLASSIFIERS: dict[str, Callable[[], Any]] = {
    "tree": lambda: tree.DecisionTreeClassifier(random_state=0),
    "stump": lambda: tree.DecisionTreeClassifier(max_depth=1, random_state=0),
    "forest": lambda: ensemble.RandomForestClassifier(12, max_depth=6, random_state=0),
    "extra": lambda: ensemble.ExtraTreesClassifier(8, random_state=0),
    "scaled forest": lambda: make_pipeline(MinMaxScaler(), ensemble.RandomForestClassifier(5, random_state=0)),
    "forest on components": lambda: make_pipeline(
        StandardScaler(), decomposition.PCA(3), ensemble.RandomForestClassifier(5, max_depth=5, random_state=0)
    ),
    "boosting": lambda: ensemble.GradientBoostingClassifier(n_estimators=6, random_state=0),
    "hist boosting": lambda: ensemble.HistGradientBoostingClassifier(max_iter=5, random_state=0),
    "xgboost": xgboost_classifier,
    "lightgbm": lightgbm_classifier,
    "logistic": lambda: scaled(linear_model.LogisticRegression()),
    "ridge": lambda: linear_model.RidgeClassifier(),
    "linear svc": lambda: scaled(svm.LinearSVC(random_state=0)),
    "svc linear": lambda: scaled(svm.SVC(kernel="linear")),
    "svc": lambda: scaled(svm.SVC()),
    "svc on components": lambda: make_pipeline(StandardScaler(), decomposition.PCA(4, whiten=True), svm.SVC()),
    "knn": lambda: scaled(neighbors.KNeighborsClassifier(5)),
    "naive bayes": lambda: naive_bayes.GaussianNB(),
    "scaled naive bayes": lambda: scaled(naive_bayes.GaussianNB()),
}
REGRESSORS: dict[str, Callable[[], Any]] = {
    "tree": lambda: tree.DecisionTreeRegressor(max_depth=5, random_state=0),
    "forest": lambda: ensemble.RandomForestRegressor(8, max_depth=6, random_state=0),
    "boosting": lambda: ensemble.GradientBoostingRegressor(n_estimators=8, random_state=0),
    "hist boosting": lambda: ensemble.HistGradientBoostingRegressor(max_iter=5, random_state=0),
    "xgboost": xgboost_regressor,
    "linear": lambda: linear_model.LinearRegression(),
    "svr": lambda: scaled(svm.SVR()),
    "svr linear": lambda: scaled(svm.SVR(kernel="linear")),
}
CLUSTERINGS: dict[str, Callable[[], Any]] = {
    "kmeans": lambda: scaled(cluster.KMeans(4, n_init=2, random_state=0)),
    **{
        f"mixture {form}": functools.partial(mixture.GaussianMixture, 3, covariance_type=form, random_state=0)
        for form in ("full", "tied", "diag", "spherical")
    },
}


@functools.cache
def fitted(group: str, name: str, classes: int = 3) -> Any:
    """A model fitted on the rows of seed 0."""
    x, labels = rows(0, classes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if group == "classifier":
            return CLASSIFIERS[name]().fit(x, labels)
        if group == "regressor":
            return REGRESSORS[name]().fit(x, targets(x))
        return CLUSTERINGS[name]().fit(x)
