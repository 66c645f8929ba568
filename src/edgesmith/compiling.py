"""Compile or profile one model as it is, without search."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgesmith.build import bind_for
from edgesmith.compile.edge_moe import edge_moe
from edgesmith.compile.integerize import integerize
from edgesmith.compress.quantize import i_segmenter, i_vit, ptq
from edgesmith.compress.quantize.calibrators import Calibration
from edgesmith.core.artifact import Artifact
from edgesmith.core.budget import Budget
from edgesmith.core.errors import BadInput, DoesNotFit, Unsupported
from edgesmith.core.graph import Graph
from edgesmith.core.target import Target
from edgesmith.core.task import Split, Task
from edgesmith.lower import channels_last_input, graph_of, lower, with_normalize
from edgesmith.profile import Profile, profile
from edgesmith.realize import Realized, realize, write_artifact

# What `--method` means: how the formats are chosen, and which forms are asked for after it.
METHODS: Mapping[str, tuple[Callable[..., Any], Callable[[Graph], Graph]]] = {
    "ptq": (ptq, lambda graph: graph),
    "i-vit": (lambda calibration: i_vit(calibration=calibration), lambda graph: graph),
    "i-segmenter": (lambda calibration: i_segmenter(calibration=calibration), lambda graph: graph),
    "edge-moe": (ptq, edge_moe()),
}
RANDOM_SAMPLES = 32  # to calibrate on when there are no data: costs are right, accuracy means nothing


@dataclass(frozen=True)
class Numbers:
    """How a model's numbers are stored and computed.

    Attributes:
        precision: "int8" or "float32".
        calibration: how an activation's range follows from its values.
        method: of int8; the integer forms of attention and activation (docs/transformers.md).
        images: of the calibration split that the ranges follow from; 0 for all.
        integer_only: refuse a program with a float op.
    """

    precision: str = "int8"
    calibration: Calibration = "mse"
    method: str = "ptq"
    images: int = 0
    integer_only: bool = False

    def __post_init__(self) -> None:
        if self.precision not in ("int8", "float32"):
            raise BadInput(f"compile: precision {self.precision!r}; need int8 or float32.")
        if self.method not in METHODS:
            raise BadInput(f"compile: method {self.method!r}; need one of: {', '.join(METHODS)}.")
        if self.precision == "float32" and (self.method != "ptq" or self.integer_only):
            raise BadInput("compile: float32 has no integer forms; need --precision int8 for them.")
        if self.images < 0:
            raise BadInput(f"compile: {self.images} images; need 0 for the whole calibration split, or more.")


def source_graph(
    module: nn.Module,
    example_inputs: tuple[Tensor, ...],
    task: Task | None,
    name: str,
    precision: str,
    calibration: str,
) -> Graph:
    """As `stored_graph`, by the usual method."""
    numbers = Numbers(precision, calibration)  # type: ignore[arg-type]
    return stored_graph(module, example_inputs, task, name, numbers)


def stored_graph(
    module: nn.Module, example_inputs: tuple[Tensor, ...], task: Task | None, name: str, numbers: Numbers
) -> Graph:
    """The float graph of a model on raw inputs, with formats when it is to be int8.

    Raises:
        BadInput: unknown precision or calibration.
        Unsupported: an op without a lowering.
    """
    task = task or random_task(example_inputs, name)
    raw = (torch.from_numpy(task.calibration.inputs[:1]).float(),)
    if numbers.precision == "float32":
        return lower(with_normalize(module, task.normalize), raw, name)
    if numbers.images:
        few = Split(task.calibration.inputs[: numbers.images], task.calibration.labels[: numbers.images])
        task = replace(task, calibration=few)
    quantize, run = METHODS[numbers.method]
    return run(graph_of(quantize(numbers.calibration)(module, task), raw, name))


def integer_graph(source: Graph, numbers: Numbers) -> Graph:
    """What is compiled of a source graph, the input in the layout that needs no permute.

    Raises:
        Unsupported: it should be in integers alone, and an op is not.
    """
    graph = channels_last_input(integerize(source))
    floats = [op for op in graph.ops if any(t.dtype == "float32" for t in graph.types((*op.inputs, *op.outputs)))]
    if numbers.integer_only and floats:
        first = floats[0]
        raise Unsupported(
            f"compile: {len(floats)} ops compute in floats, the first is {first.kind} ({first.name}, "
            f"{first.source or 'no source line'}); need none with --integer-only. Raw integer inputs and ops with an "
            "integer form leave none."
        )
    return graph


def compile_model(
    module: nn.Module,
    example_inputs: tuple[Tensor, ...],
    task: Task | None,
    target: Target,
    out: Path,
    name: str = "model",
    numbers: Numbers | None = None,
) -> Artifact:
    """Compile a model for a target and write the artifact.

    Without a task the ranges come from random inputs: the artifact's cost is right, its accuracy is not.

    Raises:
        BadInput: unknown calibration, or a folder that cannot be written.
        DoesNotFit: the program is too large for the board.
        Unsupported: an op without a lowering, or without a kernel there.
    """
    numbers = numbers or Numbers()
    source = stored_graph(module, example_inputs, task, name, numbers)
    realized = realize(integer_graph(source, numbers), target)
    check_room(realized, target)
    facts = {
        "settings": asdict(numbers),
        "calibrated_on": task.name if task else "random",
    }
    return write_artifact(out, realized, source, task, facts)


def check_room(realized: Realized, target: Target) -> None:
    """Refuse a program that is too large for its board.

    Raises:
        DoesNotFit: by how much, and what to do.
    """
    if target.hosted:
        return
    room = Budget(flash_bytes=target.flash_bytes, ram_bytes=target.ram_bytes)
    over = [
        f"{limit.removesuffix('_bytes')} is {ratio:.1f} times the {getattr(room, limit):,} bytes there are"
        for limit, ratio in realized.ratios(room).items()
        if ratio > 1
    ]
    if over:
        raise DoesNotFit(
            f"compile: on {target.name} {' and '.join(over)}; need less. Nothing was written. "
            "Let edgesmith fit shrink the model, or see with edgesmith profile which layers cost most."
        )


def profile_model(
    module: nn.Module,
    example_inputs: tuple[Tensor, ...],
    task: Task | None,
    target: Target,
    name: str = "model",
    precision: str = "int8",
    measure: bool = True,
) -> Profile:
    """What each layer costs on a target; without `measure` everything is predicted, nothing is linked or run."""
    numbers = Numbers(precision, "minmax")
    source = stored_graph(module, example_inputs, task, name, numbers)
    return profile(bind_for(integer_graph(source, numbers), target).program, target, measure)


def random_task(example_inputs: tuple[Tensor, ...], name: str) -> Task:
    """A task of seeded random inputs of the example's shape, for models without data."""
    if len(example_inputs) != 1:
        raise BadInput(f"{name}: it takes {len(example_inputs)} inputs; without a task need exactly one.")
    shape = tuple(example_inputs[0].shape[1:])
    inputs = np.random.default_rng(0).standard_normal((RANDOM_SAMPLES, *shape)).astype(np.float32)
    split = Split(inputs, np.zeros(RANDOM_SAMPLES, np.int64))
    return Task(name, split, split, split, split)
