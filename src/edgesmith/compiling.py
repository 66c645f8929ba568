"""Compile or profile one model as it is, without search."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edgesmith.build import bind_for
from edgesmith.compile.integerize import integerize
from edgesmith.compress.quantize import ptq
from edgesmith.core.artifact import Artifact
from edgesmith.core.budget import Budget
from edgesmith.core.errors import BadInput, DoesNotFit
from edgesmith.core.graph import Graph
from edgesmith.core.target import Target
from edgesmith.core.task import Split, Task
from edgesmith.lower import channels_last_input, graph_of, lower, with_normalize
from edgesmith.lower.classical import Classical, lower_classical
from edgesmith.patching import AUTO, OFF, Patching, patched
from edgesmith.profile import Profile, profile
from edgesmith.realize import Realized, realize, write_artifact

SEEN_SAMPLES = 2048  # of the training split, from which fixed point takes its ranges
RANDOM_SAMPLES = 32  # to calibrate on when there are no data: costs are right, accuracy means nothing


def source_graph(
    module: nn.Module,
    example_inputs: tuple[Tensor, ...],
    task: Task | None,
    name: str,
    precision: str,
    calibration: str,
) -> Graph:
    """The float graph of a model on raw inputs, with formats when it is to be int8.

    Raises:
        BadInput: unknown precision.
        Unsupported: an op without a lowering.
    """
    if precision not in ("int8", "float32"):
        raise BadInput(f"compile: precision {precision!r}; need int8 or float32.")
    task = task or random_task(example_inputs, name)
    raw = (torch.from_numpy(task.calibration.inputs[:1]).float(),)
    if precision == "int8":
        return graph_of(ptq(calibration)(module, task), raw, name)  # type: ignore[arg-type]
    return lower(with_normalize(module, task.normalize), raw, name)


def programs(
    module: nn.Module | Classical,
    example_inputs: tuple[Tensor, ...],
    task: Task | None,
    name: str,
    precision: str,
    calibration: str,
) -> tuple[Graph, Graph]:
    """The float graph of a model, and the program that is compiled of it; errors as in `source_graph`."""
    if not isinstance(module, Classical):
        source = source_graph(module, example_inputs, task, name, precision, calibration)
        return source, channels_last_input(integerize(source))
    if precision not in ("int8", "float32"):
        raise BadInput(f"compile: precision {precision!r}; need int8 or float32.")
    rows = seen_rows(task or random_task(example_inputs, name))
    source = lower_classical(module, rows, "float32", name)
    return source, lower_classical(module, rows, "fixed", name) if precision == "int8" else source


def seen_rows(task: Task) -> np.ndarray:
    """Raw samples from which fixed point takes its ranges."""
    return np.concatenate([task.calibration.inputs, task.train.inputs[:SEEN_SAMPLES]])


def compile_model(
    module: nn.Module | Classical,
    example_inputs: tuple[Tensor, ...],
    task: Task | None,
    target: Target,
    out: Path,
    name: str = "model",
    precision: str = "int8",
    calibration: str = "mse",
    patching: Patching = AUTO,
) -> Artifact:
    """Compile a model for a target and write the artifact.

    Without a task the ranges come from random inputs: the artifact's cost is right, its accuracy is not.

    Args:
        patching: how the first stage may be split so that the program fits RAM.

    Raises:
        BadInput: unknown precision, calibration or schedule, or a folder that cannot be written.
        DoesNotFit: the program is too large for the board.
        Unsupported: an op without a lowering, or without a kernel there.
    """
    source, program = programs(module, example_inputs, task, name, precision, calibration)
    chosen = patched(program, target, patching)
    realized = realize(chosen.graph, target)
    check_room(realized, target, patching)
    facts = {
        "schedule": chosen.describe(),
        "settings": {"precision": precision, "calibration": calibration},
        "calibrated_on": task.name if task else "random",
        **({"model": "classical"} if isinstance(module, Classical) else {}),
    }
    return write_artifact(out, realized, source, task, facts)


def check_room(realized: Realized, target: Target, patching: Patching = AUTO) -> None:
    """Refuse a program that is too large for its board, or for the RAM it was given.

    Raises:
        DoesNotFit: by how much, and what to do.
    """
    room = Budget(flash_bytes=None if target.hosted else target.flash_bytes, ram_bytes=patching.limit(target))
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
    module: nn.Module | Classical,
    example_inputs: tuple[Tensor, ...],
    task: Task | None,
    target: Target,
    name: str = "model",
    precision: str = "int8",
    measure: bool = True,
    patching: Patching = OFF,
) -> Profile:
    """What each layer costs on a target; without `measure` everything is predicted, nothing is linked or run."""
    _, program = programs(module, example_inputs, task, name, precision, "minmax")
    chosen = patched(program, target, patching)
    return profile(bind_for(chosen.graph, target).program, target, measure)


def random_task(example_inputs: tuple[Tensor, ...], name: str) -> Task:
    """A task of seeded random inputs of the example's shape, for models without data."""
    if len(example_inputs) != 1:
        raise BadInput(f"{name}: it takes {len(example_inputs)} inputs; without a task need exactly one.")
    shape = tuple(example_inputs[0].shape[1:])
    inputs = np.random.default_rng(0).standard_normal((RANDOM_SAMPLES, *shape)).astype(np.float32)
    split = Split(inputs, np.zeros(RANDOM_SAMPLES, np.int64))
    return Task(name, split, split, split, split)
