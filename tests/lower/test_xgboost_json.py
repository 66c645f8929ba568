"""XGBoost's JSON from anyone: read as XGBoost does, or refused with a reason."""

import copy
import json

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from edgesmith.core.errors import BadInput, EdgesmithError, Missing, Unsupported
from edgesmith.core.interface import decode
from edgesmith.core.ops import interpret
from edgesmith.lower.classical import Classical, lower_classical, parse_xgboost, read_xgboost
from lower.classical_models import fitted, rows, targets

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(("0", "1", "-1")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)


def saved(group: str, classes: int = 3) -> dict:
    return json.loads(bytes(fitted(group, "xgboost", classes).get_booster().save_raw("json")))


def text(data: object) -> bytes:
    return json.dumps(data).encode()


@pytest.mark.parametrize("objective", ["binary:logistic", "multi:softmax", "reg:squarederror", "reg:logistic"])
def test_a_file_scores_as_xgboost_does(objective, tmp_path):
    """Raw scores, before a sigmoid or softmax, equal but for the order of sums in float32."""
    import xgboost

    x, labels = rows(0, 3)
    y = {"binary:logistic": labels > 0, "multi:softmax": labels, "reg:logistic": labels / 2}.get(objective, targets(x))
    options = {"objective": objective, "max_depth": 4, "nthread": 1}
    options |= {"num_class": 3} if objective.startswith("multi") else {}
    booster = xgboost.train(options, xgboost.DMatrix(x, y), 6)
    booster.save_model(tmp_path / "model.json")
    model = Classical(read_xgboost(tmp_path / "model.json"))
    graph = lower_classical(model, x, "float32")
    (name,) = graph.outputs
    found = np.concatenate([decode(graph.tensors[name], interpret(graph, {"x": row[None]})[name]) for row in x[:60]])
    wanted = booster.predict(xgboost.DMatrix(x[:60]), output_margin=True).reshape(60, -1)
    assert np.abs(found[:, -wanted.shape[1] :] - wanted).max() < 1e-5 * max(1, np.abs(wanted).max())


def put(path: tuple, value: object):
    def change(data):
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value

    return change


MODEL = ("learner", "gradient_booster", "model")
TREE = (*MODEL, "trees", 0)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (put(("learner",), 3), BadInput, "learner is int; need an object"),
        (put(("learner", "gradient_booster", "name"), "dart"), Unsupported, "need gbtree"),
        (put(("learner", "learner_model_param", "num_feature"), "99999999999"), BadInput, "num_feature"),
        (put(("learner", "learner_model_param", "num_feature"), "2"), BadInput, "a feature that is not there"),
        (put(("learner", "learner_model_param", "base_score"), "[nan]"), BadInput, "base_score"),
        (put(("learner", "learner_model_param", "base_score"), "[0.1,0.2]"), BadInput, "one an output"),
        (put(("learner", "objective", "name"), "survival:cox"), Unsupported, "survival:cox"),
        (put((*MODEL, "tree_info", 0), 3), BadInput, "tree_info"),
        (put((*MODEL, "tree_info"), []), BadInput, "one each"),
        (put((*MODEL, "trees"), {}), BadInput, "trees is dict; need a list"),
        (put((*TREE, "left_children", 0), 0), BadInput, "point at none, at themselves"),
        (put((*TREE, "right_children", 0), 1), BadInput, "point at none, at themselves"),
        (put((*TREE, "right_children", 0), 10**6), BadInput, "point at none"),
        (put((*TREE, "split_indices", 0), -1), BadInput, "a feature that is not there"),
        (put((*TREE, "left_children"), [-1]), BadInput, "need as many of each"),
        (put((*TREE, "split_conditions", 0), float("inf")), BadInput, "finite numbers"),
        (put((*TREE, "split_type", 0), 1), Unsupported, "categorical"),
    ],
)
def test_what_is_wrong_is_said(change, error, message):
    data = copy.deepcopy(saved("classifier"))
    change(data)
    with pytest.raises(error, match=message):
        parse_xgboost(text(data), "model.json")


def test_what_is_no_json_or_not_there_is_refused(tmp_path):
    with pytest.raises(Missing, match="not a file"):
        read_xgboost(tmp_path / "none.json")
    for data in (b"", b"\x80\x04K", b"[" * 100_000, text([1, 2])):
        with pytest.raises(BadInput):
            parse_xgboost(data, "model.json")


@given(st.data())
def test_any_part_replaced_by_anything_is_read_or_refused(data):
    """A walk to a random place, something else there: no other error, no hang."""
    whole = copy.deepcopy(saved("classifier", 2))
    place: object = whole
    while True:
        keys = sorted(place) if isinstance(place, dict) else list(range(min(len(place), 6)))
        key = data.draw(st.sampled_from(keys))
        inner = place[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.integers(0, 3)) == 0:
            place[key] = data.draw(JSON)
            break
        place = inner
    try:
        forest = parse_xgboost(text(whole), "model.json")
        lower_classical(Classical(forest), np.zeros((2, forest.features), np.float32))
    except EdgesmithError:
        return
