"""An answer in time and a right one, whatever the server and the link do."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collaborate.serve.conftest import MODEL, TOKEN, sleepy, tail
from collaborate.serve.test_breaker import until
from edgesmith.collaborate.links.ledger import Ledger
from edgesmith.collaborate.serve import wire
from edgesmith.collaborate.serve.access import Access
from edgesmith.collaborate.serve.breaker import Policy
from edgesmith.collaborate.serve.client import COLUMNS, Client, Device, Tail
from edgesmith.collaborate.serve.transport import NoAnswer, Remote, Stream, Unary, _Live
from edgesmith.collaborate.serve.wire import Reply, Request
from edgesmith.core.errors import BadInput

TAIL = Tail(MODEL, {"y": (4,)})
QUICK = Policy(first_s=0.03, most_s=0.1, probe_s=0.5)
both = pytest.mark.parametrize("kind", [Unary, Stream])


def head(inputs):
    return {"x": inputs["x"] + 1}


def fallback(inputs, features):
    """Marked by its sign, so that no test takes it for the server's."""
    return {"y": -features()["x"]}


DEVICE = Device(head, fallback, fallback_ms=1.0)


def picture(value=1.0):
    return {"x": np.full(4, value, np.float32)}


class Fake:
    """A transport that answers with what it is given."""

    def __init__(self, answer):
        self.answer, self.asked = answer, 0

    def ask(self, message, timeout_s):
        self.asked += 1
        return self.answer(wire.decode_request(message, MODEL))

    def probe(self, timeout_s):
        return False

    def close(self):
        pass


def right(request):
    return Reply(request.id, MODEL, "ok", tail(request.tensors))


@pytest.fixture
def connect():
    """Open clients of a server's address."""
    opened = []

    def begin(port, kind=Unary, device=DEVICE, policy=QUICK, **remote):
        client = Client(TAIL, device, kind(Remote("127.0.0.1", port, **remote)), policy=policy)
        opened.append(client)
        return client

    yield begin
    for client in opened:
        client.close()


@both
def test_the_server_completes_what_the_head_began(start, connect, kind):
    _, address = start(sleepy(0.01))
    answer = connect(address.port, kind).request(picture(2.0), deadline_ms=1000)
    assert answer.outputs["y"].tolist() == [7.0] * 4 and (answer.entry.place, answer.why) == ("split", "")
    entry = answer.entry
    assert entry.server_ms >= 10 and entry.in_time and entry.up_bytes == 52 + 8 + 8 + 8 + 16
    parts = entry.device_ms + entry.up_ms + entry.queue_ms + entry.server_ms + entry.down_ms
    assert 0 <= entry.total_ms - parts < 20


@both
def test_a_slow_server_is_not_waited_for_beyond_the_deadline(start, connect, kind):
    _, address = start(sleepy(0.5))
    client = connect(address.port, kind, policy=Policy(failures=100))
    for _ in range(3):
        answer = client.request(picture(2.0), deadline_ms=80)
        assert answer.outputs["y"].tolist() == [-3.0] * 4
        assert answer.entry.place == "fallback" and "deadline" in answer.why
        assert 60 < answer.entry.total_ms < 80 + 25  # 80 but on a busy machine


@both
def test_without_a_server_the_device_answers_at_once(connect, kind):
    answer = connect(1, kind).request(picture(2.0), deadline_ms=1000)
    assert (answer.entry.place, answer.why) == ("fallback", "unavailable")
    assert answer.entry.total_ms < 500


@both
def test_it_goes_back_to_the_server_when_that_recovers(start, connect, background, kind):
    server, address = start()
    client = connect(address.port, kind)
    assert client.request(picture(), 1000).entry.place == "split"
    background.run(server.stop(0))
    for _ in range(5):
        assert client.request(picture(), 300).outputs["y"][0] == -2
    assert client.breaker.state != "closed" and client.request(picture(), 300).why == "the server is not asked"
    start(access=Access(port=address.port))
    until(lambda: client.request(picture(), 300).entry.place == "split", 5.0)
    assert client.breaker.state == "closed"


@both
def test_many_threads_get_each_its_own_answer(start, connect, kind):
    _, address = start(max_in_flight=1000, max_queue=1000)
    client, wrong = connect(address.port, kind), []

    def ask(first):
        for value in range(first, first + 40):
            answer = client.request(picture(value), deadline_ms=5000)
            if answer.entry.place != "split" or answer.outputs["y"].tolist() != [2.0 * value + 3] * 4:
                wrong.append((value, answer))

    threads = [threading.Thread(target=ask, args=(1000 * n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and len(client.ledger) == 320


@both
def test_tls_and_token(start, connect, certificate, kind):
    cert, key = certificate
    _, address = start(access=Access(cert=cert, key=key, token=TOKEN))
    assert connect(address.port, kind, root=cert, token=TOKEN).request(picture(), 2000).entry.place == "split"
    answer = connect(address.port, kind, root=cert, token="x" * 32).request(picture(), 2000)
    assert (answer.entry.place, answer.why) == ("fallback", "unauthenticated")


def test_a_token_does_not_leave_the_machine_without_tls():
    with pytest.raises(BadInput, match="is not loopback"):
        Remote("192.0.2.1", 50051, token=TOKEN)
    assert TOKEN not in repr(Remote("127.0.0.1", 1, token=TOKEN))


WRONG = {
    "garbage": lambda request: b"garbage",
    "nothing": lambda request: b"",
    "another request's": lambda request: wire.encode_reply(right(Request(request.id + 1, MODEL, request.tensors))),
    "another model's": lambda request: wire.encode_reply(Reply(request.id, bytes(32), "ok", tail(request.tensors))),
    "other outputs": lambda request: wire.encode_reply(Reply(request.id, MODEL, "ok", {"z": np.zeros(4, np.float32)})),
    "another shape": lambda request: wire.encode_reply(Reply(request.id, MODEL, "ok", {"y": np.zeros(5, np.float32)})),
    "the request itself": wire.encode_request,
    **{s: lambda request, s=s: wire.encode_reply(Reply(request.id, MODEL, s, text="no")) for s in wire.STATUSES[1:]},
}


@pytest.mark.parametrize("answer", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_answer_is_none(answer):
    client = Client(TAIL, DEVICE, Fake(answer))
    found = client.request(picture(), 1000)
    assert found.outputs["y"][0] == -2 and found.entry.place == "fallback" and found.why


@given(st.data())
def test_no_damaged_answer_is_delivered(data):
    def damaged(request):
        message = bytearray(wire.encode_reply(right(request)))
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(message) - 1))
            message[at] ^= data.draw(st.integers(1, 255))
        return bytes(message)

    answer = Client(TAIL, DEVICE, Fake(damaged)).request(picture(), 1000)
    # Damage may undo itself; then the answer is right.
    assert answer.outputs["y"].tolist() in ([-2.0] * 4, [5.0] * 4)
    assert (answer.outputs["y"][0] == 5.0) == (answer.entry.place == "split")


def test_an_open_breaker_spares_a_head_that_the_fallback_does_not_need():
    def fail(request):
        raise NoAnswer("no")

    runs = []
    device = Device(lambda inputs: runs.append(1) or head(inputs), lambda inputs, _: {"y": -inputs["x"]}, 1.0)
    transport = Fake(fail)
    client = Client(TAIL, device, transport, policy=Policy(first_s=10.0))
    for _ in range(6):
        client.request(picture(), 1000)
    assert (len(runs), transport.asked) == (3, 3)
    client.close()


def test_the_time_kept_for_the_fallback_is_its_longest_of_late():
    def slow(inputs, features):
        time.sleep(0.03)
        return fallback(inputs, features)

    transport = Fake(WRONG["busy"])
    client = Client(TAIL, Device(head, slow, fallback_ms=1.0), transport)
    assert client.reserve_s == pytest.approx(0.00625)
    client.request(picture(), 1000)
    assert client.reserve_s >= 0.03 * 1.25
    answer = client.request(picture(), 20)
    assert transport.asked == 1 and "no time" in answer.why and not answer.entry.in_time
    client.close()


def test_what_head_or_fallback_raise_is_raised_and_written_down():
    def broken(*_):
        raise BadInput("head: no.")

    for device in (Device(broken, fallback, 1.0), Device(head, broken, 1.0)):
        client = Client(TAIL, device, Fake(WRONG["busy"]))
        with pytest.raises(BadInput, match="head: no"):
            client.request(picture(), 1000)
        (entry,) = client.ledger
        assert (entry.place, entry.total_ms, entry.in_time) == ("dropped", float("inf"), False)


def test_the_ledger_says_what_is_measured_and_leaves_out_what_is_not():
    client = Client(TAIL, DEVICE, Fake(lambda request: wire.encode_reply(right(request))), Ledger(COLUMNS))
    client.request(picture(), 1000)
    columns = client.ledger.summary()["columns"]
    assert {column["kind"] for column in columns.values()} == {"measured"}
    assert not {"energy_uj", "peak_bytes"} & set(columns)


class Taker:
    """A channel whose thread takes messages from a stream and never answers, as gRPC's does over a dead link."""

    def stream_stream(self, _):
        def call(messages, metadata):
            self.thread = threading.Thread(target=lambda: [None for _ in messages], daemon=True)
            self.thread.start()
            return self

        return call

    def __iter__(self):
        return iter(threading.Event().wait, True)

    def cancel(self):
        pass


def test_a_stream_that_ends_while_it_sends_tells_everyone_who_waits(monkeypatch):
    """Its queue empties under the hand of who ends it: more than one thread takes from it."""
    channel = Taker()
    live = _Live(channel, ())
    monkeypatch.setattr(live.outgoing, "empty", lambda: False)  # as it was a moment ago
    slot = live.send(wire.encode_request(Request(1, MODEL, picture())))
    live.end("the connection was closed")
    assert slot.filled.is_set() and slot.data is None
    channel.thread.join(2.0)
    assert not channel.thread.is_alive()
