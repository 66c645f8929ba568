"""The stream by the library constriction, whose range coder the definition follows.

Its fast categorical model lays symbol i at floor(sum of p before i * scale) + i of 2^24, with scale =
(2^24 - n) / sum of p. For p = frequency - 1, in 2^24ths, scale is exactly 1 and all sums are integers below 2^24, exact
in floating point: its shares are ours. A uniform model of 2^b symbols is exact likewise.

Its streams end with one or two whole words; `shortened` gives them our end. Either end decodes anywhere.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgesmith.collaborate.coding.reference import SHARE_BITS, class_share, shortest
from edgesmith.collaborate.coding.tables import LAST_CLASS, Table, inside_out, outside
from edgesmith.core.errors import BadInput, Missing

MASK = (1 << 64) - 1
CLASSES = np.array([class_share(index)[1] for index in range(LAST_CLASS + 1)])


class Constriction:
    """The coder of a code, by the library.

    Raises:
        Missing: constriction is not installed.
    """

    def __init__(self, bits: int, which: Sequence[int], tables: Sequence[Table]) -> None:
        self.stream = _stream()
        models = [self._model(np.array(table.frequencies) << (SHARE_BITS - bits)) for table in tables]
        self.tables = [(tables[index], models[index]) for index in which]
        self.classes = self._model(CLASSES)

    def _model(self, frequencies: np.ndarray) -> Any:
        return self.stream.model.Categorical((frequencies - 1).astype(np.float64), perfect=False)

    def encode(self, flat: np.ndarray) -> bytes:
        """(n,) integers to their stream."""
        encoder = self.encoder(flat)
        _, (low, width) = encoder.pos()
        return shortened(encoder.get_compressed(), low, width)

    def encoder(self, flat: np.ndarray) -> Any:
        """The library's encoder after all values, with its own end still to come."""
        encoder = self.stream.queue.RangeEncoder()
        columns, escapes = flat.reshape(-1, len(self.tables)).T, []
        for values, (table, model) in zip(columns, self.tables, strict=True):
            index = table.indices(values)
            if len(index):
                encoder.encode(index.astype(np.int32), model)
            escapes.append(outside(values[index == table.symbols].astype(np.int64), table))
        for number in np.concatenate(escapes) + 1:
            self._put_number(encoder, int(number))
        return encoder

    def _put_number(self, encoder: Any, number: int) -> None:
        index = number.bit_length() - 1
        encoder.encode(index, self.classes)
        if index:
            encoder.encode(number - (1 << index), self.stream.model.Uniform(1 << index))

    def decode(self, data: bytes, size: int, narrow: bool) -> np.ndarray:
        """A stream to (size,) int32."""
        words = np.frombuffer(data + bytes(-len(data) % 4), ">u4").astype(np.uint32)
        try:
            return self._decoded(self.stream.queue.RangeDecoder(words), size)
        except AssertionError as error:
            raise BadInput("code: the stream leaves its interval; it is damaged, or no stream of this code.") from error

    def _decoded(self, decoder: Any, size: int) -> np.ndarray:
        found = np.zeros(size, np.int32)
        columns, escapes = found.reshape(-1, len(self.tables)).T, []
        for values, (table, model) in zip(columns, self.tables, strict=True):
            if len(values):
                index = decoder.decode(model, len(values))
                values[:] = index + table.low
                escapes.append((values, np.flatnonzero(index == table.symbols), table))
        for values, places, table in escapes:
            for place in places:
                values[place] = inside_out(self._number(decoder) - 1, table)
        return found

    def _number(self, decoder: Any) -> int:
        index = int(decoder.decode(self.classes))
        below = int(decoder.decode(self.stream.model.Uniform(1 << index))) if index else 0
        return (1 << index) + below


def shortened(words: np.ndarray, low: int, width: int) -> bytes:
    """A stream of the library with our end.

    Args:
        words: what its encoder gives, ended.
        low, width: the last 64 bits of its interval.
    """
    if width == MASK:
        return b""  # nothing was coded
    # It ends with the upper word of low + 2^32 - 1, and with a zero word if the interval's end has that upper word too.
    # What its number exceeds low by is less than 2^32: subtracted, it leaves low with all its digits.
    point, end = (low + (1 << 32) - 1) & MASK, (low + width) & MASK
    whole = 2 if point >> 32 == end >> 32 else 1
    number = int.from_bytes(words.astype(">u4").tobytes(), "big") << 32 * (2 - whole)
    return shortest(number - ((number - low) & MASK), width, len(words) - whole)


def _stream() -> Any:
    try:
        from constriction import stream
    except ImportError as error:
        raise Missing(
            'code: constriction is not installed; need it because it was asked for. pip install "edgesmith[split]"'
        ) from error
    return stream
