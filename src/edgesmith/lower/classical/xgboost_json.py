"""XGBoost's JSON model as a Forest: data, no code, from anyone.

Layout: https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html and its JSON schema.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from edgesmith.core.artifact import parse_json
from edgesmith.core.errors import BadInput, Missing, Unsupported
from edgesmith.lower.classical.forest import Forest, Tree, below

MAX_BYTES = 64 << 20
MOST_TREES, MOST_FEATURES = 1 << 14, 1 << 15
ARRAYS = ("left_children", "right_children", "split_indices", "split_conditions")
LOGISTIC = ("binary:logistic", "reg:logistic", "binary:logitraw")
CLASSES = (*LOGISTIC[::2], "binary:hinge")
PLAIN = ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:squaredlogerror", "rank:pairwise")


def read(path: Path) -> Forest:
    """The model in a file.

    Raises:
        Missing: no such file.
        BadInput: too large, or not such a model.
        Unsupported: a booster or objective without a lowering.
    """
    if not path.is_file():
        raise Missing(f"{path}: it is not a file. Check the path.")
    if path.stat().st_size > MAX_BYTES:
        raise BadInput(f"{path}: it is larger than {MAX_BYTES} bytes; need less.")
    return parse(path.read_bytes(), str(path))


def parse(data: bytes, who: str) -> Forest:
    """The model in the bytes of a JSON file; errors as in `read`."""
    learner = _dict(_dict(parse_json(data, who), who, "the file").get("learner"), who, "learner")
    booster = _dict(learner.get("gradient_booster"), who, "gradient_booster")
    if booster.get("name") != "gbtree":
        raise Unsupported(f"{who}: its booster is {str(booster.get('name'))[:40]!r}; need gbtree.")
    parameters = _dict(learner.get("learner_model_param"), who, "learner_model_param")
    features = _whole(parameters.get("num_feature"), who, "num_feature", 1, MOST_FEATURES)
    classes = _whole(parameters.get("num_class"), who, "num_class", 0, 256)
    if _whole(parameters.get("num_target", "1"), who, "num_target", 0, 1 << 20) > 1:
        raise Unsupported(f"{who}: it has several targets; need one. Train one model per target.")
    objective = _dict(learner.get("objective"), who, "objective").get("name")
    outputs = max(classes, 1)
    base, count = _base(parameters.get("base_score"), str(objective), classes, outputs, who)
    model = _dict(booster.get("model"), who, "model")
    trees, owners = _list(model.get("trees"), who, "trees"), _list(model.get("tree_info"), who, "tree_info")
    if not 1 <= len(trees) <= MOST_TREES or len(owners) != len(trees):
        raise BadInput(f"{who}: {len(trees)} trees for {len(owners)} outputs; need 1 to {MOST_TREES}, one each.")
    made = [
        _tree(tree, _whole(owner, who, "tree_info", 0, outputs - 1), outputs, features, who)
        for tree, owner in zip(trees, owners, strict=True)
    ]
    return Forest(tuple(made), base, features, count)


def _base(value: Any, objective: str, classes: int, outputs: int, who: str) -> tuple[np.ndarray, int]:
    """The scores before any tree, and how many classes they tell apart."""
    texts = str(value).strip("[]").split(",")[: outputs + 1]
    try:
        found = np.array([float(text) for text in texts])
    except ValueError as error:
        raise BadInput(f"{who}: base_score is {str(value)[:40]!r}; need numbers.") from error
    if not np.isfinite(found).all() or len(found) not in (1, outputs):
        raise BadInput(f"{who}: base_score is {str(value)[:40]!r}; need one finite number, or one an output.")
    if objective in ("multi:softprob", "multi:softmax") and classes >= 2:
        return np.broadcast_to(found, outputs).astype(np.float64), classes
    if objective in LOGISTIC and classes <= 1:
        if not ((found > 0) & (found < 1)).all():
            raise BadInput(f"{who}: base_score is {found[0]:.3g}; need a share between 0 and 1.")
        return np.log(found / (1 - found)), 2 if objective in CLASSES else 0
    if objective in PLAIN and classes <= 1:
        return found, 0
    raise Unsupported(f"{who}: objective {objective[:40]!r} has no lowering; need {', '.join((*LOGISTIC, *PLAIN))}.")


def _tree(data: Any, output: int, outputs: int, features: int, who: str) -> Tree:
    """One tree; of a node without a left child, split_conditions holds the leaf's value."""
    fields = _dict(data, who, "a tree")
    columns = [_list(fields.get(name), who, name) for name in ARRAYS]
    count = len(columns[0])
    if not 1 <= count <= 1 << 20 or any(len(column) != count for column in columns):
        raise BadInput(
            f"{who}: a tree's lists have {[len(column) for column in columns]} entries; need as many of each."
        )
    if any(kind != 0 for kind in _list(fields.get("split_type", []), who, "split_type")):
        raise Unsupported(f"{who}: categorical splits have no lowering. Encode the categories as numbers.")
    left, right, feature = (
        np.array([_whole(v, who, name, -1, 1 << 31) for v in column], np.int64)
        for name, column in zip(ARRAYS[:3], columns[:3], strict=True)
    )
    conditions = np.array([_number(v, who) for v in columns[3]])
    inner = left >= 0
    _check_shape(left, right, feature, inner, features, who)
    values = np.zeros((count, outputs))
    values[:, output] = np.where(inner, 0.0, conditions.astype(np.float32))
    return Tree(feature, below(conditions), np.where(inner, left, -1), right, values)


def _check_shape(
    left: np.ndarray, right: np.ndarray, feature: np.ndarray, inner: np.ndarray, features: int, who: str
) -> None:
    """Each node is the child of one before it at most, so that every walk ends."""
    children = np.concatenate([left[inner], right[inner]])
    parents = np.tile(np.flatnonzero(inner), 2)
    good = bool(((children > parents) & (children < len(left))).all()) and len(np.unique(children)) == len(children)
    if not good or bool((feature[inner] >= features).any()) or bool((feature[inner] < 0).any()):
        raise BadInput(f"{who}: a tree's nodes point at none, at themselves, or at a feature that is not there.")


def _dict(data: Any, who: str, what: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise BadInput(f"{who}: {what} is {type(data).__name__}; need an object: an XGBoost model saved as JSON.")
    return data


def _list(data: Any, who: str, what: str) -> list[Any]:
    if not isinstance(data, list):
        raise BadInput(f"{who}: {what} is {type(data).__name__}; need a list.")
    return data


def _whole(data: Any, who: str, what: str, low: int, high: int) -> int:
    """A whole number, also as the text that XGBoost writes."""
    text = data if isinstance(data, str) and len(data) < 20 else data if type(data) is int else None
    try:
        number = int(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise BadInput(f"{who}: {what} is {str(data)[:40]!r}; need a whole number.") from None
    if not low <= number <= high:
        raise BadInput(f"{who}: {what} is {str(data)[:40]}; need {low} to {high}.")
    return number


def _number(data: Any, who: str) -> float:
    if isinstance(data, bool) or not isinstance(data, int | float) or not abs(data) < 3e38 or math.isnan(data):
        raise BadInput(f"{who}: split_conditions holds {str(data)[:40]}; need finite numbers.")
    return float(data)
