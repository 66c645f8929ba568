"""Fit a trained model to a small device and prove that it runs there.

The public names load on first use, so that importing edgesmith stays quick and needs no torch.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgesmith.core.budget import Budget
    from edgesmith.core.reading import Reading
    from edgesmith.core.target import Target
    from edgesmith.core.task import Task
    from edgesmith.fit.fit import Fit, fit
    from edgesmith.pipeline.split import split

__version__ = "0.1.0"
__all__ = ["Budget", "Fit", "Reading", "Target", "Task", "fit", "split"]

HOMES = {
    "Budget": "edgesmith.core.budget",
    "Fit": "edgesmith.fit",
    "Reading": "edgesmith.core.reading",
    "Target": "edgesmith.core.target",
    "Task": "edgesmith.core.task",
    "fit": "edgesmith.fit",
    "split": "edgesmith.pipeline.split",
}


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module 'edgesmith' has no attribute {name!r}")
    value = getattr(import_module(HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *HOMES})


class _Package(ModuleType):
    """Keeps `edgesmith.fit` the function: importing the submodule of that name would otherwise replace it."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
