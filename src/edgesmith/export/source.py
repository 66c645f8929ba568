"""What is exported: a graph with or without formats, the program made of it, and inputs to check with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from edgesmith.compile.integerize import integerize
from edgesmith.core import artifact as artifacts
from edgesmith.core.errors import Unsupported
from edgesmith.core.formats import PerTensor
from edgesmith.core.graph import Graph
from edgesmith.core.interface import random_input
from edgesmith.core.target import Target
from edgesmith.core.task import Task
from edgesmith.data import load_task
from edgesmith.pipeline.execute import target_of
from edgesmith.pipeline.programs import Model, Numbers, int8_inputs, programs
from edgesmith.pipeline.realize import raw_samples

SAMPLES = 8
SOURCE_FILES = ("graph.json", "weights.safetensors")
Inputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Source:
    """A model on its way out.

    Attributes:
        graph: float, in the model's own layout; with formats where it is int8.
        stored: inputs that arrive as int8.
        compiled: the program for a target, channels last; None where no target is known.
        target: of the program; None for formats that need none.
        samples: inputs of `program`, as it stores them.
        origin: of the samples, in words.
    """

    name: str
    graph: Graph
    stored: tuple[str, ...]
    samples: tuple[Inputs, ...]
    origin: str
    compiled: Graph | None = None
    target: Target | None = None

    @property
    def program(self) -> Graph:
        """What our own side of a check executes: integers where there are formats."""
        return integerize(self.graph, self.stored)

    @property
    def quantized(self) -> bool:
        """Whether activations are stored as integers."""
        return any(isinstance(tensor.format, PerTensor) for tensor in self.graph.tensors.values())

    def floats(self) -> Graph:
        """The graph without its formats."""
        plain = {name: replace(tensor, format=None) for name, tensor in self.graph.tensors.items()}
        return replace(self.graph, tensors=plain)

    def real(self, sample: Inputs) -> dict[str, np.ndarray]:
        """A sample as the float graph takes it; indices stay integers."""
        found = {}
        for name in self.graph.inputs:
            tensor, array = self.graph.tensors[name], sample[name]
            if tensor.dtype == "float32" and array.dtype != np.float32:
                format_ = tensor.format
                array = format_.dequantize(array) if isinstance(format_, PerTensor) else array.astype(np.float32)
            found[name] = array
        return found


def from_artifact(folder: Path, data: str | None = None, trust: bool = False) -> Source:
    """An artifact: its source graph, its program and target.

    Raises:
        Unsupported: it carries no source graph.
    """
    artifact = artifacts.load(folder)
    names = [f"source/{name}" for name in SOURCE_FILES]
    if not set(names) <= set(artifact.manifest["files"]):
        raise Unsupported(f"export: {folder} carries no source graph; need one that edgesmith compile or fit made.")
    graph = artifacts.graph_from({Path(name).name: artifacts.content(artifact, name) for name in names})
    stored = tuple(name for name in artifact.graph.inputs if artifact.graph.tensors[name].dtype == "int8")
    task = load_task(data, trust) if data else None
    samples, origin = _samples(graph, stored, task)
    return Source(graph.name, graph, stored, samples, origin, artifact.graph, target_of(artifact))


def from_model(
    module: Model,
    example_inputs: tuple[Tensor, ...],
    task: Task | None,
    name: str,
    precision: str,
    target: Target | None = None,
) -> Source:
    """A model that is not compiled; int8 ranges come from the task, or, without one, from random inputs."""
    made = programs(module, example_inputs, task, name, Numbers(precision))
    stored = int8_inputs(made.source, example_inputs)
    samples, origin = _samples(made.source, stored, task)
    return Source(name, made.source, stored, samples, origin, made.compiled if target else None, target)


def _samples(graph: Graph, stored: Sequence[str], task: Task | None) -> tuple[tuple[Inputs, ...], str]:
    if task is not None:
        found = tuple(raw_samples(graph, task.validation, SAMPLES))
        return found, f"{len(found)} validation samples of {task.name}"
    program, rng = integerize(graph, stored), np.random.default_rng(0)
    made = tuple({name: random_input(program, name, rng) for name in program.inputs} for _ in range(SAMPLES))
    return made, f"{SAMPLES} random inputs"
