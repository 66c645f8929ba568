"""The content of report.json of a classical model's fit (schema: report/schema.py)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgesmith.core.reading import Reading
from edgesmith.fit.document import Proof, candidate_row, head, sentence, station
from edgesmith.measure.trust import confusion
from edgesmith.pipeline.realize import Realized, board_accuracy, host_accuracy
from edgesmith.pipeline.verify import Relation

if TYPE_CHECKING:
    from edgesmith.fit.classical import Job


def document(job: "Job", results: Sequence[dict[str, Any]], proof: Proof, before: Realized) -> dict[str, Any]:
    """Everything the report shows; the test split is read here and nowhere else."""
    best, realized = proof.best, proof.realized
    whole, _ = host_accuracy(before.graph, job.task, "test")
    data: dict[str, Any] = {
        **head(job.name, job.task, job.target),
        "model": {"name": job.name, "parameters_before": stored_numbers(before)},
        "outcome": {"fits": best is not None, "message": proof.message, "advice": proof.advice},
        "budget": job.budget.to_json(),
        "candidates": [candidate_row(i, result, best) for i, result in enumerate(results)],
        "candidates_how": "Accuracy is that of the validation split; every candidate was linked and counted.",
        "before": {"label": "float32, whole", "readings": station(before, whole)},
    }
    if best is not None and realized is not None:
        data |= _winner(job, best, realized, proof.relations, whole)
        data["outcome"]["message"] = sentence(data, job.task.metric)
        data["model"]["parameters_after"] = stored_numbers(realized)
    return data


def stored_numbers(realized: Realized) -> int:
    """Numbers among a program's constants."""
    return sum(array.size for array in realized.graph.constants.values())


def _winner(
    job: "Job", best: dict[str, Any], realized: Realized, relations: Sequence[Relation], whole: Reading
) -> dict[str, Any]:
    here, outputs = host_accuracy(realized.graph, job.task, "test")
    accuracy = {"float": whole.to_json(), "compiled": here.to_json()}
    if job.target.emulated:
        accuracy["board"] = board_accuracy(realized, job.task).to_json()
    layers, memory = realized.profile.tables()
    sections: dict[str, Any] = {
        "parity": [
            {"relation": r.name, "holds": r.holds, "detail": r.detail} for r in relations if r.holds is not None
        ],
        "after": {"label": best["words"], "readings": station(realized, here)},
        "accuracy": accuracy,
        "layers": layers,
        "memory": memory,
    }
    if job.task.classes and job.task.loss == "cross_entropy":
        counts = confusion(outputs, job.task.test.labels, len(job.task.classes)).tolist()
        sections["confusion"] = {"of": "the compiled C", "classes": list(job.task.classes), "counts": counts}
    return sections
