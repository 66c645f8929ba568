"""The Free Spoken Digit Dataset: 3,000 recordings of ten digits by six speakers, 8 kHz, int16."""

import hashlib
import io
import wave
from pathlib import Path

import numpy as np

from edgesmith.core.errors import BadInput, Missing
from edgesmith.core.task import Task
from edgesmith.data.files import DataSet, data_folder, how_to_get, need, read_known, read_npz
from edgesmith.data.splits import stratified_parts, take

FSDD = DataSet(
    name="fsdd",
    folder="fsdd",
    address="https://github.com/Jakobovski/free-spoken-digit-dataset",
    licence="CC BY-SA 4.0",
    files={"fsdd.npz": "e1e4220a22674e6ce20b0587dfa5c127cf44e60201a02b621d26140ea5356edb"},
    official="the WAV files in recordings/",
)
COMMIT = "26eb9aaf76e81b692f806f9140c2d2777410d7a1"  # of the authors' repository, with 3,000 recordings
RECORDINGS_SHA256 = "8680e65605a3b39a37e29565730b9d76e41a76186adc39db4b7ddf6321b9b4b8"  # of their samples, by file name
RATE = 8000
SAMPLES = RATE  # one second; 99 of 100 recordings are shorter, the rest is cut
NOISE = 8.0  # root mean square of the noise around a recording, in steps of the microphone's int16
TEST_TAKES = 5  # takes 0 to 4 of every speaker and digit are the authors' test set
FRACTIONS = (0.85, 0.05, 0.1)  # of the other takes: train, calibration, validation


def fsdd_task(seed: int = 0) -> Task:
    """Tell ten spoken digits apart; inputs are (n, 8000) int16, one second of raw sound.

    A shorter recording stands in the middle of faint noise: a microphone never gives exact zeros.

    Raises:
        Missing: the files are not on this machine.
        BadInput: they are damaged.
    """
    clips, labels, takes = read_clips()
    rng = np.random.default_rng(seed)
    inputs = np.stack([one_second(clip, rng) for clip in clips])
    rest = np.flatnonzero(takes >= TEST_TAKES)
    train, calibration, validation = (rest[part] for part in stratified_parts(labels[rest], FRACTIONS, seed))
    return Task(
        name="fsdd",
        train=take(inputs, labels, train),
        calibration=take(inputs, labels, calibration),
        validation=take(inputs, labels, validation),
        test=take(inputs, labels, np.flatnonzero(takes < TEST_TAKES)),
        classes=tuple("0123456789"),
        licence=FSDD.licence,
        source=FSDD.address,
    )


def one_second(clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The middle second of a longer clip, or a shorter one amid noise: (any,) to (8000,) int16."""
    start = max(0, (len(clip) - SAMPLES) // 2)
    clip = clip[start : start + SAMPLES]
    before = (SAMPLES - len(clip)) // 2
    frame = rng.normal(0, NOISE, SAMPLES)
    frame[before : before + len(clip)] += clip
    return frame.round().clip(-32768, 32767).astype(np.int16)


def read_clips() -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Recordings (any,) int16, their digits (n,) and takes (n,): from the npz or the authors' recordings folder."""
    folder = data_folder(FSDD)
    recordings = sorted((folder / "recordings").glob("*.wav"))
    if not (folder / "fsdd.npz").exists():
        if not recordings:
            raise Missing(f"data: {folder} holds neither fsdd.npz nor recordings/*.wav; {how_to_get(FSDD)}")
        return read_recordings(recordings)
    content = io.BytesIO(read_known(FSDD, "fsdd.npz"))
    audio, offsets, labels, takes = need(
        read_npz(content, "fsdd.npz"), ("audio", "offsets", "labels", "take"), str(folder)
    )
    clips = [audio[start:stop] for start, stop in zip(offsets[:-1], offsets[1:], strict=True)]
    return clips, labels.astype(np.int64), takes.astype(np.int64)


def read_recordings(paths: list[Path]) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """As `read_clips`, from files named "<digit>_<speaker>_<take>.wav"."""
    names = [path.stem.split("_") for path in paths]
    if any(len(name) != 3 or not (name[0].isdigit() and name[2].isdigit()) for name in names):
        raise BadInput(f"data: {paths[0].parent} holds files not named <digit>_<speaker>_<take>.wav. Remove them.")
    clips = [read_wav(path, RATE) for path in paths]
    if clips_sha256(clips) != RECORDINGS_SHA256:
        raise BadInput(
            f"data: {paths[0].parent} holds {len(paths)} recordings that are not the 3,000 of commit {COMMIT} of"
            f" {FSDD.address}. Check out that commit."
        )
    return clips, np.array([int(name[0]) for name in names]), np.array([int(name[2]) for name in names])


def read_wav(path: Path, rate: int | None = None) -> np.ndarray:
    """Samples of a 16-bit WAV file with one channel: (samples,) int16.

    Args:
        rate: samples per second it must have; None for any.

    Raises:
        BadInput: not such a file.
    """
    try:
        with wave.open(str(path), "rb") as file:
            form, frames = (file.getnchannels(), file.getsampwidth(), file.getframerate()), file.getnframes()
            # Reading takes memory for as much as the header claims, so the claim is checked first.
            content = file.readframes(frames) if 2 * frames <= path.stat().st_size else b""
    except (wave.Error, EOFError, OSError, RuntimeError) as error:
        raise BadInput(f"data: {path} is no WAV file ({error}).") from error
    if form[:2] != (1, 2) or (rate is not None and form[2] != rate):
        raise BadInput(
            f"data: {path} has {form[0]} channels of {8 * form[1]} bits at {form[2]} Hz; need one channel of 16 bits"
            f"{f' at {rate} Hz' if rate else ''}. Convert it."
        )
    if len(content) != 2 * frames or not frames:
        raise BadInput(f"data: {path} says {frames} samples but holds another number. It is cut short or damaged.")
    return np.frombuffer(content, "<i2").astype(np.int16)


def clips_sha256(clips: list[np.ndarray]) -> str:
    """Hash of the samples, whatever file they came from."""
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(len(clip).to_bytes(8, "little"))
        digest.update(np.ascontiguousarray(clip, "<i2").tobytes())
    return digest.hexdigest()
