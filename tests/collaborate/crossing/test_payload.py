import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesmith.collaborate.crossing.payload import Steps, fit_steps, from_json
from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Tensor


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40), st.integers(1, 8))
def test_a_value_in_range_is_off_by_half_a_step_at_most(values, bits):
    array = np.array(values, np.float32)
    steps = Steps(bits, float(array.min()), float(array.max()) + 1.0)
    back = steps.unpack(steps.pack(array), Tensor("t", array.shape))
    assert np.abs(back - array).max() <= steps.step / 2 * (1 + 1e-4) + 1e-4


def test_eight_bits_of_a_byte_lose_nothing():
    array = np.arange(-128, 128, dtype=np.int8)
    steps = Steps(8, -128, 127)
    assert (steps.unpack(steps.pack(array), Tensor("t", (256,), "int8")) == array).all()


def test_the_range_clips_what_is_rare_where_that_loses_less():
    """One outlier among a thousand ordinary values: the best steps leave it out."""
    values = np.append(np.random.default_rng(0).normal(size=5000), 12.0)
    steps = fit_steps(values, 3)
    full = Steps(3, values.min(), values.max())

    def error(s):
        return np.square(s.values(s.codes(values), "float64") - values).mean()

    assert steps.high < 12 and error(steps) < error(full)


def test_rectified_values_keep_their_zero():
    values = np.maximum(np.random.default_rng(0).normal(size=1000), 0)
    steps = fit_steps(values, 4)
    assert steps.values(steps.codes(np.zeros(3)), "float32").tolist() == [0.0] * 3


def test_what_has_one_value_is_kept():
    steps = fit_steps(np.full(5, 7.0), 4)
    assert steps.values(steps.codes(np.full(5, 7.0)), "float32").tolist() == [7.0] * 5


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"bits": 4, "low": 0},
        {"bits": 9, "low": 0, "high": 1},
        {"bits": "4", "low": 0, "high": 1},
        {"bits": 4, "low": 1, "high": 1},
        {"bits": 4, "low": 0, "high": float("nan")},
    ],
)
def test_damaged_steps_are_refused(data):
    with pytest.raises(BadInput, match="payload"):
        from_json(data)


def test_steps_survive_json_and_wrong_bytes_are_refused():
    steps = Steps(4, -1.5, 2.0)
    assert from_json(steps.to_json()) == steps
    with pytest.raises(BadInput, match="3 bytes for t; need 2"):
        steps.unpack(b"abc", Tensor("t", (4,)))
