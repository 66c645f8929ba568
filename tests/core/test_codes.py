"""Formats of codes and scales: every code and every tie against definitions, packing, sizes, hostile files."""

import math
from fractions import Fraction
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesmith.core.errors import BadInput
from edgesmith.core.formats import (
    KINDS,
    NF4,
    POSITS,
    BinaryBases,
    Codebook,
    FloatFormat,
    Group,
    PerChannel,
    PerTensor,
    Posit,
    from_json,
    grouped,
    nf4,
    residual_bases,
    scaled_float,
    ternary,
    with_outliers,
)

PEERS = {"e4m3": ml_dtypes.float8_e4m3fn, "e5m2": ml_dtypes.float8_e5m2, "e2m1": ml_dtypes.float4_e2m1fn}
TORCH = {"e4m3": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2}
F32 = np.float32


def example(shape=(6, 20), seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(F32)


def made():
    w = example()
    return {
        "group": grouped(w, 10, 3),
        "group with zero points": grouped(w, 5, 4, symmetric=False),
        "nf4": nf4(w, 20),
        "vectors": Codebook((0.5, 0.5, 1, 2, 3, 4), tuple(map(float, example((9, 4), 1).ravel())), 4),
        "ternary": ternary((0.5,) * 6),
        "ternary in two bits": ternary((0.5,) * 6, trits=False),
        "two bases": residual_bases(w, 2),
        "outliers": with_outliers(grouped(w, 10, 2), w, [119, 3]),
        **{kind: scaled_float(w, kind, 6) for kind in KINDS},
        **{f"posit {n},{es}": Posit((0.25,), n, es) for n, es in POSITS},
    }


MADE = made()


def brute_posit(code: int, n: int, es: int) -> Fraction | None:
    """From the definition, on the string of bits: sign, run, its end, exponent, fraction; bits past the end are 0."""
    if code == 0:
        return Fraction(0)
    if code == 1 << (n - 1):
        return None
    sign = -1 if code >> (n - 1) else 1
    bits = format((code if sign > 0 else (1 << n) - code) & ((1 << n) - 1), f"0{n}b")[1:]
    run = len(bits) - len(bits.lstrip(bits[0]))
    k = run - 1 if bits[0] == "1" else -run
    tail = bits[run + 1 :]
    exponent = int((tail[:es] + "0" * es)[:es] or "0", 2)
    fraction = tail[es:]
    value = 1 + (Fraction(int(fraction, 2), 1 << len(fraction)) if fraction else 0)
    return sign * value * Fraction(2) ** (k * (1 << es) + exponent)


def brute_float(code: int, exponent_bits: int, mantissa_bits: int) -> Fraction:
    sign = -1 if code >> (exponent_bits + mantissa_bits) else 1
    exponent, mantissa = divmod(code & ((1 << (exponent_bits + mantissa_bits)) - 1), 1 << mantissa_bits)
    fraction = Fraction(mantissa, 1 << mantissa_bits) + (exponent > 0)
    return sign * fraction * Fraction(2) ** (max(exponent, 1) - (1 << (exponent_bits - 1)) + 1)


@pytest.mark.parametrize("kind", PEERS)
def test_every_code_of_a_float_means_what_ml_dtypes_says(kind):
    format_ = FloatFormat((1.0,), kind)
    codes = np.arange(1 << format_.bits, dtype=np.uint8)
    theirs = codes.view(PEERS[kind]) if format_.bits == 8 else codes.astype(np.uint8).view(PEERS[kind])
    np.testing.assert_array_equal(format_.dequantize(codes), theirs.astype(F32))
    assert (np.signbit(format_.dequantize(codes)) == (codes >= 1 << (format_.bits - 1))).all()


@pytest.mark.parametrize("kind", TORCH)
def test_every_code_of_a_float_means_what_torch_says(kind):
    codes = np.arange(256, dtype=np.uint8)
    theirs = torch.from_numpy(codes).view(TORCH[kind]).float().numpy()
    np.testing.assert_array_equal(FloatFormat((1.0,), kind).dequantize(codes), theirs)


@pytest.mark.parametrize("kind", ["e3m4", "e2m5", "e2m1"])
def test_formats_without_special_codes_are_their_formula(kind):
    """The top exponent counts too: the greatest is (2 - 2^-m) * 2^(2^e - b - 1), no code is kept back."""
    found = KINDS[kind]
    codes = np.arange(1 << found.bits, dtype=np.uint8)
    want = [float(brute_float(int(code), found.exponent, found.mantissa)) for code in codes]
    np.testing.assert_array_equal(FloatFormat((1.0,), kind).dequantize(codes), np.array(want, F32))
    assert found.greatest == (2 - 2.0**-found.mantissa) * 2.0 ** (2**found.exponent - found.bias - 1)


def test_ranges_are_those_that_the_standards_name():
    greatest = {kind: found.greatest for kind, found in KINDS.items()}
    assert greatest == {"e4m3": 448, "e5m2": 57344, "e3m4": 31, "e2m5": 7.875, "e2m1": 6}


@pytest.mark.parametrize("n,es", POSITS)
def test_every_code_of_a_posit_is_its_definition(n, es):
    codes = np.arange(1 << n, dtype=np.uint16 if n > 8 else np.uint8)
    got = Posit((1.0,), n, es).dequantize(codes)
    want = [brute_posit(int(code), n, es) for code in codes]
    assert np.isnan(got[1 << (n - 1)])
    assert all(w is None or Fraction(float(g)) == w for g, w in zip(got, want, strict=True))


def probes(levels, extra=()):
    """Around every middle: itself where float32 has it, and its neighbours; and values beyond."""
    levels = np.unique(levels[np.isfinite(levels)]).astype(np.float64)
    middles = ((levels[1:] + levels[:-1]) / 2).astype(F32)
    near = [np.nextafter(middles, F32(sign * np.inf)) for sign in (-1, 1)]
    ends = np.array([levels[0] * 2, levels[-1] * 2, levels[0], levels[-1], np.inf, -np.inf], F32)
    return np.concatenate([middles, *near, levels.astype(F32), ends, np.asarray(extra, F32)])


@pytest.mark.parametrize("kind", KINDS)
def test_floats_round_to_the_nearest_and_ties_to_even(kind):
    format_, found = FloatFormat((1.0,), kind), KINDS[kind]
    half = 1 << (found.bits - 1)
    exact = [brute_float(code, found.exponent, found.mantissa) for code in range(found.numbers)]
    values = probes(np.array([float(v) for v in exact] + [-float(v) for v in exact]), [1e-30, -1e-30, 0.0, -0.0])
    sizes = np.minimum(np.abs(values.astype(np.float64)), found.greatest)
    distances = np.abs(np.array([float(v) for v in exact]) - sizes[:, None])  # exact: few bits, close together
    ties = distances == distances.min(axis=1, keepdims=True)
    assert ties.sum(axis=1).max() == 2
    best = np.where(ties, np.arange(found.numbers) % 2, 2).argmin(axis=1)
    np.testing.assert_array_equal(format_.quantize(values), best + half * np.signbit(values))


@pytest.mark.parametrize("kind", PEERS)
def test_floats_round_as_ml_dtypes_does(kind):
    """Within the range: beyond it ml_dtypes makes NaN or infinity, saturation is ours to choose (OCP OFP8, 5.2)."""
    rng = np.random.default_rng(1)
    values = (rng.standard_normal(20000) * 2.0 ** rng.integers(-20, 8, 20000)).astype(F32)
    values = values[np.abs(values) <= KINDS[kind].greatest]
    ours = FloatFormat((1.0,), kind).quantize(values)
    np.testing.assert_array_equal(ours, values.astype(PEERS[kind]).view(np.uint8) & (15 if kind == "e2m1" else 255))


@pytest.mark.parametrize("n,es", POSITS)
def test_posits_round_to_the_nearest_encoding_and_ties_to_even(n, es):
    """The middle of two neighbours is the posit of one more bit between them; nothing becomes zero or infinite."""
    format_ = Posit((1.0,), n, es)
    middles = {code: brute_posit(2 * code + 1, n + 1, es) for code in range((1 << (n - 1)) - 1)}
    step = 1 if n < 16 else 137
    for code in range(1, (1 << (n - 1)) - 1, step):
        middle = F32(float(middles[code]))
        assert Fraction(float(middle)) == middles[code]
        below, above = np.nextafter(middle, F32(0)), np.nextafter(middle, F32(np.inf))
        got = format_.quantize(np.array([below, middle, above, -middle], F32)).astype(int)
        even = code + (code & 1)
        assert got.tolist() == [code, even, code + 1, (1 << n) - even]
    ends = format_.quantize(np.array([0, 1e-30, -1e-30, np.inf, -np.inf, np.nan], F32)).astype(int)
    top = (1 << (n - 1)) - 1
    assert ends.tolist() == [0, 1, (1 << n) - 1, top, (1 << n) - top, 1 << (n - 1)]


def test_a_nan_has_a_code_or_is_refused():
    nan = np.array([np.nan], F32)
    assert FloatFormat((1.0,), "e4m3").quantize(nan) == 0x7F and FloatFormat((1.0,), "e5m2").quantize(nan) == 0x7E
    for format_ in (FloatFormat((1.0,), "e3m4"), Codebook((1.0,), NF4), Group((1.0,), 1), BinaryBases((1.0,))):
        with pytest.raises(BadInput, match="not a number"):
            format_.quantize(nan)


def test_the_nearest_of_a_table_by_brute_force_with_exact_middles():
    table = (-3.0, -1.0, 1e-30, 1.0, 3.0)
    format_ = Codebook((1.0,), table)
    values = probes(np.array(table), [0.0, 2.0, -2.0, 0.5])
    for value, code in zip(values, format_.quantize(values), strict=True):
        if np.isfinite(value):
            key = [(abs(Fraction(float(F32(t))) - Fraction(float(value))), abs(t)) for t in table]
            assert code == key.index(min(key)), value


def test_nf4_is_the_table_of_the_paper():
    """arXiv:2305.14314, appendix E, and its construction (equation 4) from quantiles, to the paper's own rounding."""
    normal = torch.distributions.Normal(0.0, 1.0)
    offset = 0.9677083
    upper = normal.icdf(torch.linspace(offset, 0.5, 9)[:-1].double()).flip(0)
    lower = -normal.icdf(torch.linspace(offset, 0.5, 8)[:-1].double())
    want = torch.cat([lower, torch.zeros(1), upper]) / upper.max()
    np.testing.assert_allclose(NF4, want.numpy(), atol=2e-6)
    w = example((4, 64))
    peak = np.abs(w).max(axis=1, keepdims=True)
    best = np.abs((w / peak)[..., None] - np.array(NF4, F32)).argmin(axis=-1)
    assert (nf4(w).quantize(w) == best).all()


def test_ternary_rounds_as_bitnet_does():
    """arXiv:2402.17764, equation 1: RoundClip(W / scale, -1, 1)."""
    values = np.array([[-9, -0.75, -0.5, -0.25, 0, 0.5, 0.51, 2]], F32)
    codes = ternary((1.0,)).quantize(values)
    assert (codes.astype(int) - 1 == np.clip(np.rint(values), -1, 1)).all()


def test_groups_round_each_by_its_own_scale():
    w = np.array([[0.5, 1.5, 2.5, -40], [10, -20, 25, 5]], F32)
    format_ = Group((1.0, 2.0, 10.0, 10.0), 2, 4)
    assert (format_.quantize(w).astype(int) - 8).tolist() == [[0, 2, 1, -8], [1, -2, 2, 0]]
    shifted = Group((1.0,), 4, 2, (3,))
    assert shifted.dequantize(shifted.quantize(np.array([[-9, -1.4, 0.4, 7]], F32))).tolist() == [[-3, -1, 0, 0]]


def test_bases_take_the_nearest_of_all_their_sums():
    w = example((3, 40), 5)
    format_ = residual_bases(w, 3)
    sums = format_.sums()
    best = np.abs(sums[:, None] - w[..., None]).min(axis=-1)
    np.testing.assert_array_equal(np.abs(format_.dequantize(format_.quantize(w)) - w), best)
    one = residual_bases(w)
    np.testing.assert_allclose(one.scales, np.abs(w).mean(axis=1), rtol=1e-6)
    assert one.quantize(np.zeros((3, 1), F32)).tolist() == [[1]] * 3, "zero counts as +1"


def test_outliers_stay_and_the_rest_is_dense():
    w = example()
    w[0, 3] = 1000.0
    dense = grouped(np.where(w == 1000, 0, w), 20, 4)
    got = with_outliers(dense, w, [3]).dequantize(with_outliers(dense, w, [3]).quantize(w))
    assert got[0, 3] == 1000 and np.abs(got - w).max() <= max(dense.scales) / 2 * 1.001


@pytest.mark.parametrize("name", MADE)
def test_what_is_packed_comes_back_and_takes_what_is_said(name):
    format_, w = MADE[name], example()
    codes = format_.quantize(w)
    data = format_.pack(codes)
    assert data.dtype == np.uint8 and (format_.unpack(data, w.shape) == codes).all()
    dense = getattr(format_, "dense", format_)
    others = 4 * len(dense.scales) + 4 * len(getattr(dense, "table", ())) + 6 * len(getattr(format_, "indices", ()))
    zeros = -(-len(getattr(dense, "zero_points", ())) * dense.bits // 8)
    assert format_.nbytes(w.shape) == data.size + others + zeros
    assert format_.bits_per_weight(w.shape) == pytest.approx(8 * format_.nbytes(w.shape) / w.size)
    again = format_.dequantize(codes)
    assert again.dtype == F32 and (format_.dequantize(format_.quantize(again)) == again).all()
    with pytest.raises(BadInput, match="bytes"):
        format_.unpack(data[:-1], w.shape)


@pytest.mark.parametrize("bits", range(2, 9))
def test_integers_are_packed_lowest_bits_first(bits):
    for format_ in (PerTensor(0.1, 1, bits=bits), PerTensor(0.1, 1, "uint8", bits), PerChannel((0.1,) * 6, bits=bits)):
        stored = format_.quantize(example())
        data = format_.pack(stored)
        number = int.from_bytes(data.tobytes(), "little")
        offset = 0 if format_.dtype == "uint8" else 1 << (bits - 1)
        want = [(number >> (bits * i) & ((1 << bits) - 1)) - offset for i in range(stored.size)]
        assert want == stored.ravel().tolist() and (format_.unpack(data, stored.shape) == stored).all()
        assert data.size == format_.nbytes(stored.shape) - 4 * len(getattr(format_, "scales", (1,)))


def test_trits_are_packed_five_to_a_byte():
    format_ = ternary((1.0,))
    data = format_.pack(np.array([[2, 1, 0, 2, 1, 2]], np.uint8))
    assert data.tolist() == [2 + 3 * 1 + 27 * 2 + 81 * 1, 2]
    assert ternary((1.0,)).bits_per_weight((64, 320)) == pytest.approx(1.6, abs=0.01)


@pytest.mark.parametrize("name", MADE)
def test_a_format_comes_back_from_json(name):
    assert from_json(MADE[name].to_json()) == MADE[name]


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 300),
    st.floats(),
    st.text(max_size=5),
    st.just(10**400),
    st.lists(st.one_of(st.floats(), st.integers(-3, 9), st.none()), max_size=4),
    st.just({}),
)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(MADE)), st.data())
def test_a_damaged_file_is_refused_or_means_a_format(name, data):
    fields = MADE[name].to_json()
    fields[data.draw(st.sampled_from(sorted(fields)))] = data.draw(JUNK)
    try:
        format_ = from_json(fields)
        format_.fits((6, 20))
    except BadInput:
        return
    codes = format_.unpack(format_.pack(format_.quantize(example())), (6, 20))
    assert format_.dequantize(codes).shape == (6, 20)


@pytest.mark.parametrize(
    "fields,words",
    [
        ({"format": "group", "scales": [1.0], "size": 3, "bits": 4, "zero_points": [16]}, "zero point"),
        ({"format": "group", "scales": [1.0], "size": 0, "bits": 4}, "size"),
        ({"format": "group", "scales": [math.nan], "size": 1, "bits": 4}, "scales"),
        ({"format": "group", "scales": [1e300], "size": 1, "bits": 4}, "scales"),
        ({"format": "group", "scales": [1e-60], "size": 1, "bits": 4}, "scales"),
        ({"format": "codebook", "scales": [1.0], "table": [1.0, 0.0]}, "ascending"),
        ({"format": "codebook", "scales": [1.0], "table": [1.0]}, "table"),
        ({"format": "codebook", "scales": [1.0], "table": [0.0, 1.0], "trits": True}, "three"),
        ({"format": "codebook", "scales": [1.0], "table": [0.0, 1.0, 2.0], "width": 2}, "table"),
        ({"format": "float", "scales": [1.0], "kind": "e8m0"}, "float kind"),
        ({"format": "posit", "scales": [1.0], "n": 32, "es": 2}, "posit"),
        ({"format": "binary_bases", "scales": [1.0, 1.0, 1.0], "bases": 2}, "bases"),
        ({"format": "sparse_outliers", "dense": PerTensor(1.0).to_json(), "indices": [0], "values": [1.0]}, "outliers"),
        ({"format": "sparse_outliers", "dense": [], "indices": [0], "values": [1.0]}, "malformed"),
    ],
)
def test_malformed_formats_are_refused_with_a_reason(fields, words):
    with pytest.raises(BadInput, match=words):
        from_json(fields)


@pytest.mark.parametrize(
    "name,shape", [("group", (6, 21)), ("nf4", (7, 20)), ("two bases", (20, 6)), ("outliers", (6,))]
)
def test_a_format_of_another_shape_is_refused(name, shape):
    with pytest.raises(BadInput, match="format"):
        MADE[name].quantize(np.zeros(shape, F32))


LAYER = (256, 3, 3, 64)


def documented() -> dict[str, object]:
    """The formats of the table in docs/numbers.md."""
    w = example(LAYER)
    channels, places = (0.1,) * 256, range(0, w.size, 100)
    rows = tuple(map(float, np.arange(2048)))
    return {
        "PerTensor, 8 bits": PerTensor(0.1),
        **{f"PerChannel, {bits} bits": PerChannel(channels, bits=bits) for bits in (8, 4, 3, 2)},
        "Group, 4 bits, 64 values": grouped(w, 64, 4),
        "Group, 4 bits, 64 values, zero points": grouped(w, 64, 4, symmetric=False),
        "Group, 2 bits, 32 values": grouped(w, 32, 2),
        "Codebook, NF4, 64 values": nf4(w),
        "Codebook, 256 rows of 8 values": Codebook((1.0,), rows, 8),
        "ternary, five to a byte, a scale a channel": ternary(channels),
        "ternary, 2 bits, a scale a channel": ternary(channels, trits=False),
        "BinaryBases, 1": BinaryBases(channels),
        "BinaryBases, 2": BinaryBases(channels * 2, 2),
        "SparseOutliers, 1% beside Group of 2 bits, 64 values": with_outliers(grouped(w, 64, 2), w, places),
        "FloatFormat, 8 bits, a scale a channel": FloatFormat(channels),
        "FloatFormat, E2M1, a scale a channel": FloatFormat(channels, "e2m1"),
        **{f"Posit({n}, {es})": Posit((1.0,), n, es) for n, es in POSITS},
    }


def test_the_table_of_bits_in_the_document_is_what_formats_say():
    text = (Path(__file__).parents[2] / "docs" / "numbers.md").read_text(encoding="utf-8")
    lines = text.split("### Bits per weight")[1].split("###")[0].splitlines()
    rows = {cells[1].strip(): cells[2:4] for line in lines if len(cells := line.split("|")) == 5}
    found = documented()
    assert set(rows) == {"format", "---", *found}
    for name, format_ in found.items():
        bits, size = rows[name]
        assert f"{format_.bits_per_weight(LAYER):.3f}" == bits.strip(), name
        assert f"{format_.nbytes(LAYER):,}" == size.strip(), name
