"""The detector's loss: who answers for what, and that its least value is the right answer."""

import math

import numpy as np
import pytest
import torch

from edgesmith.data.detection import BINS, cells_of, decode, mean_average_precision
from edgesmith.data.scenes import NO_ITEM
from edgesmith.training.detection import (
    MOST_CELLS,
    assign,
    close,
    detection_loss,
    distribution_focal,
    generalized_overlap,
    grid,
    intersection_over_union,
)

CLASSES = 3
CELLS = len(cells_of(64).strides)
LABELS = torch.tensor(
    [
        [(0, 8, 8, 24, 24), (2, 30, 30, 60, 50), (NO_ITEM,) * 5],
        [(1, 40, 4, 46, 10), (NO_ITEM,) * 5, (NO_ITEM,) * 5],
    ]
)


def outputs(rng, scale=1.0):
    return scale * torch.randn(2, CELLS, 4 * BINS + CLASSES, generator=rng)


@pytest.mark.parametrize(
    ("right", "iou", "giou"),
    [
        ((0.0, 0.0, 4.0, 4.0), 1, 1),
        ((2.0, 2.0, 6.0, 6.0), 4 / 28, 4 / 28 - 8 / 36),
        ((0.0, 8.0, 4.0, 12.0), 0, -16 / 48),
    ],
)
def test_overlaps_by_hand(right, iou, giou):
    """arXiv:1902.09630, algorithm 1, with the square from 0 to 4."""
    square, other = torch.tensor((0.0, 0.0, 4.0, 4.0)), torch.tensor(right)
    assert float(intersection_over_union(square, other)) == pytest.approx(iou, abs=1e-6)
    assert float(generalized_overlap(square, other)) == pytest.approx(giou, abs=1e-6)


def test_the_focal_distribution_is_least_at_the_two_bins_round_the_distance():
    """arXiv:2006.04388, section 3.2: the optimum is the distance's own weights on its two bins, so the mean is it."""
    logits = torch.zeros(1, 4, BINS, requires_grad=True)
    target = torch.tensor([[0.3, 2.0, 4.75, 6.5]])
    optimizer = torch.optim.LBFGS([logits], max_iter=200)

    def closure():
        optimizer.zero_grad()
        loss = distribution_focal(logits, target).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    mean = logits.detach().softmax(-1) @ torch.arange(BINS, dtype=torch.float32)
    torch.testing.assert_close(mean, target, atol=0.02, rtol=0)


def test_the_focal_distribution_by_hand():
    """Even logits: every bin has 1/8, so the loss is ln 8 wherever the distance lies, beyond the last bin too."""
    for distance in (0.0, 3.3, 7.0, 50.0, -2.0):
        loss = distribution_focal(torch.zeros(2, 4, BINS), torch.full((2, 4), distance))
        assert loss.tolist() == pytest.approx([math.log(8)] * 2, rel=1e-5)


def test_a_cell_may_answer_for_boxes_round_its_centre_and_every_box_has_one(rng):
    """A box of 2x2 anywhere lies within half a stride of some cell of each grid."""
    corners = torch.rand(1, 200, 2, generator=rng) * 62
    near = close(torch.cat((corners, corners + 2), -1), CELLS)
    assert near[..., :64].any(-1).all() and near[..., 64:].any(-1).all()
    centres, _ = grid(CELLS)
    box = torch.tensor([[(8.0, 8.0, 32.0, 24.0)]])
    inside = ((centres >= box[0, 0, :2]) & (centres <= box[0, 0, 2:])).all(-1)
    assert torch.equal(close(box, CELLS)[0, 0, :64], inside[:64])


def test_an_item_takes_the_cells_of_greatest_alignment_and_absent_ones_none(rng):
    """Compared with the definition, a cell at a time."""
    boxes, scores = decode(outputs(rng).numpy())
    item, share = assign(torch.from_numpy(boxes), torch.from_numpy(scores), LABELS)
    near = close(LABELS[..., 1:].float(), CELLS).numpy()
    for picture in range(2):
        wants = {}
        for index, label in enumerate(LABELS[picture].tolist()):
            if label[0] == NO_ITEM:
                continue
            true = torch.tensor(label[1:], dtype=torch.float32)
            overlap = intersection_over_union(torch.from_numpy(boxes[picture]), true).numpy()
            alignment = scores[picture, :, label[0]] ** 0.5 * overlap**6 + 1e-9
            ranked = sorted(np.flatnonzero(near[picture, index]), key=lambda cell: -alignment[cell])[:MOST_CELLS]
            for cell in ranked:
                wants.setdefault(cell, []).append((overlap[cell], index))
        taken = {cell: max(claims)[1] for cell, claims in wants.items()}
        assert {int(cell) for cell in share[picture].nonzero()[:, 0]} == set(taken)
        assert all(int(item[picture, cell]) == index for cell, index in taken.items())


def test_the_best_cell_of_an_item_carries_its_overlap(rng):
    boxes, scores = (torch.from_numpy(part) for part in decode(outputs(rng).numpy()))
    item, share = assign(boxes, scores, LABELS)
    for index in range(2):
        mine = (item[0] == index) & (share[0] > 0)
        overlap = intersection_over_union(boxes[0], LABELS[0, index, 1:].float())
        assert float(share[0][mine].max()) == pytest.approx(float(overlap[mine].max()), abs=1e-4)


def test_the_loss_s_least_value_finds_every_item(rng):
    """Free outputs under plain descent: what minimises the loss is the right answer by the metric."""
    free = outputs(rng, 0.1).requires_grad_()
    optimizer = torch.optim.Adam([free], 0.1)
    losses = []
    for _ in range(150):
        optimizer.zero_grad()
        loss = detection_loss(free, LABELS)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    assert mean_average_precision(free.detach().numpy(), LABELS.numpy()) > 0.95


def test_without_items_only_scores_are_pushed_down(rng):
    free = outputs(rng).requires_grad_()
    loss = detection_loss(free, torch.full((2, 3, 5), NO_ITEM))
    loss.backward()
    assert loss.isfinite() and not free.grad[..., : 4 * BINS].any() and (free.grad[..., 4 * BINS :] > 0).all()


def test_extreme_outputs_leave_the_gradient_finite(rng):
    for scale in (0.0, 1e4):
        free = outputs(rng, scale).requires_grad_()
        loss = detection_loss(free, LABELS)
        loss.backward()
        assert loss.isfinite() and free.grad.isfinite().all()
