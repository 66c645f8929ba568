"""The queue of the edge: in order of priority, and what a newcomer would do to the tasks behind it."""

from bisect import insort
from collections.abc import Callable, Iterator

from edgesmith.collaborate.schedule.tasks import Task

Priority = Callable[[Task], float]  # the lowest goes first


def by_deadline(task: Task) -> float:
    """Earliest deadline first."""
    return task.deadline_ms


def by_time(task: Task) -> float:
    """Shortest job first."""
    return task.kind.edge_ms


def by_utility(task: Task) -> float:
    """Highest utility first."""
    return -task.kind.edge_utility


class EdgeQueue:
    """Tasks that wait for the edge."""

    def __init__(self, priority: Priority = by_deadline) -> None:
        self.priority = priority
        self.tasks: list[Task] = []

    def __len__(self) -> int:
        return len(self.tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks)

    def add(self, task: Task) -> None:
        """Behind those of its priority."""
        insort(self.tasks, task, key=self._key)

    def pop(self) -> Task | None:
        """The first, or None."""
        return self.tasks.pop(0) if self.tasks else None

    def remove(self, task: Task) -> None:
        """Take one out, wherever it is."""
        self.tasks.remove(task)

    def fits(self, task: Task, start_ms: float) -> bool:
        """Whether a newcomer would itself be in time, if the edge begins with the queue then."""
        ahead_ms = sum(other.kind.edge_ms for other in self.tasks if self._key(other) <= self._key(task))
        return start_ms + ahead_ms + task.kind.edge_ms <= task.deadline_ms

    def made_late(self, task: Task, start_ms: float) -> list[Task]:
        """Those behind a newcomer that would miss their deadlines; one that would leaves room for those behind it."""
        late, now_ms = [], start_ms
        ahead = [other for other in self.tasks if self._key(other) <= self._key(task)]
        now_ms += sum(other.kind.edge_ms for other in (*ahead, task))
        for other in self.tasks[len(ahead) :]:
            if now_ms + other.kind.edge_ms > other.deadline_ms:
                late.append(other)
            else:
                now_ms += other.kind.edge_ms
        return late

    def all_in_time(self, start_ms: float) -> bool:
        """Whether everyone is in time if the edge begins with the queue then."""
        now_ms = start_ms
        for task in self.tasks:
            now_ms += task.kind.edge_ms
            if now_ms > task.deadline_ms:
                return False
        return True

    def _key(self, task: Task) -> tuple[float, int]:
        return self.priority(task), task.index
