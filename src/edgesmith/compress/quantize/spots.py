"""What a method that is not bound to integers may round: weights by channel, activations by group, and their values."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from edgesmith.compress.quantize.calibrators import Histogram, histogram
from edgesmith.compress.quantize.observation import histograms, observe
from edgesmith.compress.quantize.placement import FIXED, WEIGHTED, Group, named_inputs, place, sources_to_observe
from edgesmith.compress.quantize.preparation import float_graph
from edgesmith.compress.quantize.raw_input import raw_formats
from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Graph
from edgesmith.core.task import Task


@dataclass(frozen=True)
class Spot:
    """Tensors that are rounded alike.

    Attributes:
        tensors: their names; of a weight, one.
        values, counts: (bins,) what activations take and how often; of a weight, None.
        weight: (out, ...); None for activations.
    """

    tensors: tuple[str, ...]
    values: Tensor | None = None
    counts: Tensor | None = None
    weight: Tensor | None = None


def raw_graph(method: str, module: nn.Module, task: Task) -> Graph:
    """The module's graph on raw values, its normalization within; what a sensor gives keeps the sensor's format.

    Raises:
        BadInput: not one input.
    """
    samples = task.calibration.inputs
    graph = float_graph(module, task)
    if len(graph.inputs) != 1:
        raise BadInput(f"{method}: the model has {len(graph.inputs)} inputs; need one.")
    raw = raw_formats(graph, samples)
    found = {name: format_ for group in place(graph, raw) if _lossless(group) for name, format_ in _formats(group)}
    tensors = {name: replace(tensor, format=found.get(name)) for name, tensor in graph.tensors.items()}
    return replace(graph, tensors=tensors)


def _formats(group: Group):  # type: ignore[no-untyped-def]
    return [(name, group.fixed) for name in group.members]


def _lossless(group: Group) -> bool:
    """Whether the group's format is the sensor's own, not one that an integer op asks for."""
    return group.fixed is not None and group.fixed not in FIXED.values()


def spots(graph: Graph, task: Task) -> tuple[Spot, ...]:
    """Everything that may be rounded: weights of layers and stored activations; recurrent cells and biases stay float.

    Args:
        graph: as `raw_graph` makes it.

    Raises:
        BadInput: a value that is not finite.
    """
    groups = [group for group in place(graph, raw_formats(graph, task.calibration.inputs)) if not _lossless(group)]
    free = tuple(replace(group, fixed=None) for group in groups if not group.cell)
    return (*_activations(graph, task.calibration.inputs, free), *_weights(graph))


def _weights(graph: Graph) -> list[Spot]:
    found: dict[str, Spot] = {}
    for op in graph.ops:
        for weight, _, _ in WEIGHTED.get(op.kind, ()):
            name = named_inputs(op)[weight]
            if name in graph.constants:
                if not np.isfinite(graph.constants[name]).all():
                    raise BadInput(f"weight {name!r} holds values that are not finite; its file is damaged.")
                found[name] = Spot((name,), weight=torch.from_numpy(graph.constants[name]))
    return list(found.values())


def _activations(graph: Graph, samples: np.ndarray, groups: tuple[Group, ...]) -> list[Spot]:
    bare = replace(graph, tensors={name: replace(t, format=None) for name, t in graph.tensors.items()})
    seen = histograms(bare, samples, observe(bare, samples, sources_to_observe(bare, groups), ()))
    found = []
    for group in groups:
        parts = [seen.get(name) or _constant(graph, name) for name in group.sources]
        if parts:
            values = np.concatenate([part.centres for part in parts])
            counts = np.concatenate([part.counts for part in parts])
            found.append(Spot(group.members, torch.from_numpy(values).float(), torch.from_numpy(counts).float()))
    return found


def _constant(graph: Graph, name: str) -> Histogram:
    """Of a constant, or of a state's initial value."""
    initial = {state.tensor: state.initial for state in graph.states}
    return histogram(graph.constants[name] if name in graph.constants else initial[name])
