"""The edge and the cloud on the clock of the virtual-time engine: one serial executor, and functions over a link."""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from simpy import Environment

from edgesmith.collaborate.links.ledger import Entry, How, Ledger
from edgesmith.collaborate.links.link import Link
from edgesmith.collaborate.schedule.strategy import End, Scheduler
from edgesmith.collaborate.schedule.tasks import Task
from edgesmith.collaborate.world.parts import Wire, later

SEGMENT_BYTES = 40_000  # an assumption: one frame of 720p as JPEG, in base64
RESULT_BYTES = 500  # an assumption
TIMEOUT_MS = 10_000.0  # after which the authors' client gives a call up
SLACK_MS = 1e-6  # sums of floats
HOW = "virtual time: the tasks' times, and the link's rate, delay, losses and queues"
COLUMNS = {
    name: How("estimated", HOW)
    for name in ("total_ms", "device_ms", "up_ms", "queue_ms", "server_ms", "down_ms", "up_bytes", "down_bytes")
}


@dataclass(frozen=True)
class Cloud:
    """Functions in a cloud and the way there.

    Attributes:
        link: from the edge.
        slots: calls at the same time; more wait. 32: nLambdaExecutorThreads in the authors' config.properties.
        extra_ms: added to every call, by the second at which it arrives.
    """

    link: Link
    slots: int = 32
    extra_ms: Callable[[float], float] = lambda at_s: 0.0

    @property
    def link_ms(self) -> float:
        """Of a segment up and a result down, on average, on an idle link."""
        return self.link.expected_ms(SEGMENT_BYTES) + self.link.expected_ms(RESULT_BYTES, down=True)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one task ended.

    Attributes:
        end_ms: on the run's clock.
    """

    task: Task
    end: End
    end_ms: float

    @property
    def in_time(self) -> bool:
        """Whether there was an answer by the deadline."""
        return self.end != "dropped" and self.end_ms <= self.task.deadline_ms + SLACK_MS


@dataclass(frozen=True)
class Flown:
    """A flight under one strategy.

    Attributes:
        outcomes: in the order of their ends.
        edge_busy_ms: of the edge.
    """

    outcomes: tuple[Outcome, ...]
    ledger: Ledger
    edge_busy_ms: float


def fly(tasks: tuple[Task, ...], scheduler: Scheduler, cloud: Cloud, seed: int = 0) -> Flown:
    """Run a flight's tasks under a strategy.

    Args:
        seed: of the link's losses and jitter.

    Raises:
        AssertionError: the strategy lost a task or ended one twice, or bytes do not add up.
    """
    site = Site(tasks, scheduler, cloud, seed)
    site.env.run()
    _check(site, tasks)
    return Flown(tuple(site.outcomes), site.ledger, site.edge_busy_ms)


def _check(site: "Site", tasks: tuple[Task, ...]) -> None:
    ended = sorted(outcome.task.index for outcome in site.outcomes)
    if ended != list(range(len(tasks))):
        raise AssertionError(f"schedule: {len(tasks)} tasks, {len(ended)} ends; need one each")
    carried = sum(entry.up_bytes for entry in site.ledger)
    if carried != site.up.sent_bytes:
        raise AssertionError(f"schedule: {carried:,} bytes accounted for, {site.up.sent_bytes:,} on the wire")


@dataclass(slots=True, eq=False)
class _Call:
    """A task at the cloud."""

    task: Task
    asked_ms: float
    sent_ms: float = 0.0
    up_ms: float = 0.0
    server_ms: float = 0.0
    up_bytes: int = 0
    down_bytes: int = 0
    ended: bool = False


class Site:
    """One edge and its way to the cloud; what strategies see of it is `Desk`."""

    def __init__(self, tasks: tuple[Task, ...], scheduler: Scheduler, cloud: Cloud, seed: int) -> None:
        self.env, self.cloud = Environment(), cloud
        self.up, self.down = Wire(self.env, cloud.link, seed), Wire(self.env, cloud.link, seed, down=True)
        self.outcomes: list[Outcome] = []
        self.ledger = Ledger(COLUMNS)
        self.calls: deque[_Call] = deque()
        self.free_slots = cloud.slots
        self.busy_until_ms = -math.inf  # as expected; minus infinity while the edge is free
        self.edge_busy_ms = 0.0
        self.strategy = scheduler(self)
        for task in tasks:
            self.at(task.at_ms, partial(self._arrive, task))

    @property
    def now_ms(self) -> float:
        """The time."""
        return self.env.now * 1e3

    @property
    def edge_free_ms(self) -> float:
        """When the edge should be done with what it runs; now, where it runs nothing or is late."""
        return max(self.now_ms, self.busy_until_ms)

    def at(self, ms: float, call: Callable[[], None]) -> None:
        """Call something at that time; the edge, if free, then looks for work."""

        def then() -> None:
            call()
            self._wake()

        later(self.env, ms * 1e-3 - self.env.now, then)

    def drop(self, task: Task) -> None:
        """End a task without an answer."""
        self._end(task, "dropped", 0.0, Entry(task.at_ms * 1e-3, "dropped", math.inf, in_time=False))

    def to_cloud(self, task: Task) -> None:
        """Send it when a slot is free."""
        self.calls.append(_Call(task, self.now_ms))
        self._send()

    def _arrive(self, task: Task) -> None:
        self.strategy.arrived(task)

    def _wake(self) -> None:
        """Give a free edge its next task; what it would finish late it drops just before."""
        while self.busy_until_ms == -math.inf and (task := self.strategy.next()) is not None:
            if self.now_ms + task.kind.edge_ms > task.deadline_ms + SLACK_MS:
                self.drop(task)
                continue
            self.busy_until_ms = self.now_ms + task.kind.edge_ms
            later(self.env, task.edge_ms * 1e-3, partial(self._edge_done, task))

    def _edge_done(self, task: Task) -> None:
        self.busy_until_ms = -math.inf
        self.edge_busy_ms += task.edge_ms
        total_ms = self.now_ms - task.at_ms
        in_time = self.now_ms <= task.deadline_ms + SLACK_MS
        entry = Entry(task.at_ms * 1e-3, "device", total_ms, task.edge_ms, in_time=in_time)
        self._end(task, "edge", task.edge_ms, entry)
        self._wake()

    def _send(self) -> None:
        while self.calls and self.free_slots:
            call = self.calls.popleft()
            expected_ms = self.strategy.cloud_ms(call.task)
            if self.now_ms + expected_ms > call.task.deadline_ms + SLACK_MS:
                self.drop(call.task)
                continue
            self.free_slots -= 1
            call.sent_ms = self.now_ms
            passage = self.up.send(SEGMENT_BYTES, partial(self._at_cloud, call))
            call.up_bytes, call.up_ms = passage.wire_bytes, passage.arrive_s * 1e3 - self.now_ms
            later(self.env, TIMEOUT_MS * 1e-3, partial(self._cloud_done, call))

    def _at_cloud(self, call: _Call) -> None:
        call.server_ms = call.task.function_ms
        wait_ms = call.server_ms + self.cloud.extra_ms(self.env.now)
        later(self.env, wait_ms * 1e-3, partial(self._reply, call))

    def _reply(self, call: _Call) -> None:
        passage = self.down.send(RESULT_BYTES, partial(self._cloud_done, call))
        if not call.ended:
            call.down_bytes = passage.wire_bytes

    def _cloud_done(self, call: _Call) -> None:
        """Its answer is there, or it is given up: both as late as they are."""
        if call.ended:
            return
        call.ended = True
        self.free_slots += 1
        task, now_ms = call.task, self.now_ms
        wait_ms = max(0.0, now_ms - call.sent_ms - call.up_ms - call.server_ms)
        entry = Entry(
            start_s=task.at_ms * 1e-3,
            place="server",
            total_ms=now_ms - task.at_ms,
            up_ms=call.up_ms,
            queue_ms=call.sent_ms - task.at_ms,
            server_ms=call.server_ms,
            down_ms=wait_ms,
            up_bytes=call.up_bytes,
            down_bytes=call.down_bytes,
            in_time=now_ms <= task.deadline_ms + SLACK_MS,
        )
        self._end(task, "cloud", now_ms - call.sent_ms, entry)
        self._send()
        self._wake()

    def _end(self, task: Task, end: End, took_ms: float, entry: Entry) -> None:
        self.ledger.add(entry)
        self.outcomes.append(Outcome(task, end, self.now_ms))
        self.strategy.ended(task, end, took_ms)
