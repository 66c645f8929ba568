"""Budgets are read as people write them, and nonsense is refused."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesmith.core.budget import UNITS, Budget, parse_quantity
from edgesmith.core.errors import BadInput


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("64KB", "bytes", 65536),
        ("64 kib", "bytes", 65536),
        ("1.5MB", "bytes", 1572864),
        ("20480b", "bytes", 20480),
        ("5ms", "ms", 5),
        ("250us", "ms", 0.25),
        ("250µs", "ms", 0.25),
        (" 0.2 s ", "ms", 200),
        ("40uJ", "uj", 40),
        ("1mJ", "uj", 1000),
        ("97%", "fraction", 0.97),
        (".97", "fraction", 0.97),
    ],
)
def test_a_quantity_is_read_in_its_unit(text, unit, value):
    assert parse_quantity(text, unit) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("", "bytes"),
        ("KB", "bytes"),
        ("64", "bytes"),
        ("64ms", "bytes"),
        ("-1KB", "bytes"),
        ("1e9KB", "bytes"),
        ("5", "ms"),
        ("5 m s", "ms"),
        ("five ms", "ms"),
        ("97 percent", "fraction"),
        ("٣ms", "ms"),
    ],
)
def test_what_is_no_quantity_is_refused_with_the_units_that_are(text, unit):
    with pytest.raises(BadInput, match=f"not a quantity; need a number and one of: .*{next(iter(UNITS[unit]))}"):
        parse_quantity(text, unit)


@pytest.mark.parametrize("text", ["0KB", "0.0MB", "9" * 400 + "KB"])
def test_a_limit_of_zero_or_infinity_is_refused(text):
    with pytest.raises(BadInput, match="not above zero"):
        parse_quantity(text, "bytes")


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused(text):
    for unit in UNITS:
        try:
            assert parse_quantity(text, unit) > 0
        except BadInput:
            continue


def test_a_budget_is_read_from_the_command_line():
    budget = Budget.parse(flash="64KB", ram="20KB", latency="5ms", energy="40uJ", accuracy="97%")
    assert budget == Budget(65536, 20480, 5.0, 40.0, 0.97)
    assert Budget.parse() == Budget()


def test_only_limits_that_are_set_are_stored():
    assert Budget(flash_bytes=100, accuracy=0.9).to_json() == {"flash_bytes": 100, "accuracy": 0.9}


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
def test_a_budget_of_nothing_is_refused(value):
    with pytest.raises(BadInput, match="ram_bytes is .*; need a number above zero"):
        Budget(ram_bytes=value)
