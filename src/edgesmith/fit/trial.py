"""One candidate, from settings to a result on disk; a killed one goes on where its last epoch ended."""

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from edgesmith.compile.integerize import integerize
from edgesmith.compress.distill import kd
from edgesmith.compress.prune import l1_norm, slimming, taylor
from edgesmith.compress.prune.greedy import AtTheFloor, Transform
from edgesmith.compress.quantize.placement import Widths
from edgesmith.core.artifact import graph_files, graph_from
from edgesmith.core.atomic import write_file
from edgesmith.core.errors import BadInput, DoesNotFit, Unsupported
from edgesmith.core.graph import Graph
from edgesmith.core.task import Task
from edgesmith.fit.folder import Folder
from edgesmith.fit.predict import Prediction, Predictor, raw_example
from edgesmith.fit.quantizers import How, quantizer
from edgesmith.fit.space import Settings
from edgesmith.fit.widths import draft_widths, mix
from edgesmith.lower import channels_last_input, graph_of, lift, lower, with_normalize
from edgesmith.training.evaluate import evaluate_raw
from edgesmith.training.loop import Run
from edgesmith.training.recipe import Augment, Recipe

MARGIN = 0.98  # of a limit that a prediction may fill: flash is predicted within 2%
PRUNERS: dict[str, Callable[..., Transform]] = {"l1_norm": l1_norm, "slimming": slimming, "taylor": taylor}


@dataclass(frozen=True)
class Job:
    """What every trial of a fit shares.

    Attributes:
        module: the user's, unpruned, in eval mode; also the teacher.
        augment: of the training images, for fine-tuning.
        deadline: of `time.monotonic()`, past which no further epoch is trained.
    """

    module: nn.Module
    task: Task
    predictor: Predictor
    folder: Folder
    seed: int
    augment: Augment = "none"
    deadline: float = math.inf


class OutOfTime(Exception):
    """The search's time ended during a training; its state is on disk."""


def run_trial(job: Job, settings: Settings) -> dict[str, Any] | None:
    """Run one candidate, or return what it wrote when it already ran.

    Returns:
        state ("done", "too big" or "failed"), prediction, ratios of each limit, and for "done" the validation metric;
        None when the time ended first.
    """
    if (known := job.folder.result(settings.to_json())) is not None:
        return known
    begin = time.perf_counter()
    place = job.folder.trial(settings.to_json())
    try:
        outcome = _outcome(job, settings, place)
    except OutOfTime:
        return None
    result = {"settings": settings.to_json(), "words": settings.words(), **outcome}
    result["seconds"] = round(time.perf_counter() - begin, 1)
    write_file(place / "result.json", json.dumps(result, indent=1) + "\n")
    for kept in ("training.safetensors", "steps.safetensors", "sensitivity.json"):
        (place / kept).unlink(missing_ok=True)
    return result


def _outcome(job: Job, settings: Settings, place: Path) -> dict[str, Any]:
    try:
        shaped = prune(job, settings)
    except AtTheFloor as error:
        return {"state": "too big", "why": str(error), "ratios": {}, "floor": error.worst}
    except DoesNotFit as error:
        return {"state": "too big", "why": str(error), "ratios": {}}
    except Unsupported as error:
        return {"state": "failed", "why": str(error), "ratios": {}}
    widths = draft_widths(shaped, job.task, settings.draft())
    facts = predicted(job, settings, shaped, widths)
    if max(facts["ratios"].values(), default=0.0) > 1 and settings.criterion != "none":
        return {"state": "too big", "why": "predicted above its limits after pruning", **facts}
    tuned = tune(job, settings, shaped, place)
    if not finite(tuned):
        return {"state": "failed", "why": "the training diverged: a weight is not finite", **facts}
    try:
        if settings.bits == "mixed":
            fill = MARGIN * (settings.fill if settings.criterion == "none" else 1.0)
            widths = mix(job.predictor, tuned, job.task, fill, place / "sensitivity.json", settings.quantizer)
            facts = predicted(job, settings, tuned, widths)
        graph = compress(job, settings, tuned, widths, place)
        if not settings.foreseen():
            facts = facts_of(job, job.predictor.of(compiled_graph(graph)))
    except DoesNotFit as error:
        return {"state": "too big", "why": str(error), **facts}
    except Unsupported as error:
        return {"state": "failed", "why": str(error), **facts}
    validation = score(graph, job.task, "validation")
    if not math.isfinite(validation):
        return {"state": "failed", "why": f"its {job.task.metric.name} is not a finite number", **facts}
    for name, data in graph_files(graph).items():
        write_file(place / name, data)
    return {"state": "done", "validation": validation, **facts}


def predicted(job: Job, settings: Settings, module: nn.Module, widths: Widths) -> dict[str, Any]:
    """What a result says of the candidate's cost."""
    return facts_of(job, job.predictor.predict(module, settings.precision, widths))


def facts_of(job: Job, prediction: Prediction) -> dict[str, Any]:
    """A prediction as a result keeps it."""
    ratios = prediction.ratios(job.predictor.budget)
    return {"prediction": prediction.to_json(), "ratios": ratios, "split": prediction.split}


def finite(module: nn.Module) -> bool:
    """Whether no weight is a NaN or an infinity."""
    return all(bool(t.isfinite().all()) for t in module.state_dict().values() if t.is_floating_point())


def prune(job: Job, settings: Settings) -> nn.Module:
    """The module in its new shape, not yet trained."""
    if settings.criterion == "none":
        return job.module

    def pruned(predictor: Predictor) -> nn.Module:
        def cost(module: nn.Module) -> Any:
            return predictor.pressure(module, settings.precision, draft_widths(module, job.task, settings.draft()))

        return PRUNERS[settings.criterion](cost, until=MARGIN * settings.fill)(job.module, job.task)

    try:
        return pruned(job.predictor)
    except AtTheFloor:
        # Where RAM alone stands in the way, the net may still fit with its first stage split.
        shaped = pruned(job.predictor.without_ram())
        widths = draft_widths(shaped, job.task, settings.draft())
        if max(predicted(job, settings, shaped, widths)["ratios"].values(), default=0.0) > 1:
            raise
        return shaped


def tune(job: Job, settings: Settings, shaped: nn.Module, place: Path) -> nn.Module:
    """Fine-tune, keeping the state under `place`.

    Raises:
        OutOfTime: the job's deadline came first.
    """
    if not settings.epochs:
        return shaped
    recipe = Recipe(epochs=settings.epochs, augment=job.augment)
    teacher = job.module if settings.distill else None
    run = Run(place / "training.safetensors", until_deadline(job, settings.epochs))
    return kd(teacher, recipe, seed=job.seed, run=run)(shaped, job.task)


def until_deadline(job: Job, epochs: float = math.inf) -> Callable[[int, float], None]:
    """Ends a training between two epochs, or a rounding between two layers, when the job's time is over."""

    def watch(epoch: int, loss: float) -> None:
        if epoch + 1 < epochs and time.monotonic() >= job.deadline:
            raise OutOfTime

    return watch


def compress(job: Job, settings: Settings, shaped: nn.Module, widths: Widths, place: Path) -> Graph:
    """Quantize: the graph that is to be compiled, with formats where it is of integers.

    Raises:
        OutOfTime: the job's deadline came first.
    """
    if settings.precision != "int8":
        return lower(with_normalize(shaped, job.task.normalize), (raw_example(job.task),), job.predictor.name)
    how = How(settings.calibration, job.seed, job.augment, place, lambda epochs: until_deadline(job, epochs))
    quantized = quantizer(settings, widths, how)(shaped, job.task)
    return graph_of(quantized, (raw_example(job.task),), job.predictor.name)


def compiled_graph(source: Graph) -> Graph:
    """What is compiled of a float graph with formats: integer ops, the input in the layout that needs no permute."""
    return channels_last_input(integerize(source))


def float_graph(job: Job) -> Graph:
    """The user's module as it is, on raw inputs."""
    module = with_normalize(job.module, job.task.normalize)
    return lower(module, (raw_example(job.task),), job.predictor.name)


def score(graph: Graph, task: Task, split: str) -> float:
    """The task's metric of a graph on a split, through torch with fake quantization."""
    return evaluate_raw(lift(graph), task, getattr(task, split))


def weights_sha256(module: nn.Module) -> str:
    """Hash of a module's weights, with their names."""
    digest = hashlib.sha256()
    for key, tensor in sorted(module.state_dict().items()):
        digest.update(key.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def read_graph(folder: Folder, settings: Settings) -> Graph:
    """The graph that a finished trial left."""
    place = folder.trial(settings.to_json())
    try:
        contents = {name: (place / name).read_bytes() for name in ("graph.json", "weights.safetensors")}
    except OSError as error:
        raise BadInput(f"fit: {place} is incomplete ({error.strerror}); delete it to run that trial again.") from error
    return graph_from(contents)
