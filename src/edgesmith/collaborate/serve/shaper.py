"""A real connection over a described link: a TCP proxy whose bytes take the time that `Channel` says.

It works below gRPC and TLS and needs no privileges. All connections share the link, one channel each way, as the
devices of one cell do. TCP's own machinery runs on loopback and loses nothing: a lost packet shows as the delay until
its repetition arrives, for it and for all that follows.
"""

import asyncio
import contextlib
import math
import socket
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from edgesmith.collaborate.links.channel import Channel
from edgesmith.collaborate.links.link import Link

PACKETS = 10  # that are read at once: TCP's first window, RFC 6928
MAX_AHEAD_BYTES = 256 << 10  # of one connection and direction on the link; then its sender has to wait
SOCKET_BYTES = 64 << 10  # the kernel's own buffers would hold megabytes more
CONNECT_SECONDS = 5.0


class Shaper:
    """A proxy to one server. Make it inside an event loop.

    Args:
        seed: of losses and jitter.
    """

    def __init__(self, link: Link, port: int, host: str = "127.0.0.1", seed: int = 0) -> None:
        self.link, self.target = link, (host, port)
        self.up, self.down = Channel(link, seed), Channel(link, seed, down=True)
        self.chunk_bytes = PACKETS * link.payload_bytes
        self.connections: set[asyncio.Task[Any]] = set()

    async def start(self, port: int = 0) -> int:
        """Listen on loopback; the port, which 0 lets the system pick. The link's time begins here.

        Raises:
            OSError: the port is taken.
        """
        listening = socket.create_server(("127.0.0.1", port), backlog=1024)
        _bound(listening)
        self.server = await asyncio.start_server(self._serve, sock=listening, limit=self.chunk_bytes)
        self.began_s = asyncio.get_running_loop().time()
        return int(listening.getsockname()[1])

    async def stop(self) -> None:
        """End, and every connection with it."""
        self.server.close()
        for task in self.connections:
            task.cancel()
        await asyncio.gather(*self.connections, return_exceptions=True)

    def now_s(self) -> float:
        """The link's time."""
        return asyncio.get_running_loop().time() - self.began_s

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.connections.add(task)
        try:
            async with _closing(writer), self._upstream() as (there, back):
                await _both(self._pump(reader, back, self.up), self._pump(there, writer, self.down))
        except (OSError, TimeoutError):
            pass  # either side is gone; the other is closed with it
        except asyncio.CancelledError:
            pass  # by stop; the streams' own callback takes a cancelled task for a fault
        finally:
            self.connections.discard(task)

    @contextlib.asynccontextmanager
    async def _upstream(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection to the server, once the request for it has crossed the link and its answer come back."""
        await self._until(self.up.send(self.now_s(), 0).arrive_s)
        connecting = asyncio.open_connection(*self.target, limit=self.chunk_bytes)
        reader, writer = await asyncio.wait_for(connecting, CONNECT_SECONDS)
        async with _closing(writer):
            await self._until(self.down.send(self.now_s(), 0).arrive_s)
            yield reader, writer

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, channel: Channel) -> None:
        """Carry one direction of one connection until its end has crossed."""
        _bound(writer.get_extra_info("socket"))
        pipe = _Pipe()
        await _both(self._take(reader, pipe, channel), self._give(pipe, writer))

    async def _take(self, reader: asyncio.StreamReader, pipe: "_Pipe", channel: Channel) -> None:
        data = b"-"
        while data:
            await pipe.room()
            data = await reader.read(self.chunk_bytes)
            pipe.put(channel.send(self.now_s(), len(data)).arrive_s, data)  # the end is an empty message

    async def _give(self, pipe: "_Pipe", writer: asyncio.StreamWriter) -> None:
        while True:
            arrive_s, data = await pipe.first()
            await self._until(arrive_s)
            if not data:
                writer.write_eof() if writer.can_write_eof() else writer.close()
                return
            writer.write(data)
            await writer.drain()
            pipe.drop()

    async def _until(self, moment_s: float) -> None:
        if moment_s == math.inf:  # the link never comes back
            await asyncio.Event().wait()
        await asyncio.sleep(max(0.0, moment_s - self.now_s()))


class _Pipe:
    """What of one connection is on the link: bounded, first in, first out."""

    def __init__(self) -> None:
        self.chunks: deque[tuple[float, bytes]] = deque()
        self.nbytes = 0
        self.some, self.free = asyncio.Event(), asyncio.Event()
        self.free.set()

    def put(self, arrive_s: float, data: bytes) -> None:
        self.chunks.append((arrive_s, data))
        self.nbytes += len(data)
        self.some.set()
        if self.nbytes >= MAX_AHEAD_BYTES:
            self.free.clear()

    async def room(self) -> None:
        """Wait until more may be put."""
        await self.free.wait()

    async def first(self) -> tuple[float, bytes]:
        """The oldest, which stays and counts until it is dropped."""
        await self.some.wait()
        return self.chunks[0]

    def drop(self) -> None:
        _, data = self.chunks.popleft()
        self.nbytes -= len(data)
        if not self.chunks:
            self.some.clear()
        if self.nbytes < MAX_AHEAD_BYTES:
            self.free.set()


def _bound(connection: Any) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BYTES)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
    if connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@contextlib.asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.close()


async def _both(*parts: Any) -> None:
    """Until all have ended; where one fails the others are given up."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
