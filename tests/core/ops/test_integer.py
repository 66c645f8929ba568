"""The vectorised integer ops equal docs/numbers.md read literally."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ops import brute
from core.ops.cases import CASES, Case, of_kind
from edgesmith.core.ops import SPECS, attrs_of, infer, tables
from edgesmith.core.ops.fixed import multipliers_of
from edgesmith.core.ops.norm_s8 import normalize_q10
from edgesmith.core.ops.spectral import bit_reversed, fft_q30, log2_q12

BITS = ("binarize", "binary_conv2d", "mst_conv2d")
INTEGER = [
    case for case in CASES if case.kind.endswith("_s8") or case.kind in ("lookup", "quantize", "max_pool2d", *BITS)
]


def by_brute_force(case: Case) -> list[np.ndarray]:
    """The results from the loops of brute.py."""
    shape = infer(case.op, case.tensors)[0][0]
    found = getattr(brute, case.kind)(*case.arrays, attrs_of(case.op), shape)
    return [np.array(part) for part in found] if isinstance(found, tuple) else [np.array(found)]


@pytest.mark.parametrize("case", INTEGER, ids=[f"{case.kind}-{i}" for i, case in enumerate(INTEGER)])
def test_an_op_equals_its_formula_in_plain_integers(case):
    for found, wanted in zip(case.run(), by_brute_force(case), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("case", INTEGER, ids=[f"{case.kind}-{i}" for i, case in enumerate(INTEGER)])
def test_the_cases_reach_more_than_the_bounds(case):
    """A test on saturated values alone would prove little."""
    if case.kind not in BITS and case.arrays[0].size > 9 and np.ptp(case.arrays[0]) > 0:
        assert len(np.unique(case.run()[0])) >= 4


@st.composite
def sliding(draw: st.DrawFn) -> tuple[tuple[int, int, int, int], tuple[int, int], dict[str, object]]:
    """An input (1, H, W, C), a kernel and a window that fits: two or three of each dimension."""
    small = st.integers(1, 3)
    kernel, stride, dilation = (draw(st.tuples(small, small)) for _ in range(3))
    reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    sizes = [draw(st.integers(r + 1, r + 4)) for r in reach]
    padding = tuple(draw(st.integers(0, reach[axis] // 2)) for axis in (0, 0, 1, 1))
    return (1, *sizes, draw(small)), kernel, {"stride": stride, "dilation": dilation, "padding": padding}


@given(sliding(), st.integers(0, 2**32 - 1))
def test_any_window_slides_as_the_formulas_say(setting, seed):
    shape, kernel, window = setting
    rng = np.random.default_rng(seed)
    x = rng.integers(-128, 128, shape).astype(np.int8)
    zeros = {"x_zero": int(rng.integers(-128, 128)), "y_zero": -3}
    factors = multipliers_of(rng.uniform(0.001, 0.01, 2))
    for channels, groups in ((shape[3], 1), (1, shape[3])):
        w = rng.integers(-127, 128, (2 * groups, *kernel, channels)).astype(np.int8)
        scale = [np.resize(part, 2 * groups) for part in factors]
        b = rng.integers(-999, 999, 2 * groups).astype(np.int32)
        for kind in ("conv2d_s8", "conv_transpose2d_s8"):
            case = Case(kind, (x, w, b, *scale), {**window, **zeros, "groups": groups})
            np.testing.assert_array_equal(case.run()[0], by_brute_force(case)[0])
    cells = kernel[0] * kernel[1]
    averages = multipliers_of(0.9 / np.arange(1, cells + 1))
    for case in (
        Case("max_pool2d", (x,), {"kernel": kernel, **window}),
        Case("avg_pool2d_s8", (x, *averages), {"kernel": kernel, **window, **zeros}),
    ):
        np.testing.assert_array_equal(case.run()[0], by_brute_force(case)[0])


def test_dividing_by_zero_saturates_by_the_sign_of_the_numerator():
    bounds = {"multiplier": 1, "shift": 0, "a_zero": 0, "b_zero": 4, "y_zero": 3, "low": -90, "high": 80}
    y = Case("div_s8", (np.int8([-5, 0, 5]), np.int8([4, 4, 4])), bounds).run()[0]
    assert y.tolist() == [-90, 3, 80]


@given(st.integers(-255, 255), st.integers(-255, 255), st.integers(1, 2**31 - 1), st.integers(0, 31))
def test_a_quotient_is_the_exact_one_rounded_half_up(n, d, m, s):
    a, b = (np.clip(v, -128, 127) for v in (n, d))
    attrs = {"multiplier": m, "shift": s, "a_zero": int(a - n) if abs(a - n) <= 127 else 0, "b_zero": 0}
    case = Case("div_s8", (np.int8([a]), np.int8([b])), attrs)
    np.testing.assert_array_equal(case.run()[0], by_brute_force(case)[0])


@pytest.mark.parametrize("n", [1, 511, 512, 1023, 1024, 5000])
def test_a_row_of_equal_entries_never_overflows_softmax(n):
    """512 entries at the largest table of 2^22 would make 2 * sum exactly 2^32."""
    table = tables.softmax_table(0.03, n)
    assert n * int(table[0]) < 2**31
    x = np.zeros((1, n), np.int8)
    y = Case("softmax_s8", (x, table)).run()[0]
    assert set(y.ravel().tolist()) == {min(127, (512 + n) // (2 * n) - 128)}


def test_the_extremes_of_a_norm_stay_within_their_words():
    """brute.py asserts the widths: one hot among 2048, and a constant row with no epsilon."""
    n = 2048
    hot = np.full((1, n), -128, np.int8)
    hot[0, 0] = 127
    gamma, beta = np.full(n, -4095, np.int16), np.full(n, 1 - (1 << 30), np.int32)
    attrs = {"eps_q": 0, "multiplier": 1 << 30, "shift": 52}
    for kind in ("layer_norm_s8", "rms_norm_s8"):
        for x in (hot, np.zeros_like(hot), np.full_like(hot, -128)):
            case = Case(kind, (x, gamma, beta), attrs)
            np.testing.assert_array_equal(case.run()[0], by_brute_force(case)[0])


def test_the_largest_epsilon_gives_zero():
    gamma, beta = np.full(4, 4095, np.int16), np.zeros(4, np.int32)
    x = np.int8([[-128, 127, 3, 5]])
    y = Case("layer_norm_s8", (x, gamma, beta), {"eps_q": 1 << 62, "multiplier": 1 << 30, "shift": 40}).run()[0]
    assert not y.any()


@given(st.lists(st.integers(-255 * 2048, 255 * 2048), min_size=1, max_size=12), st.integers(0, 2**40))
def test_the_normalized_value_equals_its_formula_to_the_last_bit(d, eps_q):
    found = normalize_q10(np.array([d, d[::-1]]), eps_q).tolist()
    assert found == [brute.normalized(d, eps_q), brute.normalized(d[::-1], eps_q)]


@pytest.mark.parametrize("kind", ["lstm_s8", "gru_s8"])
def test_loud_gates_saturate_before_anything_multiplies_them(kind):
    """Multipliers 60 times as large: most sums of a gate leave int16."""
    for case in of_kind(kind):
        arrays = list(case.arrays)
        for name in ("ih_shift", "hh_shift"):
            index = SPECS[kind].inputs.index(name)
            arrays[index] = np.where(arrays[index] > 6, arrays[index] - 6, arrays[index]).astype(np.uint8)
        loud = Case(kind, tuple(arrays), case.attrs)
        for found, wanted in zip(loud.run(), by_brute_force(loud), strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_bits_are_reversed():
    assert bit_reversed(8).tolist() == [0, 4, 2, 6, 1, 5, 3, 7]


def test_the_integer_fft_keeps_full_scale_samples_within_int32(nprng):
    """Window and samples at their extremes; the transform of a constant gathers everything in bin 0."""
    peak = np.full((1, 1024), (-32768 * -32768 + 2048) >> 12, np.int64)
    signs = nprng.choice([-1, 1], (1, 1024))
    for frame in (peak, peak * signs):
        re, im = fft_q30(frame, tables.twiddles(1024))
        assert max(np.abs(re).max(), np.abs(im).max()) < 2**31
        exact = np.fft.fft(frame[0])
        # Each of 10 stages rounds by at most sqrt(1/2), and every later stage may double that.
        assert np.abs(re[0] + 1j * im[0] - exact).max() < 0.75 * 1024


@given(st.integers(1, 2**63 - 1))
def test_log2_of_an_integer_equals_the_formula_and_the_logarithm(e):
    table = tables.log2_table()
    found = int(log2_q12(np.array([e]), table)[0])
    assert found == brute.log2_q12(e, table)
    assert abs(found / 4096 - np.log2(float(e))) < 1.5 / 4096


def test_the_largest_energy_of_log_mel_fits_its_word():
    """Every sample and window value at full scale, one filter over all bins at the largest weight."""
    n = 1024
    x, window = np.full((1, n), -32768, np.int16), np.full(n, -32768, np.int16)
    mel = tables.sparse_mel(np.ones((1, n // 2 + 1)))
    arrays = (x, window, tables.twiddles(n), *mel, tables.log2_table())
    case = Case("log_mel_s8", arrays, {"n_fft": n, "hop": 1, "multiplier": 1 << 30, "shift": 43})
    np.testing.assert_array_equal(case.run()[0], by_brute_force(case)[0])


def test_every_cell_scale_of_the_lstm_is_tried():
    assert {case.attrs["cell_bits"] for case in of_kind("lstm_s8")} >= {9, 12, 14}
