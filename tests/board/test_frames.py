"""Frames: COBS and CRC against published vectors, and both parsers against noise and against each other."""

import ctypes
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from board.stub import Stub
from edgesmith.board.frames import MAX_PAYLOAD, MAX_STUFFED, Frame, Receiver, decode, encode, stuff, unstuff
from edgesmith.core.errors import BadInput

frames = st.builds(Frame, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=MAX_PAYLOAD))
# Cheshire and Baker's rules on small cases, worked by hand.
VECTORS = [
    ("00", "0101"),
    ("0000", "010101"),
    ("00110000", "0102110101"),
    ("11220033", "0311220233"),
    ("11223344", "0511223344"),
    ("11000000", "0211010101"),
    ("01" * 253, "fe" + "01" * 253),
]


@pytest.fixture(scope="module")
def stub(tmp_path_factory) -> Stub:
    return Stub(tmp_path_factory.mktemp("stub"))


class Parser(ctypes.Structure):
    """The struct es_receiver of edgesmith_serial.h."""

    _fields_ = (
        ("raw", ctypes.c_uint8 * (MAX_PAYLOAD + 6)),
        ("count", ctypes.c_uint16),
        ("left", ctypes.c_uint8),
        ("zero", ctypes.c_uint8),
        ("bad", ctypes.c_uint8),
    )


def c_frames(stub: Stub, data: bytes) -> list[Frame]:
    """What the board's parser finds."""
    parser, found = Parser(), []
    for byte in data:
        if count := stub.library.es_receive(ctypes.byref(parser), byte):
            raw = bytes(parser.raw)[:count]
            found.append(Frame(raw[0], raw[1], raw[2:]))
    return found


@pytest.mark.parametrize(("plain", "stuffed"), VECTORS)
def test_stuffing_is_that_of_the_paper(plain, stuffed):
    assert stuff(bytes.fromhex(plain)).hex() == stuffed
    assert unstuff(bytes.fromhex(stuffed)) == bytes.fromhex(plain)


@given(st.binary(max_size=1000))
def test_stuffed_bytes_hold_no_zero_and_come_back(data):
    stuffed = stuff(data)
    assert 0 not in stuffed and len(stuffed) <= len(data) + 1 + len(data) // 254
    assert unstuff(stuffed) == data


@given(st.binary(max_size=300))
def test_the_boards_crc_is_that_of_zlib(stub, data):
    stub.library.es_crc32.restype = ctypes.c_uint32
    assert stub.library.es_crc32(data, len(data)) == zlib.crc32(data)


@given(st.lists(frames, max_size=4), st.integers(1, 40))
def test_both_parsers_find_every_frame_however_it_is_cut(stub, sent, step):
    data = b"".join(encode(frame) for frame in sent)
    receiver = Receiver()
    found = [frame for at in range(0, len(data), step) for frame in receiver.feed(data[at : at + step])]
    assert found == sent and receiver.dropped == 0
    assert c_frames(stub, data) == sent


@given(st.binary(max_size=600), frames)
def test_after_any_noise_the_next_frame_is_found_by_both(stub, noise, frame):
    receiver = Receiver()
    assert receiver.feed(noise + encode(frame))[-1:] == [frame]
    assert c_frames(stub, noise + encode(frame))[-1:] == [frame]


@given(st.binary(max_size=2000))
def test_both_parsers_find_the_same_in_noise(stub, noise):
    """Rarely anything; with undefined behaviour the library would trap."""
    assert Receiver().feed(noise + b"\0") == c_frames(stub, noise + b"\0")


@given(frames, st.integers(0, 2**20), st.integers(1, 255))
def test_a_flipped_byte_never_passes_as_another_frame(stub, frame, at, flip):
    data = bytearray(encode(frame))
    data[at % len(data)] ^= flip
    for found in (Receiver().feed(bytes(data) + b"\0"), c_frames(stub, bytes(data) + b"\0")):
        assert found in ([], [frame])


@given(frames)
def test_the_board_sends_what_the_computer_would(stub, frame):
    raw = ctypes.create_string_buffer(bytes([frame.command, frame.sequence]) + frame.payload, MAX_PAYLOAD + 6)
    stub.library.es_send(raw, 2 + len(frame.payload))
    count = stub["line_bytes"]
    stub["line_bytes"] = 0
    assert bytes((ctypes.c_uint8 * 4096).in_dll(stub.library, "line"))[:count] == encode(frame)


def test_a_stream_without_end_takes_no_memory():
    receiver = Receiver()
    for _ in range(1000):
        assert receiver.feed(b"\x55" * 1000) == []
        assert len(receiver._piece) <= MAX_STUFFED
    assert receiver.feed(b"\0" + encode(Frame(1, 2)))[0] == Frame(1, 2)


def test_too_long_a_payload_is_refused():
    with pytest.raises(BadInput, match="need at most 240"):
        encode(Frame(1, 1, bytes(MAX_PAYLOAD + 1)))


def test_short_and_empty_pieces_are_no_frames():
    assert decode(b"") is None and decode(stuff(b"\x01\x02")) is None and unstuff(b"\x05\x01") is None
