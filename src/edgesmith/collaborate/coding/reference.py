"""The definition of the stream: a range coder in Python's own integers.

A stream is a number in [0, 1), written as bytes, the highest first; behind its end are zeros. Coding narrows the
interval [low, low + range) that holds it. At the start low is 0 and range 2^64 - 1, in units of 2^-64. A symbol with
the share start .. start + width of 2^24 takes

    scale = range >> 24,  low += scale * start,  range = scale * width,

and while range < 2^32 the unit is divided by 2^32. Of all numbers in the last interval the stream is one with the
fewest bytes. A table's 2^bits shares count 2^(24 - bits) each.

After the symbols, channel by channel, come the values outside the tables, in the same order: a number n >= 1 of b bits
(`tables.outside` plus 1) as its class b - 1, with the shares of b - 1 zeros and a one, then its bits below the first:
Elias gamma.

The arithmetic is the range coder of the library constriction (words of 32 bits, state of 64, shares of 24), whose words
end otherwise. Source: Pasco, "Source coding algorithms for fast data compression", Stanford 1976; Martin, "Range
encoding", 1979; arXiv:2201.01741 (constriction).
"""

from collections.abc import Iterator, Sequence

import numpy as np

from edgesmith.collaborate.coding.tables import LAST_CLASS, Table, inside_out, outside
from edgesmith.core.errors import BadInput

SHARE_BITS = 24
WORD_BITS = 32
START_RANGE = (1 << 64) - 1

Share = tuple[int, int]  # start and width of 2^24


class Encoder:
    """Narrows the interval by one share after another.

    Attributes:
        low: with all its digits, however many.
        words: by which the unit was divided: it is 2^-(64 + 32 words).
    """

    def __init__(self) -> None:
        self.low, self.range, self.words = 0, START_RANGE, 0

    def put(self, share: Share) -> None:
        """Narrow it."""
        scale = self.range >> SHARE_BITS
        self.low, self.range = self.low + scale * share[0], scale * share[1]
        if self.range < 1 << WORD_BITS:
            self.low, self.range, self.words = self.low << WORD_BITS, self.range << WORD_BITS, self.words + 1

    def finish(self) -> bytes:
        """The stream."""
        return shortest(self.low, self.range, self.words)


def shortest(low: int, width: int, words: int) -> bytes:
    """The fewest bytes of a number in low .. low + width - 1, in units of 2^-(64 + 32 words).

    Args:
        width: at least 2^32, so that at most four bytes of the last 64 bits are needed.
    """
    for dropped in range(8, 3, -1):
        unit = 1 << 8 * dropped
        number = -(-low // unit) * unit
        if number - low < width:
            break
    return number.to_bytes(8 + 4 * words, "big").rstrip(b"\0")


class Decoder:
    """Finds the symbols of a stream.

    Attributes:
        offset: of the stream's number from the interval's low end.
    """

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.range = data, 8, START_RANGE
        self.offset = int.from_bytes(data[:8].ljust(8, b"\0"), "big")

    def quantile(self) -> int:
        """Where in the interval the number lies, of 2^24.

        Raises:
            BadInput: beyond its end, where no encoder goes.
        """
        found = self.offset // (self.range >> SHARE_BITS)
        if found >> SHARE_BITS:
            raise BadInput("code: the stream leaves its interval; it is damaged, or no stream of this code.")
        return found

    def take(self, share: Share) -> None:
        """Narrow the interval to the share that holds the quantile."""
        scale = self.range >> SHARE_BITS
        self.offset, self.range = self.offset - scale * share[0], scale * share[1]
        if self.range < 1 << WORD_BITS:
            word = int.from_bytes(self.data[self.at : self.at + 4].ljust(4, b"\0"), "big")
            self.offset, self.range, self.at = self.offset << WORD_BITS | word, self.range << WORD_BITS, self.at + 4


def class_share(index: int) -> Share:
    """Of the class of numbers with index + 1 bits; the last two are alike, so that all sum to 2^24."""
    start = (1 << SHARE_BITS) - (1 << SHARE_BITS - index)
    return start, 1 << max(SHARE_BITS - 1 - index, 1)


class Reference:
    """The coder of a code, by the definition; slow."""

    def __init__(self, bits: int, which: Sequence[int], tables: Sequence[Table]) -> None:
        self.shift = SHARE_BITS - bits
        self.tables = [tables[index] for index in which]

    def shares(self, flat: np.ndarray) -> Iterator[Share]:
        """Of all values of an array, in the order of the stream."""
        columns = flat.reshape(-1, len(self.tables)).T
        for values, table in zip(columns, self.tables, strict=True):
            for index in table.indices(values):
                yield self._share(table, int(index))
        for values, table in zip(columns, self.tables, strict=True):
            escaped = values[table.indices(values) == table.symbols].astype(np.int64)
            for number in outside(escaped, table) + 1:
                index = int(number).bit_length() - 1
                yield class_share(index)
                if index:
                    yield (int(number) - (1 << index)) << SHARE_BITS - index, 1 << SHARE_BITS - index

    def encode(self, flat: np.ndarray) -> bytes:
        """(n,) integers to their stream."""
        encoder = Encoder()
        for share in self.shares(flat):
            encoder.put(share)
        return encoder.finish()

    def decode(self, data: bytes, size: int, narrow: bool) -> np.ndarray:
        """A stream to (size,) int32."""
        decoder = Decoder(data)
        found = np.zeros(size, np.int32)
        columns, escapes = found.reshape(-1, len(self.tables)).T, []
        for values, table in zip(columns, self.tables, strict=True):
            for i in range(len(values)):
                index = int(np.searchsorted(table.starts, decoder.quantile() >> self.shift, "right")) - 1
                decoder.take(self._share(table, index))
                values[i] = table.low + index
                if index == table.symbols:
                    escapes.append((values, i, table))
        for values, i, table in escapes:
            values[i] = inside_out(_number(decoder) - 1, table)
        return found

    def _share(self, table: Table, index: int) -> Share:
        return int(table.starts[index]) << self.shift, table.frequencies[index] << self.shift


def _number(decoder: Decoder) -> int:
    """The next number outside the tables."""
    quantile = decoder.quantile()
    index = next(i for i in range(LAST_CLASS, -1, -1) if class_share(i)[0] <= quantile)
    decoder.take(class_share(index))
    if not index:
        return 1
    below = decoder.quantile() >> SHARE_BITS - index
    decoder.take((below << SHARE_BITS - index, 1 << SHARE_BITS - index))
    return (1 << index) + below
