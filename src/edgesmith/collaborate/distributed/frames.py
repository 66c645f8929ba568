"""Messages between the fusing process and its devices: a header of fixed length, a shape, numbers.

    magic "EDSF" | request u32 | kind u8 | type u8 | axes u8 | 0 u8 | bytes u32 | size u32 of each axis | numbers

All little-endian. Every count is checked before anything of its size is read or made.
"""

import math
import struct
from dataclasses import dataclass

import numpy as np

from edgesmith.core.errors import BadInput

HEADER = struct.Struct("<4sIBBBBI")
MAGIC = b"EDSF"
HELLO, INPUTS, FEATURES = range(3)  # kinds
TYPES = ("<u1", "<i2", "<f4")
MOST_AXES = 4
MOST_BYTES = 1 << 24  # of a message's numbers: some thousand pictures


@dataclass(frozen=True)
class Frame:
    """One message.

    Attributes:
        request: which one it belongs to, 0 to 2^32 - 1.
        kind: HELLO (a token), INPUTS or FEATURES.
    """

    request: int
    kind: int
    values: np.ndarray


def packed(frame: Frame) -> bytes:
    """A message as it goes on the wire.

    Raises:
        BadInput: numbers of another type, too many axes, or too many numbers.
    """
    values = frame.values
    types = [index for index, name in enumerate(TYPES) if np.dtype(name) == values.dtype]
    if not types or values.ndim > MOST_AXES or values.nbytes > MOST_BYTES:
        raise BadInput(
            f"frames: {values.dtype} of {values.shape}; need uint8, int16 or float32, at most {MOST_AXES} axes and "
            f"{MOST_BYTES:,} bytes. Send fewer samples at a time."
        )
    header = HEADER.pack(MAGIC, frame.request, frame.kind, types[0], values.ndim, 0, values.nbytes)
    return header + struct.pack(f"<{values.ndim}I", *values.shape) + values.astype(TYPES[types[0]]).tobytes()


class Incoming:
    """Bytes that came so far, from which whole messages are taken."""

    def __init__(self) -> None:
        self.waiting = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Messages that are whole with these bytes, in order.

        Raises:
            BadInput: what came is no message of ours; nothing after it can be read.
        """
        self.waiting += data
        found = []
        while (frame := self._taken()) is not None:
            found.append(frame)
        return found

    def _taken(self) -> Frame | None:
        if len(self.waiting) < HEADER.size:
            return None
        magic, request, kind, type_, axes, zero, nbytes = HEADER.unpack_from(self.waiting)
        known = magic == MAGIC and kind <= FEATURES and type_ < len(TYPES) and not zero
        if not known or axes > MOST_AXES or nbytes > MOST_BYTES:
            raise BadInput(f"frames: a message begins with {bytes(self.waiting[: HEADER.size])!r}; it is none of ours.")
        begin = HEADER.size + 4 * axes
        if len(self.waiting) < begin:
            return None
        shape = struct.unpack_from(f"<{axes}I", self.waiting, HEADER.size)
        if math.prod(shape) * np.dtype(TYPES[type_]).itemsize != nbytes:
            raise BadInput(f"frames: a message of {nbytes} bytes says it is {TYPES[type_]} of {shape}; they differ.")
        if len(self.waiting) < begin + nbytes:
            return None
        values = np.frombuffer(bytes(self.waiting[begin : begin + nbytes]), TYPES[type_]).reshape(shape)
        del self.waiting[: begin + nbytes]
        return Frame(request, kind, values)
