"""The main job: give back the best model that fits a target and a budget, compiled and proven."""

from pathlib import Path
from typing import Any

from edgesmith.core.budget import Budget
from edgesmith.core.target import Target
from edgesmith.core.task import Task
from edgesmith.fit.classical import fit_classical
from edgesmith.fit.fit import Effort, Fit, Progress
from edgesmith.fit.fit import fit as fit_module
from edgesmith.lower.classical import Classical, is_estimator

__all__ = ["Fit", "fit", "fit_classical", "fit_module"]
USUAL = Effort()


def fit(
    model: Any,
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
    """Give back the best form of a model that fits: `fit_module` of a torch module, else `fit_classical`.

    Args:
        model: a torch module that takes one float batch (n, ...) normalized as the task says, or a fitted
            scikit-learn, XGBoost or LightGBM model, bare or as a `Classical`.
        target: a board's name, the path of its TOML, or a loaded target.
        budget: hard limits on the target, beside the board's own flash and RAM; accuracy on the task's metric.
        out: the fit's folder; an interrupted fit of the same model, task, target and budget goes on there.
        name: becomes the prefix of the C symbols.
        effort: how long and how hard to search.
        command: how to run this again, for the report.
        progress: is told each line of news.

    Raises:
        BadInput, Busy, DoesNotFit, Unsupported, VerificationFailed: as in `fit.fit.fit`.
    """
    if is_estimator(model):
        model = Classical(model)
    chosen = fit_classical if isinstance(model, Classical) else fit_module
    return chosen(
        model, task, target=target, budget=budget, out=out, name=name, effort=effort, command=command, progress=progress
    )
