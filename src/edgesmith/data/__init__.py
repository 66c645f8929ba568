"""Tasks: the data built in, named data sets from a folder, and a user's own."""

from collections.abc import Callable

from edgesmith.core.errors import BadInput
from edgesmith.core.task import Task
from edgesmith.data.digits import digits_task
from edgesmith.data.fashion_mnist import fashion_mnist_task
from edgesmith.data.fsdd import fsdd_task
from edgesmith.data.nsl_kdd import nsl_kdd_task
from edgesmith.data.occupancy import occupancy_task

__all__ = ["NAMED", "named_task"]

NAMED: dict[str, Callable[[], Task]] = {
    "digits": digits_task,
    "fashion-mnist": fashion_mnist_task,
    "fsdd": fsdd_task,
    "nsl-kdd": nsl_kdd_task,
    "occupancy": occupancy_task,
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
