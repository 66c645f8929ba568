"""The server answers rightly or says why not, keeps its bounds, and ends in order."""

import asyncio
import contextlib
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest

from collaborate.serve.conftest import MODEL, TOKEN, message, sleepy, tail
from edgesmith.collaborate.serve import wire
from edgesmith.collaborate.serve.access import Access, admits, read_token
from edgesmith.collaborate.serve.calls import CHECK, NOT_SERVING, SERVING, STREAM
from edgesmith.collaborate.serve.limits import Limits
from edgesmith.collaborate.serve.server import on_signals
from edgesmith.core.errors import BadInput


def code(call):
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return raised.value.code()


def test_the_package_loads_without_torch():
    names = "access background batches breaker calls client limits metrics server service shaper transport wire"
    script = f"import sys, importlib; [importlib.import_module('edgesmith.collaborate.serve.' + n) for n in '{names}'"
    done = subprocess.run([sys.executable, "-c", f"{script}.split()]; assert 'torch' not in sys.modules"])
    assert done.returncode == 0


def test_a_request_is_answered_with_the_time_it_took(start, call):
    _, address = start(sleepy(0.02))
    reply = call(address.port).ask(3.0)
    assert reply.status == "ok" and reply.tensors["y"].tolist() == [7.0] * 4
    assert reply.compute_us >= 20_000 and reply.queue_us < 100_000


def test_a_stream_answers_each_request_by_its_id(start, call):
    _, address = start()
    asked = {id_: message(id_, id_) for id_ in range(1, 101)}
    replies = call(address.port).channel.stream_stream(STREAM)(iter(data for _, data in asked.values()), timeout=5)
    seen = set()
    for data in replies:
        request, _ = asked[wire.request_id(data)]
        seen.add(request.id)
        assert wire.decode_reply(data, request).tensors["y"].tolist() == [2.0 * request.id + 1] * 4
    assert seen == set(asked)


def test_a_stream_whose_client_does_not_read_is_no_longer_read(start, call):
    """Else the replies would pile up: 64 unsent, and what flow control lets through, but not all 2,000."""
    big = np.zeros(100_000, np.float32)
    server, address = start(lambda _: {"y": big}, max_bytes=1 << 20)
    taken = []

    def endless():
        for id_ in range(1, 2001):
            taken.append(id_)
            yield message(0.0, id_)[1]

    replies = call(address.port).channel.stream_stream(STREAM)(endless(), timeout=5)
    time.sleep(1.0)
    assert server.metrics.requests.labels("ok")._value.get() < 500
    replies.cancel()


def test_garbage_wrong_versions_and_wrong_models_are_answered_as_errors(start, call):
    _, address = start()
    caller = call(address.port)
    request, good = message(1.0, 5)
    newer = bytearray(good)
    newer[4] = 2
    other = wire.encode_request(wire.Request(5, bytes(32), request.tensors))
    for data, said in (
        (b"garbage", "7 bytes"),
        (bytes(newer), "version 2"),
        (other, "for the model"),
        (good[:-1], "head"),
    ):
        reply = wire.decode_reply(caller.raw(data), request)
        assert reply.status == "error" and said in reply.text
    assert caller.ask(1.0).status == "ok"


def test_what_is_too_large_is_not_read(start, call):
    _, address = start(max_bytes=10_000)
    caller = call(address.port)
    assert code(lambda: caller.raw(bytes(10_001))) == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caller.ask(1.0).status == "ok"


def test_outputs_that_are_too_large_are_an_error(start, call):
    _, address = start(lambda _: {"y": np.zeros(10_000, np.float32)}, max_bytes=10_000)
    reply = call(address.port).ask(1.0)
    assert reply.status == "error" and "need at most 10,000" in reply.text


def test_a_model_that_fails_fails_alone_and_keeps_its_secrets(start, call, caplog):
    def infer(inputs):
        if inputs["x"][0] == 13:
            raise BadInput("run: 13 is no input.")
        if inputs["x"][0] == 14:
            raise ZeroDivisionError("a path of the server's")
        return tail(inputs)

    _, address = start(infer)
    caller = call(address.port)
    assert (caller.ask(13.0).status, caller.ask(13.0).text) == ("error", "run: 13 is no input.")
    assert caller.ask(14.0).text == "the model failed: ZeroDivisionError"
    assert caller.ask(15.0).tensors["y"][0] == 31


def test_beyond_the_queue_and_the_flight_the_server_is_busy_at_once(start, call):
    _, address = start(sleepy(0.3), max_queue=2, max_in_flight=3, batch=1)
    caller = call(address.port)
    calls = [(message(id_, id_)[0], caller.later(message(id_, id_)[1])) for id_ in range(1, 9)]
    replies = [wire.decode_reply(later.result(), request) for request, later in calls]
    counts = [reply.status for reply in replies]
    assert counts.count("ok") == 3 and counts.count("busy") == 5
    assert all(r.tensors["y"][0] == 2 * r.id + 1 for r in replies if r.status == "ok")


def test_clients_share_batches(start, call):
    sizes = []

    def many(batch):
        sizes.append(len(batch))
        return [tail(inputs) for inputs in batch]

    _, address = start(many=many, batch=4, batch_wait_ms=200)
    callers = [call(address.port) for _ in range(4)]
    calls = [(message(n, n + 1), callers[n].later(message(n, n + 1)[1])) for n in range(4)]
    for (request, _), later in calls:
        assert wire.decode_reply(later.result(), request).tensors["y"][0] == 2 * request.tensors["x"][0] + 1
    assert max(sizes) > 1 and sum(sizes) == 4


@pytest.mark.parametrize("many", [lambda batch: [], lambda batch: 1 / 0, lambda batch: iter(())])
def test_a_batch_that_gives_too_little_is_an_error(start, call, many):
    _, address = start(many=many)
    caller = call(address.port)
    assert "the model failed" in caller.ask(1.0).text and caller.ask(1.0).status == "error"


def test_the_model_is_not_asked_for_those_who_no_longer_wait(start, call):
    _, address = start(sleepy(0.2), batch=1)
    caller = call(address.port)
    (first, data), (second, late) = message(1.0, 1), message(2.0, 2, patience_us=50_000)
    one = caller.later(data)
    time.sleep(0.05)
    other = caller.later(late)
    assert wire.decode_reply(one.result(), first).status == "ok"
    assert wire.decode_reply(other.result(), second).status == "late"


def test_more_connections_than_agreed_are_closed(start, call):
    _, address = start(max_connections=2)
    first, second = call(address.port), call(address.port)
    assert first.ask(1.0).status == second.ask(1.0).status == "ok"
    third = call(address.port)
    assert code(lambda: third.raw(message(1.0)[1], timeout=1.0)) in (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
    )
    assert first.ask(2.0).status == "ok"


def test_idle_connections_do_no_harm(start, call):
    _, address = start()
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(socket.create_connection(("127.0.0.1", address.port)))
        assert call(address.port).ask(1.0).status == "ok"


def test_calls_without_the_token_are_refused(start, call):
    server, address = start(access=Access(token=TOKEN))
    for token in ("", "wrong" * 5, TOKEN + "x"):
        caller = call(address.port, token=token)
        assert code(lambda caller=caller: caller.raw(message(1.0)[1])) == grpc.StatusCode.UNAUTHENTICATED
    assert call(address.port, token=TOKEN).ask(1.0).status == "ok"
    assert call(address.port).raw(b"", CHECK) == SERVING
    assert b"edgesmith_refused_total 3.0" in server.metrics.text()


def test_tls_and_token_together(start, call, certificate):
    cert, key = certificate
    _, address = start(access=Access(host="0.0.0.0", cert=cert, key=key, token=TOKEN))
    caller = call(address.port, grpc.ssl_channel_credentials(cert), token=TOKEN, host="localhost")
    assert caller.ask(4.0).tensors["y"][0] == 9


def test_off_loopback_it_needs_tls_and_a_token():
    for words in ({}, {"token": TOKEN}, {"cert": b"c", "key": b"k"}):
        with pytest.raises(BadInput, match="is not loopback"):
            Access(host="0.0.0.0", **words)
    with pytest.raises(BadInput, match="TLS needs both"):
        Access(cert=b"c")
    assert TOKEN not in repr(Access(token=TOKEN))


def test_a_token_comes_from_a_file_or_the_environment(tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    assert read_token(file, {"EDGESMITH_TOKEN": "other" * 5}) == TOKEN
    assert read_token(None, {"EDGESMITH_TOKEN": TOKEN}) == TOKEN and read_token(None, {}) == ""
    for text in ("short", "a" * 1025, "spaces in a long token"):
        file.write_text(text)
        with pytest.raises(BadInput, match="need 16 to 1024"):
            read_token(file, {})
    with pytest.raises(BadInput, match="cannot be read"):
        read_token(tmp_path / "none", {})
    assert admits(TOKEN, f"Bearer {TOKEN}") and not admits(TOKEN, TOKEN) and not admits(TOKEN, b"\xff")


def test_a_port_in_use_and_a_bad_certificate_are_said(start, background):
    _, address = start()
    with pytest.raises(BadInput, match="cannot listen on"):
        start(access=Access(port=address.port))
    with pytest.raises(BadInput, match="cannot listen on"):
        start(access=Access(cert=b"no certificate", key=b"no key"))
    with pytest.raises(BadInput, match="batch is 0"):
        Limits(batch=0)


def test_metrics_and_health_are_on_a_port_of_their_own(start, call):
    server, address = start(metrics_port=0)
    for value in range(3):
        call(address.port).ask(value)
    where = f"http://127.0.0.1:{address.metrics_port}"
    text = urllib.request.urlopen(f"{where}/metrics", timeout=5).read().decode()
    assert 'edgesmith_requests_total{status="ok"} 3.0' in text
    assert "edgesmith_compute_seconds_count 3.0" in text and "edgesmith_in_flight 0.0" in text
    assert urllib.request.urlopen(f"{where}/healthz", timeout=5).read() == b"ok\n"
    with pytest.raises(urllib.error.HTTPError, match="404") as raised:
        urllib.request.urlopen(f"{where}/", timeout=5)
    raised.value.close()
    with socket.create_connection(("127.0.0.1", address.metrics_port)) as rude:
        rude.sendall(b"x" * 100_000)
    assert urllib.request.urlopen(f"{where}/healthz", timeout=5).status == 200


def test_it_ends_in_order(start, call, background):
    """What is in flight is answered; what comes after is refused; a stream's taken requests are answered too."""
    server, address = start(sleepy(0.3), batch=1)
    caller = call(address.port)
    request, data = message(1.0, 1)
    given: queue.SimpleQueue = queue.SimpleQueue()
    stream = caller.channel.stream_stream(STREAM)(iter(given.get, None), timeout=5)
    in_stream, streamed = message(2.0, 2)
    later = caller.later(data)
    given.put(streamed)
    time.sleep(0.15)
    stopping = threading.Thread(target=lambda: background.run(server.stop(3.0)))
    stopping.start()
    time.sleep(0.05)
    refused = code(lambda: call(address.port).raw(data, timeout=0.5))
    assert refused in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    assert wire.decode_reply(later.result(), request).tensors["y"][0] == 3
    assert [wire.decode_reply(one, in_stream).tensors["y"][0] for one in stream] == [5]
    stopping.join(5.0)
    assert not stopping.is_alive()
    given.put(None)


def test_a_model_that_hangs_does_not_keep_it_from_ending(start, call, background):
    server, address = start(sleepy(3.0))
    call(address.port).later(message(1.0)[1])
    time.sleep(0.1)
    began = time.monotonic()
    background.run(server.stop(0.2))
    assert time.monotonic() - began < 1.5


def test_health_says_when_it_ends(start, call):
    server, address = start()
    caller = call(address.port)
    assert caller.raw(b"", CHECK) == SERVING
    server.service.closing = True
    assert caller.raw(b"", CHECK) == NOT_SERVING
    request, data = message(1.0)
    assert wire.decode_reply(caller.raw(data), request).status == "closing"
    assert request.model == MODEL


def test_a_signal_wakes_a_loop_that_waits_for_events():
    """Heard by another thread it interrupts nothing, like one between the loop's last step and its wait."""

    async def until_told() -> float:
        told, begin = asyncio.Event(), time.monotonic()
        with on_signals(told.set):
            threading.Timer(0.2, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM)).start()
            await asyncio.wait_for(told.wait(), 10)
        return time.monotonic() - begin

    before = signal.getsignal(signal.SIGTERM)
    assert asyncio.run(until_told()) < 5
    assert signal.getsignal(signal.SIGTERM) is before
