"""A link with a node at its other end, and what keeps a caller from asking a node that does not answer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from simpy import Environment, Event

from edgesmith.collaborate.links.link import Link
from edgesmith.collaborate.world.breaker import Breaker
from edgesmith.collaborate.world.parts import Job, Server, Status, Wire, later
from edgesmith.collaborate.world.run import PROBE_BYTES
from edgesmith.collaborate.world.spec import Breaking

Node = Literal["fog", "cloud"]
Answer = Literal["fog", "cloud", "busy"] | None  # whose it is; busy where there is none; None if none came in time


@dataclass(slots=True)
class Count:
    """What a run counts beside its outcomes.

    Attributes:
        ends: (request, second), in the order they happened.
        answers_s: by node, when each answer left it.
        probe_bytes: by path, both ways.
    """

    ends: list[tuple[int, float]] = field(default_factory=list)
    answers_s: dict[str, list[float]] = field(default_factory=dict)
    probe_bytes: dict[str, int] = field(default_factory=dict)
    wire_bytes: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Call:
    """A message on its way, and the caller's waiting for an answer.

    Attributes:
        until_s: for which the caller waits.
        by_s: for which it waits where it is told that the answer comes later; never sooner than `until_s`.
    """

    sent_bytes: dict[str, int]
    answer: Event
    until_s: float
    by_s: float
    held: bool = False

    def settle(self, what: Answer) -> None:
        """The caller hears of it, unless it has stopped waiting."""
        if not self.answer.triggered:
            self.answer.succeed(what)

    def give_up(self) -> None:
        """The caller stops waiting, unless it was told to wait longer."""
        if not self.held:
            self.settle(None)


@dataclass(frozen=True, slots=True)
class Message:
    """What is asked of a node.

    Attributes:
        sent_bytes: of the request, by path; added to.
        ms: what the node computes.
    """

    sent_bytes: dict[str, int]
    ms: float
    nbytes: int


Handled = Callable[[Call, Status], None]  # what the node does once it has computed: it replies


@dataclass(frozen=True)
class Setting:
    """What all paths of a run share."""

    env: Environment
    breaking: Breaking
    count: Count


class Path:
    """One caller's way to a node.

    Args:
        name: of this kind of path, under which bytes are counted.
        node: the server's name.
    """

    def __init__(self, setting: Setting, name: str, node: Node, server: Server, link: Link, seed: int) -> None:
        self.env, self.count = setting.env, setting.count
        self.name, self.node, self.server = name, node, server
        self.up, self.down = Wire(self.env, link, seed), Wire(self.env, link, seed, down=True)
        self.breaker = Breaker(self.env, setting.breaking, self.probe, seed)

    @property
    def sent_bytes(self) -> int:
        """Both ways."""
        return self.up.sent_bytes + self.down.sent_bytes

    def ask(self, message: Message, waits: tuple[float, float], handled: Handled) -> Event:
        """Send, and wait: an event of what came.

        Args:
            waits: `until_s` and `by_s` of the call.
        """
        call = Call(message.sent_bytes, self.env.event(), *waits)
        job = Job(message.ms, lambda job, status: handled(call, status))
        self._counted(call, self.up.send(message.nbytes, lambda: self.server.arrive(job)).wire_bytes)
        later(self.env, call.until_s - self.env.now, call.give_up)
        return call.answer

    def hold(self, call: Call) -> None:
        """Tell the caller that the answer comes later than it waits for."""

        def heard() -> None:
            call.held = True
            later(self.env, call.by_s - self.env.now, lambda: call.settle(None))

        self._counted(call, self.down.send(0, heard).wire_bytes)

    def reply(self, call: Call, whose: Node, nbytes: int) -> None:
        """Send an answer back."""
        self.count.answers_s.setdefault(self.node, []).append(self.env.now)
        self._counted(call, self.down.send(nbytes, lambda: call.settle(whose)).wire_bytes)

    def refuse(self, call: Call) -> None:
        """Say that there is no answer."""
        self._counted(call, self.down.send(0, lambda: call.settle("busy")).wire_bytes)

    def _counted(self, call: Call, nbytes: int) -> None:
        call.sent_bytes[self.name] = call.sent_bytes.get(self.name, 0) + nbytes

    def probe(self, seconds: float) -> Event:
        """A small message there and back: an event, whether it was back in time."""
        back = self.env.event()

        def settle(well: bool) -> None:
            if not back.triggered:
                back.succeed(well)

        def there() -> None:
            if self.server.alive:
                self._probed(self.down.send(PROBE_BYTES, lambda: settle(True)).wire_bytes)

        self._probed(self.up.send(PROBE_BYTES, there).wire_bytes)
        self.env.timeout(seconds).callbacks.append(lambda _: settle(False))
        return back

    def _probed(self, nbytes: int) -> None:
        self.count.probe_bytes[self.name] = self.count.probe_bytes.get(self.name, 0) + nbytes
