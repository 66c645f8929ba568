"""Bytes from a sensor stay the bytes they are where they can."""

import numpy as np
import pytest

from core.sketch import Sketch
from edgesmith.compress.quantize.raw_input import lossless_format, raw_formats
from edgesmith.core.formats import PerTensor

RAW = {"in0": PerTensor(1.0, 0, "uint8")}


def normalized(mean, std):
    s = Sketch()
    x = s("div", s("sub", s.input(1, 2, 2, 1), s.const([mean])), s.const([std]))
    return s.graph(x), x


@pytest.mark.parametrize(("mean", "std"), [(0.0, 255.0), (128.0, 64.0), (0.0, 16.0), (100.0, 7.0), (0.0, -3.0)])
def test_every_byte_keeps_a_value_of_its_own(mean, std):
    """(v - mean) / std of 256 bytes to 256 stored integers, and back to the byte exactly."""
    graph, x = normalized(mean, std)
    format_ = lossless_format(graph, x, RAW)
    real = (np.arange(256.0) - mean) / std
    stored = format_.quantize(real)
    assert len(np.unique(stored)) == 256
    assert format_.dequantize(stored) == pytest.approx(real, abs=0.02 * format_.scale)


def test_a_mean_between_two_bytes_is_no_stored_zero():
    graph, x = normalized(72.9, 90.0)
    assert lossless_format(graph, x, RAW) is None


def test_a_range_without_zero_needs_other_steps():
    graph, x = normalized(-50.0, 10.0)
    assert lossless_format(graph, x, RAW) is None


def test_channels_that_differ_have_no_common_format():
    s = Sketch()
    x = s("div", s.input(1, 2, 2, 2), s.const([2.0, 4.0]))
    assert lossless_format(s.graph(x), x, RAW) is None


def test_a_curve_is_not_lossless():
    s = Sketch()
    x = s("sqrt", s.input(1, 4))
    assert lossless_format(s.graph(x), x, RAW) is None


def test_sensor_integers_stay_raw_and_floats_do_not():
    graph, _ = normalized(0.0, 1.0)
    assert raw_formats(graph, np.zeros(1, np.uint8)) == RAW
    assert raw_formats(graph, np.zeros(1, np.int16)) == {"in0": PerTensor(1.0, 0, "int16")}
    assert raw_formats(graph, np.zeros(1, np.float32)) == {}
