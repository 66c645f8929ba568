"""BottleFit, arXiv:2201.02693: its two stages, and the sizes of its parts."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith import zoo
from edgesmith.collaborate.split.bottlefit import Stages, bottlefit, tuned
from edgesmith.collaborate.split.bottleneck import Bottleneck, assemble, decoder, encoder, matched, payload_shape
from edgesmith.collaborate.split.cut import input_and_outputs
from edgesmith.core.errors import BadInput
from edgesmith.training.distillation import Still, matching_loss
from edgesmith.training.loop import Run
from edgesmith.training.recipe import Recipe

LAYERS = ("features.4", "features.6")  # of digits-cnn: 24 channels of 4x4, and what goes into its pooling
SMALL = Bottleneck(channels=4, width=8, halvings=2)
QUICK = Recipe(epochs=3, batch=64, learning_rate=3e-3)


@pytest.fixture(scope="module")
def bed():
    return zoo.load("digits-cnn")


@pytest.fixture
def parts(bed):
    return assemble(bed.module, bed.task, LAYERS, SMALL, seed=1)


@torch.no_grad()
def distance(parts, task) -> float:
    """Mean squared distance of the student's layers from the teacher's, over 200 samples, in eval mode."""
    x = torch.from_numpy(task.normalize(task.validation.inputs[:200]))
    student = nn.Sequential(parts.encoder, parts.decoder, input_and_outputs(parts.tail, parts.guides)).eval()
    return float(matching_loss(student(x), parts.wanted(x)))


def test_stage_one_comes_near_the_teachers_layers(bed, parts):
    """It ends nearer than the best that knows nothing of the picture: the layers' mean."""
    with torch.no_grad():
        x = torch.from_numpy(bed.task.normalize(bed.task.validation.inputs[:200]))
        wanted = parts.wanted(x)
        blind = float(matching_loss(wanted.mean(0, keepdim=True).expand_as(wanted), wanted))
    fresh = distance(parts, bed.task)
    matched(parts, bed.task, Recipe(epochs=8, batch=32, learning_rate=4e-3), seed=1)
    assert distance(parts, bed.task) < min(fresh, blind)


def test_stage_one_leaves_the_tail_alone(bed, parts):
    before = copy.deepcopy(parts.tail.state_dict())
    matched(parts, bed.task, QUICK, seed=1)
    assert all(torch.equal(before[name], value) for name, value in parts.tail.state_dict().items())
    assert all(p.requires_grad for p in parts.tail.parameters())


def test_stage_two_leaves_the_encoder_alone(bed, parts):
    """Its batch norm's statistics too: what it sends stays what stage 1 made of it."""
    before, tail = copy.deepcopy(parts.encoder.state_dict()), copy.deepcopy(parts.tail.state_dict())
    made = tuned(parts, bed.task, Stages(QUICK, QUICK), seed=1)
    assert all(torch.equal(before[name], value) for name, value in made.head.state_dict().items())
    assert any(not torch.equal(tail[name], value) for name, value in parts.tail.state_dict().items())


def test_matching_is_the_sum_over_the_layers_of_squared_errors():
    """The authors' configurations: MSELoss with reduction "sum", factor 1 for each layer."""
    generator = torch.Generator().manual_seed(0)
    student, teacher = ([torch.randn(5, n, generator=generator) for n in (7, 3)] for _ in range(2))
    expected = sum(nn.functional.mse_loss(a, b, reduction="sum") for a, b in zip(student, teacher, strict=True)) / 5
    assert float(matching_loss(torch.cat(student, 1), torch.cat(teacher, 1))) == pytest.approx(float(expected))


def test_a_part_that_is_still_passes_gradients_and_keeps_its_statistics():
    norm = nn.BatchNorm2d(2)
    still = Still(norm)
    holder = nn.Sequential(still).train()
    x = torch.randn(3, 2, 4, 4, requires_grad=True)
    holder(x).square().sum().backward()
    assert x.grad is not None and norm.weight.grad is None
    assert torch.equal(norm.running_mean, torch.zeros(2)) and still.release() is norm and norm.weight.requires_grad


def test_the_papers_payload_for_a_picture_of_224():
    """Twelve channels, three halvings; the authors' odd paddings give 29x29, ours 28x28, the replaced layers' size."""
    head = encoder(3, Bottleneck(kernel=7))
    assert payload_shape(head, (3, 224, 224)) == (12, 28, 28)


@torch.no_grad()
@pytest.mark.parametrize("doublings", [0, 1, 2, 4])
def test_the_decoder_meets_the_replaced_layers_size(doublings):
    size = 3 << doublings
    made = decoder(2, (2, 3, 3), (5, size, size)).eval()
    assert made(torch.zeros(1, 2, 3, 3)).shape == (1, 5, size, size)


@pytest.mark.parametrize("target", [(5, 7, 7), (5, 2, 2), (5,), (5, 3, 6)])
def test_a_size_that_doubling_does_not_meet_is_refused(target):
    with pytest.raises(BadInput, match="cannot be doubled"):
        decoder(2, (2, 3, 3), target)


@pytest.mark.parametrize("wrong", [{"channels": 0}, {"width": 0}, {"halvings": 1}, {"kernel": 4}])
def test_an_impossible_bottleneck_is_refused(wrong):
    with pytest.raises(BadInput):
        Bottleneck(**wrong)


@pytest.mark.parametrize("bits", [1, 9])
def test_bits_that_no_payload_has_are_refused(bits):
    with pytest.raises(BadInput, match="2 to 8"):
        Bottleneck(4, 8, 2, bits=bits)


def test_a_killed_run_ends_with_the_same_halves(bed, tmp_path):
    one = Recipe(epochs=1, batch=256, learning_rate=1e-3)
    whole = bottlefit(LAYERS, Stages(one, one), SMALL, seed=2)(bed.module, bed.task)
    run = Run(state_file=tmp_path / "run")
    parts = assemble(bed.module, bed.task, LAYERS, SMALL, seed=2)
    matched(parts, bed.task, one, 2, Run(state_file=tmp_path / "run.match"))  # and killed before stage 2
    again = bottlefit(LAYERS, Stages(one, one), SMALL, seed=2, run=run)(bed.module, bed.task)
    x = bed.example_inputs[0]
    with torch.no_grad():
        assert np.array_equal(again.joined()(x).numpy(), whole.joined()(x).numpy())
