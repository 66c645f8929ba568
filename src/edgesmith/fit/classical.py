"""Fit a classical model: fixed point or float, a whole forest or its first trees, as deep or less so.

Nothing is trained: every candidate is the given model, linked and counted on the target before it is judged.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgesmith import __version__, targets
from edgesmith.core.atomic import write_file
from edgesmith.core.budget import LIMITS, Budget
from edgesmith.core.errors import BadInput, DoesNotFit, VerificationFailed
from edgesmith.core.graph import Graph
from edgesmith.core.target import Target
from edgesmith.core.task import Task
from edgesmith.fit.classical_document import document
from edgesmith.fit.document import Proof
from edgesmith.fit.explain import figure, quantity, relax
from edgesmith.fit.fit import CERTIFIED_SAMPLES, Effort, Fit, ranked, said
from edgesmith.fit.folder import Folder, locked
from edgesmith.lower.classical import Classical, Cut, Precision, lower_classical
from edgesmith.pipeline.programs import seen_rows
from edgesmith.pipeline.realize import host_accuracy, realize, samples_of, write_artifact
from edgesmith.pipeline.verify import Relation, against_float, certify, metric_kept
from edgesmith.report import write as write_report

Progress = Callable[[str], None]
USUAL = Effort()
TREE_SHARES = (1.0, 0.5, 0.25, 0.125, 0.0625)  # of a forest's trees that are tried
DEPTH_SHARES = (1.0, 0.75, 0.5)  # of its depth


@dataclass(frozen=True)
class Settings:
    """One candidate.

    Attributes:
        trees, depth: of a forest; 0 for all there are.
    """

    precision: Precision
    trees: int = 0
    depth: int = 0

    def words(self) -> str:
        """In a few words."""
        cut = [f"{self.trees} trees"] * (self.trees > 0) + [f"depth {self.depth}"] * (self.depth > 0)
        return ", ".join(["fixed point" if self.precision == "fixed" else "float32", *cut])


@dataclass(frozen=True)
class Job:
    """What every candidate of a fit shares."""

    model: Classical
    task: Task
    target: Target
    budget: Budget
    folder: Folder
    name: str

    def graph(self, settings: Settings) -> Graph:
        """The program of a candidate."""
        cut = Cut(settings.trees or None, settings.depth or None)
        return lower_classical(self.model, seen_rows(self.task), settings.precision, self.name, cut)


def space(model: Classical) -> list[Settings]:
    """Every candidate, the whole model first, then the larger ones."""
    whole = [Settings("fixed"), Settings("float32")]
    if not model.is_forest:
        return whole
    trees, depth = model.tree_sizes()
    outputs = 1 if model.can_cut_depth else model.forest().base.size
    rounds = trees // outputs
    counts = dict.fromkeys(max(1, round(share * rounds)) * outputs for share in TREE_SHARES)
    depths = (
        dict.fromkeys(max(1, math.ceil(share * depth)) for share in DEPTH_SHARES) if model.can_cut_depth else [depth]
    )
    cuts = [(0 if n == trees else n, 0 if d == depth else d) for n in counts for d in depths]
    return [*whole, *(Settings("fixed", n, d) for n, d in cuts if (n, d) != (0, 0))]


def fit_classical(
    model: Classical,
    task: Task,
    *,
    target: str | Path | Target,
    budget: Budget,
    out: str | Path = "edgesmith-fit",
    name: str = "model",
    effort: Effort = USUAL,
    command: str = "",
    progress: Progress = lambda line: None,
) -> Fit:
    """Give back the best form of a classical model that fits; arguments and errors as in `fit`."""
    board = target if isinstance(target, Target) else targets.load(target)
    folder = Folder(Path(out))
    folder.check_vacant()
    job = Job(model, task, board, budget.within(board), folder, name)
    whole = job.graph(Settings("float32"))
    with locked(folder.path):
        folder.check(_identity(job, whole))
        begin = time.monotonic()
        before = realize(whole, board)
        results = _search(job, effort, progress)
        proof = _prove(job, results, progress)
        data = document(job, results, proof, before)
        data["reproduce"] = _reproduce(job, whole, command, time.monotonic() - begin)
        write_file(folder.path / "report.json", json.dumps(data, indent=1) + "\n")
        write_report(data, folder.path / "report.html")
        if proof.best is None or proof.realized is None:
            raise DoesNotFit(f"fit: {proof.message}. What would fit: {'; '.join(proof.advice)}.")
        facts = {"budget": job.budget.to_json(), "settings": proof.best["settings"], "model": "classical"}
        facts["certificate"] = [relation.to_json() for relation in proof.relations]
        artifact = write_artifact(folder.best, proof.realized, whole, task, facts)
        return Fit(folder.path, artifact, tuple(data["candidates"]), data)


def _identity(job: Job, whole: Graph) -> dict[str, Any]:
    """What must be the same for a fit to go on in its folder."""
    facts = json.dumps(job.task.describe(), sort_keys=True).encode()
    return {
        "edgesmith": __version__,
        "name": job.name,
        "weights": weights_sha256(whole),
        "task": f"{job.task.name} {hashlib.sha256(facts).hexdigest()}",
        "target": job.target.name,
        "board": hashlib.sha256(job.target.toml.encode()).hexdigest(),
        "budget": job.budget.to_json(),
    }


def weights_sha256(graph: Graph) -> str:
    """Hash of a graph's constants, with their names."""
    digest = hashlib.sha256()
    for key, array in sorted(graph.constants.items()):
        digest.update(key.encode() + array.tobytes())
    return digest.hexdigest()


def _search(job: Job, effort: Effort, progress: Progress) -> list[dict[str, Any]]:
    """Candidates in order, until the trials or the time are used up; what was run before is taken over."""
    results: list[dict[str, Any]] = []
    deadline = time.monotonic() + effort.time_s
    for settings in space(job.model)[: effort.trials]:
        if results and time.monotonic() >= deadline:
            break
        known = job.folder.result(asdict(settings))
        results.append(known or _trial(job, settings))
        progress(said(results[-1]))
    return results


def _trial(job: Job, settings: Settings) -> dict[str, Any]:
    """One candidate, linked and counted on the target, and its metric from the compiled C here."""
    begin = time.perf_counter()
    graph = job.graph(settings)
    realized = realize(graph, job.target)
    validation, _ = host_accuracy(graph, job.task, "validation")
    result = {
        "settings": asdict(settings),
        "words": settings.words(),
        "state": "done" if math.isfinite(validation.value) else "failed",
        "why": "",
        "validation": validation.value,
        "prediction": {name: reading.to_json() for name, reading in realized.readings.items()},
        "ratios": realized.ratios(job.budget),
        "seconds": round(time.perf_counter() - begin, 1),
    }
    write_file(job.folder.trial(asdict(settings)) / "result.json", json.dumps(result, indent=1) + "\n")
    return result


def _prove(job: Job, results: Sequence[dict[str, Any]], progress: Progress) -> Proof:
    """The best candidate that meets the budget, compiled and certified, or why there is none.

    Raises:
        VerificationFailed: the compiled model does not compute what it should.
    """
    fitting = ranked(results, job.task.metric)
    if not fitting or not job.task.metric.meets(fitting[0]["validation"], job.budget.accuracy):
        return Proof(None, None, None, (), *why(job, results))
    best, metric, split = fitting[0], job.task.metric, job.task.validation
    settings = Settings(**best["settings"])
    progress(f"proving that Python, C here and C on the board agree: {best['words']}")
    realized = realize(job.graph(settings), job.target)
    floats = job.graph(Settings("float32", settings.trees, settings.depth))
    wanted, _ = host_accuracy(floats, job.task, "validation")
    kept = metric_kept(metric, wanted.value, best["validation"], len(split))
    samples = samples_of(realized.graph, split, CERTIFIED_SAMPLES)
    relations = (
        *certify(realized.graph, job.target, samples),
        against_float(floats, realized.graph, samples),
        Relation(kept.name, kept.holds, kept.checked, kept.detail.replace("in torch", "in float")),
    )
    if broken := [relation.detail for relation in relations if relation.holds is False]:
        raise VerificationFailed("fit: " + "; ".join(broken))
    return Proof(best, realized, floats, relations, "", [])


def why(job: Job, results: Sequence[dict[str, Any]]) -> tuple[str, list[str]]:
    """Why nothing fits, and the cheapest change."""
    done = [r for r in results if r["state"] == "done"]
    if not done:
        raise BadInput(f"fit: no candidate gave a finite {job.task.metric.name}. Fit the model again.")
    fitting = ranked(results, job.task.metric)
    if fitting:
        best, metric = fitting[0], job.task.metric
        reached, limit = figure(best["validation"], metric), figure(job.budget.accuracy or 0.0, metric)
        advice = [f"relax --min-accuracy to {reached}: {best['words']} reaches it"]
        return f"the best candidate that fits reaches {metric.name} {reached}, below {limit}", advice
    least = min(done, key=lambda r: max(r["ratios"].values()))
    limit, ratio = max(least["ratios"].items(), key=lambda item: item[1])
    found = quantity(limit, least["prediction"][LIMITS[limit]]["value"])
    message = (
        f"even the smallest candidate ({least['words']}) has a {LIMITS[limit]} of {found}, {ratio:.1f}x the limit of "
        f"{quantity(limit, getattr(job.budget, limit))}"
    )
    smaller = "fit a smaller model: fewer trees or vectors, or features"
    return message, [
        f"{relax({k: v for k, v in least['ratios'].items() if v > 1}, job.budget, job.target)}: it then fits",
        smaller,
    ]


def _reproduce(job: Job, whole: Graph, command: str, seconds: float) -> dict[str, Any]:
    from edgesmith.fit.document import versions_and_data

    facts = versions_and_data(job.task, command, seconds, ("scikit-learn", "numpy", "ziglang", "unicorn"))
    facts["hashes"]["weights"] = weights_sha256(whole)
    return facts
