"""A compressed model as a folder: its graph with formats, the recipe that made it, what it scores and takes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgesmith.core import artifact as artifacts
from edgesmith.core.artifact import Artifact
from edgesmith.core.errors import BadInput
from edgesmith.core.formats import PerTensor
from edgesmith.core.graph import Graph
from edgesmith.core.task import Task
from edgesmith.lower import Lifted, graph_of, lift, lower, raw_tensor, with_normalize
from edgesmith.pipeline.recipes import Progress, Step, apply
from edgesmith.training.accelerator import Accelerator
from edgesmith.training.evaluate import evaluate_raw

KIND = "compressed"


@dataclass(frozen=True)
class Compressed:
    """What a recipe made of a model.

    Attributes:
        graph: float on raw inputs, with the formats of what is stored in fewer bits.
        before, after: the task's metric on the validation split.
        bytes_before, bytes_after: of weights and biases, each in its format.
    """

    graph: Graph
    before: float
    after: float
    bytes_before: int
    bytes_after: int

    def readings(self) -> dict[str, float | int]:
        """All but the graph."""
        return {name: value for name, value in vars(self).items() if name != "graph"}


def compress_model(
    module: nn.Module,
    task: Task,
    steps: Sequence[Step],
    name: str = "model",
    seed: int = 0,
    keep: Path | None = None,
    progress: Progress = lambda line: None,
    accelerator: Accelerator = "cpu",
) -> Compressed:
    """Run a recipe and say what it did.

    Args:
        keep: folder for the state of a training, from which the same call goes on after a kill.
        accelerator: what trains and solves.

    Raises:
        BadInput, Unsupported: as the methods say.
    """
    float_graph = raw_graph(module, task, name)
    graph = raw_graph(apply(steps, module, task, seed, keep, progress, accelerator), task, name)
    before, after = (evaluate_raw(lift(each), task, task.validation) for each in (float_graph, graph))
    return Compressed(graph, before, after, stored_bytes(float_graph), stored_bytes(graph))


def raw_graph(module: nn.Module, task: Task, name: str) -> Graph:
    """The float graph of a module on raw inputs; a lifted one takes those already."""
    example = (raw_tensor(task.calibration.inputs[:1]),)
    if isinstance(module, Lifted):
        return graph_of(module, example, name)
    return lower(with_normalize(module, task.normalize), example, name)


def stored_bytes(graph: Graph) -> int:
    """What the constants of a graph take when each is stored in its format."""
    total = 0
    for name, array in graph.constants.items():
        format_ = graph.tensors[name].format
        total += array.nbytes if format_ is None else format_.nbytes(array.shape)
    return total


def write_compressed(folder: Path, made: Compressed, steps: Sequence[Step], task: Task) -> Artifact:
    """Write the folder, whole or not at all; `load_compressed` reads it.

    Raises:
        BadInput: the folder holds something else, or cannot be written.
    """
    facts = {
        "kind": KIND,
        "name": made.graph.name,
        "task": task.describe(),
        "recipe": [asdict(step) for step in steps],
        "readings": made.readings(),
    }
    return artifacts.save(folder, made.graph, facts, {})


def load_compressed(folder: Path) -> tuple[Lifted, tuple[Tensor, ...]]:
    """The module of such a folder, which takes raw values, and example inputs.

    Raises:
        BadInput: another kind of folder, or a damaged one.
    """
    found = artifacts.load(folder)
    if found.manifest.get("kind") != KIND:
        raise BadInput(f"{folder}: it is a compiled model; need one of edgesmith compress, or the model itself.")
    return lift(found.graph).eval(), tuple(_example(found.graph, name) for name in found.graph.inputs)


def _example(graph: Graph, name: str) -> Tensor:
    tensor = graph.tensors[name]
    raw = isinstance(tensor.format, PerTensor) and tensor.format.dtype in ("uint8", "int16")
    kind: str = tensor.format.dtype if raw else tensor.dtype  # type: ignore[union-attr]
    return torch.zeros(tensor.shape, dtype=getattr(torch, kind))


def describe(made: Compressed, steps: Sequence[Step], task: Task) -> Mapping[str, Any]:
    """For `--json`."""
    recipe = [asdict(step) for step in steps]
    return {"name": made.graph.name, "metric": task.metric.name, "recipe": recipe, **made.readings()}
