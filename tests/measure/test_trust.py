"""Figures of trust against hand-made cases."""

import numpy as np
import pytest

from edgesmith.core.errors import BadInput
from edgesmith.core.task import Split
from edgesmith.measure.trust import blurred, calibration_error, confusion, noisy, per_class, trust


def test_calibration_error_of_a_sure_and_wrong_model_is_one():
    outputs = np.array([[50.0, 0.0], [50.0, 0.0]])
    assert calibration_error(outputs, np.array([1, 1])) == pytest.approx(1.0)
    assert calibration_error(outputs, np.array([0, 0])) == pytest.approx(0.0)


def test_calibration_error_is_the_mean_gap_over_bins():
    """Confidence 0.75 on four samples of which three are right: no gap; of which one is right: 0.5."""
    logits = np.log(np.array([[0.75, 0.25]] * 4))
    assert calibration_error(logits, np.array([0, 0, 0, 1])) == pytest.approx(0.0)
    assert calibration_error(logits, np.array([0, 1, 1, 1])) == pytest.approx(0.5)


def test_outputs_that_are_not_finite_are_refused():
    with pytest.raises(BadInput, match="NaN"):
        calibration_error(np.array([[np.nan, 0.0]]), np.array([0]))


def test_confusion_counts_true_by_predicted():
    outputs = np.eye(3)[[0, 1, 1, 2]]
    assert confusion(outputs, np.array([0, 0, 1, 2]), 3).tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert per_class(outputs, np.array([0, 0, 1, 1]), 3) == [0.5, 0.5, None]


def test_blur_keeps_a_flat_image_and_spreads_a_point():
    flat = np.full((1, 1, 4, 4), 7, np.uint8)
    assert (blurred(flat) == 7).all()
    point = np.zeros((1, 1, 5, 5))
    point[0, 0, 2, 2] = 9
    assert blurred(point)[0, 0, 1:4, 1:4] == pytest.approx(1.0)


def test_noise_stays_in_range_and_type(nprng):
    images = nprng.integers(0, 17, (50, 1, 8, 8)).astype(np.uint8)
    worse = noisy(images, nprng)
    assert worse.dtype == np.uint8 and worse.max() <= 16
    assert (worse.astype(float) - images).std() == pytest.approx(1.6, rel=0.2)


def test_a_perfect_model_is_trusted(nprng):
    labels = nprng.integers(0, 3, 40)
    inputs = (labels[:, None, None, None] * np.ones((1, 1, 4, 4))).astype(np.float32)
    found = trust(lambda x: -10 * (x.mean((1, 2, 3))[:, None] - np.arange(3)) ** 2, Split(inputs, labels), 3)
    assert found["accuracy"] == 1 and found["per_class"] == [1, 1, 1] and found["blur"] == 1
