"""A plan at work: each part in a process of its own behind a loopback socket, and answers that wait for no lost one."""

import hmac
import multiprocessing
import secrets
import selectors
import socket
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType

import numpy as np
import torch
from torch import nn

from edgesmith.collaborate.distributed.frames import FEATURES, HELLO, INPUTS, Frame, Incoming, packed
from edgesmith.collaborate.distributed.plan import Part, Plan, Reader, encoded
from edgesmith.core.errors import BadInput, EdgesmithError

LOOPBACK = "127.0.0.1"
CHUNK = 1 << 16
START_S = 120.0  # for a process to begin and to load its libraries on a busy machine
HELLO_S = 10.0  # for a connection to show its token
MISSES = 3  # deadlines in a row after which a device counts as lost


def serve(module: nn.Module, reader: Reader, example: np.ndarray, token: bytes, port: Connection) -> None:
    """What a device's process does: tell its port, take one connection with the token, answer until it closes."""
    torch.set_num_threads(1)
    encoded(module, reader(example))  # the first inference of a process is a slow one
    with socket.create_server((LOOPBACK, 0)) as server:
        port.send(server.getsockname()[1])
        port.close()
        server.settimeout(START_S)
        connection, _ = server.accept()
    with connection:
        incoming = Incoming()
        connection.settimeout(HELLO_S)
        frames = after_hello(connection, incoming, token)
        connection.settimeout(None)
        while frames is not None:
            for frame in frames:
                features = encoded(module, reader(frame.values))
                connection.sendall(packed(Frame(frame.request, FEATURES, features)))
            data = connection.recv(CHUNK)
            frames = incoming.feed(data) if data else None


def after_hello(connection: socket.socket, incoming: Incoming, token: bytes) -> list[Frame] | None:
    """The messages that came right behind the token; None where the first is not the token."""
    frames: list[Frame] = []
    while not frames:
        data = connection.recv(CHUNK)
        if not data:
            return None
        frames = incoming.feed(data)
    known = frames[0].kind == HELLO and hmac.compare_digest(frames[0].values.tobytes(), token)
    return frames[1:] if known else None


@dataclass
class Peer:
    """A device as the fusing process sees it.

    Attributes:
        misses: deadlines in a row that it did not meet.
    """

    part: Part
    process: BaseProcess
    connection: socket.socket
    incoming: Incoming = field(default_factory=Incoming)
    misses: int = 0

    def close(self) -> None:
        """End it, whatever it does."""
        self.connection.close()
        self.process.kill()  # a stopped process would not hear a request to end
        self.process.join(HELLO_S)


@dataclass(frozen=True)
class Answer:
    """What came of one request.

    Attributes:
        scores: (n, classes) float32.
        came: parts whose features are in it; the others count as zeros.
        waited_ms: from the request to the answer.
    """

    scores: np.ndarray
    came: tuple[str, ...]
    waited_ms: float


class Cluster:
    """A plan's parts in processes of their own; leave the `with` block and they end.

    Args:
        example: (1, ...) raw; every process works on it before it counts as begun.
        deadline_s: of an answer: parts that have not sent their features by then are left out.

    Raises:
        EdgesmithError: a process did not begin.
    """

    def __init__(self, plan: Plan, example: np.ndarray, deadline_s: float) -> None:
        self.plan, self.example, self.deadline_s, self.request = plan, example, deadline_s, 0
        self.peers: dict[str, Peer] = {}

    def __enter__(self) -> "Cluster":
        context = multiprocessing.get_context("spawn")
        started: dict[str, tuple[BaseProcess, Connection, bytes]] = {}
        for part in self.plan.parts:
            here, there = context.Pipe(duplex=False)
            token = secrets.token_bytes(32)
            process: BaseProcess = context.Process(
                target=serve, args=(part.module, self.plan.inputs[part.name], self.example, token, there), daemon=True
            )
            process.start()
            there.close()
            started[part.name] = (process, here, token)
        try:
            for part in self.plan.parts:
                process, here, token = started[part.name]
                self.peers[part.name] = Peer(part, process, connected(part.name, here, token))
        except EdgesmithError:
            self.__exit__(None, None, None)
            for process, _, _ in started.values():
                process.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in tuple(self.peers):
            self.lose(name)

    def lose(self, name: str) -> None:
        """Give a device up: its process ends, its features are missing from now on."""
        self.peers.pop(name).close()

    def answer(self, raw: np.ndarray) -> Answer:
        """Scores of raw inputs (n, ...), by the deadline, from the devices that met it.

        Raises:
            EdgesmithError: no device met it, or there is none left.
        """
        begin = time.monotonic()
        self.request = (self.request + 1) % (1 << 32)
        message = packed(Frame(self.request, INPUTS, raw))
        asked = [name for name in tuple(self.peers) if self._sent(name, message, begin + self.deadline_s)]
        found = self._collected(asked, len(raw), begin + self.deadline_s)
        for name in asked:
            if name in self.peers:
                self.peers[name].misses = 0 if name in found else self.peers[name].misses + 1
                if self.peers[name].misses >= MISSES:
                    self.lose(name)
        if not found:
            raise EdgesmithError(
                f"cluster: none of {len(self.plan.parts)} devices answered within {self.deadline_s:g} s; need at "
                "least one. Give more time, or start the cluster again."
            )
        scores = self.plan.fused(found)
        return Answer(scores, tuple(found), (time.monotonic() - begin) * 1e3)

    def _sent(self, name: str, message: bytes, until_s: float) -> bool:
        """Whether a device took the message in time; one that did not is given up, for half a message is no start."""
        try:
            self.peers[name].connection.settimeout(max(until_s - time.monotonic(), 1e-3))
            self.peers[name].connection.sendall(message)
        except OSError:
            self.lose(name)
            return False
        return True

    def _collected(self, asked: list[str], n: int, until_s: float) -> dict[str, np.ndarray]:
        """Features of this request that came in time, by part in the plan's order."""
        found: dict[str, np.ndarray] = {}
        with selectors.DefaultSelector() as selector:
            for name in asked:
                if name in self.peers:
                    selector.register(self.peers[name].connection, selectors.EVENT_READ, name)
            while selector.get_map() and (left := until_s - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    if self._heard(key.data, n, found):
                        selector.unregister(key.fileobj)
        return {name: found[name] for name in self.plan.names if name in found}

    def _heard(self, name: str, n: int, found: dict[str, np.ndarray]) -> bool:
        """Take what a device sent; whether nothing more is to be waited for from it."""
        peer = self.peers[name]
        try:
            data = peer.connection.recv(CHUNK)
            frames = peer.incoming.feed(data)
        except (OSError, BadInput):
            data, frames = b"", []
        fitting = [f for f in frames if f.request == self.request and f.kind == FEATURES]
        if fitting and fitting[0].values.shape == (n, peer.part.width):
            found[name] = fitting[0].values
            return True
        if not data or fitting:  # it is gone, or says what no device of this plan would say
            self.lose(name)
            return True
        return False


def connected(name: str, port: Connection, token: bytes) -> socket.socket:
    """A connection to a process that has begun, the token shown.

    Raises:
        EdgesmithError: it did not begin in time.
    """
    try:
        if not port.poll(START_S):
            raise EdgesmithError(f"cluster: the process of {name} did not begin within {START_S:g} s.")
        connection = socket.create_connection((LOOPBACK, port.recv()), HELLO_S)
        connection.sendall(packed(Frame(0, HELLO, np.frombuffer(token, np.uint8))))
    except (EOFError, OSError) as error:
        raise EdgesmithError(f"cluster: the process of {name} ended before it began ({error}).") from error
    finally:
        port.close()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def lost_classes(plan: Plan, came: Collection[str]) -> tuple[int, ...]:
    """Classes whose own part is missing."""
    return tuple(sorted(index for part in plan.parts if part.name not in came for index in part.classes))
