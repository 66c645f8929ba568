"""Compile or profile one model as it is, without search."""

from dataclasses import asdict
from pathlib import Path

from torch import Tensor

from edgesmith.core.artifact import Artifact
from edgesmith.core.budget import Budget
from edgesmith.core.errors import DoesNotFit
from edgesmith.core.target import Target
from edgesmith.core.task import Task
from edgesmith.lower.classical import Classical
from edgesmith.pipeline.build import bind_for
from edgesmith.pipeline.patching import AUTO, OFF, Patching, patched
from edgesmith.pipeline.profile import Profile, profile
from edgesmith.pipeline.programs import Model, Numbers, is_quantized, programs
from edgesmith.pipeline.realize import Realized, realize, write_artifact

INT8 = Numbers()
OWN_FORMATS = "the model's own formats"  # of a model that came quantized


def compile_model(
    module: Model,
    example_inputs: tuple[Tensor, ...],
    task: Task | None,
    target: Target,
    out: Path,
    name: str = "model",
    numbers: Numbers = INT8,
    patching: Patching = AUTO,
) -> Artifact:
    """Compile a model for a target and write the artifact.

    Without a task the ranges come from random inputs: the artifact's cost is right, its accuracy is not.

    Args:
        numbers: how they are stored and computed.
        patching: how the first stage may be split so that the program fits RAM.

    Raises:
        BadInput: unknown calibration or schedule, or a folder that cannot be written.
        DoesNotFit: the program is too large for the board.
        Unsupported: an op without a lowering, or without a kernel there.
    """
    made = programs(module, example_inputs, task, name, numbers)
    chosen = patched(made.compiled, target, patching)
    realized = realize(chosen.graph, target)
    check_room(realized, target, patching)
    facts = {
        "schedule": chosen.describe(),
        "settings": asdict(numbers),
        "calibrated_on": OWN_FORMATS if is_quantized(module) else task.name if task else "random",
        **({"model": "classical"} if isinstance(module, Classical) else {}),
    }
    return write_artifact(out, realized, made.source, task, facts)


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
    module: Model,
    example_inputs: tuple[Tensor, ...],
    task: Task | None,
    target: Target,
    name: str = "model",
    precision: str = "int8",
    measure: bool = True,
    patching: Patching = OFF,
) -> Profile:
    """What each layer costs on a target; without `measure` everything is predicted, nothing is linked or run."""
    made = programs(module, example_inputs, task, name, Numbers(precision, "minmax"))
    chosen = patched(made.compiled, target, patching)
    return profile(bind_for(chosen.graph, target).program, target, measure)
