"""What is run in virtual time: a plan, a link, a server, a breaker, and when the requests come."""

import math
import random
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from edgesmith.collaborate.links.link import Link
from edgesmith.collaborate.world.faults import Faults
from edgesmith.core.errors import BadInput

MAX_REQUESTS = 10_000_000


@dataclass(frozen=True)
class Plan:
    """What one request takes.

    Attributes:
        device_ms: on the device, before anything is sent.
        up_bytes, down_bytes: of the message and of its reply, without headers of packets.
        server_ms: on the server.
        deadline_ms: from the request, by when its answer is wanted.
        fallback_ms: what the device takes to answer alone; None where it cannot.
        device_mw: what it draws while it computes, beyond idle.
    """

    device_ms: float
    up_bytes: int
    server_ms: float
    down_bytes: int
    deadline_ms: float
    fallback_ms: float | None = None
    device_mw: float = 0.0

    @property
    def wait_ms(self) -> float:
        """How long after the request its device waits for the server: until the fallback must begin."""
        return self.deadline_ms - (self.fallback_ms or 0.0)

    @property
    def limit_ms(self) -> float:
        """After the request nothing of it goes on: a fallback that cannot end by then is not begun."""
        return self.deadline_ms + (self.fallback_ms or 0.0)


@dataclass(frozen=True)
class Serving:
    """The server.

    Attributes:
        workers: that compute at the same time.
        queue_limit: requests that wait; one more is refused at once.
        batch: how many one worker takes together.
        more: what each further one of a batch costs, as a share of the first.
    """

    workers: int = 1
    queue_limit: int = 64
    batch: int = 1
    more: float = 1.0


@dataclass(frozen=True)
class Breaking:
    """When the device stops asking and how it comes back, as in Nygard, Release It!, 2007.

    Attributes:
        failures: in a row that open the breaker; three, as the client over sockets has it.
        first_s, most_s: until the first probe, and at most between two; each wait is twice the one before, give or
            take a fifth.
        probe_s: for which a probe waits.
    """

    failures: int = 3
    first_s: float = 0.1
    most_s: float = 5.0
    probe_s: float = 1.0


@dataclass(frozen=True)
class World:
    """One run: the same fields give the same run, to the last bit.

    Attributes:
        times_s: when each request is made, in order.
        seed: of losses, jitter, garbage and the breaker's waits.
    """

    plan: Plan
    link: Link
    times_s: tuple[float, ...]
    serving: Serving = field(default_factory=Serving)
    faults: Faults = field(default_factory=Faults)
    breaking: Breaking = field(default_factory=Breaking)
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what has no meaning.

        Raises:
            BadInput: which field, and what it needs.
        """
        checked_plan(self.plan)
        for name in ("workers", "queue_limit", "batch"):
            least = 0 if name == "queue_limit" else 1
            _need(getattr(self.serving, name) >= least, f"serving.{name}", getattr(self.serving, name), f"{least}")
        _need(self.serving.more >= 0, "serving.more", self.serving.more, "0")
        if len(self.times_s) > MAX_REQUESTS:
            raise BadInput(f"world: {len(self.times_s):,} requests; need at most {MAX_REQUESTS:,} in one run.")
        if any(not a <= b for a, b in pairwise((0.0, *self.times_s))) or self.times_s[-1:] == (math.inf,):
            raise BadInput("world: times_s must be finite, not negative and in order. Sort them.")


def checked_plan(plan: Plan) -> None:
    """Refuse negative or endless times and sizes.

    Raises:
        BadInput: which field.
    """
    for name in ("device_ms", "server_ms", "up_bytes", "down_bytes", "device_mw"):
        _need(0 <= getattr(plan, name) < math.inf, f"plan.{name}", getattr(plan, name), "0 and finite")
    _need(0 < plan.deadline_ms < math.inf, "plan.deadline_ms", plan.deadline_ms, "more than 0 and finite")
    _need(0 <= (plan.fallback_ms or 0.0) < math.inf, "plan.fallback_ms", plan.fallback_ms, "0 and finite, or None")


def _need(holds: bool, what: str, found: Any, least: str) -> None:
    if not holds:
        raise BadInput(f"world: {what} is {found}; need at least {least}.")


def periodic(count: int, every_ms: float, start_s: float = 0.0) -> tuple[float, ...]:
    """Times of requests that come at even distances, in seconds.

    >>> periodic(3, 500.0)
    (0.0, 0.5, 1.0)
    """
    return tuple(start_s + index * every_ms * 1e-3 for index in range(count))


def poisson(count: int, per_s: float, seed: int) -> tuple[float, ...]:
    """Times of requests that come independently of one another, so many a second on average."""
    draw, now_s, times = random.Random(f"{seed} arrivals"), 0.0, []
    for _ in range(count):
        now_s += draw.expovariate(per_s)
        times.append(now_s)
    return tuple(times)
