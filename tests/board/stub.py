"""The harness that runs on boards, compiled for this machine, as a serial port that tests can disturb."""

import ctypes
import functools
import itertools
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.ops.cases import scaling, weights
from core.sketch import Sketch
from edgesmith.core.graph import Graph, Op, State, Tensor
from edgesmith.core.target import Target
from edgesmith.targets import load
from edgesmith.toolchain import compile_library
from edgesmith.toolchain.firmware import SUPPORT

SOURCES = [SUPPORT / "serial" / "frames.c", SUPPORT / "serial" / "harness.c", Path(__file__).with_name("stub.c")]
TURNS = itertools.count()
SHA256 = bytes([1, 2, 3]).ljust(32, b"\0").hex()
GRAPH = Graph(
    "stub",
    {name: Tensor(name, (300,), "uint8") for name in ("x", "y")},
    (Op("permute", ("x",), ("y",), {"axes": (0,)}),),
    ("x",),
    ("y",),
)


def target() -> Target:
    return replace(load("nucleo-l4r5zi"), clock_hz=1_000_000)


@functools.cache
def built() -> Path:
    """The library; undefined behaviour traps."""
    return compile_library(SOURCES, [SUPPORT / "serial"], sanitize="undefined")


class Stub:
    """A port with the harness behind it.

    Attributes:
        sent, answered: may change what goes over the line, each way.
    """

    def __init__(self, folder: Path) -> None:
        library = folder / f"stub-{next(TURNS)}.so"  # a copy of its own: the harness has one state a library
        shutil.copyfile(built(), library)
        self.library = ctypes.CDLL(str(library))
        self.sent: Callable[[bytes], bytes] = lambda data: data
        self.answered: Callable[[bytes], bytes] = lambda data: data
        self.gone = False
        self._waiting = b""

    def __getitem__(self, name: str) -> int:
        return ctypes.c_uint32.in_dll(self.library, name).value

    def __setitem__(self, name: str, value: int) -> None:
        ctypes.c_uint32.in_dll(self.library, name).value = value

    def write(self, data: bytes) -> int:
        if self.gone:
            raise OSError("device disconnected")
        given = self.sent(data)
        self.library.feed(given, len(given))
        count = self["line_bytes"]
        said = bytes((ctypes.c_uint8 * 4096).in_dll(self.library, "line"))[:count]
        self["line_bytes"] = 0
        self._waiting += self.answered(said)
        return len(data)

    @property
    def in_waiting(self) -> int:
        return len(self._waiting)

    def read(self, size: int) -> bytes:
        if self.gone:
            raise OSError("device disconnected")
        part, self._waiting = self._waiting[:size], self._waiting[size:]
        return part

    def close(self) -> None:
        self.gone = True


def sample(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, 300).astype(np.uint8)


@functools.cache
def model() -> Graph:
    """A quantized model with a state: two layers, then a running sum of what they gave."""
    sketch = Sketch()
    x = sketch.input(1, 300, dtype="int8")
    hidden = sketch("linear_s8", x, sketch.const(weights(24, 300)), *map(sketch.const, scaling(24)))
    y = sketch("linear_s8", hidden, sketch.const(weights(10, 24)), *map(sketch.const, scaling(10)))
    graph = sketch.graph(y)
    half = {"a_multiplier": 1 << 19, "b_multiplier": 1 << 19, "shift": 20}
    tensors = {**graph.tensors, **{name: Tensor(name, (1, 10), "int8") for name in ("before", "sum")}}
    ops = (*graph.ops, Op("add_s8", (y, "before"), ("sum",), half, "sum"))
    state = State("before", "sum", np.full((1, 10), 7, np.int8))
    return replace(graph, name="summing", tensors=tensors, ops=ops, outputs=(y, "sum"), states=(state,))
