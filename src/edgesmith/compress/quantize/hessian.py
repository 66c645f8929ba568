"""Traces of the loss's Hessian, tensor by tensor, from random vectors (Hutchinson)."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

from edgesmith.compress.quantize.switch import Switch
from edgesmith.core.task import Split, Task
from edgesmith.lower import Lifted, raw_tensor
from edgesmith.training.evaluate import loss_of

PROBES = 4  # random vectors a batch of samples, 16 in all
BATCH = 16  # samples differentiated together: bounds the memory of two derivatives
SAMPLES = 64


class Named(Protocol):
    """What is asked of a spot."""

    @property
    def name(self) -> str:
        """Of its switch."""

    @property
    def kind(self) -> str:
        """ "weight" or "activation"."""


def traces(
    module: Lifted, split: Split, task: Task, switches: Mapping[str, Switch], spots: Sequence[Named], seed: int
) -> dict[str, float]:
    """The trace of the Hessian of the mean loss in each tensor: E[z' H z], z of random signs.

    Of an activation it is the mean over samples of each one's own trace (arXiv:1911.03852, section 3.3).

    Args:
        switches: of the module's spots, by name.

    Source: arXiv:1911.03852, equation 9 and section 3.2.
    """
    generator = torch.Generator().manual_seed(seed)
    totals = dict.fromkeys((spot.name for spot in spots), 0.0)
    count = min(len(split), SAMPLES)
    for start in range(0, count, BATCH):
        rows = slice(start, min(start + BATCH, count))
        found = _batch_traces(module, split, rows, task, switches, spots, generator)
        weight = (rows.stop - rows.start) / count
        for name, trace in found.items():
            totals[name] += weight * trace
    return totals


def _batch_traces(
    module: Lifted,
    split: Split,
    rows: slice,
    task: Task,
    switches: Mapping[str, Switch],
    spots: Sequence[Named],
    generator: torch.Generator,
) -> dict[str, float]:
    for spot in spots:
        switches[spot.name].probe(True)
    module.reset()
    raw, labels = split.inputs[rows], torch.from_numpy(split.labels[rows])
    found = module(raw_tensor(raw))
    outputs = found[0] if isinstance(found, tuple) else found
    loss = loss_of(outputs, torch.from_numpy(task.normalize(raw)), labels, task, 0.0)
    deltas = {spot.name: switches[spot.name].deltas for spot in spots}
    for spot in spots:
        switches[spot.name].probe(False)
    # The loss is a mean over samples: an activation's delta holds every sample, each with 1/n of its own trace.
    return hutchinson(loss, deltas, generator)


def hutchinson(
    loss: Tensor, tensors: Mapping[str, Sequence[Tensor]], generator: torch.Generator, probes: int = PROBES
) -> dict[str, float]:
    """Estimate, for every name, the trace of the Hessian of `loss` in its tensors together.

    Args:
        loss: a scalar with a graph.
        tensors: leaves of it.
    """
    return {name: _trace(loss, list(each), generator, probes) for name, each in tensors.items()}


def _trace(loss: Tensor, leaves: list[Tensor], generator: torch.Generator, probes: int) -> float:
    """Of one name: vectors of its own, so that the Hessian between tensors adds no noise."""
    first = torch.autograd.grad(loss, leaves, create_graph=True, allow_unused=True)
    bent = [
        (leaf, slope) for leaf, slope in zip(leaves, first, strict=True) if slope is not None and slope.requires_grad
    ]
    if not bent:
        return 0.0
    total = 0.0
    own = [leaf for leaf, _ in bent]
    for _ in range(probes):
        signs = [torch.randint(0, 2, leaf.shape, generator=generator).to(leaf.dtype) * 2 - 1 for leaf in own]
        curved = torch.autograd.grad([slope for _, slope in bent], own, signs, retain_graph=True, allow_unused=True)
        total += sum(float((sign * c).sum()) for sign, c in zip(signs, curved, strict=True) if c is not None)
    return total / probes
