"""The server: gRPC below, a service of one model above, limits and an orderly end between.

Methods, all of plain bytes (see `wire`): `/edgesmith.Split/Ask`, one request and its reply; `/edgesmith.Split/Stream`,
any number both ways, replies as they are ready. `/grpc.health.v1.Health/Check` answers as gRPC's own health service.
"""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio

from edgesmith.collaborate.serve.access import Access, admits
from edgesmith.collaborate.serve.batches import InferMany
from edgesmith.collaborate.serve.calls import CHECK, HEALTH, NOT_SERVING, SERVICE, SERVING
from edgesmith.collaborate.serve.limits import Limits
from edgesmith.collaborate.serve.metrics import Metrics, Page
from edgesmith.collaborate.serve.service import Service
from edgesmith.core.errors import BadInput

MAX_UNSENT = 64  # replies of one stream that its client has not taken; then no more of it is read
MAX_METADATA_BYTES = 8192


@dataclass(frozen=True)
class Address:
    """Where a server was found to listen; 0 for no metrics."""

    host: str
    port: int
    metrics_port: int


class Server:
    """A service that listens.

    Args:
        model: sha256 of the model.
    """

    def __init__(self, model: bytes, infer_many: InferMany, access: Access, limits: Limits | None = None) -> None:
        self.model, self.infer_many, self.access = model, infer_many, access
        self.limits = limits or Limits()
        self.metrics = Metrics()
        self.streams = 0

    async def start(self, metrics_port: int | None = None) -> Address:
        """Listen.

        Args:
            metrics_port: on loopback; 0 picks a free one, None has none.

        Raises:
            BadInput: a port is taken, or the certificate or key is none.
        """
        self.ending = asyncio.Event()
        self.service = Service(self.model, self.infer_many, self.limits, self.metrics)
        self.page = Page(self.metrics, lambda: not self.service.closing)
        self.grpc = _grpc_server(self)
        try:
            self.metrics_port = 0 if metrics_port is None else await self.page.start(metrics_port)
            port = _listen(self.grpc, self.access)
            await self.grpc.start()
        except (OSError, RuntimeError, BadInput) as error:
            await self._release()
            raise BadInput(f"serve: cannot listen on {self.access.address}: {error}") from error
        return Address(self.access.host, port, self.metrics_port)

    async def stop(self, grace_s: float | None = None) -> None:
        """Refuse what is new, let what is in flight end, at most for the grace; called again, the shorter counts."""
        self.service.closing = True
        self.ending.set()
        await self.grpc.stop(self.limits.grace_s if grace_s is None else grace_s)
        await self._release()

    async def _release(self) -> None:
        self.service.batches.close()
        if getattr(self.page, "server", None):
            await self.page.stop()

    async def ask(self, message: bytes, _: Any) -> bytes:
        """The unary call."""
        return await self.service.answer(message)

    async def stream(self, messages: AsyncIterator[bytes], context: Any) -> None:
        """The streaming call; ends with the client's half, or with the server once all taken requests are answered."""
        if self.streams >= self.limits.max_streams:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{self.streams} streams are open")
        self.streams += 1
        try:
            await self._stream(messages, context)
        finally:
            self.streams -= 1

    async def _stream(self, messages: AsyncIterator[bytes], context: Any) -> None:
        room, writing = asyncio.Semaphore(MAX_UNSENT), asyncio.Lock()
        tasks: set[asyncio.Task[None]] = set()

        async def one(message: bytes) -> None:
            try:
                answer = await self.service.answer(message)
                async with writing:
                    await context.write(answer)
            finally:
                room.release()

        async def read() -> None:
            async for message in messages:
                await room.acquire()
                task = asyncio.create_task(one(message))
                tasks.add(task)
                task.add_done_callback(tasks.discard)

        try:
            await _first(read(), self.ending.wait())
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def check(self, _message: bytes, _: Any) -> bytes:
        """Health."""
        return NOT_SERVING if self.service.closing else SERVING


async def _first(*parts: Any) -> None:
    """Until one of them ends; the others are given up, its error is raised."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()


class Token(grpc.aio.ServerInterceptor):
    """Calls without the token end before anything of theirs is read. Health is free: it says nothing of anybody."""

    def __init__(self, token: str, metrics: Metrics) -> None:
        self.token, self.metrics = token, metrics

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        """gRPC's hook."""
        given = dict(details.invocation_metadata or ()).get("authorization", "")
        if details.method == CHECK or admits(self.token, given):
            return await continuation(details)
        self.metrics.refused.inc()
        return grpc.stream_stream_rpc_method_handler(_refuse)


async def _refuse(_: Any, context: Any) -> None:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "need the server's token")


def _grpc_server(server: Server) -> Any:
    limits = server.limits
    options = (
        ("grpc.max_receive_message_length", limits.max_bytes),
        ("grpc.max_send_message_length", limits.max_bytes),
        ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.max_allowed_incoming_connections", limits.max_connections),
        # Of one connection: more than are taken, so that the rest learn that it is busy instead of waiting unseen.
        ("grpc.max_concurrent_streams", 2 * limits.max_in_flight + 16),
        ("grpc.so_reuseport", 0),  # a port in use is an error, not shared
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 5000),  # clients look for a dead link every 10 s
    )
    interceptors = (Token(server.access.token, server.metrics),) if server.access.token else ()
    # Beyond what is answered as busy gRPC itself refuses, before it reads a message. A stream counts as one call.
    most = 2 * limits.max_in_flight + limits.max_streams
    made = grpc.aio.server(interceptors=interceptors, options=options, maximum_concurrent_rpcs=most)
    unary, stream = grpc.unary_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
    calls = {"Ask": unary(server.ask), "Stream": stream(server.stream)}
    made.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(SERVICE, calls),
            grpc.method_handlers_generic_handler(HEALTH, {"Check": unary(server.check)}),
        )
    )
    return made


def _listen(server: Any, access: Access) -> int:
    if not access.cert:
        return int(server.add_insecure_port(access.address))
    credentials = grpc.ssl_server_credentials([(access.key, access.cert)])
    return int(server.add_secure_port(access.address, credentials))


async def serve(server: Server, metrics_port: int | None, ready: Callable[[Address], None]) -> None:
    """Listen until SIGTERM or SIGINT, then end in order; a second signal ends at once.

    Args:
        ready: called once with where it listens.

    Raises:
        BadInput: see `Server.start`.
    """
    told = asyncio.Event()
    address = await server.start(metrics_port)
    with on_signals(told.set):
        ready(address)
        await told.wait()
        told.clear()
        stopping = asyncio.create_task(server.stop())
        again = asyncio.create_task(told.wait())
        await asyncio.wait((stopping, again), return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            await server.grpc.stop(0)
        again.cancel()
        await stopping


@contextlib.contextmanager
def on_signals(call: Callable[[], None]) -> Any:
    """Within it SIGTERM and SIGINT only make the loop call.

    Through the loop's own handlers, which wake it: one of `signal.signal` runs when the loop next does, and a signal
    between its last step and its wait for events would have been heard only at the next request.
    """
    loop, before = asyncio.get_running_loop(), {}
    for number in (signal.SIGTERM, signal.SIGINT):
        before[number] = signal.getsignal(number)
        loop.add_signal_handler(number, call)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
