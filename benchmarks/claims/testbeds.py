"""Testbeds for experiments: nets of the zoo, and tasks with a seed's own calibration samples."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from edgesmith import zoo
from edgesmith.core.atomic import write_file
from edgesmith.core.cache import cache_folder
from edgesmith.core.errors import Missing
from edgesmith.core.task import Split, Task
from edgesmith.training.loop import Run
from edgesmith.zoo.testbed import Testbed


def loaded(name: str) -> Testbed:
    """A net of the zoo, trained first where it is not shipped."""
    try:
        return zoo.load(name)
    except Missing:
        zoo.train(name)
        return zoo.load(name)


def fastest() -> Run:
    """Training on a GPU where there is one."""
    return Run(accelerator="cuda" if torch.cuda.is_available() else "cpu")


def drawn(task: Task, seed: int, calibrated: int, tested: int) -> Task:
    """The task with calibration samples that this seed draws from the training split, and the first test samples."""
    rows = np.sort(np.random.default_rng(seed).choice(len(task.train), calibrated, replace=False))
    calibration = Split(task.train.inputs[rows], task.train.labels[rows])
    return replace(task, calibration=calibration, test=Split(task.test.inputs[:tested], task.test.labels[:tested]))


def kept(experiment: str, key: str, measure: Callable[[], Any]) -> Any:
    """What `measure` gives, as JSON reads it: kept in the cache, so that an experiment goes on where it was stopped.

    Args:
        key: everything that the value depends on.
    """
    path = cache_folder() / "claims" / experiment / f"{key}.json"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, json.dumps(measure()))
    return json.loads(path.read_text())
