"""Find and name clothes and digits in 64x64 scenes: a box and a class per item."""

from dataclasses import replace

import numpy as np

from edgesmith.core.task import ACCURACY, Normalize, Split, Task
from edgesmith.data.detection import MAP
from edgesmith.data.digits import digits_task
from edgesmith.data.fashion_mnist import FASHION_MNIST, fashion_mnist_task
from edgesmith.data.scenes import CLASS_OF, CLASSES, ITEM, NO_ITEM, Layout, Scenes, background, compose, scaler

DIGIT = len(CLASSES) - 1  # the class after the four of clothes
KINDS = (*CLASSES[1:], "digit")
LAYOUT = Layout(size=64, items=(1, 4), side=(14, 32))
COUNTS = {"train": 8000, "calibration": 256, "validation": 600, "test": 1200}


def scenes_detection_task(seed: int = 0) -> Task:
    """Find items of five classes; inputs are (n, 1, 64, 64) uint8, labels (n, 4, 5): class, top, left, bottom, right.

    A fifth of the items are digits, the rest clothes. Splits are composed of different pictures. The metric takes a
    detector's raw output (data/detection.py).

    Raises:
        Missing: Fashion-MNIST is not on this machine, or scikit-learn, which holds the digits, is not installed.
        BadInput: the files of Fashion-MNIST are damaged.
    """
    clothes, digits = fashion_mnist_task(seed), digits_task(seed)
    splits: dict[str, Split] = {}
    for index, (name, count) in enumerate(COUNTS.items()):
        pictures, kinds = items(getattr(clothes, name), getattr(digits, name))
        scenes = compose(pictures, kinds, count, LAYOUT, np.random.default_rng((seed, index)))
        splits[name] = Split(scenes.images, boxes_of(scenes))
    return Task(
        name="scenes-detection",
        train=splits["train"],
        calibration=splits["calibration"],
        validation=splits["validation"],
        test=splits["test"],
        metric=MAP,
        loss="detection",
        normalize=Normalize(mean=(0.0,), std=(255.0,)),
        classes=KINDS,
        licence=f"{clothes.licence}; digits: {digits.licence}",
        source=f"{FASHION_MNIST.address}; digits: {digits.source}",
    )


def items(clothes: Split, digits: Split) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (n, 28, 28) uint8 and their classes; digits are enlarged and repeated until they are a fifth."""
    grow = scaler(ITEM, digits.inputs.shape[-1])
    large = np.rint(grow @ (digits.inputs[:, 0] * (255 / 16)) @ grow.T).astype(np.uint8)
    wanted = len(clothes) // 4
    large = np.resize(large, (wanted, *large.shape[1:]))
    kinds = np.concatenate((CLASS_OF[clothes.labels] - 1, np.full(wanted, DIGIT)))
    return np.concatenate((clothes.inputs[:, 0], large)), kinds


def boxes_of(scenes: Scenes) -> np.ndarray:
    """Labels for detection: (n, most items, 5) int64 class, top, left, bottom, right; all NO_ITEM where none is."""
    absent = scenes.labels[..., None] == NO_ITEM
    return np.where(absent, NO_ITEM, np.concatenate((scenes.labels[..., None], scenes.boxes), axis=-1))


def half_empty_task(seed: int = 0) -> Task:
    """The same scenes, and as many frames in which there is nothing but background, in random order.

    Raises:
        As in `scenes_detection_task`.
    """
    task = scenes_detection_task(seed)
    train, calibration, validation, test = (
        with_empty(getattr(task, name), np.random.default_rng((seed, len(COUNTS) + index)))
        for index, name in enumerate(COUNTS)
    )
    return replace(
        task, name="half-empty-scenes", train=train, calibration=calibration, validation=validation, test=test
    )


def with_empty(split: Split, rng: np.random.Generator) -> Split:
    """The samples and as many empty frames, shuffled."""
    frames = np.stack([np.rint(background(LAYOUT.size, rng)).astype(np.uint8) for _ in range(len(split))])
    labels = np.full_like(split.labels, NO_ITEM)
    order = rng.permutation(2 * len(split))
    return Split(np.concatenate((split.inputs, frames[:, None]))[order], np.concatenate((split.labels, labels))[order])


def presence_task(task: Task) -> Task:
    """Whether anything is there at all: a detection task with labels 0, nothing, and 1."""
    return replace(
        task,
        name=f"{task.name}-presence",
        train=told(task.train),
        calibration=told(task.calibration),
        validation=told(task.validation),
        test=told(task.test),
        metric=ACCURACY,
        loss="cross_entropy",
        classes=("empty", "not empty"),
    )


def told(split: Split) -> Split:
    """The same samples; whether each has an item."""
    return Split(split.inputs, present(split.labels))


def present(labels: np.ndarray) -> np.ndarray:
    """(n,) int64 of labels (n, most items, 5): 1 where a frame has an item."""
    return (labels[..., 0] != NO_ITEM).any(axis=1).astype(np.int64)
