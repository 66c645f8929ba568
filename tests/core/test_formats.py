"""Formats: what stored integers mean, and that files cannot smuggle in others."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesmith.core.errors import BadInput
from edgesmith.core.formats import PerChannel, PerTensor, affine, from_json, symmetric

EDGE = st.floats(-1e6, 1e6, allow_subnormal=False)


@given(EDGE, EDGE)
def test_an_affine_format_covers_its_range_and_holds_zero_exactly(a, b):
    low, high = min(a, b), max(a, b)
    if high - low < 1e-9:
        return
    format_ = affine(low, high)
    assert format_.dequantize(format_.quantize(np.zeros(1)))[0] == 0
    ends = np.array([min(low, 0.0), max(high, 0.0)])
    back = format_.dequantize(format_.quantize(ends)).astype(np.float64)
    # The zero point's own rounding may move the ends by half a step.
    assert np.abs(back - ends).max() <= format_.scale * 1.001


def test_the_formula_of_the_document():
    format_ = affine(-1.0, 4.1)
    assert format_.scale == pytest.approx(5.1 / 255) and format_.zero_point == -128 + 50
    assert affine(0.0, 0.0) == PerTensor(1.0, -128)
    assert affine(2.0, 5.0) == affine(0.0, 5.0), "the range is widened to hold zero"


def test_quantizing_rounds_half_to_even_and_saturates():
    format_ = PerTensor(0.5, 3)
    stored = format_.quantize(np.array([0.25, 0.75, -0.25, 1e9, -1e9]))
    assert stored.dtype == np.int8 and stored.tolist() == [3, 5, 3, 127, -128]
    assert PerTensor(1.0, 0, "uint8").quantize(np.array([-1.0, 300.0])).tolist() == [0, 255]


def test_a_channel_has_its_own_scale_and_its_peak_is_127():
    weight = np.array([[1.0, -2.54], [0.0, 0.0], [0.3, 0.1]])
    format_ = symmetric(weight)
    assert format_.scales == pytest.approx((0.02, 1.0, 0.3 / 127))
    assert format_.quantize(weight).tolist() == [[50, -127], [0, 0], [127, 42]]
    np.testing.assert_allclose(format_.dequantize(format_.quantize(weight)), weight, atol=0.01)
    assert symmetric(weight, axis=1).scales == pytest.approx((1 / 127, 0.02))


def test_symmetric_values_never_reach_minus_128():
    assert PerChannel((1.0,)).quantize(np.array([[-500.0]])).tolist() == [[-127]]


@pytest.mark.parametrize("format_", [PerTensor(0.1, 5, "uint8"), PerTensor(2.0), PerChannel((0.5, 1.5), 1, "int32")])
def test_a_format_comes_back_from_json(format_):
    assert from_json(format_.to_json()) == format_


@pytest.mark.parametrize(
    "change",
    [
        {"format": "codebook"},
        {"format": ["per_tensor"]},
        {"scale": 0.0},
        {"scale": -1.0},
        {"scale": math.inf},
        {"scale": math.nan},
        {"scale": 10**400},
        {"scale": None},
        {"zero_point": 128},
        {"zero_point": math.inf},
        {"zero_point": []},
        {"dtype": "float32"},
        {"dtype": "int7"},
        {"dtype": []},
    ],
)
def test_a_damaged_format_is_refused(change):
    with pytest.raises(BadInput, match="format"):
        from_json({**PerTensor(0.5, 1).to_json(), **change})


@pytest.mark.parametrize("data", [{}, [], None, "per_tensor", 3])
def test_what_is_no_format_is_refused(data):
    with pytest.raises(BadInput, match="format"):
        from_json(data)


@pytest.mark.parametrize("scales", [[], [0.0], [1.0, math.nan], ["x"], None, 3])
def test_damaged_channel_scales_are_refused(scales):
    with pytest.raises(BadInput, match="format"):
        from_json({**PerChannel((1.0,)).to_json(), "scales": scales})
