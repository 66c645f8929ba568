"""Frames of the serial protocol, as docs/real-board.md describes them: COBS, a CRC, two bytes of head.

COBS: Cheshire and Baker, Consistent Overhead Byte Stuffing, SIGCOMM 1997.
"""

import zlib
from dataclasses import dataclass, field

from edgesmith.core.errors import BadInput

MAX_PAYLOAD = 240
HEAD_BYTES, CRC_BYTES = 2, 4
MAX_RAW = HEAD_BYTES + MAX_PAYLOAD + CRC_BYTES
MAX_STUFFED = MAX_RAW + 1  # below 254 bytes COBS adds exactly one


@dataclass(frozen=True)
class Frame:
    """A request or its answer.

    Attributes:
        command: what is asked; an answer has the top bit set.
        sequence: an answer carries that of its request.
    """

    command: int
    sequence: int
    payload: bytes = b""


def stuff(data: bytes) -> bytes:
    """COBS: the same without a zero byte.

    >>> stuff(bytes([0x11, 0x22, 0x00, 0x33])).hex()
    '0311220233'
    """
    out = bytearray()
    for part in data.split(b"\0"):
        while len(part) >= 254:
            out += b"\xff" + part[:254]
            part = part[254:]
        out += bytes([len(part) + 1]) + part
    return bytes(out)


def unstuff(data: bytes) -> bytes | None:
    """Inverse of `stuff`; None when `data` is no such encoding."""
    out, at = bytearray(), 0
    while at < len(data):
        code = data[at]
        if code == 0 or at + code > len(data):
            return None
        out += data[at + 1 : at + code]
        at += code
        if code != 255 and at < len(data):
            out.append(0)
    return bytes(out)


def encode(frame: Frame) -> bytes:
    """The bytes on the line, a zero at each end: the first ends whatever noise came before.

    Raises:
        BadInput: the payload is longer than MAX_PAYLOAD.
    """
    if len(frame.payload) > MAX_PAYLOAD:
        raise BadInput(f"serial: a payload of {len(frame.payload)} bytes; need at most {MAX_PAYLOAD}.")
    body = bytes([frame.command, frame.sequence]) + frame.payload
    return b"\0" + stuff(body + zlib.crc32(body).to_bytes(CRC_BYTES, "little")) + b"\0"


def decode(stuffed: bytes) -> Frame | None:
    """A frame from what stood between two zeros; None when it is damaged."""
    raw = unstuff(stuffed)
    if raw is None or not HEAD_BYTES + CRC_BYTES <= len(raw) <= MAX_RAW:
        return None
    body, stated = raw[:-CRC_BYTES], int.from_bytes(raw[-CRC_BYTES:], "little")
    return Frame(body[0], body[1], body[HEAD_BYTES:]) if zlib.crc32(body) == stated else None


@dataclass
class Receiver:
    """Cuts a stream of bytes into frames; noise is dropped, and memory never exceeds one frame.

    Attributes:
        dropped: pieces between zeros that were no frame.
    """

    dropped: int = 0
    _piece: bytearray = field(default_factory=bytearray)
    _long: bool = False

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes."""
        found = []
        for index, part in enumerate(data.split(b"\0")):
            if index:
                found += self._end()
            self._long |= len(self._piece) + len(part) > MAX_STUFFED
            if not self._long:
                self._piece += part
        return found

    def _end(self) -> list[Frame]:
        """What the zero that just came ends."""
        piece, long = bytes(self._piece), self._long
        self._piece.clear()
        self._long = False
        if not piece and not long:
            return []
        frame = None if long else decode(piece)
        if frame is None:
            self.dropped += 1
            return []
        return [frame]
