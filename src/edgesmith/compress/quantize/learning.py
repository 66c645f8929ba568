"""Training with rounding in place: formats become quantizers with parameters of their own, and formats again."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from edgesmith.compress.quantize.calibrators import CALIBRATORS, Calibration
from edgesmith.compress.quantize.placement import WEIGHTED, Widths, named_inputs, place, with_biases
from edgesmith.compress.quantize.preparation import float_graph
from edgesmith.compress.quantize.ptq import quantized
from edgesmith.compress.quantize.raw_input import raw_formats
from edgesmith.core.formats import Format, PerChannel, PerTensor
from edgesmith.core.graph import Graph
from edgesmith.core.task import Normalize, Task
from edgesmith.lower import Lifted, lift
from edgesmith.training.loop import BatchLoss, Run, Step, descend, train_module
from edgesmith.training.recipe import Recipe


class Quantizer(Protocol):
    """A module that rounds a tensor in training and says how it is stored in the end."""

    def __call__(self, x: Tensor) -> Tensor:
        """x, of any shape, rounded."""

    def format(self, values: Tensor | None) -> Format:
        """How the tensor is stored: `values` are a weight's, None for an activation."""


@dataclass(frozen=True)
class Place:
    """Where a quantizer stands.

    Attributes:
        tensors: the names that it rounds.
        format: what calibration gave them.
        weight: (out, ...) the values of a weight; None for activations.
    """

    tensors: tuple[str, ...]
    format: PerTensor | PerChannel
    weight: Tensor | None = None


MakeQuantizer = Callable[[Place], nn.Module | None]  # None keeps the format


def calibrated(module: nn.Module, task: Task, widths: Widths, calibration: Calibration = "mse") -> Graph:
    """The float graph of a module on raw values, with formats of these widths from the calibration split.

    The normalization is part of it, batch norms lie in the layers before them.
    """
    samples = task.calibration.inputs
    graph = float_graph(module, task)
    return quantized(graph, samples, CALIBRATORS[calibration], calibration != "minmax", False, widths)


def places(graph: Graph, task: Task) -> tuple[Place, ...]:
    """Everything with a format that training may move: weights, and activations whose format no op fixes."""
    found = []
    for group in place(graph, raw_formats(graph, task.calibration.inputs)):
        format_ = graph.tensors[group.members[0]].format
        if group.fixed is None and not group.cell and isinstance(format_, PerTensor):
            found.append(Place(group.members, format_))
    for op in graph.ops:
        for weight, _, _ in WEIGHTED.get(op.kind, ()):
            name = named_inputs(op)[weight]
            format_ = graph.tensors[name].format
            if isinstance(format_, PerChannel):
                found.append(Place((name,), format_, torch.from_numpy(graph.constants[name])))
    return tuple(found)


def with_quantizers(graph: Graph, task: Task, make: MakeQuantizer) -> Lifted:
    """The annotated graph as a module to train: `make` gives the quantizer of each place; biases are not rounded."""
    quantizers = {}
    for spot in places(graph, task):
        made = make(spot)
        if made is not None:
            quantizers.update(dict.fromkeys(spot.tensors, made))
    biases = {named_inputs(op)[bias] for op in graph.ops for _, bias, _ in WEIGHTED.get(op.kind, ())}
    tensors = {name: replace(t, format=None if name in biases else t.format) for name, t in graph.tensors.items()}
    return lift(replace(graph, tensors=tensors), quantizers)


def settled(module: Lifted) -> Lifted:
    """The trained module with formats in place of its quantizers, biases in those that follow; in eval mode."""
    return lift(with_biases(module.to_graph())).eval()


def train(
    module: Lifted,
    task: Task,
    recipe: Recipe,
    seed: int = 0,
    run: Run | None = None,
    batch_loss: BatchLoss | None = None,
    step: Step = descend,
) -> Lifted:
    """Train, in place, a module that takes raw values.

    Args:
        batch_loss, step: as in `train_module`.
    """
    raw = replace(task, normalize=Normalize())
    train_module(module, raw, recipe, seed, run, batch_loss, step)
    return module
