"""The shift forms of I-ViT and the single-pass forms of Edge-MoE: what their papers say, and the float functions."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.ops.cases import Case
from edgesmith.core.errors import BadInput
from edgesmith.core.formats import affine
from edgesmith.core.ops import infer, tables
from edgesmith.core.ops.fixed import multiplier_of, short_multipliers_of
from edgesmith.core.ops.forms import Forms, with_forms
from edgesmith.core.ops.shift import shift_exp
from edgesmith.core.ops.shift_s8 import newton_root, share_q15, shift_exp_q
from edgesmith.lower import lower


def requant(real: float) -> dict[str, int]:
    m, s = multiplier_of(real)
    return {"multiplier": m, "shift": s}


def exponent(scale: float) -> dict[str, int]:
    (m,), s = short_multipliers_of(scale * 1024)
    return {"exp_multiplier": m, "exp_shift": s}


def test_the_shift_exponential_is_within_its_bound():
    """1 - r/2 is above 2^-r by at most 6.15%: the largest of (1 - r/2) 2^r is at r = 2 - 1/ln 2."""
    r = 2 - 1 / math.log(2)
    worst = (1 - r / 2) * 2**r - 1
    p = np.linspace(0, 6, 6001)
    ratio = shift_exp(-p / (1 + 1 / 2 - 1 / 16), 15) / np.exp2(-p) - 1
    assert ratio.min() > -1e-12 and ratio.max() <= worst + 1e-9 and worst < 0.062
    assert ratio.max() > worst - 1e-4


def test_the_integer_exponential_is_the_real_one_in_its_steps():
    """x + (x >> 1) - (x >> 4) rounds twice, each by less than a step of 1/1024 octave."""
    u = np.arange(0, 12_000)
    real = shift_exp(-u / 1024, 15)
    found = shift_exp_q(u, 15) / 2.0**25
    np.testing.assert_allclose(found, real, rtol=2 / 1024)


@given(st.lists(st.integers(1, 2**25), min_size=1, max_size=60))
def test_shares_of_a_sum_are_right_to_fifteen_bits(parts):
    e = np.array(parts, np.int64)
    total = e.sum(keepdims=True) + (1 << 16)
    np.testing.assert_allclose(share_q15(e, total) / 2**15, e / total, atol=3 / 2**15)


@given(st.integers(0, 2**32 - 1))
def test_newtons_steps_end_at_the_root(v):
    """arXiv:2207.01405, section 3.4: ten iterations are enough."""
    assert newton_root(v) == math.isqrt(v)


@pytest.mark.parametrize("n", [1, 5, 64, 700])
def test_shiftmax_in_integers_is_shiftmax_within_a_step(n, nprng):
    scale = 0.06
    x = nprng.integers(-128, 128, (20, n)).astype(np.int8)
    (wanted,) = Case("shiftmax", ((scale * x).astype(np.float32),)).run()
    (found,) = Case("shiftmax_s8", (x,), exponent(scale)).run()
    assert np.abs((found + 128.0) / 256 - np.minimum(wanted, 255 / 256)).max() < 1 / 256


def test_shiftmax_is_near_softmax(nprng):
    """6.2% of a probability at most from the line, and the base 2^1.4375 for e: 1.2% more over three octaves."""
    x = nprng.standard_normal((40, 30)).astype(np.float32)
    (found,), (wanted,) = Case("shiftmax", (x,)).run(), Case("softmax", (x,)).run()
    np.testing.assert_allclose(found, wanted, rtol=0.09)
    np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-6)


@pytest.mark.parametrize("limit", [math.inf, 2.0])
def test_shift_gelu_in_integers_is_shift_gelu_within_a_step(limit, nprng):
    x_format, y_format = affine(-4.0, 5.0), affine(-0.2, min(limit, 5.0))
    x = nprng.integers(-128, 128, (20, 40)).astype(np.int8)
    real = x_format.dequantize(x)
    cut = int(x_format.quantize(np.array(limit)))
    grid = float(x_format.dequantize(np.array(cut)))
    (wanted,) = Case("shift_gelu", (real,), {"limit": grid}).run()
    attrs = {"x_zero": x_format.zero_point, "limit": cut, **exponent(1.702 * x_format.scale)}
    scale = {**requant(x_format.scale / 2**15 / y_format.scale), "y_zero": y_format.zero_point}
    (found,) = Case("shift_gelu_s8", (x,), {**attrs, **scale}).run()
    assert np.abs(y_format.dequantize(found) - wanted).max() < y_format.scale


def test_a_limit_beyond_all_values_changes_nothing(nprng):
    x = nprng.standard_normal((5, 9)).astype(np.float32)
    (plain,), (cut,) = (Case("shift_gelu", (x,), {"limit": limit}).run() for limit in (math.inf, 100.0))
    np.testing.assert_array_equal(plain, cut)


def test_a_limit_keeps_one_large_value_from_flushing_a_row():
    """Beyond 20 octaves both exponentials are the least there is, and GELU(-5) would be -5/2."""
    row = np.float32([[-5.0, 0.5, 12.0]])
    (plain,), (cut,) = (Case("shift_gelu", (row,), {"limit": limit}).run() for limit in (math.inf, 3.0))
    assert plain[0, 0] < -2 and abs(cut[0, 0]) < 0.01 and cut[0, 2] == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize("width", [3, 64, 700])
def test_i_layer_norm_is_layer_norm_within_two_steps(width, nprng):
    """Rows of at least a few steps' spread; the mean is rounded to 2^-fraction of a step."""
    x = nprng.integers(-128, 128, (20, width)).astype(np.int8)
    gamma, beta = nprng.uniform(0.5, 1.5, width), nprng.normal(size=width)
    (wanted,) = Case(
        "layer_norm", (x.astype(np.float32), gamma.astype(np.float32), beta.astype(np.float32)), {"eps": 1e-12}
    ).run()
    y_format = affine(wanted.min(), wanted.max())
    steps = 2**15 / width**0.5
    scale = np.abs(gamma).max() / 4095
    arrays = (x, np.rint(gamma / scale).astype(np.int16), np.rint(beta * steps / scale).astype(np.int32))
    attrs = {**requant(scale / steps / y_format.scale), "y_zero": y_format.zero_point}
    (found,) = Case("i_layer_norm_s8", arrays, attrs).run()
    assert np.abs(y_format.dequantize(found) - wanted).max() < 2 * y_format.scale


def test_one_pass_gives_the_sum_of_two(nprng):
    """arXiv:2305.18691, section IV-B: a new largest entry rescales the sum so far, so the shares are softmax's."""
    table = tables.softmax_table(0.05, 40)
    for x in (nprng.integers(-128, 128, (50, 40)), np.arange(-20, 20)[None], np.arange(20, -20, -1)[None]):
        x = x.astype(np.int8)
        (found,) = Case("single_pass_softmax_s8", (x, table), {"unit_bits": 22}).run()
        (wanted,) = Case("softmax_s8", (x, table)).run()
        assert np.abs(found.astype(int) - wanted).max() <= 1
        assert (found != wanted).mean() < 0.01


def test_gelu_is_relu_minus_an_even_function():
    """x Phi(x) - max(x, 0) is -|x| Phi(-|x|) on either side, which is why one table of |x| is enough."""
    x = torch.linspace(-8, 8, 1001, dtype=torch.float64)
    delta = torch.relu(x) - torch.nn.functional.gelu(x)
    torch.testing.assert_close(delta, delta.flip(0))
    points = torch.arange(161, dtype=torch.float64) / 32
    exact = points - torch.nn.functional.gelu(points)
    np.testing.assert_allclose(tables.gelu_delta_table() / 65536, exact, atol=0.5001 / 65536)


@pytest.mark.parametrize("scale", [0.002, 0.05, 1.7])
def test_gelu_by_its_distance_from_relu_is_right_within_a_rounding(scale):
    """Interpolation between 1/32 adds at most (1/32)^2 / 8 times the second derivative, 1.6e-4, to half a step."""
    x = np.arange(-128, 128, dtype=np.int64).astype(np.int8)
    x_zero = -30
    real = scale * (x.astype(np.float64) - x_zero)
    wanted = torch.nn.functional.gelu(torch.from_numpy(real)).numpy()
    y_format = affine(wanted.min(), wanted.max())
    (m,), s = short_multipliers_of(scale * 8192)
    (relu,), relu_shift = short_multipliers_of(scale * 65536)
    attrs = {"x_zero": x_zero, "exp_multiplier": m, "exp_shift": s, "relu_multiplier": relu, "relu_shift": relu_shift}
    scaled = {**requant(2.0**-16 / y_format.scale), "y_zero": y_format.zero_point}
    (found,) = Case("gelu_delta_s8", (x, tables.gelu_delta_table()), {**attrs, **scaled}).run()
    exact = np.clip(wanted / y_format.scale + y_format.zero_point, -128, 127)
    assert np.abs(found - exact).max() < 0.51 + 2e-4 / y_format.scale


def test_forms_change_the_ops_they_name_and_come_back():
    net = torch.nn.Sequential(torch.nn.LayerNorm(6), torch.nn.Linear(6, 6), torch.nn.GELU(), torch.nn.Softmax(-1))
    graph = lower(net.eval(), (torch.zeros(1, 3, 6),))
    shifted = with_forms(graph, Forms("shift", "shift", "newton", limit=3.0))
    assert [op.kind for op in shifted.ops] == ["layer_norm", "linear", "shift_gelu", "shiftmax"]
    assert shifted.ops[0].attrs["form"] == "i_layer_norm" and shifted.ops[2].attrs["limit"] == 3.0
    back = with_forms(shifted, Forms())
    assert [op.kind for op in back.ops] == [op.kind for op in graph.ops]


@pytest.mark.parametrize("kind, attrs", [("softmax", {"form": "log"}), ("gelu", {"approximate": "erf"})])
def test_an_unknown_form_is_refused(kind, attrs):
    case = Case(kind, (np.zeros((1, 3), np.float32),), attrs)
    with pytest.raises(BadInput, match="need"):
        infer(case.op, case.tensors)
