"""Classical models of the zoo: fitted anew whenever they are loaded, in seconds and always alike."""

import numpy as np

from edgesmith.core.task import Task
from edgesmith.data import named_task
from edgesmith.lower.classical import Classical
from edgesmith.zoo.entries import Entry


def fitted(entry: Entry, seed: int = 0) -> tuple[Classical, Task]:
    """The model of an entry, fitted on its task's training split.

    Raises:
        Missing: its data is not on this machine.
    """
    task = named_task(str(entry.dataset))
    rows = task.train.inputs.reshape(len(task.train), -1).astype(np.float32)
    return Classical(_new(entry.name, seed).fit(rows, task.train.labels)), task


def _new(name: str, seed: int):  # type: ignore[no-untyped-def]
    """The model before it is fitted."""
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
    from sklearn.svm import SVC

    if name == "digits-svm":
        return SVC(C=10.0)
    if name == "occupancy-forest":
        return RandomForestClassifier(16, max_depth=8, min_samples_leaf=4, random_state=seed, n_jobs=1)
    return GradientBoostingClassifier(n_estimators=40, max_depth=4, subsample=0.5, random_state=seed)


def row_of_zeros(model: Classical) -> tuple[np.ndarray, ...]:
    """An example of a model's input."""
    return (np.zeros((1, model.features), np.float32),)
