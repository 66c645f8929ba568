"""Integer ops mean what their float ops mean: real values in, real values out, within a step of the output.

Inputs are real values already on the grid of their format, so that only the op's own error shows.
"""

import numpy as np
import pytest

from core.ops.cases import Case
from edgesmith.core.formats import PerTensor, affine, symmetric
from edgesmith.core.ops import tables
from edgesmith.core.ops.elementwise import FUNCTIONS, apply
from edgesmith.core.ops.fixed import multiplier_of, multipliers_of, short_multipliers_of

# One rounding of the exact value is half a step; the multiplier's own error adds a hair.
ROUNDING = 0.501


def stored(rng: np.random.Generator, format_: PerTensor, *shape: int) -> np.ndarray:
    """Random int8 values; `format_` says what they mean."""
    return rng.integers(-128, 128, shape).astype(np.int8)


def real(q: np.ndarray, format_: PerTensor) -> np.ndarray:
    """What stored values mean, in float64."""
    return format_.scale * (q.astype(np.float64) - format_.zero_point)


def steps_off(found: np.ndarray, wanted: np.ndarray, format_: PerTensor) -> float:
    """Largest distance in output steps, where saturation counts as right."""
    exact = np.clip(wanted / format_.scale + format_.zero_point, -128, 127)
    return float(np.abs(found - exact).max())


def spanning(values: np.ndarray) -> PerTensor:
    """The format that just holds these values."""
    return affine(values.min(), values.max())


def requant_attrs(scale: float) -> dict[str, int]:
    m, s = multiplier_of(scale)
    return {"multiplier": m, "shift": s}


X, W_SCALE = affine(-1.3, 3.1), 0.011


@pytest.mark.parametrize("kind", ["conv2d_s8", "conv_transpose2d_s8", "linear_s8"])
def test_a_weighted_sum_is_right_within_a_rounding(kind, nprng):
    """The zero point is folded for conv2d and linear; padding reads as real zero."""
    conv = kind != "linear_s8"
    x = stored(nprng, X, *((1, 6, 5, 4) if conv else (3, 7)))
    weight = nprng.normal(size=(6, 3, 3, 4) if conv else (6, 7))
    bias = nprng.normal(size=6)
    w_format = symmetric(weight)
    w = w_format.quantize(weight)
    scales = X.scale * np.array(w_format.scales)
    b = np.rint(bias / scales).astype(np.int32)
    window = {"padding": (1, 1, 0, 1), "stride": (2, 1)} if conv else {}
    floats = [real(x, X), w_format.dequantize(w), b * scales]
    wanted = Case(kind[:-3], tuple(a.astype(np.float32) for a in floats), window).run()[0]
    y_format = spanning(wanted)
    folded = b if kind == "conv_transpose2d_s8" else b - X.zero_point * w.reshape(6, -1).sum(1, dtype=np.int32)
    zeros = {"y_zero": y_format.zero_point} | ({"x_zero": X.zero_point} if conv else {})
    arrays = (x, w, folded, *multipliers_of(scales / y_format.scale))
    assert steps_off(Case(kind, arrays, {**window, **zeros}).run()[0], wanted, y_format) < ROUNDING


def test_a_product_of_activations_is_right_within_a_rounding(nprng):
    a_format, b_format = affine(-2, 1), affine(0, 5)
    a, b = stored(nprng, a_format, 3, 20), stored(nprng, b_format, 20, 4)
    wanted = real(a, a_format) @ real(b, b_format)
    y_format = spanning(wanted)
    zeros = {"a_zero": a_format.zero_point, "b_zero": b_format.zero_point, "y_zero": y_format.zero_point}
    scale = requant_attrs(a_format.scale * b_format.scale / y_format.scale)
    assert steps_off(Case("matmul_s8", (a, b), {**zeros, **scale}).run()[0], wanted, y_format) < ROUNDING


@pytest.mark.parametrize("kind", ["add", "sub", "mul", "div"])
def test_arithmetic_is_right_within_a_rounding(kind, nprng):
    a_format, b_format = affine(-2, 1), affine(-0.4, 6)
    a, b = stored(nprng, a_format, 2000), stored(nprng, b_format, 2000)
    b[b == b_format.zero_point] += 1
    p, q = real(a, a_format), real(b, b_format)
    wanted = {"add": p + q, "sub": p - q, "mul": p * q, "div": p / q}[kind]
    y_format = affine(*np.quantile(wanted, (0.02, 0.98)))
    ratio = a_format.scale / y_format.scale
    zeros = {"a_zero": a_format.zero_point, "b_zero": b_format.zero_point, "y_zero": y_format.zero_point}
    if kind in ("add", "sub"):
        sign = 1 if kind == "add" else -1
        (m, n), s = short_multipliers_of(ratio, sign * b_format.scale / y_format.scale)
        factors = {"a_multiplier": m, "b_multiplier": n, "shift": s}
    elif kind == "mul":
        factors = requant_attrs(ratio * b_format.scale)
    else:
        quotient = ratio / b_format.scale
        factors = {"multiplier": round(quotient * 2**20), "shift": 20}
    op = "add_s8" if kind == "sub" else f"{kind}_s8"
    found = Case(op, (a, b), {**zeros, **factors}).run()[0]
    assert steps_off(found, wanted, y_format) < ROUNDING


def test_rescaling_is_right_within_a_rounding():
    x = np.arange(-128, 128).astype(np.int8)
    for y_format in (affine(-1, 3), affine(-7, 20), affine(0, 0.2)):
        (m,), s = short_multipliers_of(X.scale / y_format.scale)
        attrs = {"x_zero": X.zero_point, "multiplier": m, "shift": s, "y_zero": y_format.zero_point}
        assert steps_off(Case("rescale_s8", (x,), attrs).run()[0], real(x, X), y_format) < ROUNDING


@pytest.mark.parametrize("counted", [True, False])
def test_an_average_is_right_within_a_rounding(counted, nprng):
    x = stored(nprng, X, 1, 7, 6, 3)
    window = {"kernel": (3, 2), "padding": (1, 1, 1, 0), "stride": (2, 1), "count_include_pad": counted}
    wanted = Case("avg_pool2d", (real(x, X).astype(np.float32),), window).run()[0]
    y_format = affine(wanted.min(), wanted.max())
    factors = multipliers_of(X.scale / y_format.scale / np.arange(1, 7))
    zeros = {"x_zero": X.zero_point, "y_zero": y_format.zero_point}
    assert steps_off(Case("avg_pool2d_s8", (x, *factors), {**window, **zeros}).run()[0], wanted, y_format) < ROUNDING


def test_a_mean_is_right_within_a_rounding(nprng):
    x = stored(nprng, X, 4, 9, 5)
    wanted = real(x, X).mean(axis=(0, 2))
    y_format = spanning(wanted)
    attrs = {"axes": (0, 2), "x_zero": X.zero_point, "y_zero": y_format.zero_point}
    scale = requant_attrs(X.scale / y_format.scale / 20)
    assert steps_off(Case("reduce_sum_s8", (x,), {**attrs, **scale}).run()[0], wanted, y_format) < ROUNDING


@pytest.mark.parametrize("kind", sorted(set(FUNCTIONS) - {"log", "sqrt", "rsqrt"}))
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_a_lookup_is_the_function_at_every_input(kind, dtype):
    from edgesmith.core.ops import SPECS

    attrs = SPECS[kind].complete({})
    x_format = PerTensor(0.03, 100 if dtype == "uint8" else -20, dtype)
    x = np.arange(256, dtype=np.uint8).view(dtype)
    wanted = apply(kind, real(x, x_format), attrs)
    y_format = spanning(wanted)
    table = tables.lookup_table(lambda v: apply(kind, v, attrs), x_format, y_format)
    assert steps_off(Case("lookup", (x, table)).run()[0], wanted, y_format) <= 0.5 + 1e-9


def test_a_lookup_where_the_function_is_not_a_number_reads_as_zero():
    x_format, y_format = PerTensor(0.1, 0), PerTensor(0.02, -100)
    table = tables.lookup_table(np.sqrt, x_format, y_format)
    x = np.int8([-5, 0, 10])
    assert Case("lookup", (x, table)).run()[0].tolist() == [-100, -100, -50]
    assert tables.lookup_table(np.log, x_format, y_format)[0] == -128


@pytest.mark.parametrize("n", [2, 10, 600])
def test_softmax_is_right_within_a_step(n, nprng):
    """Output scale is 1/256; the table's entries carry half a unit of 2^-22 each."""
    x_format, y_format = PerTensor(0.06, 10), PerTensor(1 / 256, -128)
    x = stored(nprng, x_format, 50, n)
    wanted = Case("softmax", (real(x, x_format).astype(np.float32),)).run()[0]
    found = Case("softmax_s8", (x, tables.softmax_table(x_format.scale, n))).run()[0]
    assert steps_off(found, wanted, y_format) < 0.51


def norm_arrays(rng: np.random.Generator, n: int, rms: bool) -> tuple[np.ndarray, np.ndarray, float]:
    """gamma int16, beta int32 and gamma's scale."""
    gamma, beta = rng.normal(1, 0.3, n), rng.normal(0, 0.5, n) * (not rms)
    scale = float(np.abs(gamma).max() / 4095)
    return np.rint(gamma / scale).astype(np.int16), np.rint(beta / (scale / 1024)).astype(np.int32), scale


@pytest.mark.parametrize("n", [1, 16, 257, 2048])
@pytest.mark.parametrize("kind", ["layer_norm", "rms_norm"])
def test_a_norm_is_right_within_a_step(kind, n, nprng):
    """z has a step of 2^-10, times gamma (about 1.5) in output steps of about 0.03: 0.05 of a step more."""
    x, rms = stored(nprng, X, 20, n), kind == "rms_norm"
    x[0] = 7  # a constant row: only epsilon keeps it finite
    gamma, beta, scale = norm_arrays(nprng, n, rms)
    eps = 1e-5
    floats = [real(x, X), gamma * scale, *(() if rms else (beta * scale / 1024,))]
    wanted = Case(kind, tuple(a.astype(np.float32) for a in floats), {"eps": eps}).run()[0]
    y_format = affine(-4, 4)
    eps_q = round(eps / X.scale**2 * (1 if rms else n * n) * 2**14)
    attrs = {"eps_q": eps_q, "y_zero": y_format.zero_point, **requant_attrs(scale / 1024 / y_format.scale)}
    found = Case(f"{kind}_s8", (x, gamma, beta), {**attrs, **({"x_zero": X.zero_point} if rms else {})}).run()[0]
    assert steps_off(found, wanted, y_format) < 0.6


def test_gate_tables_are_near_their_functions_between_their_points():
    """Linear interpolation every 1/32: the second derivative of tanh is at most 0.77, so 0.77 / 8 / 32^2 = 9.4e-5."""
    from edgesmith.core.ops.recurrent_s8 import interpolate

    gates = np.arange(-32768, 32768)
    for table, function in ((tables.sigmoid_table(), lambda x: 1 / (1 + np.exp(-x))), (tables.tanh_table(), np.tanh)):
        found = interpolate(table, gates) / 32768
        assert np.abs(found - function(gates / 4096)).max() < 9.4e-5 + 2 / 32768


def recurrent_case(kind: str, rng: np.random.Generator) -> tuple[Case, Case, PerTensor]:
    """An integer recurrent op and the float op on the same real values; h in the format returned."""
    gates, steps, inside, hidden = (4 if kind == "lstm" else 3), 25, 6, 8
    h_format = PerTensor(1 / 128, 0)
    x = stored(rng, X, steps, 1, inside)
    scales, weights, biases, floats = [], [], [], []
    for columns, in_format in ((inside, X), (hidden, h_format)):
        weight = rng.normal(0, 0.35, (gates * hidden, columns))
        format_ = symmetric(weight)
        w, scale = format_.quantize(weight), in_format.scale * np.array(format_.scales)
        b = np.rint(rng.normal(0, 0.3, gates * hidden) / scale).astype(np.int32)
        weights.append(w)
        biases.append(b - in_format.zero_point * w.sum(1, dtype=np.int32))
        scales.append(multipliers_of(scale * 4096))
        floats.append((format_.dequantize(w), (b * scale).astype(np.float32)))
    zero = np.zeros(hidden)
    count = 2 if kind == "lstm" else 1
    wide = real(x, X).astype(np.float32)
    plain = (wide, *[zero.astype(np.float32)] * count, floats[0][0], floats[1][0], floats[0][1], floats[1][1])
    m, s = multiplier_of((2.0**-30 if kind == "lstm" else 2.0**-15) / h_format.scale)
    attrs = {"multiplier": m, "shift": s, "h_zero": 0} | ({"cell_bits": 12} if kind == "lstm" else {})
    states = (zero.astype(np.int8), zero.astype(np.int16)) if kind == "lstm" else (zero.astype(np.int16),)
    constants = (*weights, *biases, *scales[0], *scales[1], tables.sigmoid_table(), tables.tanh_table())
    return Case(f"{kind}_s8", (x, *states, *constants), attrs), Case(kind, plain), h_format


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_a_recurrence_stays_near_the_float_one(kind, nprng):
    """h is fed back in int8 (half a step of 1/128 each time), so errors add up: within 4 steps over 25 inputs."""
    fixed, plain, h_format = recurrent_case(kind, nprng)
    off = np.abs(real(fixed.run()[0], h_format) - plain.run()[0]) / h_format.scale
    assert off.max() < 4 and off.mean() < 0.7
    assert np.abs(plain.run()[0]).max() > 0.5


def test_log_mel_is_right_within_a_step(nprng):
    """Speech-like samples, 40 filters: interpolation and the FFT's rounding add a tenth of a step."""
    n = 512
    time = np.arange(4 * n)
    tones = sum(3000 / (k + 1) * np.sin(0.031 * (k + 1) ** 2 * time) for k in range(6))
    x = np.rint(tones + nprng.normal(0, 300, 4 * n)).astype(np.int16)[None]
    window = tables.window_q15(np.hanning(n))
    centres = np.linspace(2, n // 2 - 4, 42)
    bins = np.arange(n // 2 + 1)
    dense = np.stack([np.interp(bins, centres[j : j + 3], (0, 1, 0), 0, 0) for j in range(40)])
    mel = tables.sparse_mel(dense)
    exact = (x, (window / 32768).astype(np.float32), (np.rint(dense * 4096) / 4096).astype(np.float32))
    framing = {"n_fft": n, "hop": 160}
    wanted = Case("log_mel", exact, framing).run()[0]
    y_format = spanning(wanted)
    attrs = {**framing, "y_zero": y_format.zero_point, **requant_attrs(2.0**-12 / y_format.scale)}
    case = Case("log_mel_s8", (x, window, tables.twiddles(n), *mel, tables.log2_table()), attrs)
    assert steps_off(case.run()[0], wanted, y_format) < 0.6


def test_sparse_mel_filters_hold_the_dense_ones(nprng):
    dense = np.zeros((4, 9))
    dense[0, 2:5], dense[1, 8], dense[3, 0] = (0.25, 1.0, 0.5), 1.0, 0.75
    first, count, weights = tables.sparse_mel(dense)
    assert first.tolist() == [2, 8, 0, 0] and count.tolist() == [3, 1, 1, 1]
    assert weights.tolist() == [1024, 4096, 2048, 4096, 0, 3072]
