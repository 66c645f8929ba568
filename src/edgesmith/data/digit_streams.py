"""A digit heard and written at once: a recording of FSDD and a picture of scikit-learn's digits of the same class.

Both are real, each alone is nearly always told apart; so noise is added that leaves either in doubt at times: white
noise around the recording, and around the pixels.
"""

import numpy as np

from edgesmith.core.task import Split, Task
from edgesmith.data.digits import digits_task
from edgesmith.data.fsdd import SAMPLES, fsdd_task

ROWS = COLUMNS = 8
PIXELS = ROWS * COLUMNS
LENGTH = SAMPLES + PIXELS  # of a record: a second of sound, then the picture row by row
NOISE_DB = (-10.0, 10.0)  # power of a recording over that of the noise, drawn evenly for each
PIXEL_NOISE = 4.0  # root mean square, of 16 grey levels


def digit_streams_task(seed: int = 0) -> Task:
    """Tell ten digits apart from sound and picture; inputs are (n, 8064) int16: 8,000 samples, then 8 rows of 8 pixels.

    Recordings and pictures are dealt out to splits first (those of `fsdd_task` and `digits_task`), then paired within
    their split and class: each occurs at least once, the fewer of the two again and again, each time with other noise.

    Raises:
        Missing: the recordings or scikit-learn are not on this machine.
        BadInput: the files are damaged.
    """
    heard, seen = fsdd_task(seed), digits_task(seed)
    rng = np.random.default_rng(seed)
    return Task(
        name="digit-streams",
        train=paired(heard.train, seen.train, rng),
        calibration=paired(heard.calibration, seen.calibration, rng),
        validation=paired(heard.validation, seen.validation, rng),
        test=paired(heard.test, seen.test, rng),
        classes=heard.classes,
        licence=f"{heard.licence} (sound); {seen.licence} (pictures)",
        source=f"{heard.source}; {seen.source}",
    )


def paired(heard: Split, seen: Split, rng: np.random.Generator) -> Split:
    """Recordings (n, 8000) int16 and pictures (m, 1, 8, 8) uint8 of the same class, side by side."""
    records, labels = [], []
    for label in np.unique(heard.labels):
        sounds, pictures = (rng.permutation(np.flatnonzero(split.labels == label)) for split in (heard, seen))
        for index in range(max(len(sounds), len(pictures))):
            sound = noisy_sound(heard.inputs[sounds[index % len(sounds)]], rng)
            picture = noisy_picture(seen.inputs[pictures[index % len(pictures)]], rng)
            records.append(np.concatenate([sound, picture.ravel()]))
            labels.append(label)
    order = rng.permutation(len(records))
    return Split(np.stack(records)[order], np.array(labels, np.int64)[order])


def noisy_sound(sound: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(samples,) int16 with white noise of the power that the drawn ratio asks for."""
    power = float(np.square(sound.astype(np.float64)).mean()) / 10 ** (rng.uniform(*NOISE_DB) / 10)
    made = sound + rng.normal(0, max(power, 1.0) ** 0.5, len(sound))
    return made.round().clip(-32768, 32767).astype(np.int16)


def noisy_picture(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(1, 8, 8) grey levels 0 to 16 with noise, int16, still 0 to 16."""
    made = picture + rng.normal(0, PIXEL_NOISE, picture.shape)
    return made.round().clip(0, 16).astype(np.int16)
