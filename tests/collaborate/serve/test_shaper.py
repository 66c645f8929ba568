"""Bytes through the shaper arrive whole, in order, and when the link says."""

import asyncio
import socket
import time

import pytest

from collaborate.serve.conftest import TOKEN
from collaborate.serve.test_client import DEVICE, TAIL, picture
from edgesmith.collaborate.links.link import Link, Outage
from edgesmith.collaborate.serve import shaper as shapers
from edgesmith.collaborate.serve.access import Access
from edgesmith.collaborate.serve.client import Client
from edgesmith.collaborate.serve.shaper import Shaper
from edgesmith.collaborate.serve.transport import Remote, Stream, Unary


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@pytest.fixture
def shaped(background):
    """Shapers before a server of one's own or one that sends back what it gets."""
    running = []

    def begin(link, port=None):
        async def start():
            target = port
            if target is None:
                server = await asyncio.start_server(echo, "127.0.0.1", 0)
                running.append(server)
                target = server.sockets[0].getsockname()[1]
            made = Shaper(link, target)
            running.append(made)
            return made, await made.start()

        return background.run(start())

    yield begin
    for one in running:
        if isinstance(one, Shaper):
            background.run(one.stop())
        else:
            background.loop.call_soon_threadsafe(one.close)


async def there_and_back(port, data):
    """What came back, and after how long."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    writer.write_eof()
    found = await reader.read(-1)
    writer.close()
    return found, time.monotonic() - began


def test_bytes_arrive_whole_and_as_late_as_the_link_says(background, shaped):
    """Connecting is one round trip of 20 ms each way, 50,000 bytes at 10 Mbit/s are 41 ms with their headers."""
    link = Link("l", mbps=10.0, down_mbps=1000.0, delay_ms=20.0)
    _, port = shaped(link)
    data = bytes(range(256)) * 196
    found, took_s = background.run(there_and_back(port, data))
    least_s = (4 * 20 + link.wire_bytes(len(data)) * 8 / 10e3) * 1e-3
    assert found == data and least_s <= took_s < least_s + 0.1


def test_losses_delay_and_lose_nothing(background, shaped):
    _, port = shaped(Link("l", mbps=100.0, delay_ms=2.0, jitter_ms=1.0, loss=0.3))
    data = bytes(range(251)) * 1000
    found, took_s = background.run(there_and_back(port, data))
    assert found == data and took_s < 5


def test_an_outage_holds_everything_up(background, shaped):
    _, port = shaped(Link("l", mbps=100.0, outages=(Outage(0.0, 0.4),)))
    found, took_s = background.run(there_and_back(port, b"x" * 5000))
    assert found == b"x" * 5000 and 0.3 < took_s < 0.8


def test_connections_share_the_rate(background, shaped):
    """Two at once of 25,000 bytes at 1 Mbit/s take 0.4 s: each alone would take half."""
    _, port = shaped(Link("l", mbps=1.0, down_mbps=1000.0, header_bytes=0))

    async def two():
        return await asyncio.gather(*(there_and_back(port, bytes(25_000)) for _ in range(2)))

    assert 0.38 < max(took_s for _, took_s in background.run(two())) < 0.6


def test_a_fast_sender_waits_instead_of_filling_the_memory(background, shaped, monkeypatch):
    monkeypatch.setattr(shapers, "MAX_AHEAD_BYTES", 32 << 10)
    made, port = shaped(Link("l", mbps=1.0))

    async def flood():
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.transport.set_write_buffer_limits(0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)  # else it holds MBs
        sent = 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.4):
                while True:
                    writer.write(bytes(16384))
                    await writer.drain()
                    sent += 16384
        writer.transport.abort()
        return sent

    assert background.run(flood()) < 512 << 10


def test_where_no_server_listens_the_connection_ends(background, shaped):
    _, port = shaped(Link("l", mbps=100.0), port=1)
    found, _ = background.run(there_and_back(port, b"x"))
    assert found == b""


@pytest.mark.parametrize("kind", [Unary, Stream])
def test_a_client_over_a_slow_link_measures_it(start, shaped, certificate, kind):
    cert, key = certificate
    _, address = start(access=Access(cert=cert, key=key, token=TOKEN))
    _, port = shaped(Link("l", mbps=50.0, delay_ms=15.0), address.port)
    client = Client(TAIL, DEVICE, kind(Remote("localhost", port, root=cert, token=TOKEN)))
    client.request(picture(), 3000)
    answer = client.request(picture(4.0), 3000)
    assert answer.outputs["y"][0] == 11 and 30 <= answer.entry.up_ms < 80
    client.close()


@pytest.mark.parametrize("kind", [Unary, Stream])
def test_a_cut_link_costs_no_request_its_deadline_and_heals(start, shaped, kind):
    _, address = start()
    made, port = shaped(Link("l", mbps=50.0, outages=(Outage(0.3, 0.6),)), address.port)
    client = Client(TAIL, DEVICE, kind(Remote("127.0.0.1", port)))
    places = []
    while made.began_s + 1.8 > time.monotonic():
        answer = client.request(picture(2.0), 60)
        assert answer.outputs["y"][0] == (7 if answer.entry.place == "split" else -3)
        assert answer.entry.total_ms < 60 + 25
        places.append(answer.entry.place)
        time.sleep(0.02)
    assert places[1] == places[-1] == "split" and "fallback" in places
    client.close()


@pytest.mark.parametrize("kind", [Unary, Stream])
def test_a_link_on_which_connecting_takes_long_is_connected(start, shaped, kind):
    """Three round trips of 160 ms before the first request is there; gRPC once gave up after 100 ms."""
    _, address = start()
    _, port = shaped(Link("far", mbps=10.0, delay_ms=80.0), address.port)
    client = Client(TAIL, DEVICE, kind(Remote("127.0.0.1", port)))
    try:
        places = [client.request(picture(float(turn)), deadline_ms=5000).entry.place for turn in range(3)]
    finally:
        client.close()
    assert places == ["split"] * 3
