"""The stream by the C that boards run, compiled for this machine."""

import ctypes
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgesmith.collaborate.coding.tables import Table
from edgesmith.core.errors import BadInput
from edgesmith.toolchain import compile_library

FOLDER = Path(__file__).parent / "c"
SOURCES = tuple(FOLDER / f"code_{way}_{width}.c" for way in ("encode", "decode") for width in ("s8", "s32"))
NO_ROOM = -1


class TableStruct(ctypes.Structure):
    """es_code_table."""

    _fields_ = (("low", ctypes.c_int32), ("symbols", ctypes.c_uint32), ("starts", ctypes.c_void_p))


class CodeStruct(ctypes.Structure):
    """es_code."""

    _fields_ = (
        ("channels", ctypes.c_uint32),
        ("bits", ctypes.c_uint32),
        ("which", ctypes.c_void_p),
        ("tables", ctypes.c_void_p),
    )


@functools.cache
def library() -> ctypes.CDLL:
    """The compiled coder, from the cache if it was built before.

    Raises:
        Missing: it was not built, and there is no compiler.
    """
    return load(compile_library(SOURCES))


def load(path: Path) -> ctypes.CDLL:
    """A build of `SOURCES`."""
    loaded = ctypes.CDLL(str(path))
    pointer, count = ctypes.c_void_p, ctypes.c_uint32
    for width in ("s8", "s32"):
        for way in ("encode", "decode"):
            function = getattr(loaded, f"es_code_{way}_{width}")
            function.argtypes, function.restype = (pointer, pointer, count, pointer, count), ctypes.c_int32
    return loaded


class Native:
    """The coder of a code, in C. It keeps no state between calls, so that threads may share it.

    Args:
        built: a build of `SOURCES`; None takes this machine's own.
    """

    def __init__(
        self, bits: int, which: Sequence[int], tables: Sequence[Table], built: ctypes.CDLL | None = None
    ) -> None:
        self.library = built or library()
        self.starts = [table.starts.astype(np.uint16) for table in tables]
        self.which = np.array(which, np.uint8)
        rows = zip(tables, self.starts, strict=True)
        self.rows = (TableStruct * len(tables))(*(TableStruct(t.low, t.symbols, s.ctypes.data) for t, s in rows))
        self.code = CodeStruct(len(which), bits, self.which.ctypes.data, ctypes.addressof(self.rows))

    def encode(self, flat: np.ndarray) -> bytes:
        """(n,) int8 or int32 to its stream."""
        # A value of a table takes at most 15 bits and a fraction; one outside up to 46 more.
        for room in (2 * flat.size + 16, 8 * flat.size + 16):
            out = np.empty(room, np.uint8)
            count = self._call("encode", flat, flat.size, out, room)
            if count != NO_ROOM:
                break
        if count < 0:
            raise BadInput(f"code: the encoder refused {flat.size} values with error {count}; need 22 bits with sign.")
        return out[:count].tobytes()

    def decode(self, data: bytes, size: int, narrow: bool) -> np.ndarray:
        """A stream to (size,) int8 if `narrow`, else int32."""
        found = np.empty(size, np.int8 if narrow else np.int32)
        if self._call("decode", np.frombuffer(data, np.uint8), len(data), found, size):
            raise BadInput("code: the stream holds what no encoder writes; it is damaged, or no stream of this code.")
        return found

    def _call(self, way: str, given: np.ndarray, count: int, out: np.ndarray, room: int) -> int:
        array = given if way == "encode" else out
        function = getattr(self.library, f"es_code_{way}_{'s8' if array.dtype == np.int8 else 's32'}")
        return int(function(ctypes.byref(self.code), given.ctypes.data, count, out.ctypes.data, room))
