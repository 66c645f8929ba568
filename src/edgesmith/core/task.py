"""What a model is for: data splits, loss, metric, and how a raw sensor value becomes the model's input."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from edgesmith.core.errors import BadInput

SPLITS = ("train", "calibration", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Samples and their labels.

    Attributes:
        inputs: (n, ...) raw sensor values (uint8 pixels, int16 audio, float32 readings), model layout (NCHW); or
            int32 indices, such as the tokens of a text, which stay what they are.
        labels: (n,) integer classes, (n, length) one at each position of a text, (n, h, w) one per pixel, or (n, ...)
            float targets.
    """

    inputs: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.labels) or len(self.inputs) == 0:
            raise BadInput(
                f"task: a split has {len(self.inputs)} inputs and {len(self.labels)} labels; "
                "need as many of each, at least one."
            )

    def __len__(self) -> int:
        return len(self.inputs)

    def sha256(self) -> str:
        """Hash of shapes, dtypes and bytes of both arrays."""
        digest = hashlib.sha256()
        for array in (self.inputs, self.labels):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def is_index(dtype: np.dtype) -> bool:
    """Whether inputs of this type are indices into a table (int32, int64), no sensor's values."""
    return dtype.kind == "i" and dtype.itemsize >= 4


@dataclass(frozen=True)
class Normalize:
    """Raw sensor value to model input: x = (raw - mean) / std, per channel (axis 1) or for all; indices stay.

    Attributes:
        mean, std: one value for all channels, or one per channel, in raw units.
    """

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __call__(self, raw: np.ndarray) -> np.ndarray:
        """Normalize a batch: (n, channels, ...) raw to float32 of the same shape; int32 and int64 as they are."""
        if is_index(raw.dtype):
            return raw
        shape = (1, -1) + (1,) * (raw.ndim - 2)
        mean = np.asarray(self.mean, np.float32).reshape(shape)
        std = np.asarray(self.std, np.float32).reshape(shape)
        return (raw.astype(np.float32) - mean) / std


@dataclass(frozen=True)
class Metric:
    """A figure of merit.

    Attributes:
        name: such as "accuracy".
        direction: whether more or less is better.
        compute: (outputs, labels) to a float; outputs are the model's float outputs, (n, ...).
    """

    name: str
    direction: Literal["max", "min"]
    compute: Callable[[np.ndarray, np.ndarray], float]

    @property
    def unit(self) -> str:
        """Of a reading of it: "fraction" for accuracies, else its own name."""
        return "fraction" if self.name == "accuracy" else self.name

    def meets(self, value: float, limit: float | None) -> bool:
        """Whether `value` is at least as good as `limit`; None is no limit."""
        if limit is None:
            return True
        return value >= limit if self.direction == "max" else value <= limit


def accuracy(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Share of rows whose largest output is the label: (n, classes), (n,) to a fraction."""
    return float((outputs.argmax(axis=-1) == labels).mean())


ACCURACY = Metric("accuracy", "max", accuracy)


@dataclass(frozen=True)
class Task:
    """Splits (disjoint, seeded), loss, metric and preprocessing of one problem.

    Search sees `validation` only; `test` is read once, for the report.

    Attributes:
        loss: "cross_entropy" on integer labels (-100 does not count), "mse" on float targets,
            "reconstruction" when the input is its own target, "detection" on boxes (data/detection.py says how).
        classes: class names in label order; empty when there are none.
        licence: of the data.
    """

    name: str
    train: Split
    calibration: Split
    validation: Split
    test: Split
    metric: Metric = ACCURACY
    loss: Literal["cross_entropy", "mse", "reconstruction", "detection"] = "cross_entropy"
    normalize: Normalize = Normalize()
    classes: tuple[str, ...] = ()
    licence: str = "unknown"
    source: str = ""

    def describe(self) -> dict[str, Any]:
        """What an artifact's manifest keeps of the task: sizes and sha256 of every split."""
        splits = {
            name: {"samples": len(getattr(self, name)), "sha256": getattr(self, name).sha256()} for name in SPLITS
        }
        return {
            "name": self.name,
            "metric": self.metric.name,
            "direction": self.metric.direction,
            "loss": self.loss,
            "classes": list(self.classes),
            "normalize": {"mean": list(self.normalize.mean), "std": list(self.normalize.std)},
            "licence": self.licence,
            "splits": splits,
        }
