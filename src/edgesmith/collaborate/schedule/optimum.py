"""The best any scheduler could do that knew all tasks beforehand, for cases small enough to solve exactly."""

from collections.abc import Sequence

import numpy as np

from edgesmith.collaborate.schedule.tasks import Task
from edgesmith.core.errors import BadInput

MOST_TASKS = 18  # two to the power of it subsets


def optimum(tasks: Sequence[Task]) -> float:
    """Greatest utility of service, where every task takes exactly its kind's time on either side.

    The edge runs one at a time, without a break in any; the cloud runs any number and is in time exactly where
    `cloud_ms` is within the deadline. Of each set of tasks for the edge the earliest moment counts at which all of it
    can be done in time: the best last task's start after the best order of the others. Exact, in 2^n * n steps.

    Raises:
        BadInput: more than 18 tasks.
    """
    if len(tasks) > MOST_TASKS:
        raise BadInput(f"optimum: {len(tasks)} tasks; need at most {MOST_TASKS}. Solve a shorter stretch.")
    elsewhere = [without_edge(task) for task in tasks]
    gains = np.array([task.kind.edge_utility for task in tasks]) - np.array(elsewhere)
    done_ms = earliest_ends(tasks)
    members = (np.arange(len(done_ms))[:, None] >> np.arange(len(tasks))) & 1
    return float(sum(elsewhere) + (members @ gains)[done_ms < np.inf].max())


def without_edge(task: Task) -> float:
    """The utility of a task that the edge does not run: the cloud's, or nothing."""
    in_time = task.kind.cloud_ms <= task.kind.deadline_ms
    return max(0.0, task.kind.cloud_utility) if in_time else 0.0


def earliest_ends(tasks: Sequence[Task]) -> np.ndarray:
    """(2^n,) float64: when the edge can be done with each set of tasks, all in time; infinite where it cannot."""
    ends = np.full(1 << len(tasks), np.inf)
    ends[0] = -np.inf
    for chosen in range(1, len(ends)):
        for index, task in enumerate(tasks):
            if chosen >> index & 1:
                done_ms = max(ends[chosen ^ (1 << index)], task.at_ms) + task.kind.edge_ms
                if done_ms <= task.deadline_ms:
                    ends[chosen] = min(ends[chosen], done_ms)
    return ends
