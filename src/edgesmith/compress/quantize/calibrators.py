"""From the values a tensor takes to the range its format holds: min-max, percentile, MSE, entropy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.formats import PerTensor, affine

Range = tuple[float, float]
Calibration = Literal["minmax", "percentile", "mse", "entropy"]
BINS = 2048  # as TensorRT's calibrator (Migacz, GTC 2017, S7310)
PERCENTILE = 99.99  # arXiv:2004.09602, table 7: the best of 99.9, 99.99 and 99.999 on most nets
LEVELS = 128  # of a magnitude in int8 (S7310)
LEAST_KEPT = 0.5  # share of the values below an entropy cut
STRIDE = 16  # thresholds of the entropy search are this many bins apart: 1/128 of the range
EMPTY = 1e-4  # of one value: what ONNX Runtime's calibrator puts into empty bins (smooth_distribution)
SHRINKS = np.linspace(1.0, 0.02, 99)  # of a range's ends in the MSE search: steps of 1%
ROUNDS = 3  # of the MSE search over one end after the other; the third never moved an end on the zoo's nets


@dataclass(frozen=True)
class Histogram:
    """How often a tensor's values fell into equal bins.

    Attributes:
        low, high: the least and the greatest value.
        counts: (bins,) float64, over [low, high].
    """

    low: float
    high: float
    counts: np.ndarray

    @property
    def edges(self) -> np.ndarray:
        """(bins + 1,) in the tensor's unit."""
        return np.linspace(self.low, self.high, len(self.counts) + 1)

    @property
    def centres(self) -> np.ndarray:
        """(bins,) in the tensor's unit."""
        edges = self.edges
        return (edges[:-1] + edges[1:]) / 2


def histogram(values: np.ndarray, bins: int = BINS) -> Histogram:
    """The histogram of values of any shape.

    Raises:
        BadInput: a value is not finite.
    """
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise BadInput("ptq: a tensor takes values that are not finite; need finite ones. Look for NaN in the data.")
    counts, _ = np.histogram(values, bins, (low, high if high > low else low + 1.0))
    return Histogram(low, high if high > low else low + 1.0, counts.astype(np.float64))


def minmax(seen: Histogram, bits: int = 8) -> Range:
    """Everything that was seen."""
    return seen.low, seen.high


def percentile(seen: Histogram, percent: float = PERCENTILE) -> Range:
    """What is left without the outer (100 - percent)% in all, half of it at each end.

    A side whose values begin at zero loses nothing there: zero is in every format.

    Source: arXiv:2004.09602, section 4 (percentile calibration).
    """
    cumulative = np.cumsum(seen.counts) / seen.counts.sum()
    tail = (1 - percent / 100) / 2
    last = len(cumulative) - 1
    low = seen.edges[min(int(np.searchsorted(cumulative, tail, side="right")), last)]
    high = seen.edges[min(int(np.searchsorted(cumulative, 1 - tail, side="left")), last) + 1]
    return min(float(low), 0.0), max(float(high), 0.0)


def mse(seen: Histogram, bits: int = 8) -> Range:
    """The range whose format of so many bits has the least squared error over the histogram.

    Both ends shrink together first, then each alone.

    Source: arXiv:2106.08295, section 3.1, equation 16 (MSE range setting).
    """
    ends = np.array([min(seen.low, 0.0), max(seen.high, 0.0)])
    best = _shrunk(seen, ends, np.array([True, True]), bits)
    for _ in range(ROUNDS):
        for side in (np.array([False, True]), np.array([True, False])):
            reach = np.where(side, ends, best)
            best = _shrunk(seen, reach, side, bits)
    return float(best[0]), float(best[1])


def _shrunk(seen: Histogram, ends: np.ndarray, sides: np.ndarray, bits: int) -> np.ndarray:
    """The best of `ends` with the chosen sides scaled by SHRINKS."""
    candidates = [np.where(sides, ends * shrink, ends) for shrink in SHRINKS]
    errors = [squared_error(seen, affine(low, high, bits)) if low < high else np.inf for low, high in candidates]
    return candidates[int(np.argmin(errors))]


def squared_error(seen: Histogram, format_: PerTensor) -> float:
    """Sum of squared differences between the histogram's values and what the format makes of them."""
    centres = seen.centres
    error = centres - format_.dequantize(format_.quantize(centres))
    return float((seen.counts * error * error).sum())


def entropy(seen: Histogram, bits: int = 8) -> Range:
    """The range cut at the magnitude whose levels, 128 of int8, lose least information (Kullback-Leibler).

    A cut must keep half of the values, which the pseudocode does not ask: where few values lie near zero, a cut below
    nearly all of them would lose nothing.

    Source: Migacz, "8-bit inference with TensorRT", GTC 2017, S7310, the pseudocode of entropy calibration.
    """
    magnitudes, width = _magnitudes(seen)
    enough = LEAST_KEPT * magnitudes.sum()
    levels = LEVELS >> (8 - bits)
    cuts = [cut for cut in range(LEVELS, len(magnitudes) + 1, STRIDE) if magnitudes[:cut].sum() >= enough]
    losses = [divergence(magnitudes, cut, levels) for cut in cuts]
    threshold = cuts[int(np.argmin(losses))] * width
    return max(seen.low, -threshold), min(seen.high, threshold)


def _magnitudes(seen: Histogram) -> tuple[np.ndarray, float]:
    """Counts of |value| in BINS bins from 0, and the width of one.

    The first bin takes the second's count, as in NVIDIA's pytorch-quantization (calib/histogram.py): zeros, most of
    what a ReLU makes, are stored exactly and must not speak for fine steps.
    """
    peak = max(abs(seen.low), abs(seen.high))
    counts, _ = np.histogram(np.abs(seen.centres), BINS, (0.0, peak), weights=seen.counts)
    counts[0] = counts[1]
    return counts, peak / BINS


def divergence(counts: np.ndarray, cut: int, levels: int = LEVELS) -> float:
    """KL divergence of a histogram cut at bin `cut`, its outliers on the last bin, from its form in `levels`.

    Each level's count is spread evenly over its bins that are not empty. The pseudocode says nothing of a last bin
    that holds outliers alone: it counts as EMPTY in that form.

    Args:
        counts: (bins,) of magnitudes from zero.
        cut: at least 128.

    Returns:
        in nats.
    """
    reference = counts[:cut].copy()
    level = np.arange(cut) * levels // cut
    used = reference > 0
    totals = np.bincount(level, weights=reference, minlength=levels)
    occupied = np.bincount(level, weights=used, minlength=levels)
    spread = np.where(used, (totals / np.maximum(occupied, 1))[level], 0.0)
    reference[-1] += counts[cut:].sum()
    if reference[-1] > 0:
        spread[-1] = max(spread[-1], EMPTY)
    p, q = reference / reference.sum(), spread / spread.sum()
    held = p > 0
    return float((p[held] * np.log(p[held] / q[held])).sum())


CALIBRATORS: Mapping[str, Callable[[Histogram, int], Range]] = {
    "minmax": minmax,
    "percentile": lambda seen, bits: percentile(seen),
    "mse": mse,
    "entropy": entropy,
}
