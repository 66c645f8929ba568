"""A recipe gives the same weights whether or not the run is killed on the way."""

import dataclasses
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from edgesmith import zoo
from edgesmith.core.errors import BadInput, Missing
from edgesmith.data.digits import digits_task
from edgesmith.training.evaluate import evaluate
from edgesmith.training.loop import Run, augmented, rolled, schedule, shifted, train_module
from edgesmith.training.recipe import Recipe
from edgesmith.zoo import testbed
from edgesmith.zoo.builders import build
from edgesmith.zoo.testbed import load_weights

CNN = zoo.info("digits-cnn")
SHORT = Recipe(epochs=4, train_samples=256, augment="shift")


class Killed(Exception):
    """Stands in for a kill right after an epoch."""


def trained(folder, seed=0, kill_after=None):
    def progress(epoch, loss):
        if epoch == kill_after:
            raise Killed

    module = train_module(build(CNN, seed), digits_task(), SHORT, seed, Run(folder / "run.state", progress))
    return module.state_dict()


def same(left, right):
    return all(torch.equal(tensor, right[name]) for name, tensor in left.items())


def test_a_run_killed_after_any_epoch_ends_with_the_same_weights(tmp_path):
    (tmp_path / "whole").mkdir()
    whole = trained(tmp_path / "whole")
    for epoch in (0, 2):
        folder = tmp_path / str(epoch)
        folder.mkdir()
        with pytest.raises(Killed):
            trained(folder, kill_after=epoch)
        assert same(trained(folder), whole)
    (tmp_path / "other").mkdir()
    assert not same(trained(tmp_path / "other", seed=1), whole)


def test_a_training_process_killed_outright_goes_on_where_it_was(tmp_path):
    """SIGKILL at whatever instant; the state is one whole epoch's, and the checkpoint appears only when done."""
    code = "import sys, pathlib; from edgesmith import zoo; zoo.train('digits-cnn', 5, pathlib.Path(sys.argv[1]))"
    state = tmp_path / "c.seed5.state"
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "c")])
    deadline = time.monotonic() + 60
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
    process.wait()
    assert state.exists() and not (tmp_path / "c").exists()
    epochs = []
    result = zoo.train("digits-cnn", 5, tmp_path / "c", lambda epoch, loss: epochs.append(epoch))
    assert epochs[0] > 0 and epochs[-1] == CNN.recipe.epochs - 1
    assert result.test > 0.98 and not state.exists()


@pytest.mark.parametrize(
    "options", [{"bfloat16": True}, {"channels_last": True}, {"bfloat16": True, "channels_last": True}]
)
def test_a_faster_recipe_gives_float32_weights_in_the_usual_layout(options):
    """Near those of the plain recipe: bfloat16 keeps 8 bits of the forward pass, the layout reorders sums only."""
    plain, fast = (
        train_module(build(CNN), digits_task(), dataclasses.replace(SHORT, epochs=1, **extra), 0)
        for extra in ({}, options)
    )
    for left, right in zip(plain.parameters(), fast.parameters(), strict=True):
        assert right.dtype == torch.float32 and right.is_contiguous()
        assert not torch.equal(left, right) or "bfloat16" not in options
        assert (left - right).abs().max() < (0.02 if "bfloat16" in options else 1e-4)


def test_the_state_of_another_recipe_is_refused(tmp_path):
    trained(tmp_path)
    other = dataclasses.replace(SHORT, epochs=5)
    with pytest.raises(BadInput, match="another recipe"):
        train_module(build(CNN), digits_task(), other, 0, Run(tmp_path / "run.state"))


def test_a_damaged_state_is_a_clear_error(tmp_path, nprng):
    trained(tmp_path)
    good = (tmp_path / "run.state").read_bytes()
    for cut in (0, 7, 100, len(good) - 1):
        (tmp_path / "run.state").write_bytes(good[:cut])
        with pytest.raises(BadInput, match="Delete it"):
            trained(tmp_path)


def test_a_damaged_checkpoint_is_a_clear_error(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(BadInput, match="train again"):
        load_weights(build(CNN), tmp_path / "a.safetensors")


def test_a_trained_checkpoint_is_found_in_the_user_s_cache_and_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGESMITH_CACHE", str(tmp_path))
    shipped = zoo.load("digits-cnn").module.state_dict()
    quick = dataclasses.replace(CNN, recipe=SHORT)
    monkeypatch.setattr(zoo, "entry", lambda name: quick)
    result = zoo.train("digits-cnn", seed=3)
    assert result.checkpoint == tmp_path / "zoo" / "digits-cnn.safetensors"
    bed = zoo.load("digits-cnn")
    assert not same(bed.module.state_dict(), shipped)
    assert evaluate(bed.module, bed.task, bed.task.validation) == result.validation


def test_untrained_says_how_to_train(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGESMITH_CACHE", str(tmp_path))
    monkeypatch.setattr(testbed, "SHIPPED", tmp_path)
    with pytest.raises(Missing, match="edgesmith zoo train digits-cnn"):
        zoo.load("digits-cnn")


def test_a_shape_cannot_be_trained():
    with pytest.raises(BadInput, match="shape without data"):
        zoo.train("resnet8")


def test_shifting_moves_each_image_as_a_whole(rng):
    image = torch.zeros(64, 1, 8, 8, dtype=torch.uint8)
    image[:, 0, 3, 4] = 9
    moved = shifted(image, reach=1)
    assert (moved.sum((1, 2, 3)) == 9).all()
    rows, columns = np.nonzero(moved.numpy().sum((0, 1)))
    assert set(rows) == {2, 3, 4} and set(columns) == {3, 4, 5}


def test_rolling_keeps_every_sample_in_order():
    wave = torch.arange(16).repeat(50, 1)
    turned = rolled(wave, reach=2)
    starts = turned[:, 0]
    assert torch.equal(turned, (starts[:, None] + torch.arange(16)) % 16)
    assert set(starts.tolist()) == {14, 15, 0, 1, 2}


def test_flipping_mirrors_about_half_of_the_images():
    image = torch.zeros(400, 1, 4, 4, dtype=torch.uint8)
    image[..., 0] = 1  # a line at the left; width 4 is too small to shift
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        mirrored = augmented(image, "flip_shift")[:, 0, 0, 3] == 1
    assert 150 < int(mirrored.sum()) < 250


def test_the_learning_rate_climbs_then_falls_to_zero():
    rates = [schedule(done) for done in np.linspace(0, 1, 101)]
    assert rates[0] == 0 and rates[10] == 1 and rates[-1] == pytest.approx(0)
    assert np.all(np.diff(rates[:11]) > 0) and np.all(np.diff(rates[10:]) < 0)
