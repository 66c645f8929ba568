"""The wire believes nothing: every message survives the trip whole, everything else is refused without harm."""

import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesmith.collaborate.serve import wire
from edgesmith.collaborate.serve.wire import Reply, Request
from edgesmith.core.errors import BadInput

MODEL = bytes(range(32))
names = st.text("abcXYZ09_.:/-", min_size=0, max_size=30)
shapes = st.lists(st.integers(1, 5), max_size=4).map(tuple)


@st.composite
def arrays(draw):
    dtype, shape = np.dtype(draw(st.sampled_from(wire.DTYPES))), draw(shapes)
    nbytes = int(np.prod(shape, dtype=int)) * dtype.itemsize
    raw = draw(st.binary(min_size=nbytes, max_size=nbytes))
    raw = bytes(byte & 1 for byte in raw) if dtype.kind == "b" else raw
    return np.frombuffer(raw, dtype).reshape(shape)


tensors = st.dictionaries(names, arrays(), max_size=4)
ids = st.integers(1, wire.MAX_ID)
times = st.integers(0, wire.MAX_US)
requests = st.builds(Request, ids, st.just(MODEL[:16]), tensors, times)


def same(left, right):
    """Equal bit for bit: NaN is itself."""
    assert list(left) == list(right)
    for name, array in left.items():
        other = right[name]
        assert (array.dtype, array.shape, array.tobytes()) == (other.dtype, other.shape, other.tobytes())


def with_crc(body):
    return bytes(body) + wire.CRC.pack(zlib.crc32(body))


@given(requests)
def test_a_request_survives_the_trip(request):
    found = wire.decode_request(wire.encode_request(request), MODEL)
    assert (found.id, found.model, found.patience_us) == (request.id, MODEL[:16], request.patience_us)
    same(found.tensors, request.tensors)
    assert all(array.flags.aligned for array in found.tensors.values())


@given(ids, tensors, times, times)
def test_an_answer_survives_the_trip(id_, outputs, queue_us, compute_us):
    asked = Request(id_, MODEL, {})
    made = Reply(id_, MODEL, "ok", outputs, "", queue_us, compute_us)
    found = wire.decode_reply(wire.encode_reply(made), asked)
    assert (found.status, found.queue_us, found.compute_us) == ("ok", queue_us, compute_us)
    same(found.tensors, outputs)


@given(ids, st.sampled_from(wire.STATUSES[1:]), st.text())
def test_an_error_survives_the_trip_and_its_text_is_printable(id_, status, text):
    found = wire.decode_reply(wire.encode_reply(Reply(id_, MODEL, status, text=text)), Request(id_, MODEL, {}))
    assert found.status == status and (found.text.isprintable() or not found.text)
    assert len(found.text) <= wire.MAX_TEXT_BYTES


@given(st.binary(max_size=200))
def test_garbage_is_refused(data):
    for decode in (lambda: wire.decode_request(data, MODEL), lambda: wire.decode_reply(data, Request(1, MODEL, {}))):
        with pytest.raises(BadInput, match=r"wire: .*(need|damaged)"):
            decode()
    wire.request_id(data)


@given(requests, st.data())
def test_no_flipped_bit_and_no_cut_passes(request, data):
    """CRC-32 finds every error within 32 bits; a cut is found by the length."""
    message = bytearray(wire.encode_request(request))
    at = data.draw(st.integers(0, 8 * len(message) - 1))
    with pytest.raises(BadInput):
        wire.decode_request(bytes(message[: at // 8]), MODEL)
    message[at // 8] ^= 1 << at % 8
    with pytest.raises(BadInput):
        wire.decode_request(bytes(message), MODEL)


@given(requests, st.data())
def test_a_forged_message_is_refused_or_the_only_encoding_of_what_it_says(request, data):
    """The checksum is no secret: whoever forges a message makes it right."""
    body = bytearray(wire.encode_request(request)[: -wire.CRC.size])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at] = data.draw(st.integers(0, 255))
    message = with_crc(body)
    try:
        found = wire.decode_request(message, MODEL)
    except BadInput:
        return
    assert wire.encode_request(found) == message


@pytest.mark.parametrize("field", ["data", "shape", "count", "name"])
def test_a_lie_about_a_size_allocates_nothing(field):
    message = bytearray(wire.encode_request(Request(1, MODEL, {"x": np.zeros(4, np.float32)}))[: -wire.CRC.size])
    at, size = {"data": (52, 4), "shape": (64, 4), "count": (41, 1), "name": (50, 2)}[field]
    message[at : at + size] = b"\xff" * size
    forged = with_crc(message)
    tracemalloc.start()
    try:
        with pytest.raises(BadInput):
            wire.decode_request(forged, MODEL)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_each_refusal_says_what_was_found_and_what_is_needed():
    request = Request(7, MODEL, {"x": np.zeros(4, np.float32)})
    message = wire.encode_request(request)
    newer = bytearray(message)
    newer[4] = 9
    for data, model, said in (
        (bytes(newer), MODEL, "version 9; need 1"),
        (message, bytes(32), "for the model 000102030405, here is 000000000000"),
        (message + b"\0", MODEL, "the head says"),
        (b"\0" * 60, MODEL, "no message of edgesmith"),
    ):
        with pytest.raises(BadInput, match=said):
            wire.decode_request(data, model)
    with pytest.raises(BadInput, match="need 52 to 60"):
        wire.decode_request(message, MODEL, max_bytes=60)
    with pytest.raises(BadInput, match="need at most 60"):
        wire.encode_request(request, max_bytes=60)


def test_a_reply_to_another_request_or_of_another_model_is_no_answer():
    asked = Request(7, MODEL, {})
    for reply in (
        Reply(8, MODEL, "ok"),
        Reply(7, bytes(32), "ok"),
        Reply(wire.NO_ID, MODEL, "ok"),
        Reply(8, MODEL, "busy"),
    ):
        with pytest.raises(BadInput):
            wire.decode_reply(wire.encode_reply(reply), asked)
    assert wire.decode_reply(wire.encode_reply(Reply(wire.NO_ID, MODEL, "error", text="no")), asked).text == "no"


@pytest.mark.parametrize(
    "array", [np.zeros(2, np.float64), np.zeros(0, np.int8), np.zeros((1,) * 9, np.int8), np.zeros(1, "U1")]
)
def test_what_cannot_be_carried_is_refused_before_it_is_sent(array):
    with pytest.raises(BadInput, match="need one of"):
        wire.encode_request(Request(1, MODEL, {"x": array}))


def test_nan_and_infinity_pass_bit_for_bit():
    odd = np.array([np.nan, np.inf, -np.inf, -0.0], np.float32)
    found = wire.decode_request(wire.encode_request(Request(1, MODEL, {"x": odd})), MODEL)
    assert found.tensors["x"].tobytes() == odd.tobytes()
