"""A fitted scikit-learn, XGBoost or LightGBM model as a Graph."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from edgesmith.core import ops
from edgesmith.core.errors import BadInput, Unsupported
from edgesmith.core.formats import PerTensor
from edgesmith.core.graph import Graph
from edgesmith.lower.builder import Builder
from edgesmith.lower.classical import gaussian, linear, neighbours, svm, trees, xgboost_json
from edgesmith.lower.classical.flow import Flow, Scores
from edgesmith.lower.classical.forest import Forest, first_trees, sizes

Precision = Literal["fixed", "float32"]
Head = Callable[[Any, Flow], Scores]
RAW = ("uint8", "int8", "int16")  # a sensor's own integers, taken as they are

FORESTS: Mapping[str, Callable[[Any], Forest]] = {
    **dict.fromkeys(
        ("DecisionTreeClassifier", "DecisionTreeRegressor", "ExtraTreeClassifier", "ExtraTreeRegressor"), trees.single
    ),
    **dict.fromkeys(
        ("RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor"), trees.forest
    ),
    **dict.fromkeys(("GradientBoostingClassifier", "GradientBoostingRegressor"), trees.boosting),
    **dict.fromkeys(("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"), trees.hist_boosting),
    **dict.fromkeys(("LGBMClassifier", "LGBMRegressor", "Booster"), lambda estimator: _booster(estimator)),
    **dict.fromkeys(
        ("XGBClassifier", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor"),
        lambda estimator: _booster(estimator.get_booster()),
    ),
}
AVERAGED = ("RandomForestClassifier", "RandomForestRegressor", "ExtraTreesClassifier", "ExtraTreesRegressor")
LINEAR = (
    *("LogisticRegression", "LogisticRegressionCV", "LinearSVC", "SGDClassifier", "RidgeClassifier", "Perceptron"),
    *("LinearDiscriminantAnalysis", "LinearRegression", "Ridge", "RidgeCV", "Lasso", "LassoCV", "ElasticNet"),
    *("ElasticNetCV", "LinearSVR", "SGDRegressor", "BayesianRidge", "HuberRegressor"),
)
HEADS: Mapping[str, Head] = {
    **dict.fromkeys(LINEAR, linear.linear),
    **dict.fromkeys(("KMeans", "MiniBatchKMeans"), linear.kmeans),
    "PCA": linear.pca_scores,
    **dict.fromkeys(("SVC", "SVR", "NuSVC", "NuSVR"), svm.svm),
    "KNeighborsClassifier": neighbours.neighbours,
    "GaussianNB": gaussian.naive_bayes,
    "GaussianMixture": gaussian.mixture,
}


@dataclass(frozen=True)
class Cut:
    """How much of a forest is kept.

    Attributes:
        trees: of the first; None for all. Of a boosting model with k outputs, k of them are a round.
        depth: of each tree, whose nodes there become leaves; None for all. Only of trees and forests.
    """

    trees: int | None = None
    depth: int | None = None


@dataclass(frozen=True)
class Classical:
    """A fitted model.

    Attributes:
        estimator: of scikit-learn, XGBoost or LightGBM, or a Forest read from a file.
    """

    estimator: Any

    @property
    def kind(self) -> str:
        """Name of the last step's class."""
        return type(steps_of(self.estimator)[-1]).__name__

    @property
    def features(self) -> int:
        """That a row has."""
        last = self.estimator if isinstance(self.estimator, Forest) else steps_of(self.estimator)[0]
        return int(last.features if isinstance(last, Forest) else features_of(last))

    @property
    def is_forest(self) -> bool:
        """Whether it is a sum over trees."""
        return self.kind in FORESTS or self.kind == "Forest"

    @property
    def can_cut_depth(self) -> bool:
        """Whether the inner nodes know what they would add as leaves."""
        return self.kind in AVERAGED or self.kind.startswith(("DecisionTree", "ExtraTree"))

    def forest(self, cut: Cut = Cut()) -> Forest:
        """The trees."""
        last = steps_of(self.estimator)[-1]
        found = last if isinstance(last, Forest) else FORESTS[self.kind](last)
        if cut.trees is not None:
            found = first_trees(found, cut.trees, self.kind in AVERAGED)
        if cut.depth is not None:
            found = replace(found, trees=tuple(tree.cut(cut.depth) for tree in found.trees))
        return found

    def tree_sizes(self) -> tuple[int, int]:
        """Trees, and the depth of the deepest."""
        return sizes(self.forest().trees)


def _booster(booster: Any) -> Forest:
    """An XGBoost or LightGBM booster."""
    if hasattr(booster, "save_raw"):
        return xgboost_json.parse(bytes(booster.save_raw("json")), "XGBoost model")
    return trees.lightgbm(booster)


def features_of(step: Any) -> int:
    """Features that a fitted step takes.

    Raises:
        BadInput: it was not fitted.
    """
    count = getattr(step, "n_features_in_", None)
    if count is None and hasattr(step, "num_features"):
        count = step.num_features()
    if count is None:
        raise BadInput(f"lower: {type(step).__name__} is not fitted; call its fit first.")
    return int(count)


def is_estimator(found: object) -> bool:
    """Whether it is a model of scikit-learn, XGBoost or LightGBM."""
    return type(found).__module__.split(".")[0] in ("sklearn", "xgboost", "lightgbm")


def steps_of(estimator: Any) -> list[Any]:
    """The steps of a pipeline, or the one model."""
    if type(estimator).__name__ != "Pipeline":
        return [estimator]
    return [step for _, step in estimator.steps if step not in (None, "passthrough")]


def check_classes(model: Classical) -> None:
    """Check that the classes are numbered as scores are.

    Raises:
        BadInput: they are not 0, 1, 2, ...
    """
    classes = getattr(steps_of(model.estimator)[-1], "classes_", None)
    if classes is not None and list(classes) != list(range(len(classes))):
        raise BadInput(
            f"lower: {model.kind} tells apart the classes {list(classes)[:5]}; need 0, 1, 2, ...: scores are numbered "
            "so. Encode the labels and fit again."
        )


def lower_classical(
    model: Classical, calibration: np.ndarray, precision: Precision = "fixed", name: str = "model", cut: Cut = Cut()
) -> Graph:
    """Turn a fitted model into a Graph from a raw row (1, features) to scores (1, outputs).

    The largest score is the class that the model predicts; of a regression the score is the prediction.

    Args:
        calibration: (n, ...) raw samples, which say what ranges fixed point must hold; uint8, int8 and int16 stay
            the input's type, anything else is float32.

    Raises:
        BadInput: not fitted, classes that are not 0, 1, 2, ..., or samples of another width.
        Unsupported: a model, or an option of one, without a lowering.
    """
    rows = calibration.reshape(len(calibration), -1)
    if rows.shape[1] != model.features:
        raise BadInput(f"lower: the model takes {model.features} features, the data have {rows.shape[1]}.")
    check_classes(model)
    raw = str(rows.dtype) if str(rows.dtype) in RAW else "float32"
    builder = Builder(name)
    builder.at("x", "", "")
    x = builder.declare("x", (1, model.features), raw, PerTensor(1.0, 0, raw) if raw in RAW else None)
    count = model.features
    flow = Flow(builder, x, rows.astype(np.float64), np.ones(count), np.zeros(count), precision == "fixed")
    steps = steps_of(model.estimator)
    for step in steps[:-1]:
        _transform(builder, step, flow)
    kind = type(steps[-1]).__name__
    builder.at("scores", kind, f"{type(steps[-1]).__module__.split('.')[0]} {kind}")
    scores = _head(model, steps[-1], flow, cut)
    graph = builder.finish([x], [scores.formatted(builder)])
    ops.check(graph)
    return graph


def _head(model: Classical, step: Any, flow: Flow, cut: Cut) -> Scores:
    kind = type(step).__name__
    if model.is_forest:
        return model.forest(cut).lowered(flow)
    if kind not in HEADS:
        known = ", ".join(sorted((*HEADS, *FORESTS)))
        raise Unsupported(f"lower: {kind} has no lowering; need one of: {known}.")
    return HEADS[kind](step, flow)


def _transform(builder: Builder, step: Any, flow: Flow) -> None:
    """A step before the last: a scaler, or PCA."""
    kind = type(step).__name__
    builder.at(kind.lower(), kind, f"sklearn {kind}")
    one, zero = np.ones(flow.width), np.zeros(flow.width)
    if kind == "StandardScaler":
        scale = 1 / step.scale_ if step.with_std else one
        flow.affine(scale, -step.mean_ * scale if step.with_mean else zero)
    elif kind == "MinMaxScaler":
        flow.affine(step.scale_, step.min_)
    elif kind == "MaxAbsScaler":
        flow.affine(1 / step.scale_, zero)
    elif kind == "RobustScaler":
        scale = 1 / step.scale_ if step.with_scaling else one
        flow.affine(scale, -step.center_ * scale if step.with_centering else zero)
    elif kind == "PCA":
        linear.pca(step, flow)
    else:
        raise Unsupported(
            f"lower: {kind} in a pipeline has no lowering; need StandardScaler, MinMaxScaler, MaxAbsScaler, "
            "RobustScaler or PCA."
        )
