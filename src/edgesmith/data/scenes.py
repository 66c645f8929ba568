"""Scenes: clothes of Fashion-MNIST on textured backgrounds, with a class per pixel and a box per item.

Every item is a real picture, scaled and laid over a background that is made; later items hide earlier ones. Splits are
composed of different pictures.
"""

from dataclasses import dataclass

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.task import Metric, Normalize, Split, Task
from edgesmith.data.fashion_mnist import FASHION_MNIST, fashion_mnist_task

CLASSES = ("background", "upper body", "trouser", "shoe", "bag")
CLASS_OF = np.array((1, 2, 1, 1, 1, 3, 1, 3, 4, 3))  # of each of Fashion-MNIST's ten kinds
ITEM = 28  # pixels along an item's side before it is scaled
EDGE = 24  # an item's grey value from which on it covers the background
COUNTS = {"train": 5000, "calibration": 256, "validation": 600, "test": 1200}
NO_ITEM = -1


@dataclass(frozen=True)
class Layout:
    """What a scene looks like.

    Attributes:
        size: pixels along its side.
        items: least and most of them.
        side: least and greatest pixels along an item's side.
        hidden: share of an item's pixels that later ones may cover; beyond it a scene is drawn anew.
    """

    size: int = 32
    items: tuple[int, int] = (1, 2)
    side: tuple[int, int] = (18, 26)
    hidden: float = 0.5

    def __post_init__(self) -> None:
        if not (1 <= self.items[0] <= self.items[1] and 4 <= self.side[0] <= self.side[1] <= self.size):
            raise BadInput(f"scenes: {self}; need 1 item or more, of 4 pixels up to the scene's size.")


@dataclass(frozen=True)
class Scenes:
    """Composed pictures and everything that is known about them.

    Attributes:
        images: (n, 1, size, size) uint8.
        instances: (n, size, size) int64: 0 for the background, else 1 + the item's index.
        labels: (n, most items) int64: each item's kind; NO_ITEM where a scene has fewer.
        boxes: (n, most items, 4) int64: top, left, bottom, right of its visible pixels, the last two exclusive.
    """

    images: np.ndarray
    instances: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray

    def masks(self, class_of: np.ndarray) -> np.ndarray:
        """(n, size, size) int64: each pixel's class, by the kind of the item it shows; 0 is the background."""
        kinds = np.zeros((len(self.labels), self.labels.shape[1] + 1), np.int64)
        kinds[:, 1:] = np.where(self.labels == NO_ITEM, 0, class_of[self.labels])
        return np.take_along_axis(kinds, self.instances.reshape(len(kinds), -1), axis=1).reshape(self.instances.shape)


def scenes_task(seed: int = 0, layout: Layout | None = None) -> Task:
    """Tell for each pixel what it shows; inputs are (n, 1, 32, 32) uint8, labels (n, 32, 32).

    Raises:
        Missing: Fashion-MNIST is not on this machine.
        BadInput: its files are damaged.
    """
    clothes = fashion_mnist_task(seed)
    splits: dict[str, Split] = {}
    for index, (name, count) in enumerate(COUNTS.items()):
        items: Split = getattr(clothes, name)
        rng = np.random.default_rng((seed, index))
        scenes = compose(items.inputs[:, 0], items.labels, count, layout or Layout(), rng)
        splits[name] = Split(scenes.images, scenes.masks(CLASS_OF))
    return Task(
        name="scenes",
        train=splits["train"],
        calibration=splits["calibration"],
        validation=splits["validation"],
        test=splits["test"],
        metric=MEAN_IOU,
        normalize=Normalize(mean=(0.0,), std=(255.0,)),
        classes=CLASSES,
        licence=FASHION_MNIST.licence,
        source=FASHION_MNIST.address,
    )


def compose(items: np.ndarray, labels: np.ndarray, count: int, layout: Layout, rng: np.random.Generator) -> Scenes:
    """Draw scenes.

    Args:
        items: (n, 28, 28) uint8; zero is transparent.
        labels: (n,) kind of each item.
        count: of the scenes.
    """
    shape, most = (count, layout.size, layout.size), layout.items[1]
    images, instances = np.zeros(shape, np.uint8), np.zeros(shape, np.int64)
    kinds, boxes = np.full((count, most), NO_ITEM), np.zeros((count, most, 4), np.int64)
    scalers = {side: scaler(side) for side in range(layout.side[0], layout.side[1] + 1)}
    for index in range(count):
        rows = rng.integers(0, len(items), rng.integers(layout.items[0], most + 1))
        images[index], instances[index] = _scene(items[rows], layout, scalers, rng)
        kinds[index, : len(rows)] = labels[rows]
        for item in range(len(rows)):
            boxes[index, item] = box_of(instances[index] == item + 1)
    return Scenes(images[:, None], instances, kinds, boxes)


def _scene(
    items: np.ndarray, layout: Layout, scalers: dict[int, np.ndarray], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One picture and its instances; drawn anew until enough of every item shows."""
    while True:
        image, instances = background(layout.size, rng), np.zeros((layout.size, layout.size), np.int64)
        whole = []
        for number, item in enumerate(items, 1):
            side = int(rng.integers(layout.side[0], layout.side[1] + 1))
            top, left = rng.integers(0, layout.size - side + 1, 2)
            window = np.s_[top : top + side, left : left + side]
            grey, cover = (scalers[side] @ part @ scalers[side].T for part in (item * 1.0, (item >= EDGE) * 1.0))
            bright = rng.uniform(0.75, 1.0) * grey / np.maximum(cover, 1e-6)
            image[window] = np.where(cover > 0.02, cover * bright + (1 - cover) * image[window], image[window])
            instances[window][cover > 0.5] = number
            whole.append((cover > 0.5).sum())
        shown = [(instances == number).sum() for number in range(1, len(items) + 1)]
        if all(seen >= max(1.0, (1 - layout.hidden) * full) for seen, full in zip(shown, whole, strict=True)):
            return np.clip(np.rint(image), 0, 255).astype(np.uint8), instances


def background(size: int, rng: np.random.Generator) -> np.ndarray:
    """Clouds, stripes and grain: (size, size) grey values of a random brightness and contrast."""
    coarse = rng.standard_normal((4, 4))
    knots = np.linspace(0, 3, size)
    below = np.minimum(knots.astype(int), 2)
    weight = np.zeros((size, 4))
    weight[np.arange(size), below] = 1 - (knots - below)
    weight[np.arange(size), below + 1] = knots - below
    clouds = weight @ coarse @ weight.T
    y, x = np.mgrid[:size, :size]
    angle, period = rng.uniform(0, np.pi), rng.uniform(3, 12)
    stripes = np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period + rng.uniform(0, 6.3))
    grain = rng.standard_normal((size, size))
    texture = 14 * clouds + rng.uniform(0, 16) * stripes + rng.uniform(2, 8) * grain
    return np.clip(rng.uniform(10, 80) + texture, 0, 255)


def scaler(side: int, before: int = ITEM) -> np.ndarray:
    """(side, before) weights: each new pixel is the mean of the stretch of old ones that it covers."""
    edges = np.linspace(0, before, side + 1)
    low, high = edges[:-1, None], edges[1:, None]
    old = np.arange(before)
    overlap = np.clip(np.minimum(high, old + 1) - np.maximum(low, old), 0, None)
    return overlap / overlap.sum(axis=1, keepdims=True)


def box_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Top, left, bottom, right of the true cells of (h, w), the last two exclusive; at least one is true."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def mean_iou(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Intersection over union of each class over all pixels, averaged over the classes that occur.

    Args:
        outputs: (n, classes, h, w) scores, or (n, h, w) classes.
        labels: (n, h, w) integer classes.
    """
    found = outputs.argmax(axis=1) if outputs.ndim == labels.ndim + 1 else outputs
    classes = int(max(labels.max(), found.max())) + 1
    table = np.bincount((labels.astype(np.int64) * classes + found.astype(np.int64)).ravel(), minlength=classes**2)
    table = table.reshape(classes, classes)
    both, either = np.diag(table), table.sum(axis=0) + table.sum(axis=1) - np.diag(table)
    return float((both[either > 0] / either[either > 0]).mean())


MEAN_IOU = Metric("mean IoU", "max", mean_iou)
