"""Detection: boxes from a detector's raw maps, and how good they are against the true ones.

A detector's output is (n, cells, 4 * BINS + classes): for each cell of the grids of STRIDES, the finest first and each
row by row, the logits of four distances in bins (to the top, left, bottom and right, in strides: the distribution of
arXiv:2006.04388) and of every class. Boxes are top, left, bottom, right in pixels, the last two exclusive; labels are
(n, most items, 5): class, box; the class is NO_ITEM where a picture has fewer. Pictures are square.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.task import Metric
from edgesmith.data.scenes import NO_ITEM

STRIDES = (8, 16)  # pixels from cell to cell
BINS = 8  # a distance is 0 to 7 strides
THRESHOLDS = tuple(0.5 + 0.05 * step for step in range(10))  # COCO's overlaps
RECALLS = np.linspace(0, 1, 101)  # where COCO reads the precision


class Cells(NamedTuple):
    """Where the cells are: centres (cells, 2) row and column in pixels, strides (cells,); float32."""

    centres: np.ndarray
    strides: np.ndarray


@dataclass(frozen=True)
class Sifting:
    """Which of a picture's boxes are kept.

    Attributes:
        score: least probability.
        overlap: with a better box of the same class beyond which a box is dropped (0.6 to 0.7 are the YOLO family's).
        most: boxes per picture.
    """

    score: float = 0.01
    overlap: float = 0.6
    most: int = 20


@dataclass(frozen=True)
class Found:
    """The boxes of n pictures, best first.

    Attributes:
        boxes: (n, most, 4) float32.
        scores: (n, most) float32; 0 where there is no box.
        classes: (n, most) int64; NO_ITEM where there is no box.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


def cells_of(size: int) -> Cells:
    """The cells of a square picture, in the order of a detector's output.

    >>> cells_of(16).centres.tolist()
    [[4.0, 4.0], [4.0, 12.0], [12.0, 4.0], [12.0, 12.0], [8.0, 8.0]]
    """
    centres, strides = [], []
    for stride in STRIDES:
        along = (np.arange(size // stride) + 0.5) * stride
        centres.append(np.stack(np.meshgrid(along, along, indexing="ij"), -1).reshape(-1, 2))
        strides.append(np.full(len(along) ** 2, stride))
    return Cells(np.concatenate(centres).astype(np.float32), np.concatenate(strides).astype(np.float32))


def size_of(cells: int) -> int:
    """Pixels along the side of the picture that has so many cells.

    Raises:
        BadInput: no picture has.
    """
    size = STRIDES[-1] * round((cells / sum((STRIDES[-1] // stride) ** 2 for stride in STRIDES)) ** 0.5)
    if sum((size // stride) ** 2 for stride in STRIDES) != cells or not size:
        raise BadInput(f"detection: {cells} cells; need those of a square picture at strides {STRIDES}.")
    return size


def decode(outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (n, cells, 4) and probabilities (n, cells, classes) from a detector's output.

    A distance is the mean of its bins under their softmax, a probability the sigmoid of its logit.
    """
    n, count, width = outputs.shape
    if width <= 4 * BINS:
        raise BadInput(f"detection: outputs are {outputs.shape}; need more than {4 * BINS} values a cell.")
    cells = cells_of(size_of(count))
    bins = outputs[..., : 4 * BINS].astype(np.float32).reshape(n, count, 4, BINS)
    weight = np.exp(bins - bins.max(axis=-1, keepdims=True))
    distances = (weight @ np.arange(BINS, dtype=np.float32)) / weight.sum(axis=-1) * cells.strides[:, None]
    corner = np.concatenate((cells.centres, cells.centres), axis=-1)
    boxes = corner + distances * np.array((-1, -1, 1, 1), np.float32)
    return boxes, 1 / (1 + np.exp(-np.clip(outputs[..., 4 * BINS :].astype(np.float32), -80, 80)))


def overlaps(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (..., 4) with boxes (..., 4), broadcast; 0 where a box is empty."""
    top_left = np.maximum(left[..., :2], right[..., :2])
    bottom_right = np.minimum(left[..., 2:], right[..., 2:])
    both = np.clip(bottom_right - top_left, 0, None).prod(axis=-1)
    areas = [np.clip(boxes[..., 2:] - boxes[..., :2], 0, None).prod(axis=-1) for boxes in (left, right)]
    return both / np.maximum(areas[0] + areas[1] - both, 1e-9)


def sift(boxes: np.ndarray, probabilities: np.ndarray, sifting: Sifting | None = None) -> Found:
    """The best boxes of each picture, every cell and class on its own, without those that another one stands for.

    Greedy non-maximum suppression within each class.
    """
    sifting = sifting or Sifting()
    n, cells, classes = probabilities.shape
    flat = probabilities.reshape(n, -1)
    order = np.argsort(-flat, axis=1, kind="stable")[:, : min(3 * sifting.most, cells * classes)]
    scores = np.take_along_axis(flat, order, axis=1)
    kinds = order % classes
    candidates = np.take_along_axis(boxes, (order // classes)[..., None], axis=1)
    kept = scores >= sifting.score
    covers = (overlaps(candidates[:, :, None], candidates[:, None]) > sifting.overlap) & (
        kinds[:, :, None] == kinds[:, None]
    )
    for rank in range(order.shape[1]):
        kept[:, rank + 1 :] &= ~(kept[:, rank, None] & covers[:, rank, rank + 1 :])
    first = np.argsort(~kept, axis=1, kind="stable")[:, : sifting.most]
    good = np.take_along_axis(kept, first, axis=1)
    return Found(
        np.where(good[..., None], np.take_along_axis(candidates, first[..., None], axis=1), 0),
        np.where(good, np.take_along_axis(scores, first, axis=1), 0),
        np.where(good, np.take_along_axis(kinds, first, axis=1), NO_ITEM),
    )


def average_precisions(found: Found, labels: np.ndarray, thresholds: tuple[float, ...] = THRESHOLDS) -> np.ndarray:
    """COCO's average precision of each class that occurs, at each overlap: (classes, thresholds).

    Boxes take true ones of their class best score first, each the one it overlaps most of those still free; precision
    is the best at that recall or beyond, read at 101 recalls.

    Args:
        labels: (n, most items, 5) class, top, left, bottom, right.
    """
    kinds = np.unique(labels[..., 0])
    rows = [_average_precision(found, labels, int(kind), np.array(thresholds)) for kind in kinds[kinds != NO_ITEM]]
    return np.stack(rows) if rows else np.zeros((0, len(thresholds)))


def _average_precision(found: Found, labels: np.ndarray, kind: int, thresholds: np.ndarray) -> np.ndarray:
    scores, hits = [], []
    for index in range(len(labels)):
        mine = found.classes[index] == kind
        truth = labels[index][labels[index, :, 0] == kind, 1:]
        scores.append(found.scores[index][mine])
        hits.append(_matched(found.boxes[index][mine], truth, thresholds))
    order = np.argsort(-np.concatenate(scores), kind="stable")
    hit = np.concatenate(hits)[order].astype(np.float64)
    true = np.cumsum(hit, axis=0)
    recall = true / (labels[..., 0] == kind).sum()
    precision = true / np.arange(1, len(hit) + 1)[:, None]
    precision = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    read = np.zeros(len(thresholds))
    for column in range(len(thresholds)):
        places = np.searchsorted(recall[:, column], RECALLS - 1e-12)
        within = places < len(hit)
        read[column] = precision[places[within], column].sum() / len(RECALLS)
    return read


def _matched(boxes: np.ndarray, truth: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Whether each box, best first, takes a true one: (boxes, thresholds)."""
    hits = np.zeros((len(boxes), len(thresholds)), bool)
    if len(truth) == 0 or len(boxes) == 0:
        return hits
    overlap = overlaps(boxes[:, None], truth[None].astype(np.float32))
    free = np.ones((len(thresholds), len(truth)), bool)
    every = np.arange(len(thresholds))
    for index in range(len(boxes)):
        left = np.where(free, overlap[index], -1.0)
        best = left.argmax(axis=1)
        hits[index] = left[every, best] >= thresholds - 1e-9
        free[every[hits[index]], best[hits[index]]] = False
    return hits


def mean_average_precision(outputs: np.ndarray, labels: np.ndarray) -> float:
    """COCO's mAP@0.5:0.95 of a detector's raw output, over the classes that occur; 0 when none does."""
    return _mean(average_precisions(sift(*decode(outputs)), labels))


def mean_average_precision_50(outputs: np.ndarray, labels: np.ndarray) -> float:
    """mAP@0.5 of a detector's raw output, over the classes that occur; 0 when none does."""
    return _mean(average_precisions(sift(*decode(outputs)), labels, (0.5,)))


def _mean(precisions: np.ndarray) -> float:
    return float(precisions.mean()) if precisions.size else 0.0


MAP = Metric("mAP@0.5:0.95", "max", mean_average_precision)
MAP_50 = Metric("mAP@0.5", "max", mean_average_precision_50)
