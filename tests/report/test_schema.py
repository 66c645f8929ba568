"""A report is checked before it is shown: what is wrong is named, nothing crashes."""

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgesmith.core.errors import BadInput
from edgesmith.report import load, validate

BROKEN = {
    "another version": (("schema",), 2, "report.json.schema"),
    "a number for a title": (("title",), 7, "report.json.title"),
    "a lone surrogate": (("title",), "\ud800", "UTF-8"),
    "an unknown kind": (("after", "readings", "flash", "kind"), "guessed", "'measured' or 'emulated'"),
    "flash in kilobytes": (("after", "readings", "flash", "unit"), "KB", "'B'"),
    "an infinite figure": (("after", "readings", "ram", "value"), float("inf"), "a finite number"),
    "a huge whole number": (("layers", "rows", 0, "macs"), 10**9000, "layers.rows"),
    "true for a number": (("candidates", 0, "accuracy"), True, "candidates[0].accuracy"),
    "a negative size": (("candidates", 3, "flash_bytes"), -1, "candidates[3].flash_bytes"),
    "an accuracy above one": (("trust", "steps", 1, "ece"), 1.5, "trust.steps[1].ece"),
    "a row missing": (("confusion", "counts"), [[1, 2]], "one per class"),
    "a class missing": (("trust", "steps", 0, "per_class"), [1.0], "trust.steps[0].per_class"),
    "a buffer above the arena": (("memory", "buffers", 0, "offset_bytes"), 10**9, "memory.buffers[0]"),
    "a buffer of an op that is not there": (("memory", "buffers", 0, "last_op"), 99, "memory.buffers[0]"),
    "a buffer that dies before it lives": (("memory", "buffers", 5, "first_op"), 23, "memory.buffers[5]"),
    "a list for a table": (("budget",), [], "report.json.budget"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_broken_field_is_named(sample, name):
    path, value, message = BROKEN[name]
    place = sample
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(BadInput) as caught:
        validate(sample)
    assert message in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("field", ["schema", "title", "created", "edgesmith", "target", "outcome"])
def test_a_needed_field_is_needed(sample, field):
    del sample[field]
    with pytest.raises(BadInput, match=f"the field '{field}'"):
        validate(sample)


def test_null_is_absent_and_unknown_fields_are_let_be(sample):
    validate(sample | {"trust": None, "parity": None, "later": {"x": 1}})


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(value=JSON, choose=st.randoms(use_true_random=False))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_anywhere_is_accepted_or_refused_clearly(sample, value, choose):
    """Whatever replaces one random field, the answer is a valid report or BadInput, never another error."""
    data = copy.deepcopy(sample)
    place, key = data, choose.choice(list(data))
    while isinstance(place[key], dict | list) and place[key] and choose.random() < 0.8:
        place = place[key]
        key = choose.choice(list(place)) if isinstance(place, dict) else choose.randrange(len(place))
    place[key] = value
    try:
        validate(data)
    except BadInput as error:
        assert str(error).startswith("report: ")


def test_a_report_comes_back_from_its_file(sample, tmp_path):
    path = tmp_path / "report.json"
    path.write_text(json.dumps(sample))
    assert load(path) == sample


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"schema": 1', b"1" * 5000, b'{"schema": NaN}']
)
def test_a_file_that_is_no_report_is_a_clear_error(tmp_path, content):
    path = tmp_path / "report.json"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="^report: "):
        load(path)


def test_an_oversized_file_is_refused_unread(tmp_path):
    path = tmp_path / "report.json"
    with path.open("wb") as file:
        file.truncate(65 << 20)  # sparse: takes no room on disk
    with pytest.raises(BadInput, match="need at most"):
        load(path)


def test_an_absent_file_is_a_clear_error(tmp_path):
    with pytest.raises(BadInput, match="cannot read"):
        load(tmp_path / "report.json")
