"""Tasks: the data built in, named data sets from a folder, and a user's own."""

from collections.abc import Callable
from pathlib import Path

from edgesmith.core.errors import BadInput, Missing
from edgesmith.core.task import Task
from edgesmith.data import python_file
from edgesmith.data.clinc150 import clinc150_task
from edgesmith.data.digit_streams import digit_streams_task
from edgesmith.data.digits import digits_task
from edgesmith.data.fashion_mnist import fashion_mnist_task
from edgesmith.data.fsdd import fsdd_task
from edgesmith.data.language import (
    shakespeare_cloze_task,
    shakespeare_task,
    wikitext2_cloze_task,
    wikitext2_task,
)
from edgesmith.data.nsl_kdd import nsl_kdd_attacks_task, nsl_kdd_task
from edgesmith.data.occupancy import occupancy_task
from edgesmith.data.own import task_from_csv, task_from_folder, task_from_npz
from edgesmith.data.scenes import scenes_task
from edgesmith.data.scenes_detection import half_empty_task, scenes_detection_task

__all__ = ["NAMED", "load_task", "named_task"]

NAMED: dict[str, Callable[[], Task]] = {
    "clinc150": clinc150_task,
    "digit-streams": digit_streams_task,
    "digits": digits_task,
    "fashion-mnist": fashion_mnist_task,
    "fsdd": fsdd_task,
    "half-empty-scenes": half_empty_task,
    "nsl-kdd": nsl_kdd_task,
    "nsl-kdd-attacks": nsl_kdd_attacks_task,
    "occupancy": occupancy_task,
    "scenes": scenes_task,
    "scenes-detection": scenes_detection_task,
    "shakespeare": shakespeare_task,
    "shakespeare-cloze": shakespeare_cloze_task,
    "wikitext2": wikitext2_task,
    "wikitext2-cloze": wikitext2_cloze_task,
}


def named_task(name: str) -> Task:
    """The task on a named data set.

    Raises:
        BadInput: no data set of that name.
        Missing: its files are not on this machine.
    """
    if name not in NAMED:
        raise BadInput(f"data: no data set is called {name!r}; need one of: {', '.join(NAMED)}.")
    return NAMED[name]()


def load_task(spec: str, trust: bool = False) -> Task:
    """A task from what a user wrote: a data set's name, a path, or "file.py:function".

    Args:
        spec: a path to an .npz, a .csv, or a folder with one folder per class; or a function that returns a Task.
        trust: run the code of a Python file.

    Raises:
        BadInput: malformed data, or code that is not trusted.
        Missing: nothing of that name or at that path.
    """
    if spec in NAMED:
        return NAMED[spec]()
    if python_file.is_python_spec(spec):
        task = python_file.call(spec, trust)
        if not isinstance(task, Task):
            raise BadInput(f"{spec}: it returned {type(task).__name__}; need an edgesmith Task.")
        return task
    path = Path(spec)
    if path.is_dir():
        return task_from_folder(path)
    if not path.is_file():
        raise Missing(f"data: {spec!r} is neither a file or folder nor one of: {', '.join(NAMED)}. Check the path.")
    readers = {".npz": task_from_npz, ".csv": task_from_csv}
    if path.suffix not in readers:
        raise BadInput(f"data: {spec} ends in {path.suffix!r}; need .npz, .csv, a folder, or file.py:function.")
    return readers[path.suffix](path)
