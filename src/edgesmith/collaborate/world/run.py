"""Run a world: every request from its start to its end, into a ledger."""

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

from simpy import Environment, Event

from edgesmith.collaborate.links.ledger import FIGURES, Entry, How, Ledger, Place
from edgesmith.collaborate.world.breaker import Breaker
from edgesmith.collaborate.world.check import Tally, check
from edgesmith.collaborate.world.faults import during, merged
from edgesmith.collaborate.world.parts import Device, Job, Server, Status, Wire
from edgesmith.collaborate.world.spec import World

PROBE_BYTES = 16  # either way
HOW = "virtual time: the plan's times, and the link's rate, delay, losses and queues"
COLUMNS = {name: How("estimated", HOW) for name in FIGURES if name != "peak_bytes"}


@dataclass(frozen=True)
class Run:
    """What came of a world.

    Attributes:
        opened: how often the breaker opened.
    """

    ledger: Ledger
    tally: Tally
    opened: int


@dataclass(slots=True, eq=False)
class _Trip:
    """One request on its way to the server; `answer` is "done", "busy", "garbage", or None if nothing came in time."""

    answer: Event
    up_ms: float = 0.0
    down_ms: float = 0.0
    up_bytes: int = 0
    down_bytes: int = 0
    job: Job | None = None
    ended: bool = False


def run(world: World) -> Run:
    """Run it to its end and check it.

    Raises:
        AssertionError: an invariant is broken; `check` says which.
    """
    session = _Session(world)
    session.env.process(session.requests())
    session.env.run()
    session.tally.wire_bytes = (session.up.sent_bytes, session.down.sent_bytes)
    check(world, session.ledger, session.tally)
    return Run(session.ledger, session.tally, session.breaker.opened)


class _Session:
    """The parts of one run, joined."""

    def __init__(self, world: World) -> None:
        self.world, self.plan, self.env = world, world.plan, Environment()
        link = replace(world.link, outages=merged((*world.link.outages, *world.faults.outages)))
        self.up, self.down = Wire(self.env, link, world.seed), Wire(self.env, link, world.seed, down=True)
        self.device = Device(self.env)
        self.server = Server(self.env, world.serving, world.faults)
        self.breaker = Breaker(self.env, world.breaking, self.probe, world.seed)
        self.ledger = Ledger(COLUMNS)
        self.tally = Tally()

    def requests(self) -> Generator[Event, Any, None]:
        """Make every request at its time."""
        for index, at_s in enumerate(self.world.times_s):
            if at_s > self.env.now:
                yield self.env.timeout(at_s - self.env.now)
            self.env.process(self.request(index))

    def request(self, index: int) -> Generator[Event, Any, None]:
        """One, to its end."""
        start_s, trip = self.env.now, _Trip(self.env.event())
        place: Place = "dropped"
        device_ms = 0.0
        if self.breaker.admits():
            until_s = start_s + self.plan.wait_ms * 1e-3
            begun = yield self.device.work(self.plan.device_ms, until_s)
            device_ms = self.plan.device_ms if begun else 0.0
            answer = (yield self.ask(trip, until_s)) if begun else None
            self.breaker.record(answer == "done" if begun else None)
            if answer == "done":
                place = "split" if self.plan.device_ms else "server"
        trip.ended = True
        if place == "dropped" and self.plan.fallback_ms is not None:
            done = yield self.device.work(self.plan.fallback_ms, start_s + self.plan.limit_ms * 1e-3)
            if done:
                place, device_ms = "fallback", device_ms + self.plan.fallback_ms
        self.end(index, self.entry(start_s, place, device_ms, trip))

    def ask(self, trip: _Trip, until_s: float) -> Event:
        """Send, and wait until then: an event of what came."""
        sent_s = self.env.now
        job = trip.job = Job(self.plan.server_ms, lambda job, status: self.reply(trip, status))
        passage = self.up.send(self.plan.up_bytes, lambda: self.server.arrive(job))
        trip.up_bytes, trip.up_ms = passage.wire_bytes, (passage.arrive_s - sent_s) * 1e3
        self.env.timeout(max(0.0, until_s - sent_s)).callbacks.append(lambda _: self._settle(trip, None))
        return trip.answer

    def reply(self, trip: _Trip, status: Status) -> None:
        """The server sends what it has."""
        sent_s = self.env.now
        what = "garbage" if during(self.world.faults.garbage, sent_s) else status
        nbytes = self.plan.down_bytes if status == "done" else 0
        passage = self.down.send(nbytes, lambda: self._settle(trip, what))
        if what == "done":
            self.tally.answers_s.append(sent_s)
        if trip.ended:
            self.tally.late_bytes[1] += passage.wire_bytes
        else:
            trip.down_bytes, trip.down_ms = passage.wire_bytes, (passage.arrive_s - sent_s) * 1e3

    def _settle(self, trip: _Trip, what: str | None) -> None:
        if not trip.answer.triggered:
            trip.answer.succeed(what)

    def probe(self, seconds: float) -> Event:
        """A small message there and back: an event, whether it was back in time."""
        back = self.env.event()

        def settle(well: bool) -> None:
            if not back.triggered:
                back.succeed(well)

        def there() -> None:
            if self.server.alive and not during(self.world.faults.garbage, self.env.now):
                self.tally.probe_bytes[1] += self.down.send(PROBE_BYTES, lambda: settle(True)).wire_bytes

        self.tally.probe_bytes[0] += self.up.send(PROBE_BYTES, there).wire_bytes
        self.env.timeout(seconds).callbacks.append(lambda _: settle(False))
        return back

    def entry(self, start_s: float, place: Place, device_ms: float, trip: _Trip) -> Entry:
        """The request in the ledger's terms; of one not answered by the server, its wait is all in `up_ms`."""
        total_ms = (self.env.now - start_s) * 1e3
        answered, job = place in ("split", "server"), trip.job
        return Entry(
            start_s=start_s,
            place=place,
            total_ms=total_ms if place != "dropped" else float("inf"),
            device_ms=device_ms,
            up_ms=trip.up_ms if answered else max(0.0, total_ms - device_ms),
            queue_ms=job.queue_ms if answered and job else 0.0,
            server_ms=job.server_ms if answered and job else 0.0,
            down_ms=trip.down_ms if answered else 0.0,
            up_bytes=trip.up_bytes,
            down_bytes=trip.down_bytes,
            energy_uj=self.energy_uj(device_ms, trip),
            # A nanosecond for the sums of floats.
            in_time=place != "dropped" and total_ms <= self.plan.deadline_ms + 1e-6,
        )

    def energy_uj(self, device_ms: float, trip: _Trip) -> float:
        """Of the device: milliwatts times milliseconds, computing and on air at the link's mean rate."""
        link = self.world.link
        up_ms, down_ms = trip.up_bytes * 8e-3 / link.mean_mbps(), trip.down_bytes * 8e-3 / link.mean_mbps(down=True)
        return device_ms * self.plan.device_mw + up_ms * link.tx_mw + down_ms * link.rx_mw

    def end(self, index: int, entry: Entry) -> None:
        """Write it down; with the last one probing ends too."""
        self.ledger.add(entry)
        self.tally.ends.append((index, self.env.now))
        self.breaker.ended = len(self.ledger) == len(self.world.times_s)
