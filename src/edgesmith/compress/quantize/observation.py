"""What every tensor of a graph does on the calibration samples: its histogram, and means of layer inputs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from edgesmith.compress.quantize.calibrators import BINS, Histogram
from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Graph
from edgesmith.lower import lift, raw_tensor

BATCH = 64  # samples run together: bounds memory, costs no accuracy
Watch = Callable[[str, Tensor], None]


@dataclass
class Extremes:
    """Least and greatest value of each tensor seen so far, and the sum of each watched mean.

    Attributes:
        low, high: by tensor name.
        sums: by tensor name, of the graph tensor's shape, over `samples` samples.
    """

    low: dict[str, float] = field(default_factory=dict)
    high: dict[str, float] = field(default_factory=dict)
    sums: dict[str, np.ndarray] = field(default_factory=dict)
    samples: int = 0


def observe(graph: Graph, samples: np.ndarray, ranged: Sequence[str], averaged: Sequence[str]) -> Extremes:
    """One pass over the samples.

    Args:
        samples: (n, ...) raw values of the graph's only input.
        ranged: tensors whose extremes are wanted.
        averaged: tensors whose mean is wanted.

    Raises:
        BadInput: a tensor takes a value that is not finite.
    """
    seen = Extremes()
    wanted, summed = set(ranged), set(averaged)

    def watch(name: str, value: Tensor) -> None:
        if name in wanted:
            low, high = (float(end) for end in torch.aminmax(value))
            if not (np.isfinite(low) and np.isfinite(high)):
                raise BadInput(
                    f"ptq: tensor {name!r} takes values that are not finite. Look for NaN in the weights and the data."
                )
            seen.low[name] = min(low, seen.low.get(name, low))
            seen.high[name] = max(high, seen.high.get(name, high))
        if name in summed:
            total = value.double().reshape(-1, *graph.tensors[name].shape).sum(0).numpy()
            seen.sums[name] = total + seen.sums.get(name, 0.0)

    for count in run(graph, samples, watch):
        seen.samples += count
    return seen


def histograms(graph: Graph, samples: np.ndarray, seen: Extremes) -> dict[str, Histogram]:
    """A second pass: counts in equal bins between the extremes of the first."""
    counts = {name: np.zeros(BINS) for name in seen.low}

    def watch(name: str, value: Tensor) -> None:
        if name in counts:
            low, high = _span(seen, name)
            counts[name] += torch.histc(value.float(), BINS, low, high).double().numpy()

    for _ in run(graph, samples, watch):
        pass
    return {name: Histogram(*_span(seen, name), count) for name, count in counts.items()}


def _span(seen: Extremes, name: str) -> tuple[float, float]:
    low, high = seen.low[name], seen.high[name]
    return low, high if high > low else low + 1.0


@torch.no_grad()
def run(graph: Graph, samples: np.ndarray, watch: Watch) -> Iterator[int]:
    """Run the samples in batches, showing every tensor to `watch`; yields the size of each batch."""
    module = lift(graph)
    with module.observe(watch):
        for start in range(0, len(samples), BATCH):
            batch = samples[start : start + BATCH]
            module(raw_tensor(batch))
            yield len(batch)
