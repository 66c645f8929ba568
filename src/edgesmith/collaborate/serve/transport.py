"""How a client's messages reach a server: one call for each, or one stream for all."""

import contextlib
import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc

from edgesmith.collaborate.serve.access import SCHEME, is_loopback
from edgesmith.collaborate.serve.calls import ASK, CHECK, SERVING, STREAM
from edgesmith.collaborate.serve.wire import MAX_BYTES, request_id
from edgesmith.core.errors import BadInput

MAX_UNSENT = 256  # messages that a stream has not taken yet
# gRPC waits up to two minutes before it tries again; a device that moves about should know sooner.
RECONNECT_MS = (100, 2000)
CONNECT_MS = 5000  # for which one attempt may take: gRPC calls it the least time between two
KEEPALIVE_MS, KEEPALIVE_TIMEOUT_MS = 10_000, 5_000
LATE_S = 0.004  # by which gRPC ends a call after its deadline: measured 1.7 to 4 ms


class NoAnswer(Exception):
    """The server did not answer: too late, unreachable, refused."""


@dataclass(frozen=True)
class Remote:
    """A server to reach.

    Attributes:
        root: PEM of the certificate, or of who signed it; b"" speaks without TLS.
        token: what the server asks for.

    Raises:
        BadInput: off loopback without TLS: whoever listens would read the token and the data.
    """

    host: str
    port: int
    root: bytes = field(default=b"", repr=False)
    token: str = field(default="", repr=False)
    max_bytes: int = MAX_BYTES

    def __post_init__(self) -> None:
        if not is_loopback(self.host) and not self.root:
            raise BadInput(f"serve: {self.host} is not loopback; need the server's certificate, to speak TLS.")

    def channel(self) -> Any:
        """A new connection, shared with none."""
        target = f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
        if self.root:
            return grpc.secure_channel(target, grpc.ssl_channel_credentials(self.root), self._options())
        return grpc.insecure_channel(target, self._options())

    def _options(self) -> tuple[tuple[str, int], ...]:
        least, most = RECONNECT_MS
        return (
            ("grpc.max_receive_message_length", self.max_bytes),
            ("grpc.max_send_message_length", self.max_bytes),
            ("grpc.use_local_subchannel_pool", 1),  # else a new channel goes on with the dead connection of the old
            ("grpc.enable_http_proxy", int(not is_loopback(self.host))),
            ("grpc.enable_retries", 0),  # whether to try again is the client's to say, it has a deadline
            ("grpc.initial_reconnect_backoff_ms", least),
            ("grpc.min_reconnect_backoff_ms", CONNECT_MS),
            ("grpc.max_reconnect_backoff_ms", most),
            ("grpc.keepalive_time_ms", KEEPALIVE_MS),
            ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
            ("grpc.keepalive_permit_without_calls", 1),
        )

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """That every call brings."""
        return (("authorization", f"{SCHEME}{self.token}"),) if self.token else ()


class Transport(Protocol):
    """What a client needs; safe to use from several threads."""

    def ask(self, message: bytes, timeout_s: float) -> bytes:
        """The reply's bytes, within the time.

        Raises:
            NoAnswer: none came.
        """

    def probe(self, timeout_s: float) -> bool:
        """Whether the server says over a new connection that it serves; if so, that connection is used from now on."""

    def close(self) -> None:
        """End; who still waits gets NoAnswer."""


class Unary:
    """One call for each message."""

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        self._use(remote.channel())

    def _use(self, channel: Any) -> None:
        self.channel, self.call = channel, channel.unary_unary(ASK)

    def ask(self, message: bytes, timeout_s: float) -> bytes:
        """See Transport. gRPC's own clock ends the call, whatever the connection does."""
        try:
            return bytes(self.call(message, timeout=max(timeout_s - LATE_S, 0.0), metadata=self.remote.metadata))
        except (grpc.RpcError, ValueError) as error:  # ValueError: the channel was closed
            raise NoAnswer(said(error)) from error

    def probe(self, timeout_s: float) -> bool:
        """See Transport."""
        channel = self.remote.channel()
        if not healthy(channel, timeout_s):
            channel.close()
            return False
        old = self.channel
        self._use(channel)
        old.close()
        return True

    def close(self) -> None:
        """See Transport."""
        self.channel.close()


def healthy(channel: Any, timeout_s: float) -> bool:
    """Whether the server says that it serves."""
    try:
        return bytes(channel.unary_unary(CHECK)(b"", timeout=timeout_s, wait_for_ready=True)) == SERVING
    except (grpc.RpcError, ValueError):
        return False


def said(error: Exception) -> str:
    """Why there is no answer, in a line."""
    if not isinstance(error, grpc.RpcError):
        return "the connection was closed"
    code = error.code() if callable(getattr(error, "code", None)) else None
    return code.name.lower().replace("_", " ") if code else "no answer"


class _Slot:
    """Where one caller waits for its reply."""

    def __init__(self) -> None:
        self.filled = threading.Event()
        self.data: bytes | None = None

    def fill(self, data: bytes | None) -> None:
        self.data = data
        self.filled.set()


class _Live:
    """One open stream and a thread that hands its replies to who asked."""

    def __init__(self, channel: Any, metadata: tuple[tuple[str, str], ...]) -> None:
        self.outgoing: queue.Queue[bytes | None] = queue.Queue(MAX_UNSENT)
        self.waiting: dict[int, _Slot] = {}
        self.lock = threading.Lock()
        self.why = ""
        self.call = channel.stream_stream(STREAM)(iter(self.outgoing.get, None), metadata=metadata)
        threading.Thread(target=self._read, args=(iter(self.call),), daemon=True, name="edgesmith-stream").start()

    def send(self, message: bytes) -> _Slot:
        """Send, and where to wait."""
        slot = _Slot()
        with self.lock:
            if self.why:
                raise NoAnswer(self.why)
            try:
                self.outgoing.put_nowait(message)
            except queue.Full:
                raise NoAnswer("the stream takes no more") from None
            self.waiting[request_id(message)] = slot
        return slot

    def forget(self, message: bytes) -> None:
        """Nobody waits for this one any more; its reply is dropped."""
        with self.lock:
            self.waiting.pop(request_id(message), None)

    def end(self, why: str) -> None:
        """No more; who waits learns it."""
        with self.lock:
            self.why = self.why or why
            left = list(self.waiting.values())
            self.waiting.clear()
            with contextlib.suppress(queue.Empty):  # gRPC's thread takes from it, too
                while True:
                    self.outgoing.get_nowait()
            self.outgoing.put_nowait(None)  # ends gRPC's thread, too
        self.call.cancel()
        for slot in left:
            slot.fill(None)

    def _read(self, replies: Iterator[bytes]) -> None:
        why = "the stream ended"
        try:
            for data in replies:
                with self.lock:
                    slot = self.waiting.pop(request_id(data), None)
                if slot:
                    slot.fill(bytes(data))
        except grpc.RpcError as error:
            why = said(error)
        self.end(why)


class Stream:
    """One stream for all messages, opened again when it breaks; a reply finds who asked by its id."""

    def __init__(self, remote: Remote) -> None:
        self.remote, self.channel = remote, remote.channel()
        self.lock = threading.Lock()
        self.live: _Live | None = None

    def ask(self, message: bytes, timeout_s: float) -> bytes:
        """See Transport. A wait on an event with a time ends the call, whatever the connection does."""
        until_s = time.monotonic() + timeout_s
        live = self._opened()
        slot = live.send(message)
        if not slot.filled.wait(until_s - time.monotonic()):
            live.forget(message)
            raise NoAnswer("deadline exceeded")
        if slot.data is None:
            raise NoAnswer(live.why)
        return slot.data

    def _opened(self) -> _Live:
        with self.lock:
            if self.live is None or self.live.why:
                try:
                    self.live = _Live(self.channel, self.remote.metadata)
                except ValueError as error:
                    raise NoAnswer(said(error)) from error
            return self.live

    def probe(self, timeout_s: float) -> bool:
        """See Transport."""
        channel = self.remote.channel()
        if not healthy(channel, timeout_s):
            channel.close()
            return False
        self._drop(channel)
        return True

    def close(self) -> None:
        """See Transport."""
        self._drop(None)

    def _drop(self, channel: Any) -> None:
        """Go on with another channel, or with none."""
        with self.lock:
            live, self.live = self.live, None
            old = self.channel
            if channel is not None:
                self.channel = channel
        if live:
            live.end("the connection was closed")
        old.close()
