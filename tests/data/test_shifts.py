"""Shifts of pictures: what each does by algebra, and that more severity is more change."""

import os

import numpy as np
import pytest

from edgesmith.core.errors import BadInput
from edgesmith.data.digits import digits_task
from edgesmith.data.fashion_mnist import fashion_mnist_task
from edgesmith.data.shifts import (
    SHIFTS,
    blur,
    brightness,
    clouds,
    contrast,
    fog,
    impulse_noise,
    noise,
    pixelate,
    rotate,
    shift_images,
    shifted_task,
)

every_shift = pytest.mark.parametrize("shift", SHIFTS)


@pytest.fixture
def pictures(nprng):
    """Four pictures of smooth shapes in three colours, well within black and white."""
    waves = np.sin(np.linspace(0, 5, 24)[:, None] * nprng.uniform(0.5, 1.5, (4, 3, 1, 1)) + np.linspace(0, 4, 20))
    return np.rint(120 + 70 * waves).astype(np.uint8)


def floats(*shape):
    return np.random.default_rng(5).uniform(0.2, 0.6, shape).astype(np.float32)


@every_shift
def test_severity_zero_changes_nothing(shift, pictures):
    assert np.array_equal(shift_images(pictures, shift, 0), pictures)


@every_shift
def test_more_severity_is_more_error(shift, pictures):
    """Of the mean squared error; Pillow's JPEG and its rounding may leave two near qualities alike."""
    errors = [np.square(shift_images(pictures, shift, s) - pictures.astype(float)).mean() for s in range(6)]
    slack = 1.05 if shift == "jpeg" else 1
    assert all(before < slack * after for before, after in zip(errors[:-1], errors[1:], strict=True)), errors


@every_shift
def test_a_seed_gives_the_same_pictures_and_the_input_stays(shift, pictures):
    before = pictures.copy()
    assert np.array_equal(shift_images(pictures, shift, 3, seed=2), shift_images(pictures, shift, 3, seed=2))
    assert np.array_equal(pictures, before)


@pytest.mark.parametrize("shift", ["noise", "impulse_noise", "fog"])
def test_another_seed_gives_others(shift, pictures):
    assert not np.array_equal(shift_images(pictures, shift, 3, seed=1), shift_images(pictures, shift, 3, seed=2))


@every_shift
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 1, 8, 8), (1, 3, 5, 9)])
def test_any_shape_of_picture_is_kept(shift, shape, nprng):
    images = nprng.integers(0, 256, shape, np.uint8)
    shifted = shift_images(images, shift, 5)
    assert shifted.shape == shape and shifted.dtype == np.uint8


@every_shift
@pytest.mark.parametrize("value", [0, 255])
def test_nothing_wraps_round_at_black_or_white(shift, value):
    """A plain picture keeps its side of grey under every shift but the noise that draws black and white."""
    shifted = shift_images(np.full((2, 1, 16, 16), value, np.uint8), shift, 2)
    inner = shifted[:, :, 6:10, 6:10].astype(float)
    assert abs(np.median(inner) - value) < 60


@pytest.mark.parametrize("size", [(6, 6), (7, 7)])
def test_right_angles_are_exact(size, nprng):
    images = nprng.integers(0, 256, (3, 2, *size)).astype(np.float32)
    for turns in range(5):
        np.testing.assert_allclose(rotate(images, 90 * turns, nprng), np.rot90(images, turns, (2, 3)), atol=1e-4)


def test_noise_has_its_standard_deviation_and_no_bias(nprng):
    difference = noise(np.full((8, 1, 100, 100), 0.5, np.float32), 0.1, nprng) - 0.5
    assert difference.std() == pytest.approx(0.1, rel=0.02) and abs(difference.mean()) < 0.002


def test_impulses_hit_their_share_half_of_them_white(nprng):
    shifted = impulse_noise(np.full((8, 1, 100, 100), 0.5, np.float32), 0.07, nprng)
    assert (shifted != 0.5).mean() == pytest.approx(0.07, rel=0.05)
    assert (shifted == 1).sum() / (shifted != 0.5).sum() == pytest.approx(0.5, abs=0.03)


def test_a_blur_keeps_the_sum_and_spreads_a_point_by_its_variance(nprng):
    point = np.zeros((1, 1, 21, 21), np.float32)
    point[0, 0, 10, 10] = 1
    spread = blur(point, 1.0, nprng)[0, 0]
    assert spread.sum() == pytest.approx(1, rel=1e-5)
    assert (spread.sum(axis=0) * (np.arange(21) - 10) ** 2).sum() == pytest.approx(1, rel=0.01)


def test_contrast_keeps_the_mean_and_scales_the_deviation(nprng):
    images = floats(3, 2, 9, 9)
    less = contrast(images, 0.4, nprng)
    np.testing.assert_allclose(less.mean(axis=(2, 3)), images.mean(axis=(2, 3)), rtol=1e-5)
    np.testing.assert_allclose(less.std(axis=(2, 3)), 0.4 * images.std(axis=(2, 3)), rtol=1e-4)


def test_brightness_adds_to_grey_and_keeps_hue_and_saturation_of_colours(nprng):
    import colorsys

    grey, colours = floats(2, 1, 5, 5), floats(1, 3, 4, 4)
    np.testing.assert_allclose(brightness(grey, 0.2, nprng), grey + 0.2, rtol=1e-5)
    raised = brightness(colours, 0.2, nprng)
    for row, column in np.ndindex(4, 4):
        hue, saturation, value = colorsys.rgb_to_hsv(*colours[0, :, row, column].tolist())
        wanted = colorsys.hsv_to_rgb(hue, saturation, value + 0.2)
        np.testing.assert_allclose(raised[0, :, row, column], wanted, rtol=1e-4)


def test_fog_keeps_black_below_and_the_brightest_no_brighter(nprng):
    images = floats(3, 1, 16, 16)
    foggy = fog(images, 1.0, nprng)
    brightest = images.max(axis=(1, 2, 3))
    assert (foggy.max(axis=(1, 2, 3)) <= brightest + 1e-5).all() and foggy.min() >= 0
    assert foggy.std() != images.std()


def test_clouds_reach_from_zero_to_one_and_are_rougher_the_less_they_decay():
    smooth, rough = (clouds(6, (32, 28), decay, np.random.default_rng(0)) for decay in (3.0, 1.2))
    assert smooth.shape == (6, 32, 28) and smooth.min() == 0 and smooth.max() == 1
    assert np.abs(np.diff(rough, axis=2)).mean() > np.abs(np.diff(smooth, axis=2)).mean()


def test_half_the_size_makes_blocks_of_two_by_two_with_their_mean(nprng):
    images = floats(2, 1, 6, 8)
    means = images.reshape(2, 1, 3, 2, 4, 2).mean(axis=(3, 5))
    np.testing.assert_allclose(pixelate(images, 0.5, nprng), means.repeat(2, 2).repeat(2, 3), rtol=1e-5)


def test_a_task_changes_in_the_splits_named_and_nowhere_else():
    task = digits_task()
    shifted = shifted_task(task, "noise", 5, ("validation", "test"), white=16)
    assert shifted.train is task.train and shifted.calibration is task.calibration
    for name in ("validation", "test"):
        before, after = getattr(task, name), getattr(shifted, name)
        assert np.array_equal(before.labels, after.labels) and not np.array_equal(before.inputs, after.inputs)
        assert after.inputs.max() <= 16
    assert shifted.name == "digits-noise-5" and shifted.metric == task.metric


def test_splits_are_shifted_by_different_chance():
    task = digits_task()
    shifted = shifted_task(task, "impulse_noise", 5, ("calibration", "test"), white=16)
    n = len(task.calibration)
    changed = [getattr(shifted, s).inputs[:n] != getattr(task, s).inputs[:n] for s in ("calibration", "test")]
    assert not np.array_equal(*changed)


def test_what_makes_no_sense_is_refused():
    task = digits_task()
    grey = np.zeros((1, 1, 4, 4), np.uint8)
    for call, words in (
        (lambda: shift_images(grey, "snow", 1), "need one of rotation"),
        (lambda: shift_images(grey, "noise", 6), "0 to 5"),
        (lambda: shift_images(grey.astype(float), "noise", 1), "uint8"),
        (lambda: shift_images(np.zeros((1, 2, 4, 4), np.uint8), "jpeg", 1), "1 or 3 channels"),
        (lambda: shifted_task(task, "noise", 1, ("tests",)), "no split is called 'tests'"),
    ):
        with pytest.raises(BadInput, match=words):
            call()


def test_rotation_does_not_leave_masks_behind():
    from dataclasses import replace

    from edgesmith.core.task import Split

    task = digits_task()
    masks = replace(task, test=Split(task.test.inputs, task.test.inputs[:, 0]))
    with pytest.raises(BadInput, match="point at"):
        shifted_task(masks, "rotation", 1)


@pytest.mark.skipif("EDGESMITH_DATA" not in os.environ, reason="EDGESMITH_DATA is not set")
def test_a_net_loses_by_the_shifts():
    """Half of the pictures of clothes turned by 75 degrees are not known any more; blur costs less."""
    from edgesmith import zoo
    from edgesmith.core.task import Split
    from edgesmith.training.evaluate import evaluate

    net, task = zoo.load("fashion-cnn", with_data=False).module, fashion_mnist_task()
    few = Split(task.test.inputs[:500], task.test.labels[:500])
    reached = {
        shift: evaluate(net, task, Split(shift_images(few.inputs, shift, 5), few.labels))
        for shift in ("rotation", "blur")
    }
    assert reached["rotation"] < 0.5 < reached["blur"] < evaluate(net, task, few)
