"""Entropic Student's two stages, on digits."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith import zoo
from edgesmith.collaborate.split.entropic_student import (
    Encoding,
    RateTraining,
    another_tail,
    entropic_student,
    rate_distortion,
)
from edgesmith.collaborate.split.latents import answers_to, coded_bytes, sent_by
from edgesmith.core.errors import BadInput
from edgesmith.core.task import Split
from edgesmith.training.recipe import Recipe

LAYERS = ("features.4",)
SMALL = Encoding(widths=(8,), channels=3)
FIRST = Recipe(epochs=6, batch=32, learning_rate=1e-2, weight_decay=0.0, train_samples=600)
SECOND = Recipe(epochs=2, batch=32, train_samples=600)


@pytest.fixture(scope="module")
def bed():
    return zoo.load("digits-cnn")


def student(bed, beta=0.05, second=SECOND, seed=1):
    return entropic_student(LAYERS, RateTraining(beta, FIRST, second), SMALL, seed)(bed.module, bed.task)


def test_the_loss_is_squared_error_and_beta_times_bits():
    """arXiv:2108.11898, equation 6, by hand: two samples with errors 5 and 1, bits 10 and 30."""
    outputs = torch.tensor([[1.0, 2.0, 10.0], [0.0, 1.0, 30.0]])
    wanted = torch.zeros(2, 2)
    assert rate_distortion(0.5)(outputs, torch.empty(0), wanted).item() == pytest.approx((5 + 1) / 2 + 0.5 * 20)


def test_a_greater_beta_sends_fewer_bytes_and_a_student_knows_more_than_chance(bed):
    test = bed.task.validation
    found = []
    for beta in (0.05, 5.0):
        made = student(bed, beta)
        sent = sent_by(made.head, test, bed.task.normalize)
        found.append(
            (coded_bytes(made, sent).mean(), bed.task.metric.compute(answers_to(made.tail, sent), test.labels))
        )
    (many, good), (few, _) = found
    assert few < 0.8 * many and good > 0.6


def test_the_second_stage_leaves_the_encoder_alone(bed):
    heads = [student(bed, second=replace(SECOND, epochs=epochs)).head.state_dict() for epochs in (1, 2)]
    assert all(torch.equal(value, heads[1][name]) for name, value in heads[0].items())


def test_a_second_tail_leaves_the_head_and_what_is_sent_alone(bed):
    """Odd or even, behind what was trained for the digits."""
    made, task = student(bed), bed.task
    parts = {name: getattr(task, name) for name in ("train", "calibration", "validation", "test")}
    odd = replace(task, **{name: Split(part.inputs, part.labels % 2) for name, part in parts.items()})
    before = {name: value.clone() for name, value in made.head.state_dict().items()}
    torch.manual_seed(0)
    tail = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(made.shape)), 32), nn.ReLU(), nn.Linear(32, 2))
    second = another_tail(made, tail, odd, SECOND, seed=0)
    assert second.head is made.head and second.code is made.code and second.shape == made.shape
    assert all(torch.equal(value, made.head.state_dict()[name]) for name, value in before.items())
    sent = sent_by(second.head, odd.validation, task.normalize)
    assert odd.metric.compute(answers_to(second.tail, sent), odd.validation.labels) > 0.7


def test_a_stream_that_no_encoder_gives_is_refused(bed):
    made = student(bed)
    data = made.encode(made.head(torch.from_numpy(bed.task.normalize(bed.task.test.inputs[:1]))))
    with pytest.raises(BadInput, match="no stream of this code"):
        made.decode(data + b"\0")


@pytest.mark.parametrize("recipe", [replace(FIRST, augment="shift"), replace(FIRST, bfloat16=True)])
def test_recipes_that_cannot_be_kept_to_are_refused(recipe):
    with pytest.raises(BadInput, match="augments or has bfloat16"):
        RateTraining(1.0, recipe, SECOND)


def test_a_grid_that_does_not_fit_is_refused(bed):
    """Latents of 4x4 before a layer of 2x2."""
    with pytest.raises(BadInput, match="need height and width the same multiple"):
        entropic_student(("features.7",), RateTraining(1.0, FIRST, SECOND), SMALL)(bed.module, bed.task)
