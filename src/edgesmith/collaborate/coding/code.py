"""A code: the tables of a payload's channels, its JSON form, and its bytes on any side."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from edgesmith.collaborate.coding.coders import By, Coder, coder
from edgesmith.collaborate.coding.tables import MAX_BITS, MIN_BITS, VALUE_LIMIT, Table, check, number_bits, outside
from edgesmith.core.errors import BadInput

FORM = "edgesmith.code"
VERSION = 1
MAX_TABLES = 256  # a board keeps one byte a channel
MAX_CHANNELS = 1 << 16
MAX_VALUES = 1 << 26  # of one payload
STRUCT_BYTES = 16  # of an es_code on a 32-bit core
Dtype = Literal["int8", "int16", "int32"]


@dataclass(frozen=True)
class Code:
    """Static tables for integer arrays whose last axis is the channels.

    The stream holds channel after channel, of each the values in order; after them all values outside the tables. It
    does not say how long it is: both sides know the shape. A checksum is the frame's.

    Attributes:
        bits: the frequencies of each table sum to 2^bits.
        which: (channels,) table of each channel. One channel takes arrays of any shape.

    Raises:
        BadInput: tables that do not sum up, channels without a table, or too many of them.
    """

    bits: int
    which: tuple[int, ...]
    tables: tuple[Table, ...]

    def __post_init__(self) -> None:
        if not MIN_BITS <= self.bits <= MAX_BITS:
            raise BadInput(f"code: bits is {self.bits}; need {MIN_BITS} .. {MAX_BITS}.")
        if not 1 <= len(self.tables) <= MAX_TABLES or not 1 <= len(self.which) <= MAX_CHANNELS:
            raise BadInput(
                f"code: {len(self.tables)} tables, {len(self.which)} channels; need 1 .. {MAX_TABLES} and 1 .. "
                f"{MAX_CHANNELS}."
            )
        if min(self.which) < 0 or max(self.which) >= len(self.tables):
            raise BadInput(f"code: a channel has table {max(self.which)}; need 0 .. {len(self.tables) - 1}.")
        for table in self.tables:
            check(table, self.bits)

    @property
    def channels(self) -> int:
        """Length of the last axis."""
        return len(self.which)

    @property
    def board_bytes(self) -> int:
        """Flash that the tables take on a board with a 32-bit core."""
        return STRUCT_BYTES + len(self.which) + sum(table.board_bytes for table in self.tables)

    def encode(self, array: np.ndarray, by: By | None = None) -> bytes:
        """The array's stream.

        Args:
            array: (..., channels) integers of at most 22 bits with sign.
            by: which implementation; None takes the fastest that is installed. All give the same bytes.

        Raises:
            BadInput: another last axis, no integers, or integers out of range.
            Missing: `by` names what is not installed.
        """
        array = np.asarray(array)
        self._fits(array.shape)
        if array.dtype.kind not in "iu":
            raise BadInput(f"code: values of {array.dtype}; need integers. Quantize first.")
        if array.size and (array.min() < -VALUE_LIMIT or array.max() >= VALUE_LIMIT):
            raise BadInput(f"code: values {array.min()} .. {array.max()}; need at most 22 bits with sign.")
        flat = np.ascontiguousarray(array).ravel()
        return self._coder(by).encode(flat if flat.dtype == np.int8 else flat.astype(np.int32))

    def decode(self, data: bytes, shape: Sequence[int], dtype: Dtype = "int8", by: By | None = None) -> np.ndarray:
        """The array of a stream.

        Damage is found only where the stream says something impossible: a frame's checksum must find the rest.

        Args:
            shape: (..., channels).
            dtype: of the result.

        Raises:
            BadInput: no stream of this code, values outside `dtype`, or a shape with another last axis.
        """
        if dtype not in get_args(Dtype):
            raise BadInput(f"code: dtype {dtype!r}; need one of {', '.join(get_args(Dtype))}.")
        size = self._fits(tuple(shape))
        narrow = dtype == "int8"
        values = self._coder(by).decode(data, size, narrow)
        limits = np.iinfo(dtype)
        if size and (values.min() < limits.min or values.max() > limits.max):
            raise BadInput(f"code: the stream has values outside {dtype}; it is damaged, or made with another code.")
        return values.astype(dtype, copy=False).reshape(tuple(shape))

    def expected_bits(self, array: np.ndarray) -> float:
        """Bits that the tables give to an array; its stream is this long, and at most a few bytes more."""
        array = np.asarray(array)
        self._fits(array.shape)
        total = 0.0
        for values, table in zip(array.reshape(-1, self.channels).T, self._tables(), strict=True):
            index = table.indices(values)
            total += float((self.bits - np.log2(np.array(table.frequencies))[index]).sum())
            total += float(number_bits(outside(values[index == table.symbols].astype(np.int64), table)).sum())
        return total

    def _fits(self, shape: Sequence[int]) -> int:
        """Number of values of an array of this code."""
        size = int(np.prod(shape, dtype=np.float64))  # no wrap-around
        if any(extent < 0 for extent in shape) or size > MAX_VALUES:
            raise BadInput(f"code: an array of shape {tuple(shape)}; need at most {MAX_VALUES:,} values.")
        if self.channels > 1 and (not shape or shape[-1] != self.channels):
            raise BadInput(f"code: an array of shape {tuple(shape)}; need {self.channels} channels on the last axis.")
        return size

    def _tables(self) -> list[Table]:
        """Of each channel."""
        return [self.tables[index] for index in self.which]

    def _coder(self, by: By | None) -> Coder:
        if by is not None:
            return coder(by, self.bits, self.which, self.tables)
        return self._fastest

    @cached_property
    def _fastest(self) -> Coder:
        return coder(None, self.bits, self.which, self.tables)

    def to_json(self) -> dict[str, Any]:
        """As plain data: bits, the table of each channel, of each table its first value and its frequencies."""
        tables = [{"low": table.low, "frequencies": list(table.frequencies)} for table in self.tables]
        return {"form": FORM, "version": VERSION, "bits": self.bits, "which": list(self.which), "tables": tables}

    @classmethod
    def from_json(cls, data: Any) -> "Code":
        """Inverse of `to_json`.

        Raises:
            BadInput: it is no code, or a damaged one.
        """
        if not isinstance(data, dict) or set(data) != {"form", "version", "bits", "which", "tables"}:
            raise BadInput("code: need the fields form, version, bits, which, tables; the file is damaged.")
        if data["form"] != FORM or data["version"] != VERSION:
            raise BadInput(f"code: {data['form']!r} version {data['version']!r}; need {FORM!r} version {VERSION}.")
        if not isinstance(data["tables"], list):
            raise BadInput("code: tables is no list; the file is damaged.")
        tables = tuple(_table(row) for row in data["tables"])
        return cls(_integers([data["bits"]], "bits")[0], _integers(data["which"], "which"), tables)

    def dumps(self) -> str:
        """`to_json` as text; the same code gives the same text."""
        return json.dumps(self.to_json(), separators=(",", ":"))

    @classmethod
    def loads(cls, text: str) -> "Code":
        """Inverse of `dumps`.

        Raises:
            BadInput: no JSON, or no code.
        """
        try:
            return cls.from_json(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise BadInput(f"code: no JSON: {error}; the file is damaged.") from error


def _table(row: Any) -> Table:
    if not isinstance(row, dict) or set(row) != {"low", "frequencies"}:
        raise BadInput("code: a table needs the fields low, frequencies; the file is damaged.")
    return Table(_integers([row["low"]], "low")[0], _integers(row["frequencies"], "frequencies"))


def _integers(values: Any, name: str) -> tuple[int, ...]:
    """A list of small integers from outside."""
    whole = isinstance(values, list) and all(type(value) is int and abs(value) <= 1 << 22 for value in values)
    if not whole or not len(values) <= MAX_CHANNELS:
        raise BadInput(f"code: {name} holds something else than integers; the file is damaged.")
    return tuple(values)
