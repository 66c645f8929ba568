"""The main job: give back the best model that fits a target and a budget, compiled and proven."""

from typing import Any

from edgesmith.core.task import Task
from edgesmith.fit.classical import fit_classical
from edgesmith.fit.fit import Fit
from edgesmith.fit.fit import fit as fit_module
from edgesmith.lower.classical import Classical, is_estimator

__all__ = ["Fit", "fit", "fit_classical", "fit_module"]


def fit(model: Any, task: Task, **options: Any) -> Fit:
    """Give back the best form of a model that fits: `fit_module` of a torch module, else `fit_classical`.

    Args:
        model: a torch module, or a fitted scikit-learn, XGBoost or LightGBM model.
        options: as of those two, which take the same: target, budget, out, name, effort, command, progress.
    """
    if is_estimator(model):
        model = Classical(model)
    return (fit_classical if isinstance(model, Classical) else fit_module)(model, task, **options)
