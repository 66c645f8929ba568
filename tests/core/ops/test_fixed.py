"""Fixed-point arithmetic against exact rationals."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgesmith.core.ops.fixed import clamp, multiplier_of, multipliers_of, requant, rshift, short_multipliers_of

INT32 = st.integers(-(2**31), 2**31 - 1)
MULTIPLIER = st.integers(2**30, 2**31 - 1)


def rounded(value: Fraction) -> int:
    """To the nearest integer, halves up."""
    return math.floor(value + Fraction(1, 2))


@given(INT32, MULTIPLIER, st.integers(1, 62))
def test_requant_is_the_exact_product_rounded_once(acc, m, s):
    assert requant(np.int64(acc), m, s) == rounded(Fraction(acc * m, 1 << s))


@given(st.lists(INT32, min_size=1, max_size=5), MULTIPLIER, st.integers(1, 62))
def test_requant_of_an_array_is_that_of_each_entry(accs, m, s):
    assert requant(np.array(accs), m, s).tolist() == [rounded(Fraction(acc * m, 1 << s)) for acc in accs]


@given(INT32, MULTIPLIER, st.integers(33, 62))
def test_the_high_word_form_is_identical(acc, m, s):
    high = (acc * m) >> 32
    assert (high + (1 << (s - 33))) >> (s - 32) == requant(np.int64(acc), m, s)


@given(INT32, st.integers(31, 62))
def test_from_shift_31_on_a_requantized_int32_is_an_int32(acc, s):
    assert -(2**31) <= requant(np.int64(acc), 2**31 - 1, s) < 2**31


def test_a_dead_channel_gives_zero():
    assert multiplier_of(0.0) == (0, 1)
    assert requant(np.array([-(2**31), 5, 2**31 - 1]), 0, 1).tolist() == [0, 0, 0]


@given(st.integers(-(2**40), 2**40), st.integers(0, 35))
def test_a_rounding_shift_divides_and_rounds_half_up(value, bits):
    assert rshift(np.int64(value), bits) == rounded(Fraction(value, 1 << bits))


@given(st.floats(2.0**-31, 2.0**29))
def test_a_multiplier_is_exact_to_31_bits(real):
    m, s = multiplier_of(real)
    assert 2**30 <= m < 2**31 and 1 <= s <= 62
    assert abs(Fraction(m, 1 << s) - Fraction(real)) <= Fraction(1, 1 << (s + 1))


@pytest.mark.parametrize("real", [2.0**k for k in range(-31, 29)])
def test_a_power_of_two_and_its_neighbours_stay_in_range(real):
    for near in (math.nextafter(real, 0), real, math.nextafter(real, math.inf)):
        m, s = multiplier_of(near)
        assert 2**30 <= m < 2**31 and abs(Fraction(m, 1 << s) / Fraction(near) - 1) <= Fraction(1, 2**31)
    assert multiplier_of(real)[0] == 2**30


def test_a_multiplier_too_small_to_matter_is_zero_and_one_too_large_is_refused():
    assert multiplier_of(2.0**-33) == (0, 1)
    with pytest.raises(ValueError, match="too large"):
        multiplier_of(2.0**30)


def test_multipliers_come_as_the_kernels_store_them():
    m, s = multipliers_of(np.array([0.5, 0.0, 0.75]))
    assert (m.dtype, s.dtype) == (np.int32, np.uint8)
    assert m.tolist() == [2**30, 0, 3 * 2**29] and s.tolist() == [31, 1, 31]


@given(st.floats(2.0**-30, 2.0**20), st.floats(-1, 1), st.integers(-255, 255), st.integers(-255, 255))
def test_two_short_products_fit_an_int32_and_share_their_shift(peak, share, a, b):
    other = peak * share
    (m, n), s = short_multipliers_of(peak, other)
    assert 0 <= s <= 30 and abs(m) < 2**21 and abs(n) < 2**21
    assert abs(a * m + b * n) + (1 << s >> 1) < 2**31
    for stored, real in ((m, peak), (n, other)):
        assert abs(Fraction(stored, 1 << s) - Fraction(real)) <= Fraction(1, 1 << (s + 1))


@given(st.floats(2.0**-9, 2.0**20))
def test_a_short_multiplier_keeps_20_bits(real):
    (m,), s = short_multipliers_of(real)
    assume(s < 30)
    assert m >= 2**20


def test_a_short_multiplier_of_nothing_but_zero_is_zero():
    assert short_multipliers_of(0.0, 0.0) == ((0, 0), 30)


def test_clamping_saturates_to_int8():
    y = clamp(np.array([-1000, -7, 0, 90, 91, 1000]), -7, 90)
    assert y.dtype == np.int8 and y.tolist() == [-7, -7, 0, 90, 90, 90]
