"""The contract of a scheduling strategy: what it may ask of the site and what the site asks of it."""

from collections.abc import Callable
from typing import Literal, Protocol

from edgesmith.collaborate.schedule.tasks import Task

# Where a task ended: with an answer of the edge or the cloud, in time or late, or without one.
End = Literal["edge", "cloud", "dropped"]


class Desk(Protocol):
    """The site as a strategy sees it; times are milliseconds on the run's clock."""

    @property
    def now_ms(self) -> float:
        """The time."""

    @property
    def edge_free_ms(self) -> float:
        """When the edge should be done with what it runs; now, where it runs nothing."""

    def to_cloud(self, task: Task) -> None:
        """Send a task to the cloud; it is dropped there where its expected time is too long by then."""

    def drop(self, task: Task) -> None:
        """End a task without an answer."""

    def at(self, ms: float, call: Callable[[], None]) -> None:
        """Call something at that time."""


class Strategy(Protocol):
    """Decides; every task that arrives must be given back by `next`, sent to the cloud or dropped."""

    def arrived(self, task: Task) -> None:
        """A task is there."""

    def next(self) -> Task | None:
        """What the edge, which is free, shall run now."""

    def cloud_ms(self, task: Task) -> float:
        """How long the cloud is expected to take for it."""

    def ended(self, task: Task, end: End, took_ms: float) -> None:
        """How a task ended, and how long it ran there."""


Scheduler = Callable[[Desk], Strategy]
