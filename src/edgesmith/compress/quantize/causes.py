"""Why a tensor suffers from few bits: outliers, channels of unequal range, a shifted mean."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import Tensor

from edgesmith.compress.quantize.calibrators import Histogram, histogram
from edgesmith.compress.quantize.observation import run
from edgesmith.compress.quantize.sensitivity import Measure, Sensitivity, Spot
from edgesmith.core.graph import Graph

# A tensor is too sensitive when its share of all harm is so many times an equal share (our choice).
FACTOR = 3.0
TAIL = 4.0  # largest magnitude over the 99.9th percentile; 1.4 for a normal distribution of 10^5 values
KURTOSIS = 10.0  # 3 for a normal distribution, 6 for a Laplace one
UNEQUAL = 8.0  # largest channel's peak over the median channel's: three of its bits are unused (arXiv:1906.04721)
SHIFT = 0.2  # mean rounding error over its root mean square; 0 where it is even


@dataclass(frozen=True)
class Shape:
    """How a tensor's values are spread.

    Attributes:
        kurtosis: fourth moment over the squared second, about the mean.
        tail: largest magnitude over the 99.9th percentile of magnitudes.
        unequal: largest channel's peak over the median channel's; 1 where channels have scales of their own.
    """

    kurtosis: float
    tail: float
    unequal: float


@dataclass(frozen=True)
class Cause:
    """One tensor of the report.

    Attributes:
        share: of the harm that all tensors of its kind do at this width, 0 to 1.
        sensitive: whether that is too much of it.
        reasons: in words, the strongest first; empty where the tensor is not too sensitive.
    """

    tensor: str
    kind: str
    layer: str
    bits: int
    share: float
    sensitive: bool
    reasons: tuple[str, ...]
    kurtosis: float
    tail: float
    unequal: float
    bias: float

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return {**asdict(self), "reasons": list(self.reasons)}


def causes(
    rows: Sequence[Sensitivity], shapes: Mapping[str, Shape], bits: int, measure: Measure = "kl"
) -> tuple[Cause, ...]:
    """Every tensor at a width, the most harmful first, with the reasons where it is too sensitive.

    Args:
        rows: as `sensitivities` gives them.
        shapes: by tensor.
    """
    found = []
    for kind in ("weight", "activation"):
        own = [row for row in rows if row.kind == kind and row.bits == bits]
        total = sum(row.of(measure) for row in own)
        for row in own:
            share = row.of(measure) / total if total > 0 else 0.0
            sensitive = len(own) > 1 and share > min(FACTOR / len(own), 0.5)
            shape = shapes[row.tensor]
            reasons = tuple(reasons_of(shape, row.bias)) if sensitive else ()
            found.append(
                Cause(row.tensor, kind, row.layer, bits, share, sensitive, reasons, **vars(shape), bias=row.bias)
            )
    return tuple(sorted(found, key=lambda cause: -cause.share))


def reasons_of(shape: Shape, bias: float) -> list[str]:
    """What stands out, the farthest above its threshold first."""
    known = [
        (shape.tail / TAIL, f"outliers: the largest value is {shape.tail:.1f} times the 99.9th percentile"),
        (shape.kurtosis / KURTOSIS, f"outliers: kurtosis {shape.kurtosis:.0f}, 3 for a normal distribution"),
        (shape.unequal / UNEQUAL, f"range: the widest channel spans {shape.unequal:.1f} times the median one"),
        (bias / SHIFT, f"bias shift: the mean error is {bias:.0%} of its root mean square"),
    ]
    said = [words for strength, words in sorted(known, key=lambda item: -item[0]) if strength > 1]
    return said or ["position: its values are even, but the outputs depend strongly on them"]


def shapes(graph: Graph, samples: np.ndarray, spots: Sequence[Spot], seen: Mapping[str, Histogram]) -> dict[str, Shape]:
    """The spread of every spot's values: a weight's own, an activation's on the samples.

    Args:
        samples: (n, ...) raw inputs.
        seen: histograms of activations, as `spots` gives them.
    """
    peaks = _channel_peaks(
        graph, samples, {name for spot in spots if spot.kind == "activation" for name in spot.tensors}
    )
    found = {}
    for spot in spots:
        if spot.kind == "weight":
            values = graph.constants[spot.name]
            normal = values / np.maximum(np.abs(values).max(tuple(range(1, values.ndim)), keepdims=True), 1e-30)
            found[spot.name] = Shape(*spread(histogram(normal)), 1.0)
        else:
            parts = [(seen[name], peaks[name]) for name in spot.tensors if name in seen]
            each = [Shape(*spread(counts), unequal(peak)) for counts, peak in parts]
            found[spot.name] = max(each, key=lambda shape: shape.tail, default=Shape(3.0, 1.0, 1.0))
    return found


def spread(seen: Histogram) -> tuple[float, float]:
    """Kurtosis, and the largest magnitude over the 99.9th percentile; zeros do not count."""
    width = (seen.high - seen.low) / len(seen.counts)
    counts = np.where(np.abs(seen.centres) < width / 2, 0.0, seen.counts)
    total = counts.sum()
    if total == 0:
        return 3.0, 1.0
    mean = float((counts * seen.centres).sum() / total)
    second, fourth = (float((counts * (seen.centres - mean) ** power).sum() / total) for power in (2, 4))
    order = np.argsort(np.abs(seen.centres))
    magnitudes = np.abs(seen.centres)[order]
    edge = int(np.searchsorted(np.cumsum(counts[order]), 0.999 * total))
    held = np.flatnonzero(counts[order])
    return fourth / max(second**2, 1e-30), float(magnitudes[held[-1]] / max(magnitudes[min(edge, held[-1])], width / 2))


def unequal(peaks: np.ndarray) -> float:
    """The largest of channels' peaks over the median one: (channels,)."""
    used = peaks[peaks > 0]
    return float(used.max() / np.median(used)) if used.size else 1.0


def _channel_peaks(graph: Graph, samples: np.ndarray, names: set[str]) -> dict[str, np.ndarray]:
    """Largest magnitude of each entry of the last axis, which holds the channels."""
    peaks: dict[str, np.ndarray] = {}

    def watch(name: str, value: Tensor) -> None:
        if name in names and value.ndim:
            found = value.abs().reshape(-1, value.shape[-1]).amax(0).numpy()
            peaks[name] = np.maximum(peaks[name], found) if name in peaks else found

    for _ in run(graph, samples, watch):
        pass
    return peaks
