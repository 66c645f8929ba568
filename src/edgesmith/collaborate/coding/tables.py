"""Frequency tables: integers that sum to a power of two, one for each value of a window and one for all others."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edgesmith.core.errors import BadInput

MIN_BITS, MAX_BITS = 4, 15  # 2^15 still fits the uint16 of a board's table
VALUE_LIMIT = 1 << 21  # of every value: then all escapes fit their 24 classes
LAST_CLASS = 23  # of escapes: numbers of 1 .. 24 bits
MAX_COUNT = 1 << 40  # of one symbol: times 2^15 it stays within int64
STRUCT_BYTES = 12  # of an es_code_table on a 32-bit core


@dataclass(frozen=True)
class Table:
    """The values low, low + 1, ... and how often each occurs; the last frequency is the escape's.

    Attributes:
        low: value of the first symbol.
        frequencies: at least 1 each; all tables of a code sum to the same power of two.
    """

    low: int
    frequencies: tuple[int, ...]

    @property
    def symbols(self) -> int:
        """Values in the window; also the index of the escape."""
        return len(self.frequencies) - 1

    @property
    def high(self) -> int:
        """The last value of the window."""
        return self.low + self.symbols - 1

    @cached_property
    def starts(self) -> np.ndarray:
        """(symbols + 2,) int64: where each symbol's interval begins, the escape's, and the sum of all."""
        return np.concatenate([[0], np.cumsum(np.array(self.frequencies, np.int64))])

    @property
    def board_bytes(self) -> int:
        """Of flash: the starts as uint16, and the struct that points to them."""
        return 2 * (self.symbols + 2) + STRUCT_BYTES

    def indices(self, values: np.ndarray) -> np.ndarray:
        """Symbol of each value, int64; values outside the window are the escape."""
        index = values.astype(np.int64) - self.low
        return np.where((index < 0) | (index >= self.symbols), self.symbols, index)


def check(table: Table, bits: int) -> None:
    """Refuse a table that no coder may be given.

    Raises:
        BadInput: what is wrong with it.
    """
    if len(table.frequencies) < 2 or min(table.frequencies) < 1 or sum(table.frequencies) != 1 << bits:
        raise BadInput(
            f"code: a table of {len(table.frequencies)} frequencies with sum {sum(table.frequencies)}; need at least "
            f"two, each at least 1, with sum {1 << bits}."
        )
    if table.low < -VALUE_LIMIT or table.high >= VALUE_LIMIT:
        raise BadInput(
            f"code: a table for {table.low} .. {table.high}; need values in {-VALUE_LIMIT} .. {VALUE_LIMIT - 1}."
        )


def quantize(counts: np.ndarray, bits: int) -> np.ndarray:
    """Integer frequencies with sum 2^bits, in proportion to `counts` but never below 1.

    What would get less than 1 gets 1; the others share the rest by largest remainders, the first of equals first. All
    in integers, so that every machine finds the same.

    Args:
        counts: (n,) integers, not negative; zeros alone count as equal.

    Returns:
        (n,) int64.

    Raises:
        BadInput: more symbols than 2^bits, or counts that are negative or above 2^40.

    >>> quantize(np.array([5, 0, 1]), 4)
    array([13,  1,  2])
    """
    counts = np.asarray(counts, np.int64)
    if not 1 <= len(counts) <= 1 << bits or counts.min() < 0 or counts.sum() > MAX_COUNT:
        raise BadInput(
            f"code: {len(counts)} counts with sum {counts.sum()}; need 1 .. {1 << bits} of them, none negative, with "
            f"sum at most {MAX_COUNT}. Use more bits or a narrower window."
        )
    counts = counts if counts.any() else np.ones_like(counts)
    sharing = np.ones(len(counts), bool)
    while True:
        room, total = (1 << bits) - int((~sharing).sum()), int(counts[sharing].sum())
        too_rare = sharing & (counts * room < total)
        if not too_rare.any():
            return _shared(counts, sharing, room, total)
        sharing &= ~too_rare


def _shared(counts: np.ndarray, sharing: np.ndarray, room: int, total: int) -> np.ndarray:
    """`room` among those that share, 1 to the others."""
    found = np.ones_like(counts)
    share, remainder = np.divmod(counts[sharing] * room, total)
    first = np.argsort(-remainder, kind="stable")[: room - int(share.sum())]
    share[first] += 1
    found[sharing] = share
    return found


def outside(values: np.ndarray, table: Table) -> np.ndarray:
    """What an escape says of values outside the window: their distance from it, above and below in turn, from 0."""
    above = values > table.high
    return np.where(above, 2 * (values - table.high - 1), 2 * (table.low - 1 - values) + 1)


def number_bits(numbers: np.ndarray) -> np.ndarray:
    """What `outside`'s numbers take as Elias gamma, the last class as many as the one before it."""
    classes = np.frexp(numbers + 1)[1] - 1
    return np.minimum(classes + 1, LAST_CLASS) + classes


def inside_out(number: int, table: Table) -> int:
    """Inverse of `outside`, of one number."""
    distance = number >> 1
    return table.low - 1 - distance if number & 1 else table.high + 1 + distance
