"""The stream's definition, and that C and the library give the same bytes."""

import ctypes
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collaborate.coding.drawing import WAYS, codes, laplace, payloads
from edgesmith.collaborate.coding import Code, Table, fit
from edgesmith.collaborate.coding.native import FOLDER, NO_ROOM, SOURCES, Native, load
from edgesmith.collaborate.coding.reference import Encoder, Reference, class_share
from edgesmith.collaborate.coding.tables import quantize
from edgesmith.collaborate.coding.with_constriction import Constriction
from edgesmith.toolchain import check_warnings, compile_library

MULTIPLIES = ["ES_CODE_MULTIPLIES"]  # the form of cores without a 64-bit division


def number_of(data: bytes) -> Fraction:
    """The stream's number in [0, 1)."""
    return Fraction(int.from_bytes(data, "big"), 1 << 8 * len(data))


def coder(code: Code, kind: type) -> Reference | Constriction | Native:
    return kind(code.bits, code.which, code.tables)


@given(st.data())
def test_all_ways_give_the_same_bytes_and_decode_them(data):
    code = data.draw(codes())
    payload = data.draw(payloads(code))
    streams = {way: code.encode(payload, way) for way in WAYS}
    assert len(set(streams.values())) == 1
    for way in WAYS:
        assert (code.decode(streams["python"], payload.shape, "int32", way) == payload).all()


@given(st.data())
def test_bytes_are_coded_alike_as_int8_and_as_int32(data):
    code = data.draw(codes(-150, 150))
    payload = data.draw(payloads(code, limit=128))
    narrow = code.encode(payload.astype(np.int8))
    assert narrow == code.encode(payload)
    for way in WAYS:
        found = code.decode(narrow, payload.shape, "int8", way)
        assert found.dtype == np.int8 and (found == payload).all()


@pytest.mark.parametrize("channels, tables", [(1, 1), (7, 7), (16, 3)])
def test_long_payloads_of_many_channels(nprng, channels, tables):
    values = laplace(nprng, 3000, channels)
    code = fit(values[:500], tables)
    stream = code.encode(values, "native")
    assert stream == code.encode(values, "constriction")
    assert (code.decode(stream, values.shape, by="native") == values).all()
    assert (code.decode(stream, values.shape, by="constriction") == values).all()


@pytest.mark.parametrize("bits", [4, 8, 11, 15])
def test_the_library_takes_every_share_of_a_table_exactly(nprng, bits):
    """Its encoder's interval after one symbol is scale * start, scale * width for each symbol: no rounding at all."""
    for size in (2, 3, 16, min(300, 1 << bits)):
        frequencies = quantize(np.rint(nprng.pareto(0.7, size) * 10).clip(0, 1e6), bits)
        table = Table(-5, tuple(int(f) for f in frequencies))
        library = coder(Code(bits, (0,), (table,)), Constriction)
        (_, model), scale = library.tables[0], ((1 << 64) - 1) >> 24
        for index in range(size):
            encoder = library.stream.queue.RangeEncoder()
            encoder.encode(index, model)
            start, width = int(table.starts[index]) << (24 - bits), table.frequencies[index] << (24 - bits)
            assert encoder.pos() == (0, (scale * start, scale * width))


@given(st.data())
def test_streams_with_the_librarys_own_end_decode_everywhere(data):
    code = data.draw(codes())
    payload = data.draw(payloads(code))
    words = coder(code, Constriction).encoder(payload.ravel()).get_compressed()
    ended = words.astype(">u4").tobytes()
    assert len(code.encode(payload)) <= len(ended)
    for way in WAYS:
        assert (code.decode(ended, payload.shape, "int32", way) == payload).all()


@given(st.data())
def test_the_stream_lies_in_the_interval_of_its_shares(data):
    """Exact arithmetic without any of the coder's rounding of its state: the interval by fractions."""
    code = data.draw(codes())
    payload = data.draw(payloads(code))
    low, width = Fraction(0), Fraction((1 << 64) - 1, 1 << 64)
    unit = Fraction(1, 1 << 64)
    for start, share in coder(code, Reference).shares(payload.ravel()):
        scale = width / unit // (1 << 24) * unit
        low, width = low + scale * start, scale * share
        if width / unit < 1 << 32:
            unit /= 1 << 32
    assert low <= number_of(code.encode(payload)) < low + width


@given(st.data())
def test_no_shorter_stream_lies_in_the_interval(data):
    code = data.draw(codes())
    payload = data.draw(payloads(code)).ravel()
    encoder = Encoder()
    for share in coder(code, Reference).shares(payload):
        encoder.put(share)
    digits, count = 64 + 32 * encoder.words, len(encoder.finish())
    if count:
        step = 1 << (digits - 8 * (count - 1))
        assert -(-encoder.low // step) * step >= encoder.low + encoder.range


@given(st.data())
def test_a_stream_is_as_long_as_its_tables_say(data):
    """A share's rounding loses less than 2^-8 / ln 2 of a bit, and a value has at most three; the end takes a byte."""
    code = data.draw(codes())
    payload = data.draw(payloads(code))
    assert len(code.encode(payload)) * 8 <= code.expected_bits(payload) + payload.size * 3 * 0.00565 + 8


def test_classes_of_numbers_fill_the_interval():
    """Elias gamma: class b takes 2^-(b + 1), and what is left of 2^24 goes to the last."""
    shares = [class_share(index) for index in range(24)]
    assert shares[0] == (0, 1 << 23) and shares[1] == (1 << 23, 1 << 22)
    ends = [start + width for start, width in shares]
    assert ends[:-1] == [start for start, _ in shares[1:]] and ends[-1] == 1 << 24


def straddling(code: Code, count: int) -> list[int]:
    """Symbols whose interval keeps 1/2 inside: whether the stream is 7f ff ff ... or 80 00 00 ... stays open."""
    shift, encoder, chosen = 24 - code.bits, Encoder(), []
    table = code.tables[0]
    for _ in range(count):
        quantile = ((1 << 63 + 32 * encoder.words) - encoder.low) // (encoder.range >> 24)
        index = int(np.searchsorted(table.starts, quantile >> shift, "right")) - 1
        chosen.append(index)
        encoder.put((int(table.starts[index]) << shift, table.frequencies[index] << shift))
    return chosen


@pytest.mark.parametrize("step, begins", [(1, b"\x80" + bytes(30)), (-1, b"\x7f" + b"\xff" * 30)])
def test_a_carry_runs_back_through_all_words(step, begins):
    """One symbol above the straddling one turns 7f ff ff ... into 80 00 00 ..., one below leaves it."""
    code = Code(15, (0,), (Table(0, (6000, 6000, 6000, 6000, 6000, 2768)),))
    chosen = straddling(code, 150)
    while chosen[-1] not in (1, 2, 3):
        chosen = straddling(code, len(chosen) + 1)
    values = np.array([*chosen[:-1], chosen[-1] + step, 3, 1, 4, 1], np.int32)
    streams = {code.encode(values, way) for way in WAYS}
    assert len(streams) == 1
    (stream,) = streams
    assert stream.startswith(begins)
    for way in WAYS:
        assert (code.decode(stream, values.shape, "int32", way) == values).all()


@pytest.mark.parametrize("compiler", ["zig", "gcc"])
@pytest.mark.parametrize("defines", [[], MULTIPLIES])
def test_the_c_has_no_warnings(compiler, defines):
    check_warnings(SOURCES, [FOLDER], [f"-D{name}" for name in defines], compiler)


@given(st.data())
def test_the_form_without_division_decodes_alike(data):
    built = load(compile_library(SOURCES, defines=MULTIPLIES, sanitize="undefined"))
    code = data.draw(codes())
    payload = data.draw(payloads(code))
    plain = Native(code.bits, code.which, code.tables, built)
    stream = plain.encode(payload.ravel())
    assert stream == code.encode(payload)
    assert (plain.decode(stream, payload.size, False) == payload.ravel()).all()


def test_an_encoder_without_room_says_so_and_stays_within_it(nprng):
    values = laplace(nprng, 60, 2)
    code = fit(values, 2)
    native, full = coder(code, Native), code.encode(values)
    for room in range(len(full) + 8):
        out = np.full(room + 64, 0xA5, np.uint8)
        count = native.library.es_code_encode_s8(
            ctypes.byref(native.code), values.ctypes.data, values.size, out.ctypes.data, room
        )
        assert (out[room:] == 0xA5).all()
        assert count == NO_ROOM if room < len(full) else count in (len(full), NO_ROOM)
    assert count == len(full)
