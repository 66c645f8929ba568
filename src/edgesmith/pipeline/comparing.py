"""Methods side by side on one model: quality, bytes, predicted cost on a target, time taken."""

import hashlib
import inspect
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from edgesmith import catalog
from edgesmith.compile.integerize import integerize
from edgesmith.core.artifact import parse_json
from edgesmith.core.atomic import explained, write_file
from edgesmith.core.errors import BadInput, EdgesmithError, Unsupported
from edgesmith.core.graph import Graph
from edgesmith.core.target import Target
from edgesmith.core.task import Task
from edgesmith.lower import channels_last_input, lift
from edgesmith.pipeline.build import bind_for
from edgesmith.pipeline.compressed import raw_graph, stored_bytes
from edgesmith.pipeline.profile import profile
from edgesmith.pipeline.recipes import Progress, Step, apply, methods
from edgesmith.training.accelerator import Accelerator
from edgesmith.training.evaluate import evaluate_raw

BITS, ACTIVATIONS = "weights", "activations"  # settings of methods with a choice of bits
FAMILY = "compress.quantize"
Row = dict[str, Any]


def choices(names: Sequence[str], bits: Sequence[int], activations: int | None = None) -> list[Step]:
    """Every named method at every width; once where its weights have a form of their own.

    Args:
        names: of methods of quantization; ("all",) for every one.
        bits: of the weights.
        activations: bits of the activations of methods with a choice; 0 for float where a method can leave them so;
            None for each method's own.

    Raises:
        BadInput: an unknown method, or none of quantization.
    """
    listed = {factory.card.name for family, factory in catalog.methods() if family == FAMILY}
    known = {name: factory for name, factory in methods().items() if name in listed}
    wanted = list(known) if list(names) == ["all"] else [name.replace("-", "_") for name in names]
    if unknown := [name for name in wanted if name not in known]:
        raise BadInput(f"compare: no method {unknown[0]!r} of quantization; need all, or of: {', '.join(known)}.")
    return [step for name in wanted for step in _steps(name, known[name], bits, activations)]


def _steps(name: str, factory: Callable[..., Any], bits: Sequence[int], activations: int | None) -> list[Step]:
    """One method at every width that it has."""
    has = inspect.signature(factory).parameters
    if BITS not in has:
        return [Step(name)]
    given: dict[str, int] = {}
    if activations is not None and ACTIVATIONS in has and (activations or has[ACTIVATIONS].default == 0):
        given = {ACTIVATIONS: activations}
    return [Step(name, {BITS: count, **given}) for count in bits]


def compare_methods(
    module: nn.Module,
    task: Task,
    steps: Sequence[Step],
    target: Target | None = None,
    name: str = "model",
    seed: int = 0,
    keep: Path | None = None,
    progress: Progress = lambda line: None,
    accelerator: Accelerator = "cpu",
) -> list[Row]:
    """One row for the float model and one for each step; a row that is on disk is not made again.

    Args:
        keep: folder for finished rows; the same call goes on there after a kill.
        accelerator: what trains and solves; rows are kept apart by it, since the time taken differs.

    Returns:
        rows with method, bits (of a form of its own: on average over weights, scales and biases), quality (the task's
        metric on the validation split), bytes (of weights), flash_bytes, ram_bytes and latency_ms (predicted on the
        target; None without one, where a program needs more than it has, and where none can be made), seconds, and
        error, where a method refused the model or the target's kernels refuse what it made.
    """
    float_graph = raw_graph(module, task, name)
    rows = [{"method": "float", "bits": 32, "seconds": 0.0, "error": "", **figures(float_graph, task, target)}]
    scope = [
        name,
        task.name,
        task.validation.sha256(),
        weights_sha256(float_graph),
        target.name if target else "",
        seed,
        *([accelerator] if accelerator != "cpu" else []),
    ]
    for number, step in enumerate(steps, 1):
        progress(f"{number} of {len(steps)}: {step.words()}")
        place = _place(keep, scope, step) if keep else None
        row = _read(place) if place and place.is_file() else None
        if row is None:
            row = _measured(module, task, step, target, (name, seed, accelerator))
            if place:
                with explained(place.parent):
                    place.parent.mkdir(parents=True, exist_ok=True)
                write_file(place, json.dumps(row, indent=1) + "\n")
        rows.append(row)
    return rows


def _measured(
    module: nn.Module, task: Task, step: Step, target: Target | None, how: tuple[str, int, Accelerator]
) -> Row:
    name, seed, accelerator = how
    row: Row = {"method": step.method, "bits": step.settings.get(BITS), "error": ""}
    begin = time.perf_counter()
    try:
        graph = raw_graph(apply([step], module, task, seed, accelerator=accelerator), task, name)
        row["seconds"] = round(time.perf_counter() - begin, 2)
        found = figures(graph, task, target)
        if row["bits"] is None:
            row["bits"] = round(8 * found["bytes"] / max(sum(a.size for a in graph.constants.values()), 1), 1)
        return row | found
    except EdgesmithError as error:
        nothing = dict.fromkeys(("quality", "bytes", "flash_bytes", "ram_bytes", "latency_ms"))
        return row | nothing | {"seconds": round(time.perf_counter() - begin, 2), "error": str(error)}


def figures(graph: Graph, task: Task, target: Target | None) -> Row:
    """Quality and cost of a graph with formats, and why there is no program for it."""
    found: Row = {"quality": evaluate_raw(lift(graph), task, task.validation), "bytes": stored_bytes(graph)}
    found |= dict.fromkeys(("flash_bytes", "ram_bytes", "latency_ms"))
    if target is None:
        return found
    try:
        program = bind_for(channels_last_input(integerize(graph)), target).program
    except Unsupported as error:
        return found | {"error": str(error)}
    readings = profile(program, target, False).readings()
    costs = {f"{key}_{unit}": readings[key].value for key, unit in (("flash", "bytes"), ("ram", "bytes"))}
    return found | costs | {"latency_ms": readings["latency"].value}


def weights_sha256(graph: Graph) -> str:
    """Hash of a graph's constants."""
    digest = hashlib.sha256()
    for name, array in sorted(graph.constants.items()):
        digest.update(name.encode() + array.tobytes())
    return digest.hexdigest()


def _place(folder: Path, scope: Sequence[Any], step: Step) -> Path:
    text = json.dumps([*scope, step.method, dict(step.settings)], sort_keys=True)
    return folder / "rows" / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def _read(path: Path) -> Row | None:
    """A finished row; None when it is not whole, and is made again."""
    try:
        row = parse_json(path.read_bytes(), str(path))
    except BadInput:
        return None
    return row if isinstance(row, dict) and {"method", "bits", "quality", "bytes", "seconds"} <= set(row) else None
