"""The content of report.json (schema: report/schema.py), from what a fit found."""

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from torch import nn

from edgesmith import __version__
from edgesmith.core.graph import Graph
from edgesmith.core.reading import Reading
from edgesmith.core.target import Target
from edgesmith.core.task import Metric, Task
from edgesmith.fit.explain import OPTIONS, figure, quantity
from edgesmith.fit.sensitive import suffering, with_bits
from edgesmith.fit.trial import Job, weights_sha256
from edgesmith.lower import lift, with_normalize
from edgesmith.measure.trust import HOW, confusion, trust
from edgesmith.pipeline.build import runs
from edgesmith.pipeline.realize import Realized, board_accuracy, host_accuracy
from edgesmith.pipeline.verify import Relation
from edgesmith.targets.machine import is_here
from edgesmith.training.evaluate import predict, predict_raw

PACKAGES = ("torch", "numpy", "ziglang", "unicorn", "optuna", "torch-pruning")


@dataclass(frozen=True)
class Proof:
    """The best candidate compiled and certified, or why there is none.

    Attributes:
        best: its search result; None when nothing fits.
        source: its float graph with formats.
        message, advice: filled when nothing fits.
        schedule: how its first stage is split, for the manifest.
    """

    best: dict[str, Any] | None
    realized: Realized | None
    source: Graph | None
    relations: tuple[Relation, ...]
    message: str
    advice: list[str]
    schedule: Mapping[str, Any] = field(default_factory=dict)


def document(
    job: Job, results: Sequence[dict[str, Any]], proof: Proof, before: Realized, command: str, seconds: float
) -> dict[str, Any]:
    """Everything the report shows; the test split is read here and nowhere else."""
    budget, target = job.predictor.budget, job.predictor.target
    data: dict[str, Any] = {
        **head(job.predictor.name, job.task, target),
        "model": {"name": job.predictor.name, "parameters_before": parameters(job.module)},
        "outcome": {"fits": proof.best is not None, "message": proof.message, "advice": proof.advice},
        "budget": budget.to_json(),
        "candidates": [candidate_row(i, r, proof.best) for i, r in enumerate(results)],
        "candidates_how": f"Accuracy is that of the validation split; memory and latency are {obtained(target)}.",
        "reproduce": reproduce(job, command, seconds),
    }
    float_reading = _metric(job.task, predict(job.module, job.task.test, job.task.normalize), "PyTorch, float32")
    data["before"] = {"label": "float32, as trained", "readings": station(before, float_reading)}
    if proof.best is not None and proof.realized is not None and proof.source is not None:
        data |= _winner(job, proof, proof.realized, proof.source, float_reading)
        data["outcome"]["message"] = sentence(data, job.task.metric)
        data["model"]["parameters_after"] = source_parameters(proof.source)
    return data


def head(name: str, task: Task, target: Target) -> dict[str, Any]:
    """What a report is about."""
    return {
        "schema": 1,
        "title": f"{name} on {target.title}",
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "edgesmith": __version__,
        "task": {
            "name": task.name,
            "metric": task.metric.name,
            "direction": task.metric.direction,
            "test_samples": len(task.test),
        },
        "target": {
            "name": target.name,
            "title": target.title,
            "core": target.core,
            "clock_hz": target.clock_hz,
            "flash_bytes": target.flash_bytes,
            "ram_bytes": target.ram_bytes,
        },
    }


def _winner(job: Job, proof: Proof, realized: Realized, source: Graph, float_reading: Reading) -> dict[str, Any]:
    task = job.task
    here, outputs = host_accuracy(realized.graph, task, "test")
    precision = proof.best["settings"]["precision"] if proof.best else ""
    accuracy = {"float": float_reading.to_json(), "int8" if precision == "int8" else "compiled": here.to_json()}
    if runs(realized.compiled.target):
        accuracy["board"] = board_accuracy(realized, task).to_json()
    layers, memory = realized.profile.tables()
    sections = {
        "parity": [
            {"relation": r.name, "holds": r.holds, "detail": r.detail} for r in proof.relations if r.holds is not None
        ],
        "after": {"label": label(proof.best), "readings": station(realized, here)},
        "accuracy": accuracy,
        "layers": with_bits(layers, realized.graph),
        "memory": memory,
    }
    if any(tensor.format is not None for tensor in source.tensors.values()):
        sections["sensitivity"] = suffering(source, task)
    if task.classes and task.loss == "cross_entropy":
        counts = confusion(outputs, task.test.labels, len(task.classes)).tolist()
        sections["confusion"] = {"of": "the compiled C", "classes": list(task.classes), "counts": counts}
        sections["trust"] = {"classes": list(task.classes), "how": HOW, "steps": trust_steps(job, source)}
    return sections


def obtained(target: Target) -> str:
    """How the candidates' figures came about."""
    return "measured here, before training" if is_here(target) else "predicted, before training"


def label(best: dict[str, Any] | None) -> str:
    """The candidate in three words, for the head of a column."""
    settings = best["settings"] if best else {}
    return f"{settings.get('precision', '')}{'' if settings.get('criterion') == 'none' else ', pruned'}"


def trust_steps(job: Job, source: Graph) -> list[dict[str, Any]]:
    """Trust of the model as trained, after pruning and tuning, and after quantization."""
    plain = replace(source, tensors={name: replace(t, format=None) for name, t in source.tensors.items()})
    steps = (
        ("as trained", lambda raw: predict_raw(with_normalize(job.module, job.task.normalize), raw)),
        ("pruned and tuned", lambda raw: predict_raw(lift(plain), raw)),
        ("quantized", lambda raw: predict_raw(lift(source), raw)),
    )
    pruned = source_parameters(source) < parameters(job.module)
    quantized = any(t.format for t in source.tensors.values())
    wanted = {"as trained": True, "pruned and tuned": pruned, "quantized": quantized}
    classes = len(job.task.classes)
    return [{"name": name, **trust(run, job.task.test, classes)} for name, run in steps if wanted[name]]


def station(realized: Realized, accuracy: Reading) -> dict[str, Any]:
    """The readings before or after a fit."""
    return {**{name: r.to_json() for name, r in realized.readings.items()}, "accuracy": accuracy.to_json()}


def _metric(task: Task, outputs: np.ndarray, how: str) -> Reading:
    value = task.metric.compute(outputs, task.test.labels)
    return Reading(value, task.metric.unit, "measured", f"{how}, all test samples")


def candidate_row(index: int, result: dict[str, Any], best: dict[str, Any] | None) -> dict[str, Any]:
    """One row of the report's table of candidates."""
    predicted = {name: reading["value"] for name, reading in result.get("prediction", {}).items()}
    done = result["state"] == "done"
    states = {"done": "evaluated", "too big": "refused", "failed": "failed"}
    return {
        "id": str(index),
        "settings": result["settings"],
        "state": states[result["state"]],
        "fits": done and max(result["ratios"].values(), default=0) <= 1,
        "best": result is best,
        "accuracy": result.get("validation"),
        "flash_bytes": predicted.get("flash"),
        "ram_bytes": predicted.get("ram"),
        "latency_ms": predicted.get("latency"),
        "energy_uj": predicted.get("energy"),
        "seconds": result["seconds"],
        "note": result.get("why") or result.get("split", ""),
    }


def sentence(data: dict[str, Any], metric: Metric) -> str:
    """What was achieved, in one sentence."""
    after, before = data["after"]["readings"], data["before"]["readings"]
    shrunk = before["flash"]["value"] / max(after["flash"]["value"], 1)
    limits = ", ".join(_limit(name, value, metric) for name, value in data["budget"].items())
    return f"Flash is {shrunk:.1f} times smaller; every limit holds ({limits or 'none set'})"


def _limit(name: str, value: float, metric: Metric) -> str:
    said = figure(value, metric) if name == "accuracy" else quantity(name, value)
    return f"{OPTIONS[name].removeprefix('--max-').removeprefix('--min-')} {said}"


def parameters(module: nn.Module) -> int:
    """Trainable numbers of a module."""
    return sum(p.numel() for p in module.parameters())


def source_parameters(graph: Graph) -> int:
    """Float numbers among a graph's constants."""
    return sum(array.size for array in graph.constants.values() if array.dtype.kind == "f")


def reproduce(job: Job, command: str, seconds: float) -> dict[str, Any]:
    """Commands, versions and hashes that lead here again."""
    facts = versions_and_data(job.task, command, seconds, PACKAGES)
    facts["hashes"]["weights"] = weights_sha256(job.module)
    return facts


def versions_and_data(task: Task, command: str, seconds: float, packages: Sequence[str]) -> dict[str, Any]:
    """Commands, versions and hashes of the data."""
    versions = {"edgesmith": __version__, "python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue  # an optional package that is not there took no part, so it has no version to repeat
    hashes = {f"data: {part}": facts["sha256"] for part, facts in task.describe()["splits"].items()}
    return {
        "commands": [command] if command else [],
        "versions": versions,
        "hashes": hashes,
        "machine": f"{platform.machine()}, {platform.system()}",
        "seconds": round(seconds, 1),
    }
