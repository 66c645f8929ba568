"""What a compression step does to trust beside accuracy: classes, calibration, noise, blur."""

from collections.abc import Callable
from typing import Any

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.task import Split, accuracy

BINS = 15  # as in arXiv:1706.04599, section 5
NOISE = 0.1  # standard deviation of the added noise, as a share of the input's range
HOW = f"noise: Gaussian, {NOISE:.0%} of the input range; blur: 3x3 mean; calibration error: {BINS} bins"

Predict = Callable[[np.ndarray], np.ndarray]  # raw inputs (n, ...) to outputs (n, classes)


def trust(predict: Predict, split: Split, classes: int, seed: int = 0) -> dict[str, Any]:
    """Accuracy, accuracy per class, calibration error, and accuracy under noise and blur.

    Args:
        split: integer labels; blur needs image inputs (n, c, h, w) and is None for others.

    Returns:
        accuracy, per_class (None for a class without samples), ece, noise, blur: fractions.
    """
    outputs = predict(split.inputs)
    image = split.inputs.ndim == 4
    return {
        "accuracy": accuracy(outputs, split.labels),
        "per_class": per_class(outputs, split.labels, classes),
        "ece": calibration_error(outputs, split.labels),
        "noise": accuracy(predict(noisy(split.inputs, np.random.default_rng(seed))), split.labels),
        "blur": accuracy(predict(blurred(split.inputs)), split.labels) if image else None,
    }


def per_class(outputs: np.ndarray, labels: np.ndarray, classes: int) -> list[float | None]:
    """Accuracy on each class: (n, classes), (n,) to fractions; None where a class has no samples."""
    right = outputs.argmax(1) == labels
    return [float(right[labels == c].mean()) if (labels == c).any() else None for c in range(classes)]


def confusion(outputs: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Counts (true class, predicted class)."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, outputs.argmax(1)), 1)
    return counts


def calibration_error(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Expected calibration error: mean gap between confidence and accuracy over bins of confidence.

    Args:
        outputs: (n, classes) logits.

    Source: arXiv:1706.04599, equation 3.
    """
    if not np.isfinite(outputs).all():
        raise BadInput("trust: the model's outputs hold a NaN or an infinity; its weights or inputs are damaged.")
    shifted = np.exp(outputs.astype(np.float64) - outputs.max(1, keepdims=True))
    probabilities = shifted / shifted.sum(1, keepdims=True)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs(confidence[bins == b].sum() - right[bins == b].sum()) for b in range(BINS)]
    return float(sum(gaps) / len(labels))


def noisy(inputs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Inputs of the same dtype with Gaussian noise of NOISE times their range, kept inside that range."""
    low, high = float(inputs.min()), float(inputs.max())
    values = inputs + rng.normal(0, NOISE * (high - low), inputs.shape)
    return stored(np.clip(values, low, high), inputs.dtype)


def blurred(images: np.ndarray) -> np.ndarray:
    """Each image of (n, c, h, w) averaged over 3x3 cells, edges repeated."""
    padded = np.pad(images.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    height, width = images.shape[2:]
    total = sum(padded[:, :, i : i + height, j : j + width] for i in range(3) for j in range(3))
    return stored(np.asarray(total) / 9, images.dtype)


def stored(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Real values as the sensor would store them: integers are rounded."""
    return np.rint(values).astype(dtype) if dtype.kind in "iu" else values.astype(dtype)
