"""A linked program as the files that flashing tools take: binary, Intel HEX, UF2.

Sources: Intel Hexadecimal Object File Format Specification, revision A (1988); Microsoft's UF2 file format
specification (github.com/microsoft/uf2), RP2040's family id in its list, and RP2040 datasheet 2.8.4: 256 bytes a block.
"""

import struct

from edgesmith.core.errors import BadInput

UF2_HEAD = struct.Struct("<IIIIIIII")
UF2_START, UF2_SECOND, UF2_END = 0x0A324655, 0x9E5D5157, 0x0AB16F30
UF2_HAS_FAMILY = 0x2000
UF2_BLOCK_BYTES, UF2_DATA_BYTES, UF2_PAYLOAD_BYTES = 512, 476, 256
RP2040_FAMILY = 0xE48BFF56
HEX_RECORD_BYTES = 16
MAX_GAP_BYTES = 1 << 20

Segments = list[tuple[int, bytes]]


def flat(segments: Segments) -> tuple[int, bytes]:
    """Load segments as one block: where it starts, and its bytes; gaps are filled with 0xFF, as flash is erased.

    Raises:
        BadInput: nothing is loaded, or the segments lie more than a megabyte apart.
    """
    ordered = sorted(segment for segment in segments if segment[1])
    if not ordered:
        raise BadInput("flash: the program loads nothing; need code. Compile it again.")
    start, block = ordered[0][0], bytearray()
    for address, data in ordered:
        gap = address - start - len(block)
        if not 0 <= gap <= MAX_GAP_BYTES:
            raise BadInput(f"flash: a segment at {address:#x} overlaps or lies far from the one before it.")
        block += b"\xff" * gap + data
    return start, bytes(block)


def uf2(segments: Segments, family: int = RP2040_FAMILY) -> bytes:
    """The program as a UF2 file, whole pages of 256 bytes."""
    start, data = flat(segments)
    lead = start % UF2_PAYLOAD_BYTES
    data = b"\xff" * lead + data
    data += b"\xff" * (-len(data) % UF2_PAYLOAD_BYTES)
    count = len(data) // UF2_PAYLOAD_BYTES
    blocks = []
    for index in range(count):
        offset = index * UF2_PAYLOAD_BYTES
        head = UF2_HEAD.pack(
            UF2_START, UF2_SECOND, UF2_HAS_FAMILY, start - lead + offset, UF2_PAYLOAD_BYTES, index, count, family
        )
        body = data[offset : offset + UF2_PAYLOAD_BYTES].ljust(UF2_DATA_BYTES, b"\0")
        blocks.append(head + body + UF2_END.to_bytes(4, "little"))
    return b"".join(blocks)


def intel_hex(segments: Segments) -> str:
    """The program as Intel HEX with extended linear addresses."""
    lines, upper = [], None
    for address, data in sorted(segments):
        offset = 0
        while offset < len(data):
            at = address + offset
            if at >> 16 != upper:
                upper = at >> 16
                lines.append(_record(0, 4, upper.to_bytes(2, "big")))
            room = min(HEX_RECORD_BYTES, 0x10000 - (at & 0xFFFF))
            lines.append(_record(at & 0xFFFF, 0, data[offset : offset + room]))
            offset += room
    return "\n".join([*lines, _record(0, 1, b"")]) + "\n"


def _record(address: int, kind: int, data: bytes) -> str:
    """One line: length, address, kind, data, and what makes the sum of all bytes zero.

    >>> _record(0, 1, b"")
    ':00000001FF'
    """
    body = bytes([len(data)]) + address.to_bytes(2, "big") + bytes([kind]) + data
    return ":" + (body + bytes([-sum(body) & 0xFF])).hex().upper()
