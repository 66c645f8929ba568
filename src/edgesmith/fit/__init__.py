"""The main job: give back the best model that fits a target and a budget, compiled and proven."""

from typing import Any

from edgesmith.fit.classical import fit_classical
from edgesmith.fit.fit import Fit, fit
from edgesmith.lower.classical import Classical

__all__ = ["Fit", "fit", "fit_classical", "run"]


def run(model: Any, *arguments: Any, **options: Any) -> Fit:
    """`fit_classical` for a classical model, `fit` for a torch module; both take the same arguments."""
    job = fit_classical if isinstance(model, Classical) else fit
    return job(model, *arguments, **options)
