"""The parts of a world on simpy's clock: a wire, a device and a server."""

import heapq
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

from simpy import Environment, Event

from edgesmith.collaborate.links.channel import Channel, Passage
from edgesmith.collaborate.links.link import Link
from edgesmith.collaborate.world.faults import Faults
from edgesmith.collaborate.world.spec import Serving

Status = Literal["done", "busy"]
SLACK_S = 1e-9  # sums of floats: what fits exactly, fits


def later(env: Environment, delay_s: float, call: Callable[[], Any]) -> None:
    """Call something after so many seconds; never, where they are infinite."""
    if delay_s < math.inf:
        env.timeout(max(0.0, delay_s)).callbacks.append(lambda _: call())


class Wire:
    """One direction of a link, on the clock; it counts what it carries."""

    def __init__(self, env: Environment, link: Link, seed: int, down: bool = False) -> None:
        self.env, self.channel = env, Channel(link, seed, down)
        self.sent_bytes = 0

    def send(self, nbytes: int, arrived: Callable[[], Any]) -> Passage:
        """Send a message now, and call `arrived` when all of it is there."""
        passage = self.channel.send(self.env.now, nbytes)
        self.sent_bytes += passage.wire_bytes
        later(self.env, passage.arrive_s - self.env.now, arrived)
        return passage


@dataclass(slots=True, order=True)
class _Piece:
    """Work that waits for the device, most urgent first."""

    by_s: float
    order: int
    seconds: float = field(compare=False)
    done: Event = field(compare=False)
    begun: bool = field(default=False, compare=False)


class Device:
    """Does one thing at a time, the most urgent first, and finishes what it began."""

    def __init__(self, env: Environment) -> None:
        self.env = env
        self.waiting: list[_Piece] = []
        self.busy = False
        self.order = count()

    def work(self, ms: float, by_s: float) -> Event:
        """An event: True once the work is done, False at the last moment it could have begun to be done in time."""
        piece = _Piece(by_s, next(self.order), ms * 1e-3, self.env.event())
        if self.env.now + piece.seconds > by_s + SLACK_S:
            return piece.done.succeed(False)
        if not self.busy:
            self._begin(piece)
        else:
            heapq.heappush(self.waiting, piece)
            later(self.env, by_s + SLACK_S - piece.seconds - self.env.now, lambda: self._give_up(piece))
        return piece.done

    def _begin(self, piece: _Piece) -> None:
        self.busy = piece.begun = True
        later(self.env, piece.seconds, lambda: self._end(piece))

    def _end(self, piece: _Piece) -> None:
        self.busy = False
        piece.done.succeed(True)
        while self.waiting and not self.busy:
            following = heapq.heappop(self.waiting)
            if not following.done.triggered:
                self._begin(following)

    def _give_up(self, piece: _Piece) -> None:
        if not piece.begun:
            piece.done.succeed(False)


@dataclass(slots=True, eq=False)
class Job:
    """A request at the server.

    Attributes:
        reply: called with how it went; never, where the server is gone.
    """

    ms: float
    reply: Callable[["Job", Status], Any]
    arrive_s: float = 0.0
    queue_ms: float = 0.0
    server_ms: float = 0.0


class Server:
    """Workers that take requests first come, first served, from one queue with a limit."""

    def __init__(self, env: Environment, serving: Serving, faults: Faults) -> None:
        self.env, self.serving, self.faults = env, serving, faults
        self.queue: deque[Job] = deque()
        self.working = 0
        self.life = 0  # how many times it was started; work of an earlier life is lost
        self.alive = True
        for span in faults.down:
            later(env, span.start_s, self._die)
            later(env, span.end_s, self._rise)

    def arrive(self, job: Job) -> None:
        """A request is there."""
        if not self.alive:
            return
        job.arrive_s = self.env.now
        if self.working < self.serving.workers:
            self.queue.append(job)
            self._begin()
        elif len(self.queue) < self.serving.queue_limit:
            self.queue.append(job)
        else:
            job.reply(job, "busy")

    def _begin(self) -> None:
        jobs = [self.queue.popleft() for _ in range(min(self.serving.batch, len(self.queue)))]
        ms = max(job.ms for job in jobs) * (1 + self.serving.more * (len(jobs) - 1)) * self.faults.factor(self.env.now)
        for job in jobs:
            job.queue_ms = (self.env.now - job.arrive_s) * 1e3
            job.server_ms = ms
        self.working += 1
        life = self.life
        later(self.env, ms * 1e-3, lambda: self._end(jobs, life))

    def _end(self, jobs: list[Job], life: int) -> None:
        if life != self.life or not self.alive:
            return
        self.working -= 1
        for job in jobs:
            job.reply(job, "done")
        if self.queue:
            self._begin()

    def _die(self) -> None:
        self.alive, self.working = False, 0
        self.queue.clear()

    def _rise(self) -> None:
        self.alive = True
        self.life += 1
