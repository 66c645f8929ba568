"""Detection: boxes come out of raw maps, doubles are dropped, and the metric is COCO's average precision."""

import os

import numpy as np
import pytest

from edgesmith.core.errors import BadInput
from edgesmith.data.detection import (
    BINS,
    THRESHOLDS,
    Found,
    Sifting,
    average_precisions,
    cells_of,
    decode,
    mean_average_precision,
    mean_average_precision_50,
    overlaps,
    sift,
    size_of,
)
from edgesmith.data.scenes import NO_ITEM, Layout, compose
from edgesmith.data.scenes_detection import DIGIT, boxes_of, items

CLASSES = 3
ABSENT = (NO_ITEM,) * 5


def raw(size, cells, sharp=40.0):
    """A detector's output that says nothing but: {(picture, cell): (class, distances in strides, logit)}."""
    n = 1 + max((picture for picture, _ in cells), default=0)
    outputs = np.zeros((n, len(cells_of(size).strides), 4 * BINS + CLASSES), np.float32)
    outputs[..., 4 * BINS :] = -30
    for (picture, cell), (kind, distances, logit) in cells.items():
        for side, distance in enumerate(distances):
            outputs[picture, cell, side * BINS + distance] = sharp
        outputs[picture, cell, 4 * BINS + kind] = logit
    return outputs


def found(*pictures):
    """Boxes as a detector's end: per picture a list of (class, score, box), best first."""
    most = max(len(picture) for picture in pictures)
    boxes, scores = np.zeros((len(pictures), most, 4), np.float32), np.zeros((len(pictures), most), np.float32)
    classes = np.full((len(pictures), most), NO_ITEM)
    for index, picture in enumerate(pictures):
        for rank, (kind, score, box) in enumerate(picture):
            boxes[index, rank], scores[index, rank], classes[index, rank] = box, score, kind
    return Found(boxes, scores, classes)


def test_cells_lie_in_the_middle_of_their_squares():
    cells = cells_of(64)
    assert len(cells.strides) == 8 * 8 + 4 * 4
    assert cells.centres[9].tolist() == [12, 12] and cells.centres[64 + 4 + 2].tolist() == [24, 40]


@pytest.mark.parametrize("size", [16, 64, 96, 320])
def test_the_number_of_cells_tells_the_size(size):
    assert size_of(len(cells_of(size).strides)) == size


@pytest.mark.parametrize("cells", [0, 1, 79, 81])
def test_a_number_of_cells_that_no_picture_has_is_refused(cells):
    with pytest.raises(BadInput, match="cells"):
        size_of(cells)


def test_a_sharp_distribution_is_its_bin_times_the_stride_from_the_centre():
    """Cell 9 of 64x64 has its centre at 12, 12 and stride 8; cell 64 at 8, 8 and stride 16."""
    boxes, probabilities = decode(raw(64, {(0, 9): (1, (1, 0, 2, 3), 0.0), (0, 64): (2, (0, 0, 1, 2), 30.0)}))
    np.testing.assert_allclose(boxes[0, 9], (4, 12, 28, 36), atol=1e-4)
    np.testing.assert_allclose(boxes[0, 64], (8, 8, 24, 40), atol=1e-4)
    assert probabilities[0, 9, 1] == 0.5 and probabilities[0, 64, 2] == pytest.approx(1)


def test_a_distance_is_the_mean_of_its_distribution(nprng):
    """arXiv:2006.04388, equation 5: the sum of each bin times its probability."""
    outputs = nprng.normal(0, 3, (2, 5, 4 * BINS + 1)).astype(np.float32)
    boxes, _ = decode(outputs)
    chance = np.exp(outputs[1, 4, 2 * BINS : 3 * BINS].astype(float))
    mean = sum(index * p for index, p in enumerate(chance / chance.sum()))
    assert boxes[1, 4, 2] == pytest.approx(8 + 16 * mean, rel=1e-5)


def test_outputs_without_a_class_are_refused():
    with pytest.raises(BadInput, match="values a cell"):
        decode(np.zeros((1, 5, 4 * BINS)))


@pytest.mark.parametrize(
    ("left", "right", "wanted"),
    [
        ((0, 0, 4, 4), (0, 0, 4, 4), 1),
        ((0, 0, 4, 4), (2, 2, 6, 6), 4 / 28),
        ((0, 0, 4, 4), (0, 4, 4, 8), 0),
        ((0, 0, 2, 8), (0, 0, 4, 4), 8 / 24),
        ((3, 3, 3, 3), (3, 3, 3, 3), 0),
        ((4, 4, 0, 0), (0, 0, 4, 4), 0),
    ],
)
def test_overlap_by_hand(left, right, wanted):
    assert overlaps(np.array(left, np.float32), np.array(right, np.float32)) == pytest.approx(wanted)


def test_of_two_boxes_for_one_item_the_better_stays():
    """Cells 9 and 10 say the same box, cell 27 another far away, cell 9 the same for another class."""
    outputs = raw(
        64, {(0, 9): (0, (1, 1, 1, 1), 2.0), (0, 10): (0, (1, 2, 1, 0), 3.0), (0, 27): (0, (1, 1, 1, 1), 1.0)}
    )
    outputs[0, 9, 4 * BINS + 1] = 0.5
    kept = sift(*decode(outputs))
    assert kept.classes[0, :4].tolist() == [0, 0, 1, NO_ITEM]
    np.testing.assert_allclose(kept.scores[0, :3], 1 / (1 + np.exp([-3.0, -1.0, -0.5])), rtol=1e-5)
    np.testing.assert_allclose(kept.boxes[0, 0], (4, 4, 20, 20), atol=1e-4)
    assert not kept.boxes[0, 3:].any()


def test_sifting_equals_the_greedy_definition(nprng):
    """One box at a time: the best left stays, all of its class that overlap it too much go."""
    centres = nprng.uniform(10, 54, (3, 40, 2))
    half = nprng.uniform(4, 12, (3, 40, 2))
    boxes = np.concatenate((centres - half, centres + half), -1).astype(np.float32)
    probabilities = nprng.uniform(0, 1, (3, 40, 2)).astype(np.float32)
    kept = sift(boxes, probabilities, Sifting(score=0.2, overlap=0.4, most=80))
    for index in range(3):
        left = [(probabilities[index, c, k], k, boxes[index, c]) for c in range(40) for k in range(2)]
        left = sorted((entry for entry in left if entry[0] >= 0.2), key=lambda entry: -entry[0])
        wanted = []
        while left:
            best = left.pop(0)
            wanted.append(best[:2])
            left = [e for e in left if e[1] != best[1] or overlaps(best[2], e[2]) <= 0.4]
        good = kept.classes[index] != NO_ITEM
        assert list(zip(kept.scores[index][good], kept.classes[index][good], strict=True)) == wanted


SQUARE, FAR = (0, 0, 10, 10), (30, 30, 40, 40)


def test_a_perfect_answer_has_precision_one_at_every_overlap():
    labels = np.array([[(0, *SQUARE), (1, *FAR)], [(0, *FAR), ABSENT]])
    answer = found([(0, 0.9, SQUARE), (1, 0.8, FAR)], [(0, 0.7, FAR)])
    np.testing.assert_array_equal(average_precisions(answer, labels), np.ones((2, len(THRESHOLDS))))


def test_average_precision_by_hand():
    """Two items; right at 0.9, wrong at 0.8, right at 0.7: precision 1 up to recall 1/2, 2/3 to recall 1.

    Of the 101 recalls 51 lie at up to 1/2.
    """
    labels = np.array([[(0, *SQUARE), (0, *FAR)]])
    answer = found([(0, 0.9, SQUARE), (0, 0.8, (50, 0, 60, 10)), (0, 0.7, FAR)])
    assert average_precisions(answer, labels, (0.5,)) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_an_item_is_found_once():
    """The second box on the same item is wrong, and comes after all is found: it costs nothing; before, it does."""
    labels = np.array([[(0, *SQUARE), ABSENT], [(0, *FAR), ABSENT]])
    after = found([(0, 0.9, SQUARE), (0, 0.5, SQUARE)], [(0, 0.7, FAR)])
    before = found([(0, 0.9, SQUARE), (0, 0.8, SQUARE)], [(0, 0.7, FAR)])
    assert average_precisions(after, labels, (0.5,)) == 1
    assert average_precisions(before, labels, (0.5,)) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_an_overlap_of_two_thirds_counts_up_to_its_threshold():
    """(0, 0, 10, 8) covers 8/10 of the square: right at 0.5 to 0.8, seven of the ten."""
    labels = np.array([[(0, *SQUARE)]])
    precisions = average_precisions(found([(0, 0.9, (0, 0, 10, 8))]), labels)
    assert precisions[0].tolist() == [1] * 7 + [0] * 3


def test_a_class_never_found_counts_as_zero_and_one_that_never_occurs_not_at_all():
    labels = np.array([[(0, *SQUARE), (2, *FAR)]])
    precisions = average_precisions(found([(0, 0.9, SQUARE), (1, 0.9, FAR)]), labels, (0.5,))
    assert precisions.tolist() == [[1], [0]]


def test_the_metrics_of_raw_outputs():
    """Cell 9 says (4, 4, 20, 20) where the item is, the other item is missed: recall 1/2, so 51 of 101 recalls."""
    outputs = raw(64, {(0, 9): (0, (1, 1, 1, 1), 2.0)})
    labels = np.array([[(0, 4, 4, 20, 20), (0, 40, 40, 60, 60)]])
    assert mean_average_precision(outputs, labels) == pytest.approx(51 / 101)
    near = np.array([[(0, 4, 4, 20, 24), (0, 40, 40, 60, 60)]])  # 16/20 of it: right at 7 of 10
    assert mean_average_precision(outputs, near) == pytest.approx(0.7 * 51 / 101)
    assert mean_average_precision_50(outputs, near) == pytest.approx(51 / 101)


def test_pictures_without_items_have_no_precision():
    assert mean_average_precision(raw(64, {}), np.full((1, 4, 5), NO_ITEM)) == 0


def test_average_precision_equals_its_definition_on_random_answers(nprng):
    """Precision at recall r: the most, over all score thresholds whose recall reaches r; matching one by one."""
    labels = np.full((12, 3, 5), NO_ITEM)
    pictures = []
    for index in range(12):
        boxes = []
        for item in range(nprng.integers(0, 4)):
            top, left = nprng.integers(0, 40, 2)
            labels[index, item] = (nprng.integers(2), top, left, top + nprng.integers(8, 20), left + 14)
            for _ in range(nprng.integers(0, 3)):
                moved = labels[index, item, 1:] + nprng.integers(-3, 4, 4)
                boxes.append((int(nprng.integers(2)), float(nprng.uniform(0.1, 1)), moved))
        pictures.append(sorted(boxes, key=lambda box: -box[1]))
    got = average_precisions(found(*pictures), labels, (0.5, 0.75))
    for kind in (0, 1):
        for column, threshold in enumerate((0.5, 0.75)):
            assert got[kind, column] == pytest.approx(_by_definition(pictures, labels, kind, threshold))


def _by_definition(pictures, labels, kind, threshold):
    answers = []
    for index, picture in enumerate(pictures):
        free = [label[1:] for label in labels[index] if label[0] == kind]
        for mine, score, box in picture:
            if mine != kind:
                continue
            ranked = sorted(free, key=lambda true: -overlaps(np.asarray(box, float), true.astype(float)))
            hit = bool(ranked) and overlaps(np.asarray(box, float), ranked[0].astype(float)) >= threshold
            answers.append((score, hit))
            if hit:
                free = [true for true in free if true is not ranked[0]]
    answers.sort(key=lambda answer: -answer[0])
    total = (labels[..., 0] == kind).sum()
    points = []
    for count in range(1, len(answers) + 1):
        hits = sum(hit for _, hit in answers[:count])
        points.append((hits / total, hits / count))
    return np.mean([max((p for r, p in points if r >= step / 100 - 1e-12), default=0) for step in range(101)])


def test_labels_hold_the_class_and_the_box_of_each_item():
    pictures = np.zeros((2, 28, 28), np.uint8)
    pictures[:, 4:24, 8:20] = 200
    scenes = compose(pictures, np.array([0, 3]), 30, Layout(64, (1, 3), (14, 32)), np.random.default_rng(0))
    labels = boxes_of(scenes)
    assert labels.shape == (30, 3, 5)
    present = scenes.labels != NO_ITEM
    assert np.array_equal(labels[..., 0], scenes.labels) and np.array_equal(
        labels[present][:, 1:], scenes.boxes[present]
    )
    assert (labels[~present] == NO_ITEM).all() and (labels[present][:, 3:] > labels[present][:, 1:3]).all()


@pytest.mark.skipif("EDGESMITH_DATA" not in os.environ, reason="EDGESMITH_DATA is not set")
def test_a_fifth_of_the_items_are_digits():
    from edgesmith.data.digits import digits_task
    from edgesmith.data.fashion_mnist import fashion_mnist_task

    pictures, kinds = items(fashion_mnist_task().validation, digits_task().validation)
    assert pictures.shape[1:] == (28, 28) and (kinds == DIGIT).mean() == pytest.approx(0.2, abs=0.001)
    assert pictures[kinds == DIGIT].max() == 255 and set(kinds) == set(range(DIGIT + 1))
