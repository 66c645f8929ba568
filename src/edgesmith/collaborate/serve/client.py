"""The device's half: the head here, the tail on the server, and an answer in time whatever the server does."""

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from edgesmith.collaborate.links.ledger import Entry, How, Ledger, Place
from edgesmith.collaborate.serve import wire
from edgesmith.collaborate.serve.breaker import Breaker, Policy
from edgesmith.collaborate.serve.transport import NoAnswer, Transport
from edgesmith.collaborate.serve.wire import Arrays, Reply, Request, microseconds
from edgesmith.core.errors import BadInput

# The inputs, and the head's output, which is computed when it is first asked for.
Fallback = Callable[[Arrays, Callable[[], Arrays]], Mapping[str, np.ndarray]]

KEPT = 10_000  # newest requests in a client's own ledger: a device asks for months
RECENT = 32  # fallbacks whose longest says how much time the next needs
MARGIN = 1.25  # on that
MARGIN_MS = 5.0  # for what lies between: decoding, and a thread that wakes late; Python's turn at a thread is 5 ms
COLUMNS = {
    "total_ms": How("measured", "from the request until its answer, on the device's clock"),
    "device_ms": How("measured", "head and fallback on the device, on its clock"),
    "up_ms": How(
        "measured", "both ways together: the wait for the reply less the server's times; all of it if in vain"
    ),
    "queue_ms": How("measured", "from arrival until the model began, on the server's clock"),
    "server_ms": How("measured", "the model, on the server's clock"),
    "up_bytes": How("measured", "the message, without the headers of gRPC and below"),
    "down_bytes": How("measured", "the reply, without the headers of gRPC and below"),
}


@dataclass(frozen=True)
class Tail:
    """What the server is to have.

    Attributes:
        model: sha256 of the artifact's graph.
        outputs: name to shape of what a right answer holds.
        place: what an answer from there counts as; "server" where the device computes nothing before.
    """

    model: bytes
    outputs: Mapping[str, tuple[int, ...]]
    place: Place = "split"


@dataclass(frozen=True)
class Device:
    """What the device does itself.

    Attributes:
        head: inputs to what is sent.
        fallback: inputs to outputs alone: an exit behind the head, or a small model that needs no head.
        fallback_ms: what it takes at first guess; from then on it is measured.
    """

    head: Callable[[Arrays], Mapping[str, np.ndarray]]
    fallback: Fallback
    fallback_ms: float


@dataclass(frozen=True)
class Answer:
    """An answer and where it comes from.

    Attributes:
        why: for a fallback, why not from the server.
    """

    outputs: Mapping[str, np.ndarray]
    entry: Entry
    why: str = ""


class _Once:
    """The head's output, computed when first asked for, and what that took."""

    def __init__(self, head: Callable[[Arrays], Mapping[str, np.ndarray]], inputs: Arrays) -> None:
        self.head, self.inputs = head, inputs
        self.made: Mapping[str, np.ndarray] | None = None
        self.took_s = 0.0

    def __call__(self) -> Mapping[str, np.ndarray]:
        if self.made is None:
            began_s = time.perf_counter()
            self.made = self.head(self.inputs)
            self.took_s = time.perf_counter() - began_s
        return self.made


@dataclass(slots=True)
class _Trip:
    """One request on its way to the server."""

    reply: Reply | None = None
    why: str = ""
    waited_s: float = 0.0
    up_bytes: int = 0
    down_bytes: int = 0


class Client:
    """Answers requests, by the server if it can in time, else by the device; safe to use from several threads.

    A request ends by its deadline unless the device's own work is longer than that: the wait for the server is ended by
    a clock, not by the server, and begins only where time for the fallback is left. So it takes at most the greater of
    the deadline and what head and fallback take, as far as the fallback takes no longer than its longest of late.
    """

    def __init__(
        self,
        tail: Tail,
        device: Device,
        transport: Transport,
        ledger: Ledger | None = None,
        policy: Policy | None = None,
    ) -> None:
        self.tail, self.device, self.transport = tail, device, transport
        self.ledger = Ledger(COLUMNS, KEPT) if ledger is None else ledger
        self.breaker = Breaker(transport.probe, policy)
        self.began_s = time.perf_counter()
        self.recent_s: deque[float] = deque([device.fallback_ms * 1e-3], RECENT)
        # From a random start: no two clients, nor one before and after its restart, use the same ids.
        self.ids = count(secrets.randbits(63) + 1)
        self.lock = threading.Lock()

    @property
    def reserve_s(self) -> float:
        """Time kept for the fallback: its longest of late, and a margin."""
        with self.lock:
            return max(self.recent_s) * MARGIN + MARGIN_MS * 1e-3

    def request(self, inputs: Arrays, deadline_ms: float) -> Answer:
        """One request.

        Args:
            deadline_ms: from now, by when its answer is wanted.

        Raises:
            What head or fallback raise; the ledger then says that it was dropped.
        """
        start_s = time.perf_counter()
        features, trip, local_s = _Once(self.device.head, inputs), _Trip(why="the server is not asked"), 0.0
        place: Place = "dropped"
        try:
            if self.breaker.admits():
                trip = self._ask(features, start_s + deadline_ms * 1e-3 - self.reserve_s)
            if trip.reply is not None:
                outputs, place = trip.reply.tensors, self.tail.place
            else:
                outputs, local_s = self._alone(inputs, features)
                place = "fallback"
        finally:
            entry = self._entry(place, start_s, features.took_s + local_s, trip)
            entry = self._written(entry, deadline_ms)
        return Answer(outputs, entry, trip.why)

    def close(self) -> None:
        """End probes and connection."""
        self.breaker.close()
        self.transport.close()

    def _ask(self, features: _Once, until_s: float) -> _Trip:
        """Ask the server until then, and tell the breaker how it went."""
        trip, well = _Trip(), None
        try:
            made = features()
            try:
                request, message = self._message(made, until_s)
                trip.up_bytes, well = len(message), False
                trip.reply = self._answered(request, message, until_s, trip)
                well = True
            except (NoAnswer, BadInput) as error:
                trip.why = str(error)
        finally:
            self.breaker.record(well)
        return trip

    def _message(self, made: Arrays, until_s: float) -> tuple[Request, bytes]:
        left_s = until_s - time.perf_counter()
        if left_s <= 0:
            raise NoAnswer("no time is left to ask the server")
        request = Request(next(self.ids), self.tail.model, made, max(1, microseconds(left_s)))
        return request, wire.encode_request(request)

    def _answered(self, request: Request, message: bytes, until_s: float, trip: _Trip) -> Reply:
        """A right answer, in time.

        Raises:
            NoAnswer, BadInput: there is none.
        """
        began_s = time.perf_counter()
        try:
            data = self.transport.ask(message, until_s - began_s)
        finally:
            trip.waited_s = time.perf_counter() - began_s
        trip.down_bytes = len(data)
        reply = wire.decode_reply(data, request)
        if reply.status != "ok":
            raise NoAnswer(f"{reply.status}: {reply.text}")
        if {name: array.shape for name, array in reply.tensors.items()} != dict(self.tail.outputs):
            raise NoAnswer("the reply holds other outputs than the tail's")
        return reply

    def _alone(self, inputs: Arrays, features: _Once) -> tuple[Mapping[str, np.ndarray], float]:
        """The fallback's outputs, and what it took without the head."""
        head_s, began_s = features.took_s, time.perf_counter()
        outputs = self.device.fallback(inputs, features)
        took_s = time.perf_counter() - began_s
        with self.lock:
            self.recent_s.append(took_s)
        return outputs, took_s - (features.took_s - head_s)

    def _entry(self, place: Place, start_s: float, device_s: float, trip: _Trip) -> Entry:
        queue_ms = trip.reply.queue_us * 1e-3 if trip.reply else 0.0
        server_ms = trip.reply.compute_us * 1e-3 if trip.reply else 0.0
        return Entry(
            start_s=start_s - self.began_s,
            place=place,
            total_ms=(time.perf_counter() - start_s) * 1e3 if place != "dropped" else float("inf"),
            device_ms=device_s * 1e3,
            up_ms=max(0.0, trip.waited_s * 1e3 - queue_ms - server_ms),
            queue_ms=queue_ms,
            server_ms=server_ms,
            up_bytes=trip.up_bytes,
            down_bytes=trip.down_bytes,
        )

    def _written(self, entry: Entry, deadline_ms: float) -> Entry:
        entry = replace(entry, in_time=entry.total_ms <= deadline_ms)
        self.ledger.add(entry)
        return entry
