"""Two streams of one digit: of one class, each from its own split, every source at least once."""

import os

import numpy as np
import pytest

from edgesmith.core.task import SPLITS, Split
from edgesmith.data import digit_streams, named_task
from edgesmith.data.digit_streams import NOISE_DB, noisy_picture, noisy_sound, paired
from edgesmith.data.digits import digits_task
from edgesmith.data.fsdd import fsdd_task

needs_data = pytest.mark.skipif(not os.environ.get("EDGESMITH_DATA"), reason="EDGESMITH_DATA is not set")


def numbered(labels, first, shape) -> Split:
    """Samples that are nothing but their own number."""
    labels = np.array(labels)
    numbers = (first + np.arange(len(labels))).reshape(-1, *(1 for _ in shape))
    return Split(np.broadcast_to(numbers, (len(labels), *shape)).astype(np.int16), labels)


@pytest.fixture
def quiet(monkeypatch):
    monkeypatch.setattr(digit_streams, "noisy_sound", lambda sound, rng: sound)
    monkeypatch.setattr(digit_streams, "noisy_picture", lambda picture, rng: picture)


def test_a_pair_is_of_one_class_and_every_source_occurs(quiet, nprng):
    heard = numbered([0, 0, 0, 1], 100, (8000,))
    seen = numbered([0, 1, 1], 200, (1, 8, 8))
    made = paired(heard, seen, nprng)
    pairs = {(int(row[0]), int(row[-1]), int(label)) for row, label in zip(made.inputs, made.labels, strict=True)}
    assert pairs == {(100, 200, 0), (101, 200, 0), (102, 200, 0), (103, 201, 1), (103, 202, 1)}
    assert made.inputs.shape == (5, 8064) and made.inputs.dtype == np.int16


@needs_data
def test_sounds_and_pictures_stay_in_their_own_split(quiet):
    task, heard, seen = named_task("digit-streams"), fsdd_task(), digits_task()
    for name in SPLITS:
        inputs = getattr(task, name).inputs
        sounds = {row.tobytes() for row in getattr(heard, name).inputs}
        pictures = {row.astype(np.int16).tobytes() for row in getattr(seen, name).inputs}
        assert {row[:8000].tobytes() for row in inputs} == sounds
        assert {row[8000:].tobytes() for row in inputs} == pictures


def test_noise_has_the_power_that_was_drawn(nprng):
    sound = (1000 * np.sin(np.arange(8000) / 5)).astype(np.int16)
    ratios = [10 * np.log10(np.var(sound) / np.var(noisy_sound(sound, nprng) - sound.astype(float))) for _ in range(60)]
    assert NOISE_DB[0] - 0.5 < min(ratios) < -5 and 5 < max(ratios) < NOISE_DB[1] + 0.5
    picture = noisy_picture(np.full((1, 8, 8), 8, np.uint8), nprng)
    assert picture.min() >= 0 and picture.max() <= 16 and picture.std() > 2
