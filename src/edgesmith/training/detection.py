"""The loss of a detector: task-aligned assignment, focal distributions for distances, overlap, class scores.

The three terms and their weights are YOLOv8's: binary cross-entropy on soft class scores, 1 - generalized overlap
(arXiv:1902.09630; YOLOv8 takes the complete one), and the distribution focal loss of arXiv:2006.04388, section 3.2.
Which cells answer for which box is learned with them: task-aligned assignment, arXiv:2108.07755, section 3.2.
"""

import functools

import torch
from torch import Tensor, nn

from edgesmith.data.detection import BINS, cells_of, size_of
from edgesmith.data.scenes import NO_ITEM

ALPHA, BETA = 0.5, 6.0  # powers of score and overlap in the alignment (YOLOv8; arXiv:2108.07755 has 1 and 6)
MOST_CELLS = 6  # a box; YOLOv8 takes 10 of its finer grids
BOX, SCORE, DISTANCE = 7.5, 0.5, 1.5  # weights of the terms (YOLOv8)
TINY = 1e-9


def detection_loss(outputs: Tensor, labels: Tensor) -> Tensor:
    """Of one batch.

    Args:
        outputs: (n, cells, 4 * BINS + classes) logits, as data/detection.py says.
        labels: (n, items, 5) class, top, left, bottom, right; class NO_ITEM where there is none.
    """
    centres, strides = grid(outputs.shape[1])
    logits, scores = outputs[..., : 4 * BINS].unflatten(-1, (4, BINS)), outputs[..., 4 * BINS :]
    distances = logits.softmax(-1) @ torch.arange(BINS, dtype=logits.dtype)
    boxes = torch.cat((centres - distances[..., :2] * strides, centres + distances[..., 2:] * strides), -1)
    item, share = assign(boxes.detach(), scores.detach().sigmoid(), labels)
    own = labels.gather(1, item[..., None].expand(-1, -1, 5))  # (n, cells, 5): the label each cell answers for
    wanted = nn.functional.one_hot(own[..., 0].clamp(min=0), scores.shape[-1]) * share[..., None]
    total = share.sum().clamp(min=1.0)
    score_loss = nn.functional.binary_cross_entropy_with_logits(scores, wanted, reduction="sum") / total
    true = own[..., 1:].to(boxes.dtype)
    box_loss = (share * (1 - generalized_overlap(boxes, true))).sum() / total
    away = torch.cat((centres - true[..., :2], true[..., 2:] - centres), -1) / strides
    distance_loss = (share * distribution_focal(logits, away)).sum() / total
    return SCORE * score_loss + BOX * box_loss + DISTANCE * distance_loss


@functools.cache
def grid(cells: int) -> tuple[Tensor, Tensor]:
    """Centres (cells, 2) and strides (cells, 1) of a detector's cells, in pixels."""
    found = cells_of(size_of(cells))
    return torch.from_numpy(found.centres), torch.from_numpy(found.strides)[:, None]


def assign(boxes: Tensor, scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Which item each cell answers for, and how much.

    An item takes the MOST_CELLS cells near it (centre within its box, or within half a stride of its centre) of the
    greatest alignment score**ALPHA * overlap**BETA; a cell that two want goes to the one it overlaps more.

    Args:
        boxes: (n, cells, 4) as predicted.
        scores: (n, cells, classes) probabilities.
        labels: (n, items, 5).

    Returns:
        item: (n, cells) index of the item; 0 where there is none.
        share: (n, cells) float, 0 where there is none: the alignment, scaled so that each item's greatest is its
            greatest overlap.
    """
    kinds, true = labels[..., 0], labels[..., 1:].to(boxes.dtype)
    overlap = intersection_over_union(boxes[:, None], true[:, :, None])  # (n, items, cells)
    score = scores.transpose(1, 2).gather(1, kinds.clamp(min=0)[..., None].expand(-1, -1, boxes.shape[1]))
    near = close(true, boxes.shape[1]) & (kinds != NO_ITEM)[..., None]
    alignment = torch.where(near, score.pow(ALPHA) * overlap.pow(BETA) + TINY, torch.zeros_like(overlap))
    best = alignment.topk(min(MOST_CELLS, alignment.shape[-1]), -1)
    taken = torch.zeros_like(alignment).scatter_(-1, best.indices, best.values)
    claim = torch.where(taken > 0, overlap + TINY, torch.zeros_like(overlap))
    item = claim.argmax(1)
    mine = torch.zeros_like(claim, dtype=torch.bool).scatter_(1, item[:, None], True) & (claim > 0)
    taken, claim = taken * mine, claim * mine
    scale = claim.amax(-1, keepdim=True) / taken.amax(-1, keepdim=True).clamp(min=TINY)
    return item, (taken * scale).amax(1)


def close(true: Tensor, cells: int) -> Tensor:
    """Whether a cell may answer for a box: (n, items, 4) to (n, items, cells); for every box some cells may."""
    centres, strides = grid(cells)
    middle, half = (true[..., 2:] + true[..., :2]) / 2, (true[..., 2:] - true[..., :2]) / 2
    reach = torch.maximum(half[:, :, None], strides / 2)
    return ((centres - middle[:, :, None]).abs() <= reach).all(-1)


def intersection_over_union(left: Tensor, right: Tensor) -> Tensor:
    """Of boxes (..., 4), broadcast."""
    both, either, _ = _areas(left, right)
    return both / either.clamp(min=TINY)


def generalized_overlap(left: Tensor, right: Tensor) -> Tensor:
    """Intersection over union less the share of the enclosing box that neither fills: -1 to 1 (arXiv:1902.09630)."""
    both, either, around = _areas(left, right)
    return both / either.clamp(min=TINY) - (around - either) / around.clamp(min=TINY)


def _areas(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of the intersection, the union and the enclosing box."""

    def area(top_left: Tensor, bottom_right: Tensor) -> Tensor:
        return (bottom_right - top_left).clamp(min=0).prod(-1)

    both = area(torch.maximum(left[..., :2], right[..., :2]), torch.minimum(left[..., 2:], right[..., 2:]))
    around = area(torch.minimum(left[..., :2], right[..., :2]), torch.maximum(left[..., 2:], right[..., 2:]))
    return both, area(left[..., :2], left[..., 2:]) + area(right[..., :2], right[..., 2:]) - both, around


def distribution_focal(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy with the two bins round a distance, weighted by nearness, mean over the sides (equation 6).

    Args:
        logits: (..., 4, BINS).
        target: (..., 4) in bins; beyond the last bin it counts as just below it.
    """
    target = target.clamp(0, BINS - 1 - 0.01)
    low = target.floor()
    chance = logits.log_softmax(-1)
    below = chance.gather(-1, low.long()[..., None])[..., 0]
    above = chance.gather(-1, low.long()[..., None] + 1)[..., 0]
    return -((low + 1 - target) * below + (target - low) * above).mean(-1)
