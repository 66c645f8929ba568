"""Run a fleet over three tiers: every request from its start to its end.

A device that is sure answers. If it is not, it asks the fog node, for as long as the way straight to the cloud would
still be in time, or longer where the node says that it passed the input on; then the cloud; and what nobody answered it
answers itself, by the deadline. The fog node answers what it is sure of, and what the cloud does not answer in time.
Who fails three times in a row is not asked, until a probe comes back.
"""

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from simpy import Environment, Event

from edgesmith.collaborate.links.link import Link
from edgesmith.collaborate.world.fleet_check import check_fleet
from edgesmith.collaborate.world.parts import Device, Server, Status
from edgesmith.collaborate.world.path import Answer, Call, Count, Handled, Message, Node, Path, Setting
from edgesmith.collaborate.world.tiers import MAX_DEVICES, Fleet, Outcome, Place, Request

Way = Literal["near", "back", "direct"]
WAYS: tuple[Way, ...] = ("near", "back", "direct")
ROOM = 1.1  # ours: times what the rest of a way takes at most, which is kept free for it


@dataclass(frozen=True)
class Ran:
    """What came of a fleet.

    Attributes:
        outcomes: in the order of the requests.
        opened: how often the devices' breakers opened.
    """

    outcomes: tuple[Outcome, ...]
    count: Count
    opened: int


@dataclass(slots=True, eq=False)
class _Trip:
    """One request; its bytes go on being counted after its end."""

    index: int
    request: Request
    sent_bytes: dict[str, int] = field(default_factory=dict)
    place: Place = "dropped"
    total_ms: float = math.inf

    def outcome(self) -> Outcome:
        return Outcome(self.request, self.place, self.total_ms, *(self.sent_bytes.get(way, 0) for way in WAYS))


def run_fleet(fleet: Fleet) -> Ran:
    """Run it to its end and check it.

    Raises:
        AssertionError: an invariant is broken; `check_fleet` says which.
    """
    session = _Session(fleet)
    session.env.process(session.requests())
    session.env.run()
    outcomes = tuple(trip.outcome() for trip in session.trips)
    for path in session.paths():
        session.count.wire_bytes[path.name] = session.count.wire_bytes.get(path.name, 0) + path.sent_bytes
    check_fleet(fleet, outcomes, session.count)
    opened = sum(path.breaker.opened for path in (*session.near, *session.direct))
    return Ran(outcomes, session.count, opened)


class _Session:
    """The parts of one run, joined."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet, self.work, self.env, self.count = fleet, fleet.work, Environment(), Count()
        self.trips = [_Trip(index, request) for index, request in enumerate(fleet.requests)]
        self.devices = [Device(self.env) for _ in range(fleet.devices)]
        self.fog = Server(self.env, fleet.fog, fleet.fog_faults)
        self.cloud = Server(self.env, fleet.cloud, fleet.cloud_faults)
        self.near = self.opened("near", fleet.paths.near, fleet.devices)
        self.back = self.opened("back", fleet.paths.back, 1)
        self.direct = self.opened("direct", fleet.paths.direct, fleet.devices)

    def opened(self, way: Way, link: Link | None, callers: int) -> list[Path]:
        """A path for each caller; none where there is no link."""
        if link is None:
            return []
        setting, first = Setting(self.env, self.fleet.breaking, self.count), 3 * self.fleet.seed + WAYS.index(way)
        node: Node = "fog" if way == "near" else "cloud"
        server = self.fog if way == "near" else self.cloud
        return [Path(setting, way, node, server, link, first * MAX_DEVICES + caller) for caller in range(callers)]

    def paths(self) -> Iterator[Path]:
        """All there are."""
        yield from (*self.near, *self.back, *self.direct)

    def requests(self) -> Generator[Event, Any, None]:
        """Make every request at its time."""
        for trip in self.trips:
            if trip.request.at_s > self.env.now:
                yield self.env.timeout(trip.request.at_s - self.env.now)
            self.env.process(self.request(trip))

    def request(self, trip: _Trip) -> Generator[Event, Any, None]:
        """One, to its end."""
        by_s, own_ms = self.env.now + self.work.deadline_ms * 1e-3, self.work.device_ms
        if own_ms is not None:
            done = yield self.devices[trip.request.device].work(own_ms, by_s)
            if not done:
                return self.end(trip, "dropped")
            if trip.request.sure[0] or not (self.near or self.direct):
                return self.end(trip, "device")
        answer = yield from self.ask_others(trip, by_s)
        self.end(trip, answer or ("dropped" if own_ms is None else "local"))

    def ask_others(self, trip: _Trip, by_s: float) -> Generator[Event, Any, Place | None]:
        """The fog node, then the cloud: who answered, or nobody."""
        for path, until_s, ms, handled in self.ways(trip, by_s):
            if self.env.now >= until_s or not path.breaker.admits():
                continue
            message = Message(trip.sent_bytes, ms, self.work.up_bytes)
            answer: Answer = yield path.ask(message, (until_s, by_s), handled)
            path.breaker.record(answer in ("fog", "cloud"))
            if answer == "fog" or answer == "cloud":
                return answer
        return None

    def ways(self, trip: _Trip, by_s: float) -> Iterator[tuple[Path, float, float, Handled]]:
        """Whom a device asks, in order: until when it waits, what is computed there, and who replies."""
        caller, work, fleet = trip.request.device, self.work, self.fleet
        if self.near:
            until_s = by_s - ROOM * fleet.direct_ms * 1e-3
            too_late = self.env.now + fleet.near_ms * 1e-3 > until_s
            yield self.near[caller], by_s if too_late else until_s, work.fog_ms or 0.0, self.at_fog(trip)
        if self.direct:
            path = self.direct[caller]
            yield path, by_s, work.cloud_ms or 0.0, lambda call, status: self.at_cloud(path, call, status)

    def at_fog(self, trip: _Trip) -> Handled:
        """What the fog node does with a request, once its own net has seen it."""
        path, work = self.near[trip.request.device], self.work
        answers = work.fog_ms is not None and (trip.request.sure[1] or not self.back)

        def handle(call: Call, status: Status) -> None:
            if status == "busy":
                path.refuse(call)
            elif answers:
                path.reply(call, "fog", work.down_bytes)
            else:
                self.env.process(self.pass_on(path, call))

        return handle

    def pass_on(self, near: Path, call: Call) -> Generator[Event, Any, None]:
        """Ask the cloud for a device; what the node held is gone if it goes down meanwhile."""
        life, answer, work = self.fog.life, None, self.work
        until_s = self.waits_for_cloud(call)
        if self.back and self.env.now < until_s and self.back[0].breaker.admits():
            if until_s > call.until_s:
                near.hold(call)
            path, message = self.back[0], Message(call.sent_bytes, work.cloud_ms or 0.0, work.up_bytes)
            answer = yield path.ask(message, (until_s, until_s), lambda c, s: self.at_cloud(path, c, s))
            path.breaker.record(answer == "cloud")
        if not self.fog.alive or self.fog.life != life:
            return
        if answer == "cloud" or work.fog_ms is not None:
            near.reply(call, "cloud" if answer == "cloud" else "fog", work.down_bytes)
        else:
            near.refuse(call)

    def waits_for_cloud(self, call: Call) -> float:
        """Until when the fog node does; not at all where it has an answer of its own and the cloud's would be late."""
        now_s, home_s = self.env.now, ROOM * self.fleet.home_ms * 1e-3
        back_s = self.fleet.back_ms * 1e-3
        if now_s + back_s < call.until_s - home_s or self.work.fog_ms is None:
            return call.until_s - home_s
        in_time = now_s + back_s < call.by_s - home_s and now_s + home_s < call.until_s
        return call.by_s - home_s if in_time else now_s

    def at_cloud(self, path: Path, call: Call, status: Status) -> None:
        """The cloud always answers what it has computed."""
        if status == "done":
            path.reply(call, "cloud", self.work.down_bytes)
        else:
            path.refuse(call)

    def end(self, trip: _Trip, place: Place) -> None:
        """Write it down; with the last one probing ends too."""
        trip.place = place
        if place != "dropped":
            trip.total_ms = (self.env.now - trip.request.at_s) * 1e3
        self.count.ends.append((trip.index, self.env.now))
        if len(self.count.ends) == len(self.trips):
            for path in self.paths():
                path.breaker.ended = True
