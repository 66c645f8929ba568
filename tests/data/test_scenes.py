"""Scenes: masks, boxes and labels agree, items are real pictures, the metric is intersection over union."""

import numpy as np
import pytest

from edgesmith.core.errors import BadInput
from edgesmith.data.scenes import CLASS_OF, NO_ITEM, Layout, background, box_of, compose, mean_iou, scaler

KINDS = 10


@pytest.fixture(scope="module")
def items():
    """Ten pictures of one rectangle each, of its kind's own size, so that every pixel tells its kind."""
    pictures = np.zeros((KINDS, 28, 28), np.uint8)
    for kind in range(KINDS):
        pictures[kind, 2 : 12 + kind, 3 : 24 - kind] = 150 + 10 * kind
    return pictures, np.arange(KINDS)


@pytest.fixture(scope="module")
def scenes(items):
    return compose(*items, 60, Layout(items=(1, 3)), np.random.default_rng(3))


def test_scenes_are_the_same_for_a_seed_and_differ_between_seeds(items, scenes):
    again = compose(*items, 60, Layout(items=(1, 3)), np.random.default_rng(3))
    other = compose(*items, 60, Layout(items=(1, 3)), np.random.default_rng(4))
    np.testing.assert_array_equal(again.images, scenes.images)
    assert (other.images != scenes.images).mean() > 0.5


def test_a_box_just_holds_the_visible_pixels_of_its_item(scenes):
    for index in range(len(scenes.images)):
        for item, label in enumerate(scenes.labels[index]):
            shown = scenes.instances[index] == item + 1
            if label == NO_ITEM:
                assert not shown.any()
                continue
            top, left, bottom, right = scenes.boxes[index, item]
            inside = np.zeros_like(shown)
            inside[top:bottom, left:right] = True
            assert shown.any() and (inside | ~shown).all()
            sides = shown[top, :], shown[bottom - 1, :], shown[:, left], shown[:, right - 1]
            assert all(side.any() for side in sides)


def test_a_mask_shows_the_class_of_the_item_on_top(scenes):
    masks = scenes.masks(CLASS_OF)
    for index in range(len(masks)):
        for item, label in enumerate(scenes.labels[index]):
            if label != NO_ITEM:
                assert (masks[index][scenes.instances[index] == item + 1] == CLASS_OF[label]).all()
        assert (masks[index][scenes.instances[index] == 0] == 0).all()


def test_every_item_keeps_at_least_half_of_its_pixels(items):
    """Six items of 26 pixels in 32x32 must overlap; a scene where one is hidden is drawn anew."""
    crowded = compose(*items, 20, Layout(items=(2, 3), side=(18, 22), hidden=0.5), np.random.default_rng(0))
    assert all((crowded.instances[i] == 1).sum() > 20 for i in range(20))


def test_scaling_keeps_the_mean_grey_value(items):
    """Each row of the weights adds up to one, and every old pixel is counted as often as any other."""
    for side in (14, 20, 28):
        weights = scaler(side)
        np.testing.assert_allclose(weights.sum(axis=1), 1)
        np.testing.assert_allclose(weights.sum(axis=0), side / 28)


def test_backgrounds_differ_and_stay_within_grey_values():
    rng = np.random.default_rng(0)
    drawn = [background(32, rng) for _ in range(20)]
    assert all(d.min() >= 0 and d.max() <= 255 for d in drawn)
    assert np.std([d.mean() for d in drawn]) > 5


def test_a_box_of_one_pixel():
    mask = np.zeros((4, 5), bool)
    mask[2, 3] = True
    assert box_of(mask) == (2, 3, 3, 4)


def test_a_layout_that_cannot_hold_its_items_is_refused():
    with pytest.raises(BadInput, match="up to the scene's size"):
        Layout(size=16, side=(18, 20))


def test_mean_iou_by_hand():
    """Two classes, four pixels: class 0 meets 1 of 2 in all, class 1 meets 2 of 3; class 2 does not occur."""
    labels = np.array([[[0, 1], [1, 1]]])
    found = np.array([[[0, 0], [1, 1]]])
    assert mean_iou(found, labels) == pytest.approx((1 / 2 + 2 / 3) / 2)
    scores = np.stack([found == 0, found == 1, found == 2], axis=1).astype(float)
    assert mean_iou(scores, labels) == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_a_perfect_answer_is_one_and_a_class_that_is_only_found_counts_as_zero():
    labels = np.zeros((1, 2, 2), np.int64)
    assert mean_iou(labels, labels) == 1
    wrong = labels.copy()
    wrong[0, 0, 0] = 3
    assert mean_iou(wrong, labels) == pytest.approx((3 / 4 + 0) / 2)
