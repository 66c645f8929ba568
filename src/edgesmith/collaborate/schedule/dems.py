"""DEMS: deadline-driven edge and cloud scheduling by migration and stealing; what DEMS-A and GEMS build on.

Source: arXiv:2412.20860, as in github.com/dream-lab/ocularone-scheduler: PriorityQueue.java (insertion, migration),
Scheduler.java and Rescheduler.java (offloading, dropping), TaskExecutorEdge.java (stealing).
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from edgesmith.collaborate.schedule.queues import EdgeQueue
from edgesmith.collaborate.schedule.strategy import Desk, End, Scheduler
from edgesmith.collaborate.schedule.tasks import Kind, Task

# cloudBuffer in TaskCreation.java and bufferForTentativeCloud in PriorityQueue.java: a deferred task leaves this early.
CLOUD_MARGIN_MS = 10.0 + 50.0


class Expectation(Protocol):
    """How long the cloud is expected to take."""

    def ms(self, kind: Kind) -> float:
        """From sending to the answer."""

    def refused(self, kind: Kind, now_ms: float) -> float | None:
        """A task cannot be in time by what is expected: with what expectation to try it all the same, or None."""

    def observed(self, task: Task, took_ms: float, now_ms: float) -> None:
        """The cloud ended a task."""


class Fixed:
    """What the kinds say."""

    def ms(self, kind: Kind) -> float:
        """Of the kind's own figure."""
        return kind.cloud_ms

    def refused(self, kind: Kind, now_ms: float) -> float | None:
        """Never tried."""
        return None

    def observed(self, task: Task, took_ms: float, now_ms: float) -> None:
        """Nothing is learned."""


Watch = Callable[["Dems", Task, bool], None]  # told of every end, and whether it was in time


def dems(expectation: Callable[[], Expectation] = Fixed, watch: Callable[[], Watch] | None = None) -> Scheduler:
    """DEMS itself; DEMS-A gives it another expectation, GEMS someone who watches."""
    return lambda desk: Dems(desk, expectation(), watch() if watch else None)


class Dems:
    """Earliest deadline first on the edge, the rest deferred for the cloud as long as it may wait.

    Attributes:
        edge: tasks that should be in time there.
        deferred: tasks for the cloud, with the moment at which they must leave; until then the edge may steal them.
    """

    def __init__(self, desk: Desk, expectation: Expectation, watch: Watch | None) -> None:
        self.desk, self.expectation, self.watch = desk, expectation, watch
        self.edge = EdgeQueue()
        self.deferred: dict[int, Task] = {}
        self.expected_ms: dict[int, float] = {}  # of the tasks that were deferred or sent

    def arrived(self, task: Task) -> None:
        """Insert it where it is in time, if what it makes late is worth less; migrate that to the cloud."""
        start_ms = self.desk.edge_free_ms
        if not self.edge.fits(task, start_ms):
            return self.offload(task)
        late = self.edge.made_late(task, start_ms)
        if late and sum(map(self.loss, late)) >= self.loss(task):
            return self.offload(task)
        self.edge.add(task)
        # All leave the queue before any is offloaded: one that is dropped may make a watch move others of the queue.
        for victim in late:
            self.edge.remove(victim)
        for victim in late:
            self.offload(victim)
        return None

    def loss(self, task: Task) -> float:
        """Utility that is lost if the edge does not run it: all of it where the cloud cannot take it."""
        kind = task.kind
        return kind.edge_utility - (kind.cloud_utility if self.cloud_can(task) else 0.0)

    def cloud_can(self, task: Task) -> bool:
        """Whether the cloud should be in time, at a profit."""
        in_time = self.desk.now_ms + self.cloud_ms(task) <= task.deadline_ms
        return in_time and task.kind.cloud_utility > 0

    def offload(self, task: Task) -> None:
        """Defer it for the cloud; for the edge's idle moments alone where the cloud costs more than it is worth."""
        if task.kind.cloud_utility <= 0:
            return self.defer(task, task.deadline_ms - task.kind.edge_ms, self.desk.drop)
        now_ms, ms = self.desk.now_ms, self.expectation.ms(task.kind)
        if now_ms + ms > task.deadline_ms:
            tried_ms = self.expectation.refused(task.kind, now_ms)
            if tried_ms is None or now_ms + tried_ms > task.deadline_ms:
                return self.desk.drop(task)
            ms = tried_ms
        self.expected_ms[task.index] = ms
        return self.defer(task, task.deadline_ms - ms - CLOUD_MARGIN_MS, self.desk.to_cloud)

    def defer(self, task: Task, until_ms: float, leave: Callable[[Task], None]) -> None:
        """Keep it until then for the edge to steal; then it leaves."""
        self.deferred[task.index] = task

        def due() -> None:
            if self.deferred.pop(task.index, None) is not None:
                leave(task)

        self.desk.at(max(until_ms, self.desk.now_ms), due)

    def next(self) -> Task | None:
        """The best task to steal if nobody waiting misses its deadline by it, else the first of the queue."""
        now_ms = self.desk.now_ms
        for task in sorted(self.deferred.values(), key=self.gain, reverse=True):
            done_ms = now_ms + task.kind.edge_ms
            if done_ms <= task.deadline_ms and self.edge.all_in_time(done_ms):
                return self.deferred.pop(task.index)
        return self.edge.pop()

    def gain(self, task: Task) -> tuple[bool, float, int]:
        """For stealing: first those the cloud would lose on, then most utility gained a millisecond of the edge."""
        kind = task.kind
        gained = kind.edge_utility - kind.cloud_utility
        return kind.cloud_utility <= 0, gained / kind.edge_ms, -task.index

    def cloud_ms(self, task: Task) -> float:
        """What was expected when it was deferred; before that, what is expected now."""
        return self.expected_ms.get(task.index, self.expectation.ms(task.kind))

    def ended(self, task: Task, end: End, took_ms: float) -> None:
        """Learn from the cloud; tell who watches."""
        self.expected_ms.pop(task.index, None)
        if end == "cloud":
            self.expectation.observed(task, took_ms, self.desk.now_ms)
        if self.watch is not None:
            self.watch(self, task, end != "dropped" and self.desk.now_ms <= task.deadline_ms)

    def send_from_edge(self, task: Task) -> None:
        """Take a task out of the edge's queue and send it to the cloud at once."""
        self.edge.remove(task)
        self.expected_ms[task.index] = self.expectation.ms(task.kind)
        self.desk.at(self.desk.now_ms, partial(self.desk.to_cloud, task))
