import heapq
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesmith.collaborate.coding import Table, fit, from_pmf
from edgesmith.collaborate.coding.fitting import MAX_WINDOW, grouped, histogram
from edgesmith.collaborate.coding.tables import inside_out, outside, quantize
from edgesmith.core.errors import BadInput


def best(counts: list[int], bits: int) -> list[int]:
    """The frequencies of least code length: the gain of one more falls with each, so taking the greatest is optimal."""
    found = [1] * len(counts)
    heap = [(-count * math.log(2), i) for i, count in enumerate(counts)]
    heapq.heapify(heap)
    for _ in range((1 << bits) - len(counts)):
        _, i = heapq.heappop(heap)
        found[i] += 1
        heapq.heappush(heap, (-counts[i] * math.log1p(1 / found[i]), i))
    return found


def length(counts: list[int], frequencies: list[int], bits: int) -> float:
    """Bits of the counted symbols."""
    return sum(count * (bits - math.log2(f)) for count, f in zip(counts, frequencies, strict=True) if count)


counted = st.lists(st.integers(0, 10_000), min_size=1, max_size=40)


@given(counted, st.integers(6, 12))
def test_frequencies_sum_up_and_none_is_zero(counts, bits):
    frequencies = quantize(np.array(counts), bits)
    assert frequencies.sum() == 1 << bits and frequencies.min() >= 1
    again = quantize(np.array(counts), bits)
    assert (frequencies == again).all()


@given(counted, st.integers(6, 12))
def test_frequencies_are_nearly_the_best_there_are(counts, bits):
    """Largest remainders against the optimum by greedy choice: the last units differ, by little of a unit's worth each.

    A unit is worth about sum(counts) / 2^bits / ln 2 bits, wherever it lies.
    """
    found, optimum = (
        length(counts, list(quantize(np.array(counts), bits)), bits),
        length(counts, best(counts, bits), bits),
    )
    unit = sum(counts) / 2**bits / math.log(2)
    assert optimum - 1e-6 <= found <= optimum + 0.1 * len(counts) * unit + 1e-6


def test_frequencies_worked_by_hand():
    """16 for 5, 0, 1: the zero gets 1, of the other 15 the shares are 12.5 and 2.5, the first is rounded up."""
    assert quantize(np.array([5, 0, 1]), 4).tolist() == [13, 1, 2]
    assert quantize(np.array([0, 0]), 4).tolist() == [8, 8]
    assert quantize(np.full(16, 9), 4).tolist() == [1] * 16


def test_too_many_symbols_are_refused():
    with pytest.raises(BadInput, match="17 counts"):
        quantize(np.ones(17), 4)
    with pytest.raises(BadInput, match="none negative"):
        quantize(np.array([1, -1]), 4)


def test_values_outside_a_window_are_numbered_from_its_edges():
    table = Table(-1, (1,) * 15 + (1,))
    values = np.array([14, -2, 15, -3, 16])
    assert outside(values, table).tolist() == [0, 1, 2, 3, 4]
    assert [inside_out(number, table) for number in range(5)] == values.tolist()


def test_a_window_is_cut_to_what_occurs(nprng):
    code = fit(nprng.integers(-3, 5, (1000, 1)))
    (table,) = code.tables
    assert (table.low, table.high) == (-3, 4)


def test_a_wide_range_keeps_the_window_that_holds_the_most():
    values = np.concatenate([np.full(10, -100_000), np.arange(5000, 5000 + MAX_WINDOW), np.full(10, 1_000_000)])
    counts, low = histogram(values.reshape(-1, 1), MAX_WINDOW)
    assert low == 5000 and counts.shape == (1, MAX_WINDOW + 1)
    assert counts[0, -1] == 20 and (counts[0, :-1] == 1).all()


def test_alike_channels_share_a_table(nprng):
    narrow, wide = nprng.integers(-1, 2, (500, 3)), nprng.integers(-100, 100, (500, 2))
    columns = np.concatenate([narrow, wide], axis=1)[:, [0, 3, 1, 4, 2]]
    counts, _ = histogram(columns, MAX_WINDOW)
    which = grouped(counts, 2)
    assert which[0] == which[2] == which[4] != which[1] == which[3]


def test_more_tables_never_cost_more_bits_on_what_they_were_fitted_on(nprng):
    spread = 0.3 * 60 ** nprng.random(12)
    values = np.rint(nprng.laplace(0, spread, (2000, 12))).astype(np.int32)
    sizes = [fit(values, tables).expected_bits(values) for tables in (1, 2, 4, 12)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 0.9 * sizes[0]


def test_a_prior_becomes_its_frequencies():
    """Shares that are sixteenths are exact."""
    code = from_pmf(np.array([[0.5, 0.25, 0.125], [0.0625, 0.0625, 0.8125]]), low=-1, bits=4)
    assert [table.frequencies for table in code.tables] == [(8, 4, 2, 2), (1, 1, 13, 1)]
    assert code.which == (0, 1) and code.tables[0].low == -1


@pytest.mark.parametrize("pmf", [[[0.9, 0.2]], [[-0.1, 0.2]], [[np.nan, 0.2]], [0.5, 0.5], [[]]])
def test_what_is_no_prior_is_refused(pmf):
    with pytest.raises(BadInput, match="prior"):
        from_pmf(np.array(pmf), low=0)


@pytest.mark.parametrize(
    "values, options, match",
    [
        (np.zeros((4, 2)), {}, "need integers"),
        (np.zeros((0, 2), np.int8), {}, "need integers"),
        (np.array([1 << 21]), {}, "22 bits"),
        (np.zeros((4, 2), np.int8), {"tables": 0}, "0 tables"),
        (np.zeros((4, 2), np.int8), {"bits": 16}, "16 bits"),
    ],
)
def test_what_cannot_be_fitted_is_refused(values, options, match):
    with pytest.raises(BadInput, match=match):
        fit(values, **options)
