"""The implementations of the stream, and which of them is installed."""

import functools
import importlib.util
from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np

from edgesmith.collaborate.coding.reference import Reference
from edgesmith.collaborate.coding.tables import Table
from edgesmith.core.errors import EdgesmithError

# native: C compiled here, the boards' own. constriction: the library. python: the definition, slow.
By = Literal["native", "constriction", "python"]


class Coder(Protocol):
    """An implementation, ready for one code."""

    def encode(self, flat: np.ndarray) -> bytes:
        """(n,) int8 or int32, channels last, to its stream."""

    def decode(self, data: bytes, size: int, narrow: bool) -> np.ndarray:
        """A stream to (size,) values; `narrow` allows int8 where no value of it is larger.

        Raises:
            BadInput: no stream of this code.
        """


def coder(by: By | None, bits: int, which: Sequence[int], tables: Sequence[Table]) -> Coder:
    """An implementation for a code; None chooses the fastest that is installed.

    Raises:
        Missing: it is not installed.
    """
    by = by or fastest()
    if by == "native":
        from edgesmith.collaborate.coding.native import Native

        return Native(bits, which, tables)
    if by == "constriction":
        from edgesmith.collaborate.coding.with_constriction import Constriction

        return Constriction(bits, which, tables)
    return Reference(bits, which, tables)


@functools.cache
def fastest() -> By:
    """The first that works here."""
    from edgesmith.collaborate.coding.native import library

    try:
        library()
        return "native"
    except (EdgesmithError, OSError):  # no compiler, one that fails, or no place for what it makes
        return "constriction" if importlib.util.find_spec("constriction") else "python"
