"""The shipped nets are as good as the zoo says, on a test third nothing else has seen."""

import os

import numpy as np
import pytest
import torch

from edgesmith import zoo
from edgesmith.core.task import SPLITS
from edgesmith.training.evaluate import evaluate

needs_data = pytest.mark.skipif("EDGESMITH_DATA" not in os.environ, reason="EDGESMITH_DATA is not set")
OTHERS = [name for name in zoo.names() if zoo.info(name).shipped and zoo.info(name).dataset != "digits"]


@pytest.mark.parametrize("name", ["digits-cnn", "digits-resnet"])
def test_a_digits_net_reaches_its_reference_on_the_test_third(name):
    bed = zoo.load(name)
    assert len(bed.task.test) == round(1797 / 3)
    reached = evaluate(bed.module, bed.task, bed.task.test)
    assert reached >= 0.985
    assert reached == pytest.approx(zoo.info(name).reference, abs=0.002)


@needs_data
@pytest.mark.parametrize("name", OTHERS)
def test_a_shipped_net_reaches_its_reference_on_the_test(name):
    bed = zoo.load(name)
    reached = evaluate(bed.module, bed.task, bed.task.test)
    assert reached == pytest.approx(zoo.info(name).reference, rel=0.001, abs=0.001)


def test_the_digits_splits_share_no_image_and_lose_none():
    task = zoo.load("digits-cnn").task
    images = [row.tobytes() for split in SPLITS for row in getattr(task, split).inputs]
    assert len(images) == len(set(images)) == 1797


def test_every_digit_is_in_every_split():
    task = zoo.load("digits-cnn").task
    for split in SPLITS:
        assert set(getattr(task, split).labels) == set(range(10))


def test_doubling_the_image_repeats_every_pixel_twice_each_way():
    bed = zoo.load("digits-resnet")
    raw = bed.task.validation.inputs[:3]
    doubled = bed.module.enlarge(torch.from_numpy(bed.task.normalize(raw))).numpy()
    assert np.array_equal(doubled * 16, raw.repeat(2, axis=2).repeat(2, axis=3))
