"""Search, compile the best, prove it, report it."""

import copy
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgesmith import __version__, targets
from edgesmith.core.artifact import Artifact
from edgesmith.core.atomic import write_file
from edgesmith.core.budget import Budget
from edgesmith.core.errors import BadInput, DoesNotFit, Unsupported, VerificationFailed
from edgesmith.core.graph import Graph
from edgesmith.core.target import Target
from edgesmith.core.task import Metric, Task
from edgesmith.fit.document import Proof, document
from edgesmith.fit.explain import Miss, why_nothing_fits
from edgesmith.fit.folder import Folder, locked
from edgesmith.fit.predict import Predictor
from edgesmith.fit.search import Search
from edgesmith.fit.space import Settings
from edgesmith.fit.trial import Job, compiled_graph, float_graph, read_graph, weights_sha256
from edgesmith.pipeline.patching import OFF, Patching, patched
from edgesmith.pipeline.programs import is_quantized
from edgesmith.pipeline.realize import Realized, host_accuracy, raw_samples, realize, samples_of, write_artifact
from edgesmith.pipeline.verify import Relation, against_torch, certify, metric_kept
from edgesmith.report import write as write_report
from edgesmith.report.pareto import front
from edgesmith.training.recipe import Augment

Progress = Callable[[str], None]
CERTIFIED_SAMPLES = 16  # validation inputs that the parity certificate runs on every implementation


@dataclass(frozen=True)
class Fit:
    """What a fit gave.

    Attributes:
        folder: holds best/ (the artifact), report.html, report.json, and the search's state.
        best: the artifact.
        candidates: every candidate as the report lists it.
        data: the content of report.json.
    """

    folder: Path
    best: Artifact
    candidates: tuple[dict[str, Any], ...]
    data: dict[str, Any]

    def pareto(self) -> tuple[dict[str, Any], ...]:
        """Candidates that no other equals or beats in both accuracy and latency, fastest first."""
        done = [c for c in self.candidates if c["state"] == "evaluated"]
        return tuple(front(done, "latency_ms", upwards=self.data["task"]["direction"] == "max"))

    def report(self) -> Path:
        """The HTML report."""
        return self.folder / "report.html"

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(
            f"<tr><td>{escape(name)}</td><td>{self.data['before']['readings'][name]['value']:,.4g}</td>"
            f"<td>{reading['value']:,.4g} {escape(reading['unit'])}</td></tr>"
            for name, reading in self.data["after"]["readings"].items()
            if name in self.data["before"]["readings"]
        )
        return f"<table><tr><th></th><th>before</th><th>after</th></tr>{rows}</table>"


@dataclass(frozen=True)
class Effort:
    """How long and how hard to search.

    Attributes:
        trials: most candidates.
        time_s: most seconds of search; compiling and proving the best comes on top.
        jobs: candidates side by side; None for one a core.
        epochs: of fine-tuning after pruning.
    """

    trials: int = 12
    time_s: float = 1800.0
    jobs: int | None = None
    epochs: int = 15
    seed: int = 0
    augment: Augment = "none"


def fit(
    module: nn.Module,
    task: Task,
    *,
    target: str | Path | Target,
    budget: Budget,
    out: str | Path = "edgesmith-fit",
    name: str = "model",
    effort: Effort = Effort(),
    command: str = "",
    progress: Progress = lambda line: None,
) -> Fit:
    """Give back the best model that fits.

    Args:
        module: trained, takes one float batch (n, ...) normalized as the task says.
        budget: hard limits on the target, beside the board's own flash and RAM; accuracy on the task's metric.
        out: the fit's folder; an interrupted fit of the same module, task, target and budget goes on there.
        name: becomes the prefix of the C symbols.
        command: how to run this again, for the report.

    Raises:
        BadInput: weights or data that are not finite, a folder that holds something else.
        Busy: another fit works in the folder.
        DoesNotFit: no candidate meets the budget; the message says what would. A report is written all the same.
        Unsupported: an op of the module has no lowering, or it is int8 already.
        VerificationFailed: the compiled model does not compute what it should.
    """
    board = target if isinstance(target, Target) else targets.load(target)
    check_finite(module, task)
    if is_quantized(module):
        raise Unsupported(f"fit: {name} is int8 already; need a float model to change. Compile it as it is.")
    module = copy.deepcopy(module).eval()
    budget = budget.within(board)
    folder = Folder(Path(out))
    folder.check_vacant()
    with locked(folder.path) as lock, _one_thread():
        folder.check(_identity(module, task, board, budget, name, effort))
        job = Job(module, task, Predictor(board, task, budget, name), folder, effort.seed, effort.augment)
        return _search_and_prove(job, effort, lock, command, progress)


def _search_and_prove(job: Job, effort: Effort, lock: int, command: str, progress: Progress) -> Fit:
    """The work of `fit` in a folder that is its own."""
    begin = time.monotonic()
    before = realize(compiled_graph(float_graph(job)), job.predictor.target)
    jobs = effort.jobs or os.cpu_count() or 1
    search = Search(job, effort.trials, effort.time_s, jobs, effort.epochs, lock, lambda r: progress(said(r)))
    results = search.run()
    proof = prove(job, results, progress)
    data = document(job, results, proof, before, command, time.monotonic() - begin)
    write_file(job.folder.path / "report.json", json.dumps(data, indent=1) + "\n")
    write_report(data, job.folder.path / "report.html")
    if proof.best is None:
        raise DoesNotFit(f"fit: {data['outcome']['message']}. What would fit: {'; '.join(data['outcome']['advice'])}.")
    return Fit(job.folder.path, _artifact(job, proof), tuple(data["candidates"]), data)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One core a candidate, and no thread pool that a fork would break."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def prove(job: Job, results: Sequence[dict[str, Any]], progress: Progress) -> Proof:
    """Compile the candidates, best first, until one holds every limit as linked, and certify it.

    Raises:
        VerificationFailed: the compiled model does not compute what it should.
    """
    over: list[Miss] = []
    for result in ranked(results, job.task.metric):
        if not job.task.metric.meets(result["validation"], job.predictor.budget.accuracy):
            break
        progress(f"compiling {result['words']}")
        source = read_graph(job.folder, Settings(**result["settings"]))
        wish = Patching(ram_bytes=job.predictor.budget.ram_bytes)
        chosen = patched(compiled_graph(source), job.predictor.target, wish if result.get("split") else OFF)
        realized = realize(chosen.graph, job.predictor.target)
        ratios = realized.ratios(job.predictor.budget)
        if max(ratios.values(), default=0) > 1:
            progress("as linked it is over a limit; trying the next")
            over.append(Miss(result["words"], ratios))
            continue
        progress("proving that Python, C here and C on the board agree")
        return Proof(result, realized, source, relations_of(job, result, realized, source), "", [], chosen.describe())
    message, advice = why_nothing_fits(job.predictor, job.module, job.task, results, over)
    return Proof(None, None, None, (), message, advice)


def relations_of(job: Job, result: dict[str, Any], realized: Realized, source: Graph) -> tuple[Relation, ...]:
    """The parity certificate, on samples of the validation split.

    Raises:
        VerificationFailed: a relation does not hold.
    """
    split, metric = job.task.validation, job.task.metric
    compiled, _ = host_accuracy(realized.graph, job.task, "validation")
    relations = (
        *certify(realized.graph, job.predictor.target, samples_of(realized.graph, split, CERTIFIED_SAMPLES)),
        against_torch(source, raw_samples(source, split, CERTIFIED_SAMPLES)),
        metric_kept(metric, result["validation"], compiled.value, len(split)),
    )
    if broken := [relation.detail for relation in relations if relation.holds is False]:
        raise VerificationFailed("fit: " + "; ".join(broken))
    return relations


def ranked(results: Sequence[dict[str, Any]], metric: Metric) -> list[dict[str, Any]]:
    """Finished candidates that are predicted to fit: best first, the cheaper of those equal in three digits."""
    sign = -1 if metric.direction == "max" else 1

    def order(result: dict[str, Any]) -> tuple[float, float]:
        return sign * float(f"{result['validation']:.3g}"), sum(result["ratios"].values())

    fitting = [r for r in results if r["state"] == "done" and max(r["ratios"].values(), default=0) <= 1]
    return sorted(fitting, key=order)


def said(result: dict[str, Any]) -> str:
    """A finished candidate in one line."""
    worst = max(result["ratios"].values(), default=0)
    limits = f"{worst:.2f} of the tightest limit" if worst else "no limit on its cost"
    if result["state"] == "too big":
        return f"{result['words']}: too big, not trained ({limits if worst else result['why']})"
    if result["state"] == "failed":
        return f"{result['words']}: failed ({result['why']})"
    return f"{result['words']}: {result['validation']:.4g} on validation, {limits}, {result['seconds']:.0f} s"


def check_finite(module: nn.Module, task: Task) -> None:
    """Refuse weights or inputs with a NaN or an infinity before any work."""
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise BadInput(
                f"fit: weight {name!r} holds a NaN or an infinity; need finite weights. Train the model again."
            )
    for split in (task.train, task.calibration, task.validation, task.test):
        if split.inputs.dtype.kind == "f" and not np.isfinite(split.inputs).all():
            raise BadInput(f"fit: the data of task {task.name!r} hold a NaN or an infinity; need finite inputs.")


def _identity(
    module: nn.Module, task: Task, target: Target, budget: Budget, name: str, effort: Effort
) -> dict[str, Any]:
    """What must be the same for a fit to go on in its folder."""
    facts = json.dumps(task.describe(), sort_keys=True).encode()
    return {
        "edgesmith": __version__,
        "name": name,
        "weights": weights_sha256(module),
        "task": f"{task.name} {hashlib.sha256(facts).hexdigest()}",
        "target": target.name,
        "board": hashlib.sha256(target.toml.encode()).hexdigest(),
        "budget": budget.to_json(),
        "seed": effort.seed,
        "epochs": effort.epochs,
        "augment": effort.augment,
    }


def _artifact(job: Job, proof: Proof) -> Artifact:
    facts = {
        "budget": job.predictor.budget.to_json(),
        "settings": proof.best["settings"] if proof.best else {},
        "schedule": proof.schedule,
        "certificate": [relation.to_json() for relation in proof.relations],
    }
    if proof.realized is None or proof.source is None:
        raise DoesNotFit("fit: there is no candidate to write.")
    return write_artifact(job.folder.best, proof.realized, proof.source, job.task, facts)
