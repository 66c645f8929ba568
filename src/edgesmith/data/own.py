"""A user's own data: an npz, a folder of images or sounds per class, a CSV of sensor readings."""

import csv
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from edgesmith.core.errors import BadInput, Missing
from edgesmith.core.task import Metric, Normalize, Split, Task
from edgesmith.data.files import need, read_npz
from edgesmith.data.fsdd import read_wav
from edgesmith.data.splits import stratified_parts, windows

FRACTIONS = (0.6, 0.05, 0.15, 0.2)  # train, calibration, validation, test
FRACTIONS_WITH_TEST = (0.8, 0.05, 0.15)  # when the user says what the test is
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp")
MOST_CSV_BYTES = 256 * 1024**2  # as text in memory it takes twenty times that
WINDOW = 32  # readings in a window of a CSV
BLOCK = 4 * WINDOW  # readings that stay together in one split


def mean_squared_error(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Mean over all samples and values."""
    return float(np.square(outputs - labels.reshape(outputs.shape)).mean())


MSE = Metric("mean squared error", "min", mean_squared_error)


def task_from_npz(path: Path, seed: int = 0) -> Task:
    """A task on the arrays x and y, or x_train, y_train, x_test, y_test, of an npz.

    Whole-numbered labels (n,) are classes; float labels are targets under squared error. Inputs lie as the model
    takes them, (n, channels, ...). Arrays mean and std say how raw values become the model's input,
    (raw - mean) / std; without them `usual_scale` does.

    Raises:
        BadInput: damaged, arrays missing, too few samples, or values that are not numbers.
    """
    arrays, who = read_npz(path, str(path)), str(path)
    if "x_test" in arrays:
        train_x, train_y, test_x, test_y = need(arrays, ("x_train", "y_train", "x_test", "y_test"), who)
        task = task_of(path.stem, checked(train_x, train_y, who), checked(test_x, test_y, who), seed)
    else:
        x, y = need(arrays, ("x", "y"), who)
        task = task_of(path.stem, checked(x, y, who), None, seed)
    if "mean" not in arrays:
        return task
    mean, std = need(arrays, ("mean", "std"), who)
    return dataclasses.replace(task, normalize=normalize_of(mean, std, task.train.inputs))


def normalize_of(mean: np.ndarray, std: np.ndarray, inputs: np.ndarray) -> Normalize:
    """A user's own mean and std: one number each, or one per channel.

    Raises:
        BadInput: another number of them, not finite, or a std not above zero.
    """
    fits = all(array.dtype.kind in "uif" and array.size in (1, inputs.shape[1]) for array in (mean, std))
    if not fits or not np.isfinite(mean).all() or not (np.isfinite(std) & (std > 0)).all():
        raise BadInput(
            f"data: mean {mean.shape} and std {std.shape} do not fit {inputs.shape[1]} channels; need one finite number"
            " each or one per channel, std above zero."
        )
    return Normalize(tuple(mean.ravel().astype(float).tolist()), tuple(std.ravel().astype(float).tolist()))


def checked(inputs: np.ndarray, labels: np.ndarray, who: str) -> Split:
    """Inputs and labels in the types a task has.

    Raises:
        BadInput: an input without axes, text, not finite, or negative classes.
    """
    for name, array in (("inputs", inputs), ("labels", labels)):
        if array.ndim == 0 or array.dtype.kind not in "uifb":
            raise BadInput(
                f"data: the {name} in {who} are {array.dtype} of shape {array.shape}; need arrays of numbers."
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise BadInput(f"data: the {name} in {who} hold values that are not finite. Remove those samples.")
    if inputs.ndim < 2 or 0 in inputs.shape:
        raise BadInput(f"data: the inputs in {who} have shape {inputs.shape}; need (samples, channels or values, ...).")
    if inputs.dtype.kind == "f" or inputs.dtype.itemsize > 2:
        inputs = inputs.astype(np.float32)
    is_class = labels.dtype.kind != "f" and labels.ndim == 1
    if is_class and len(labels) and not 0 <= labels.min() <= labels.max() < 100_000:
        raise BadInput(f"data: classes in {who} run from {labels.min()} to {labels.max()}; need 0, 1, 2, ...")
    return Split(inputs, labels.astype(np.int64 if is_class else np.float32))


def task_of(name: str, samples: Split, test: Split | None, seed: int, classes: tuple[str, ...] = ()) -> Task:
    """Deal samples out to the splits; with a test of the user's own, only the rest is dealt.

    Raises:
        BadInput: a split would be empty.
    """
    is_class = samples.labels.dtype == np.int64
    groups = samples.labels if is_class else np.zeros(len(samples), np.int64)
    parts = stratified_parts(groups, FRACTIONS if test is None else FRACTIONS_WITH_TEST, seed)
    if min(len(part) for part in parts) == 0:
        raise BadInput(f"data: {name} has {len(samples)} samples, too few to split; need at least 20 of each class.")
    splits = [Split(samples.inputs[part], samples.labels[part]) for part in parts]
    if is_class and not classes:
        classes = tuple(str(value) for value in range(int(samples.labels.max()) + 1))
    return finished(name, [*splits, test] if test else splits, classes)


def finished(name: str, splits: list[Split], classes: tuple[str, ...]) -> Task:
    """Train, calibration, validation and test as a task."""
    train, calibration, validation, test = splits
    kind: dict[str, Any] = {} if classes else {"metric": MSE, "loss": "mse"}
    return Task(
        name, train, calibration, validation, test, normalize=usual_scale(train.inputs), classes=classes, **kind
    )


def usual_scale(inputs: np.ndarray) -> Normalize:
    """How raw values become model inputs: uint8 by 255, int16 by 32768, floats as they are."""
    return Normalize((0.0,), ({"uint8": 255.0, "int16": 32768.0}.get(inputs.dtype.name, 1.0),))


def task_from_folder(folder: Path, seed: int = 0) -> Task:
    """A task on a folder with one folder per class, of images or of 16-bit WAV files; all of one size.

    Images become (n, 1 or 3, height, width) uint8, sounds (n, samples) int16.

    Raises:
        BadInput: no classes, files of other sizes or formats.
        Missing: images without Pillow.
    """
    classes = tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != "."))
    files = [(path, label) for label, name in enumerate(classes) for path in sorted((folder / name).iterdir())]
    sounds = [(path, label) for path, label in files if path.suffix.lower() == ".wav"]
    images = [(path, label) for path, label in files if path.suffix.lower() in IMAGE_ENDINGS]
    if len(classes) < 2 or bool(sounds) == bool(images):
        raise BadInput(
            f"data: {folder} holds {len(classes)} folders, {len(images)} images and {len(sounds)} WAV files; need"
            " one folder per class, at least two, with images or WAV files in them."
        )
    arrays = [read_wav(path) if sounds else read_image(path) for path, _ in sounds or images]
    for (path, _), array in zip(sounds or images, arrays, strict=True):
        if array.shape != arrays[0].shape:
            raise BadInput(f"data: {path} has shape {array.shape}, others {arrays[0].shape}; need one size for all.")
    labels = np.array([label for _, label in sounds or images], np.int64)
    return task_of(folder.name, checked(np.stack(arrays), labels, str(folder)), None, seed, classes)


def read_image(path: Path) -> np.ndarray:
    """An image as (1, h, w) when it is grey, else (3, h, w), uint8.

    Raises:
        Missing: Pillow is not installed.
        BadInput: the file is no image.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise Missing("data: reading images needs Pillow, which is absent. Run: pip install pillow") from error
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("L" if image.mode in ("1", "L", "I;16") else "RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadInput(f"data: {path} is no readable image ({error}).") from error
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def task_from_csv(path: Path, seed: int = 0) -> Task:
    """A task on readings in order of time: a header, one row per reading, the class in the last column.

    Inputs are windows of 32 readings, (n, channels, 32) float32, labelled by their last row. The rows are dealt out
    in blocks of 128, and no window crosses a block's edge: no reading is in two splits.

    Raises:
        BadInput: no table of numbers, or too short.
    """
    if path.stat().st_size > MOST_CSV_BYTES:
        raise BadInput(f"data: {path} is larger than {MOST_CSV_BYTES} bytes; need at most that.")
    readings, names = read_table(path)
    classes = tuple(sorted(set(names)))
    labels = np.array([classes.index(name) for name in names], np.int64)
    blocks = [slice(start, start + BLOCK) for start in range(0, len(labels) - BLOCK + 1, BLOCK)]
    if len(blocks) < 20:
        raise BadInput(f"data: {path} has {len(labels)} rows; need at least {20 * BLOCK} to split by time.")
    parts = stratified_parts(np.zeros(len(blocks)), FRACTIONS, seed)
    splits = [windows(readings, labels, WINDOW, [blocks[index] for index in part]) for part in parts]
    return finished(path.stem, splits, classes)


def read_table(path: Path) -> tuple[np.ndarray, list[str]]:
    """Readings (rows, channels) float32 and the last column's text (rows,)."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if row][1:]
        readings = np.array([row[:-1] for row in rows], np.float32)
    except (ValueError, csv.Error) as error:
        raise BadInput(f"data: {path} is no table of numbers with a class in the last column ({error}).") from error
    if readings.ndim != 2 or readings.shape[1] == 0 or not np.isfinite(readings).all():
        raise BadInput(f"data: {path} needs at least one column of finite numbers before the class.")
    return readings, [row[-1] for row in rows]
