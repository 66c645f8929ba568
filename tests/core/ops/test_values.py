"""Constants that would make an implementation overflow or read outside a table are refused."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from core.ops.cases import CASES, of_kind
from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Graph
from edgesmith.core.ops import SPECS, check, tables
from edgesmith.core.ops.values import RANGES, accumulators_fit


def changed(kind: str, name: str, change: Callable[[np.ndarray], None]) -> Graph:
    """A one-op graph whose constant `name` has been changed."""
    graph = of_kind(kind)[0].graph()
    key = f"i{SPECS[kind].inputs.index(name)}"
    array = graph.constants[key].copy()
    change(array)
    return replace(graph, constants={**graph.constants, key: array})


def put(value: int) -> Callable[[np.ndarray], None]:
    """Set the last entry."""

    def change(array: np.ndarray) -> None:
        array.reshape(-1)[-1] = value

    return change


@pytest.mark.parametrize("kind", sorted(kind for kind in SPECS if kind.endswith("_s8")))
def test_every_ranged_constant_is_checked_at_both_ends(kind):
    for name in set(SPECS[kind].inputs) & set(RANGES):
        low, high = RANGES[name]
        dtype = np.iinfo(SPECS[kind].dtypes[SPECS[kind].inputs.index(name)])
        for value in (low - 1, high + 1):
            if dtype.min <= value <= dtype.max:
                with pytest.raises(BadInput, match=f"an entry of {name} is outside {low} to {high}"):
                    check(changed(kind, name, put(value)))


INTEGER = [case for case in CASES if case.kind.endswith("_s8")]
WEIGHTS = {"w_ih", "w_hh", "b_ih", "b_hh"}


@pytest.mark.parametrize("case", INTEGER, ids=[f"{case.kind}-{i}" for i, case in enumerate(INTEGER)])
def test_a_table_or_weight_that_is_computed_is_refused(case):
    names, graph = SPECS[case.kind].inputs, case.graph()
    fixed = set(RANGES) | WEIGHTS | ({"w", "b"} if "w" in names else set())
    for index in (i for i, name in enumerate(names) if name in fixed):
        constants = {key: array for key, array in graph.constants.items() if key != f"i{index}"}
        with pytest.raises(BadInput, match=f"input {names[index]} is computed; need a constant"):
            check(replace(graph, constants=constants, inputs=("i0", f"i{index}")))


def test_an_accumulator_may_reach_int32_and_not_pass_it():
    w = np.full((2, 100), 127, np.int8)
    room = 2**31 - 1 - 127 * 127 * 100
    accumulators_fit(w, np.int32([0, room]))
    with pytest.raises(BadInput, match=r"channel \[1\] can leave int32"):
        accumulators_fit(w, np.int32([0, room + 1]))
    low = -(2**31) + 128 * 127 * 100
    accumulators_fit(w, np.int32([low, 0]))
    with pytest.raises(BadInput, match=r"channel \[0\] can leave int32"):
        accumulators_fit(w, np.int32([low - 1, 0]))


@pytest.mark.parametrize("kind", ["conv2d_s8", "conv_transpose2d_s8", "linear_s8", "lstm_s8", "gru_s8"])
def test_a_bias_that_overflows_is_refused(kind):
    for name in ("b", "b_ih", "b_hh"):
        if name in SPECS[kind].inputs:
            with pytest.raises(BadInput, match="can leave int32"):
                check(changed(kind, name, put(2**31 - 1)))


def test_a_softmax_table_without_its_first_entry_would_divide_by_zero():
    with pytest.raises(BadInput, match="entry 0 of the table is 0"):
        check(changed("softmax_s8", "table", lambda table: table.__setitem__(0, 0)))


def test_a_softmax_row_too_long_for_its_table_is_refused():
    graph = of_kind("softmax_s8")[0].graph()
    tensors = {name: replace(t, shape=(1, 512)) if name in ("i0", "o0") else t for name, t in graph.tensors.items()}
    with pytest.raises(BadInput, match="a row of 512 entries can leave uint32"):
        check(replace(graph, tensors=tensors))
    check(replace(graph, tensors=tensors, constants={"i1": tables.softmax_table(0.1, 512)}))


def test_mel_filters_that_leave_the_spectrum_or_their_weights_are_refused():
    with pytest.raises(BadInput, match="beyond the last bin"):
        check(changed("log_mel_s8", "first", put(9)))
    with pytest.raises(BadInput, match="counts add up to 9, there are 8 weights"):
        check(changed("log_mel_s8", "count", lambda count: count.__iadd__(np.uint16([0, 0, 1]))))


def test_factors_that_would_make_the_transform_grow_are_refused():
    with pytest.raises(BadInput, match="not cos and -sin"):
        check(changed("log_mel_s8", "twiddle", put(1 << 30)))


def test_tables_that_cannot_be_are_refused():
    with pytest.raises(BadInput, match=r"outside \[0, 1\]"):
        tables.sparse_mel(np.full((1, 9), 1.1))
    with pytest.raises(BadInput, match="power of two"):
        tables.twiddles(12)
    with pytest.raises(BadInput, match="rows of 0 entries"):
        tables.softmax_table(0.1, 0)


def test_a_tree_that_is_none_is_refused():
    rows = {
        "does not begin": lambda tree: tree.__setitem__(0, 65535),
        "no further channel": lambda tree: tree.__setitem__(1, tree[0]),
        "ends within": lambda tree: tree.__setitem__(3, 65535),
    }
    for match, change in rows.items():
        with pytest.raises(BadInput, match=match):
            check(changed("mst_conv2d", "tree", change))


@pytest.mark.parametrize("kind", ["binary_conv2d", "binary_conv2d_s8", "mst_conv2d", "mst_conv2d_s8"])
def test_a_bit_beyond_the_channels_is_refused(kind):
    name = "root" if kind.startswith("mst") else "w"
    with pytest.raises(BadInput, match=f"a bit of {name} beyond"):
        check(changed(kind, name, lambda array: array.__ior__(np.uint32(1 << 31))))
