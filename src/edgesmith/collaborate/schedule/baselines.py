"""What DEMS is held against: the edge alone, the cloud alone, and both without migration or stealing.

Source: arXiv:2412.20860; in the authors' repository EDF (3), HUF (9), CLD (4), E+C with EDF (62) and with SJF (63).
"""

from edgesmith.collaborate.schedule.queues import EdgeQueue, Priority, by_deadline, by_time, by_utility
from edgesmith.collaborate.schedule.strategy import Desk, End, Scheduler
from edgesmith.collaborate.schedule.tasks import Task


class Plain:
    """A queue for the edge, the cloud for what does not fit; what was decided stays.

    Args:
        use_edge, use_cloud: at least one of them. With the edge alone everything waits there, in time or not.
    """

    def __init__(self, desk: Desk, priority: Priority, use_edge: bool, use_cloud: bool) -> None:
        self.desk, self.edge = desk, EdgeQueue(priority)
        self.use_edge, self.use_cloud = use_edge, use_cloud

    def arrived(self, task: Task) -> None:
        """To the edge if it is in time there, else to the cloud if that pays and is in time."""
        now_ms = self.desk.now_ms
        if self.use_edge and (not self.use_cloud or self.edge.fits(task, self.desk.edge_free_ms)):
            self.edge.add(task)
        elif task.kind.cloud_utility > 0 and now_ms + task.kind.cloud_ms <= task.deadline_ms:
            self.desk.to_cloud(task)
        else:
            self.desk.drop(task)

    def next(self) -> Task | None:
        """The first of the queue."""
        return self.edge.pop()

    def cloud_ms(self, task: Task) -> float:
        """What its kind says."""
        return task.kind.cloud_ms

    def ended(self, task: Task, end: End, took_ms: float) -> None:
        """Nothing is learned."""


def edf_edge() -> Scheduler:
    """The edge alone, earliest deadline first."""
    return lambda desk: Plain(desk, by_deadline, use_edge=True, use_cloud=False)


def hpf_edge() -> Scheduler:
    """The edge alone, highest utility first."""
    return lambda desk: Plain(desk, by_utility, use_edge=True, use_cloud=False)


def cloud_only() -> Scheduler:
    """The cloud alone, first come, first served; what costs more there than it is worth is dropped."""
    return lambda desk: Plain(desk, by_deadline, use_edge=False, use_cloud=True)


def edf_both() -> Scheduler:
    """The edge, earliest deadline first, and the cloud for what would be late there."""
    return lambda desk: Plain(desk, by_deadline, use_edge=True, use_cloud=True)


def sjf_both() -> Scheduler:
    """The edge, shortest job first, and the cloud for what would be late there."""
    return lambda desk: Plain(desk, by_time, use_edge=True, use_cloud=True)


BASELINES = {
    "edge, EDF": edf_edge,
    "edge, HPF": hpf_edge,
    "cloud": cloud_only,
    "edge and cloud, EDF": edf_both,
    "edge and cloud, SJF": sjf_both,
}
