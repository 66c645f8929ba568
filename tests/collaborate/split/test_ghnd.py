"""GHND, arXiv:2007.15818: what learns and what stays, and the filter of empty frames."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from edgesmith.collaborate.split.bottleneck import Bottleneck, assemble
from edgesmith.collaborate.split.cut import input_and_outputs
from edgesmith.collaborate.split.ghnd import ghnd
from edgesmith.collaborate.split.prefilter import FilterNet, Prefilter, prefilter, sureness, threshold
from edgesmith.core.errors import BadInput
from edgesmith.core.task import Normalize, Split, Task
from edgesmith.data.detection import BINS, MAP, decode, sift
from edgesmith.data.scenes import NO_ITEM
from edgesmith.data.scenes_detection import presence_task, present, with_empty
from edgesmith.training.distillation import matching_loss
from edgesmith.training.recipe import Recipe
from edgesmith.zoo.models.detector import Detector

LAYERS = ("stem", "fine", "coarse")
NARROW = Bottleneck(channels=2, width=4, halvings=2)
QUICK = Recipe(epochs=1, batch=16, learning_rate=2e-3)


def blobs(count: int, seed: int) -> Split:
    """Dark noise of 32x32 with one bright square each."""
    rng = np.random.default_rng(seed)
    frames, labels = rng.integers(0, 40, (count, 1, 32, 32), dtype=np.uint8), np.full((count, 2, 5), NO_ITEM)
    for index in range(count):
        top, left = rng.integers(0, 20, 2)
        frames[index, 0, top : top + 12, left : left + 12] = 200
        labels[index, 0] = 0, top, left, top + 12, left + 12
    return Split(frames, labels)


@pytest.fixture(scope="module")
def task() -> Task:
    parts = [blobs(count, seed) for seed, count in enumerate((128, 32, 64, 64))]
    return Task("blobs", *parts, metric=MAP, loss="detection", normalize=Normalize((0.0,), (255.0,)))


@pytest.fixture(scope="module")
def half_empty(task) -> Task:
    """As many frames again of nothing but noise, the labels whether something is there."""
    rng, parts = np.random.default_rng(9), []
    for split in (task.train, task.calibration, task.validation, task.test):
        noise = rng.integers(0, 40, split.inputs.shape, dtype=np.uint8)
        labels = np.concatenate((present(split.labels), np.zeros(len(split), np.int64)))
        parts.append(Split(np.concatenate((split.inputs, noise)), labels))
    return Task("blobs-presence", *parts, normalize=task.normalize)


@pytest.fixture(scope="module")
def detector() -> nn.Module:
    torch.manual_seed(2)
    return Detector(channels=1, classes=1, widths=(4, 6, 6, 8), head=4).eval()


@pytest.fixture(scope="module")
def made(detector, task):
    return ghnd(LAYERS, QUICK, NARROW, seed=1)(detector, task)


def test_the_tail_is_the_teachers(detector, made):
    """Every weight and statistic behind the stem, bit for bit; the decoder alone is new."""
    tail = made.tail[1].state_dict()
    theirs = {name: value for name, value in detector.state_dict().items() if not name.startswith("stem.")}
    assert set(tail) == set(theirs)
    assert all(torch.equal(tail[name], value) for name, value in theirs.items())


def test_encoder_and_decoder_learn(detector, task, made):
    fresh = assemble(detector, task, LAYERS, NARROW, seed=1)
    for new, old in ((made.head, fresh.encoder), (made.tail[0], fresh.decoder)):
        assert any(not torch.equal(a, b) for a, b in zip(new.parameters(), old.parameters(), strict=True))


@pytest.mark.parametrize("layers", [LAYERS, LAYERS[:1]], ids=["GHND", "HND"])
@torch.no_grad()
def test_the_loss_is_the_sum_of_squared_errors_of_the_named_layers(detector, task, layers):
    """The authors' configuration: MSELoss, summed, factor 1 for each layer; here a mean over the frames."""
    parts = assemble(detector, task, layers, NARROW, seed=1)
    x = torch.from_numpy(task.normalize(task.test.inputs[:4]))
    student = nn.Sequential(parts.encoder, parts.decoder).eval()
    stems = student(x), detector.stem(x)
    pairs = [stems]
    if len(layers) > 1:
        fines = [detector.fine(stem) for stem in stems]
        pairs += [tuple(fines), tuple(detector.coarse(fine) for fine in fines)]
    expected = sum(functional.mse_loss(ours, theirs, reduction="sum") for ours, theirs in pairs) / 4
    behind = input_and_outputs(parts.tail, parts.guides).eval()
    found = matching_loss(behind(student(x)), parts.wanted(x))
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_it_comes_nearer_to_the_detectors_answers(detector, task):
    """Beside one that was hardly trained, on frames that neither saw."""
    x = torch.from_numpy(task.normalize(task.test.inputs))
    models = [ghnd(LAYERS, Recipe(epochs, 16, 1e-2), NARROW, seed=1)(detector, task) for epochs in (1, 10)]
    with torch.no_grad():
        little, more = (float(functional.mse_loss(model.joined()(x), detector(x))) for model in models)
    assert more < 0.8 * little


def test_what_is_sent_is_small(made):
    assert made.shape == (2, 8, 8) and made.payload_bytes == 128


def test_the_threshold_is_the_highest_that_keeps_enough():
    rng = np.random.default_rng(4)
    for _ in range(50):
        chances, recall = rng.integers(0, 20, rng.integers(1, 30)) / 20, float(rng.uniform(0.05, 1))
        enough = [cut for cut in chances if (chances >= cut).mean() >= recall - 1e-9]
        assert threshold(chances, recall) == max(enough)


def test_a_filter_keeps_what_holds_an_object_and_leaves_out_noise(made, half_empty):
    found = prefilter(made, half_empty, Recipe(6, 32, 1e-2), recall=0.95, seed=0)
    test = half_empty.test
    with torch.no_grad():
        sent = found.keeps(made.head(torch.from_numpy(half_empty.normalize(test.inputs))))
    assert sent[test.labels == 1].mean() >= 0.85 and sent[test.labels == 0].mean() <= 0.3


def test_a_filter_leaves_the_head_as_it_was(made, half_empty):
    before = {name: value.clone() for name, value in made.head.state_dict().items()}
    prefilter(made, half_empty, Recipe(1, 64, 1e-2))
    assert all(torch.equal(before[name], value) for name, value in made.head.state_dict().items())
    assert all(p.requires_grad for p in made.head.parameters()) and not made.head.training


def test_sureness_and_the_filter_agree(made, half_empty):
    torch.manual_seed(1)
    net = FilterNet(2).eval()
    chances = sureness(nn.Sequential(made.head, net), half_empty, half_empty.test)
    cut = float(np.sort(chances)[40])
    with torch.no_grad():
        values = made.head(torch.from_numpy(half_empty.normalize(half_empty.test.inputs)))
    assert (Prefilter(net, cut).keeps(values) == (chances >= cut)).mean() > 0.98  # batches round sums differently


def test_nothing_is_sent_of_a_frame_below_the_threshold(made, half_empty):
    with torch.no_grad():
        values = made.head(torch.from_numpy(half_empty.normalize(half_empty.test.inputs[:1])))
    net = FilterNet(2).eval()
    assert Prefilter(net, 0.0).encode(made, values) == made.encode(values)
    assert Prefilter(net, 1.1).encode(made, values) is None


def test_half_of_the_frames_are_empty(task):
    frames = Split(np.zeros((10, 1, 64, 64), np.uint8), np.zeros((10, 4, 5), np.int64))
    both = with_empty(frames, np.random.default_rng(0))
    assert len(both) == 20 and present(both.labels).sum() == 10
    assert both.inputs[present(both.labels) == 0].std() > 0
    assert presence_task(task).train.labels.tolist() == [1] * 128


def test_a_silent_detector_finds_nothing():
    """As the measurement counts frames that are not sent; with loud scores there are boxes."""
    outputs = np.zeros((1, 80, 4 * BINS + 1), np.float32)
    outputs[..., 4 * BINS :] = -80.0
    assert (sift(*decode(outputs)).classes == NO_ITEM).all()
    outputs[..., 4 * BINS :] = 80.0
    assert (sift(*decode(outputs)).classes != NO_ITEM).any()


def test_a_layer_before_the_cut_is_refused(detector, task):
    with pytest.raises(BadInput, match="'stem' does not lie behind 'fine'"):
        ghnd(("fine", "stem"), QUICK, NARROW)(detector, task)


@pytest.mark.parametrize("recall", [0.0, 1.5])
def test_a_recall_that_cannot_be_is_refused(made, half_empty, recall):
    with pytest.raises(BadInput, match="recall"):
        prefilter(made, half_empty, QUICK, recall=recall)


def test_labels_of_boxes_are_refused(made, task):
    with pytest.raises(BadInput, match="need both 0, empty, and 1"):
        prefilter(made, task, QUICK)
