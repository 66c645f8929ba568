"""Decision trees, forests and gradient boosting of scikit-learn and LightGBM as Forests."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgesmith.core.errors import Unsupported
from edgesmith.lower.classical.forest import Forest, Tree


def sklearn_tree(tree: Any, factor: float = 1.0) -> Tree:
    """A scikit-learn `tree_`: class fractions or means, times `factor`."""
    values = tree.value.reshape(tree.node_count, -1).astype(np.float64)
    if tree.n_outputs != 1:
        raise Unsupported("lower: a tree with several outputs has no lowering. Train one model per output.")
    if tree.max_n_classes > 1:
        values = values / values.sum(axis=1, keepdims=True)
    return Tree(tree.feature, tree.threshold, tree.children_left, tree.children_right, values * factor)


def single(estimator: Any) -> Forest:
    """DecisionTreeClassifier, DecisionTreeRegressor, and the extra ones."""
    tree = sklearn_tree(estimator.tree_)
    return Forest((tree,), np.zeros(tree.values.shape[1]), estimator.n_features_in_, class_count(estimator))


def forest(estimator: Any) -> Forest:
    """RandomForest and ExtraTrees: the mean of the trees' class fractions, or of their values."""
    count = len(estimator.estimators_)
    trees = tuple(sklearn_tree(one.tree_, 1 / count) for one in estimator.estimators_)
    return Forest(trees, np.zeros(trees[0].values.shape[1]), estimator.n_features_in_, class_count(estimator))


def boosting(estimator: Any) -> Forest:
    """GradientBoostingClassifier, GradientBoostingRegressor: raw scores, not probabilities."""
    if estimator.init not in (None, "zero"):
        raise Unsupported("lower: gradient boosting that starts from another model has no lowering. Use init=None.")
    base = estimator._raw_predict_init(np.zeros((1, estimator.n_features_in_))).reshape(-1).astype(np.float64)
    rounds = [[sklearn_tree(one.tree_, estimator.learning_rate) for one in each] for each in estimator.estimators_]
    trees = tuple(_for_output(tree, k, len(base)) for each in rounds for k, tree in enumerate(each))
    return Forest(trees, base, estimator.n_features_in_, class_count(estimator))


def hist_boosting(estimator: Any) -> Forest:
    """HistGradientBoostingClassifier, HistGradientBoostingRegressor: raw scores."""
    base = np.asarray(estimator._baseline_prediction, np.float64).reshape(-1)
    trees = []
    for each in estimator._predictors:
        for k, predictor in enumerate(each):
            nodes = predictor.nodes
            if nodes["is_categorical"].any():
                raise Unsupported("lower: categorical splits have no lowering. Encode the categories as numbers.")
            left = np.where(nodes["is_leaf"], -1, nodes["left"].astype(np.int64))
            values = nodes["value"].astype(np.float64)[:, None]
            tree = Tree(nodes["feature_idx"], nodes["num_threshold"], left, nodes["right"].astype(np.int64), values)
            trees.append(_for_output(tree, k, len(base)))
    return Forest(tuple(trees), base, estimator.n_features_in_, class_count(estimator))


def _for_output(tree: Tree, output: int, outputs: int) -> Tree:
    """A tree of one value as one that adds to `output` alone."""
    values = np.zeros((len(tree.values), outputs))
    values[:, output] = tree.values[:, 0]
    return Tree(tree.feature, tree.threshold, tree.left, tree.right, values)


def lightgbm(estimator: Any) -> Forest:
    """LGBMClassifier, LGBMRegressor: raw scores."""
    booster = getattr(estimator, "booster_", estimator)
    dumped = booster.dump_model()
    outputs = int(dumped["num_tree_per_iteration"])
    infos = dumped["tree_info"]
    factor = 1 / (len(infos) // outputs) if dumped.get("average_output") else 1.0
    trees = tuple(_lightgbm_tree(info["tree_structure"], i % outputs, outputs, factor) for i, info in enumerate(infos))
    classes = class_count(estimator) if hasattr(estimator, "classes_") else 0
    return Forest(trees, np.zeros(outputs), int(dumped["max_feature_idx"]) + 1, classes)


def _lightgbm_tree(root: Mapping[str, Any], output: int, outputs: int, factor: float) -> Tree:
    rows: list[tuple[int, float, int, int, float]] = []

    def add(node: Mapping[str, Any]) -> int:
        index = len(rows)
        if "split_feature" not in node:
            rows.append((0, 0.0, -1, -1, float(node["leaf_value"]) * factor))
            return index
        if node["decision_type"] != "<=" or node["missing_type"] == "Zero":
            raise Unsupported("lower: categorical splits or zeros as missing have no lowering. Train without.")
        rows.append((0, 0.0, 0, 0, 0.0))
        children = add(node["left_child"]), add(node["right_child"])
        rows[index] = (int(node["split_feature"]), float(node["threshold"]), *children, 0.0)
        return index

    add(root)
    feature, threshold, left, right, value = (np.array(column) for column in zip(*rows, strict=True))
    return _for_output(Tree(feature, threshold, left, right, value[:, None]), output, outputs)


def class_count(estimator: Any) -> int:
    """Classes of a classifier, 0 of a regressor."""
    classes = getattr(estimator, "classes_", None)
    return 0 if classes is None else len(classes)
