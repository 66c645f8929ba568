"""The ways to quantize after training that Quantune chooses from, and a net quantized in one of them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any, Literal

import numpy as np

from edgesmith.compress.quantize.calibrators import CALIBRATORS, Histogram, Range
from edgesmith.compress.quantize.observation import histograms, observe
from edgesmith.compress.quantize.placement import (
    WEIGHTED,
    Widths,
    annotate,
    first_and_last,
    named_inputs,
    place,
    sources_to_observe,
    with_biases,
)
from edgesmith.compress.quantize.raw_input import raw_formats
from edgesmith.core.formats import PerChannel, symmetric
from edgesmith.core.graph import Graph

Scheme = Literal["asymmetric", "symmetric", "symmetric_uint8", "power_of_two"]
SAMPLES = (1, 16, 256)
SCHEMES: tuple[Scheme, ...] = ("asymmetric", "symmetric", "symmetric_uint8", "power_of_two")


@dataclass(frozen=True)
class Configuration:
    """One way.

    Attributes:
        samples: calibration samples that ranges come from.
        scheme: of activations: any zero point; none; none, but values that are never negative use all codes; none and
            steps that are powers of two. Weights have no zero point, and powers of two with the last.
        clipping: ranges hold everything, or are cut where least information goes (Kullback-Leibler).
        granularity: of weights: one step a tensor or one a channel.
        ends: the first and the last layer keep 8 bits.
    """

    samples: int
    scheme: Scheme
    clipping: Literal["minmax", "entropy"]
    granularity: Literal["tensor", "channel"]
    ends: bool

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)

    def features(self) -> tuple[float, ...]:
        """As numbers: one a choice, 1 where it is taken."""
        return (
            math.log2(self.samples),
            *(float(self.scheme == scheme) for scheme in SCHEMES),
            float(self.clipping == "entropy"),
            float(self.granularity == "channel"),
            float(self.ends),
        )


CHOICES: Mapping[str, tuple[Any, ...]] = {
    "samples": SAMPLES,
    "scheme": SCHEMES,
    "clipping": ("minmax", "entropy"),
    "granularity": ("tensor", "channel"),
    "ends": (True, False),
}
SPACE: tuple[Configuration, ...] = tuple(Configuration(*each) for each in product(*CHOICES.values()))


class Calibrated:
    """A float graph with what its tensors do on the first samples, seen once for every count that is asked."""

    def __init__(self, graph: Graph, samples: np.ndarray) -> None:
        self.graph, self.samples = graph, samples
        self.groups = place(graph, raw_formats(graph, samples))
        self.ends = first_and_last(graph)
        self._seen: dict[int, dict[str, Histogram]] = {}

    def histograms(self, count: int) -> dict[str, Histogram]:
        """Of every tensor to be ranged."""
        if count not in self._seen:
            samples = self.samples[:count]
            ranged = sources_to_observe(self.graph, self.groups)
            self._seen[count] = histograms(self.graph, samples, observe(self.graph, samples, ranged, ()))
        return self._seen[count]

    def quantized(self, configuration: Configuration, weights: int, activations: int) -> Graph:
        """The graph with formats of these bits in one of the ways."""
        widths = Widths(weights, activations, self.ends if configuration.ends else {})
        bits = {name: widths.of_group(self.graph, group) for group in self.groups for name in group.members}
        clip, shape = CALIBRATORS[configuration.clipping], RANGES[configuration.scheme]
        ranges = {
            name: shape(clip(seen, bits[name]), bits[name])
            for name, seen in self.histograms(configuration.samples).items()
        }
        annotated = annotate(self.graph, self.groups, ranges, widths)
        tensors = dict(annotated.tensors)
        for op in annotated.ops:
            for weight, _, _ in WEIGHTED.get(op.kind, ()):
                name = named_inputs(op)[weight]
                format_ = tensors[name].format
                if isinstance(format_, PerChannel):
                    chosen = weight_format(annotated.constants[name], format_.bits, configuration)
                    tensors[name] = replace(tensors[name], format=chosen)
        return with_biases(replace(annotated, tensors=tensors))


def weight_format(weight: np.ndarray, bits: int, configuration: Configuration) -> PerChannel:
    """A weight's format: without a zero point, its steps alike or a power of two where asked."""
    format_ = symmetric(weight, bits=bits)
    scales = np.asarray(format_.scales)
    if configuration.granularity == "tensor":
        used = np.abs(weight).max(tuple(range(1, weight.ndim))) > 0  # a channel of zeros has no say
        scales = np.full_like(scales, scales[used].max() if used.any() else 1.0)
    if configuration.scheme == "power_of_two":
        scales = 2.0 ** np.ceil(np.log2(scales))
    return replace(format_, scales=tuple(float(scale) for scale in scales))


def whole(found: Range, bits: int) -> Range:
    """The range as it is."""
    return found


def without_zero_point(found: Range, bits: int) -> Range:
    """The range whose format has zero point 0 and holds both ends."""
    return _around_zero(max(abs(found[0]), abs(found[1])) / ((1 << (bits - 1)) - 1), bits)


def without_zero_point_or_sign(found: Range, bits: int) -> Range:
    """From zero where nothing is negative, else without a zero point."""
    return (0.0, found[1]) if found[0] >= 0 else without_zero_point(found, bits)


def powers_of_two(found: Range, bits: int) -> Range:
    """Without a zero point, the step raised to a power of two."""
    peak = max(abs(found[0]), abs(found[1]))
    step = peak / ((1 << (bits - 1)) - 1)
    return _around_zero(2.0 ** math.ceil(math.log2(step)) if step > 0 else 0.0, bits)


def _around_zero(step: float, bits: int) -> Range:
    half = 1 << (bits - 1)
    return -step * half, step * (half - 1)


RANGES: Mapping[Scheme, Callable[[Range, int], Range]] = {
    "asymmetric": whole,
    "symmetric": without_zero_point,
    "symmetric_uint8": without_zero_point_or_sign,
    "power_of_two": powers_of_two,
}
