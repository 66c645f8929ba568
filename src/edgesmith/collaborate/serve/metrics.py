"""What a server counts, in Prometheus' text format, over HTTP on a port of its own on loopback."""

import asyncio
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

# From 50 us, a call without a model, to 5 s, beyond which nobody waits.
SECONDS = (5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
BATCHES = (1, 2, 4, 8, 16, 32, 64)
MAX_HEAD_BYTES = 8192
HEAD_SECONDS = 5.0
MAX_READERS = 16


class Metrics:
    """The figures of one server."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.requests = Counter("edgesmith_requests", "Requests answered, by status.", ["status"], registry=registry)
        self.refused = Counter("edgesmith_refused", "Calls without the right token.", registry=registry)
        self.received = Counter("edgesmith_received_bytes", "Of messages, as they came.", registry=registry)
        self.sent = Counter("edgesmith_sent_bytes", "Of messages, as they left.", registry=registry)
        self.queue = self._seconds("queue", "From arrival until the model began.")
        self.compute = self._seconds("compute", "In the model.")
        self.in_flight = Gauge("edgesmith_in_flight", "Requests taken and not answered.", registry=registry)
        self.batches = Histogram("edgesmith_batch", "Requests in a batch.", buckets=BATCHES, registry=registry)

    def _seconds(self, name: str, text: str) -> Histogram:
        return Histogram(f"edgesmith_{name}_seconds", text, buckets=SECONDS, registry=self.registry)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self.registry)


class Page:
    """`/metrics` and `/healthz` on a loopback port.

    Args:
        healthy: whether the server takes requests.
    """

    def __init__(self, metrics: Metrics, healthy: Callable[[], bool]) -> None:
        self.metrics, self.healthy = metrics, healthy
        self.readers = 0

    async def start(self, port: int) -> int:
        """Listen; the port, which 0 lets the system pick.

        Raises:
            OSError: the port is taken.
        """
        self.server = await asyncio.start_server(self._answer, "127.0.0.1", port, limit=MAX_HEAD_BYTES)
        return int(self.server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """End; whoever still reads is cut off."""
        self.server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.readers += 1
        try:
            if self.readers <= MAX_READERS:
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_SECONDS)
                writer.write(self._page(head.split(b"\r\n")[0]))
                await asyncio.wait_for(writer.drain(), HEAD_SECONDS)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asks so badly gets no answer
        finally:
            self.readers -= 1
            writer.close()

    def _page(self, line: bytes) -> bytes:
        if line.startswith(b"GET /metrics "):
            return _http("200 OK", self.metrics.text(), CONTENT_TYPE_LATEST)
        if line.startswith(b"GET /healthz "):
            return _http("200 OK", b"ok\n") if self.healthy() else _http("503 Service Unavailable", b"closing\n")
        return _http("404 Not Found", b"/metrics or /healthz\n")


def _http(status: str, body: bytes, kind: str = "text/plain") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body
