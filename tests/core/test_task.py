"""Tasks: splits, their hashes, normalization and the metric."""

import numpy as np
import pytest

from edgesmith.core.errors import BadInput
from edgesmith.core.task import Normalize, Split, Task, accuracy


def split(count: int, start: int = 0) -> Split:
    images = np.arange(start, start + count, dtype=np.uint8).reshape(count, 1, 1, 1)
    return Split(images, np.arange(count) % 2)


def test_a_split_needs_as_many_labels_as_inputs_and_at_least_one():
    assert len(split(3)) == 3
    with pytest.raises(BadInput, match="3 inputs and 2 labels"):
        Split(np.zeros((3, 2)), np.zeros(2))
    with pytest.raises(BadInput, match="0 inputs and 0 labels"):
        Split(np.zeros((0, 2)), np.zeros(0))


def test_the_hash_of_a_split_tells_values_shapes_dtypes_and_labels_apart():
    base = split(4)
    others = [
        Split(base.inputs + 1, base.labels),
        Split(base.inputs.reshape(4, 1), base.labels),
        Split(base.inputs.view(np.int8), base.labels),
        Split(base.inputs, base.labels[::-1]),
    ]
    assert len({one.sha256() for one in (base, *others)}) == 5
    strided = Split(base.inputs[::-1][::-1], base.labels.copy())
    assert strided.sha256() == base.sha256(), "layout in memory does not matter"


def test_normalizing_per_channel_and_for_all():
    raw = np.uint8([[[[10, 20]], [[30, 40]]]])
    assert Normalize((10.0, 30.0), (10.0, 5.0))(raw).tolist() == [[[[0, 1]], [[0, 2]]]]
    assert Normalize((10.0,), (2.0,))(raw).tolist() == [[[[0, 5]], [[10, 15]]]]
    assert Normalize()(raw).dtype == np.float32


def test_accuracy_is_the_share_of_right_rows():
    outputs = np.array([[0.1, 0.9], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
    assert accuracy(outputs, np.array([1, 0, 0, 1])) == 0.75


def test_a_task_describes_its_splits_by_size_and_hash():
    parts = {name: split(4, 4 * i) for i, name in enumerate(("train", "calibration", "validation", "test"))}
    told = Task("toy", **parts, classes=("even", "odd"), licence="CC0").describe()
    assert told["splits"]["test"] == {"samples": 4, "sha256": parts["test"].sha256()}
    assert (told["metric"], told["direction"], told["classes"]) == ("accuracy", "max", ["even", "odd"])
