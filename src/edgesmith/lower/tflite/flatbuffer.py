"""Tables of a FlatBuffers file, read in place; every offset and count is checked against the file's length.

Source: flatbuffers.dev, "FlatBuffer Internals": little-endian; a table starts with the signed distance back to its
vtable, which lists the table's fields as offsets from the table's start, 0 for an absent one.
"""

import struct
from dataclasses import dataclass

import numpy as np

from edgesmith.core.errors import BadInput


@dataclass(frozen=True)
class Bytes:
    """The file.

    Attributes:
        data: all of it.
        name: for messages.
    """

    data: bytes
    name: str

    def number(self, code: str, at: int) -> int | float:
        """One number of a struct format code at a byte offset.

        Raises:
            BadInput: it lies outside the file.
        """
        if not 0 <= at <= len(self.data) - struct.calcsize(code):
            raise BadInput(f"{self.name}: offset {at} is outside the file's {len(self.data)} bytes; it is damaged.")
        return struct.unpack_from("<" + code, self.data, at)[0]

    def offset(self, code: str, at: int) -> int:
        """The same for a whole number."""
        return int(self.number(code, at))

    def follow(self, at: int) -> int:
        """Where the forward offset at `at` leads."""
        return at + self.offset("I", at)

    def root(self) -> "Table":
        """The table the file is."""
        return Table(self, self.follow(0))


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        at: byte offset of its start.
    """

    file: Bytes
    at: int

    def field(self, index: int) -> int | None:
        """Byte offset of a field; None where it is absent."""
        vtable = self.at - self.file.offset("i", self.at)
        size = self.file.offset("H", vtable)
        if 4 + 2 * index >= size - 1:
            return None
        distance = self.file.offset("H", vtable + 4 + 2 * index)
        return self.at + distance if distance else None

    def whole(self, index: int, code: str = "i", default: int = 0) -> int:
        """A whole number, by its struct format code."""
        at = self.field(index)
        return default if at is None else self.file.offset(code, at)

    def real(self, index: int, default: float = 0.0) -> float:
        """A float32."""
        at = self.field(index)
        return default if at is None else float(self.file.number("f", at))

    def flag(self, index: int) -> bool:
        """A bool, false where absent."""
        return bool(self.whole(index, "B"))

    def table(self, index: int) -> "Table | None":
        """A table."""
        at = self.field(index)
        return None if at is None else Table(self.file, self.file.follow(at))

    def vector(self, index: int, itemsize: int) -> tuple[int, int]:
        """Byte offset of a vector's first element and how many there are; (0, 0) where it is absent.

        Raises:
            BadInput: it does not lie within the file.
        """
        field = self.field(index)
        if field is None:
            return 0, 0
        at = self.file.follow(field)
        count = self.file.offset("I", at)
        if count * itemsize > len(self.file.data) - at - 4:
            raise BadInput(f"{self.file.name}: a list of {count} entries ends behind the file; it is damaged.")
        return at + 4, count

    def array(self, index: int, dtype: str) -> np.ndarray:
        """A vector of numbers, read-only and not copied."""
        little = np.dtype(dtype).newbyteorder("<")
        at, count = self.vector(index, little.itemsize)
        return np.frombuffer(self.file.data, little, count, at)

    def tables(self, index: int) -> list["Table"]:
        """A vector of tables."""
        at, count = self.vector(index, 4)
        return [Table(self.file, self.file.follow(at + 4 * i)) for i in range(count)]

    def text(self, index: int) -> str:
        """A string, undecodable bytes replaced."""
        return self.array(index, "u1").tobytes().decode("utf-8", "replace")
