"""Image files against their specifications, read back by readers written here."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesmith.board.images import flat, intel_hex, uf2
from edgesmith.core.errors import BadInput

blocks = st.builds(
    lambda start, data: [(0x08000000 + start, data)], st.integers(0, 70_000), st.binary(min_size=1, max_size=900)
)


def read_hex(text: str) -> dict[int, int]:
    """Bytes by address of an Intel HEX file, every checksum checked."""
    upper, found = 0, {}
    lines = text.splitlines()
    assert lines[-1] == ":00000001FF"
    for line in lines:
        record = bytes.fromhex(line.removeprefix(":"))
        count, address, kind, data = record[0], int.from_bytes(record[1:3], "big"), record[3], record[4:-1]
        assert sum(record) & 0xFF == 0 and count == len(data)
        if kind == 4:
            upper = int.from_bytes(data, "big") << 16
        found.update({upper + address + i: byte for i, byte in enumerate(data)} if kind == 0 else {})
    return found


@given(blocks)
def test_intel_hex_comes_back(segments):
    (start, data), *_ = segments
    assert read_hex(intel_hex(segments)) == {start + i: byte for i, byte in enumerate(data)}


@given(blocks)
def test_uf2_is_blocks_of_512_with_256_bytes_each(segments):
    """Microsoft's specification: three magic numbers, flag 0x2000 for the family, block number and count."""
    (start, data), *_ = segments
    image, found = uf2(segments), {}
    assert len(image) % 512 == 0
    for index in range(len(image) // 512):
        block = image[512 * index : 512 * index + 512]
        first, second, flags, address, size, number, count, family = struct.unpack("<8I", block[:32])
        assert (first, second, block[-4:]) == (0x0A324655, 0x9E5D5157, bytes.fromhex("306fb10a"))
        assert (flags, size, number, count, family) == (0x2000, 256, index, len(image) // 512, 0xE48BFF56)
        assert address % 256 == 0 and block[32 + 256 : -4] == bytes(476 - 256)
        found.update({address + i: byte for i, byte in enumerate(block[32:288])})
    assert all(found[start + i] == byte for i, byte in enumerate(data))
    assert all(byte == 0xFF for address, byte in found.items() if not start <= address < start + len(data))


def test_gaps_are_erased_flash_and_overlaps_refused():
    assert flat([(16, b"b"), (10, b"aa"), (30, b"")]) == (10, b"aa" + b"\xff" * 4 + b"b")
    for wrong in ([(0, b"aa"), (1, b"b")], [(0, b"a"), (1 << 30, b"b")]):
        with pytest.raises(BadInput, match="overlaps or lies far"):
            flat(wrong)
    with pytest.raises(BadInput, match="loads nothing"):
        flat([])
