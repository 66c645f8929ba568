"""A .tflite file as plain records.

Source: schema.fbs of TensorFlow Lite, version 3; field numbers are those of the tables there.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from edgesmith.core.errors import BadInput, Missing, Unsupported
from edgesmith.core.formats import PerTensor
from edgesmith.core.graph import MAX_RANK, MAX_TENSOR_BYTES
from edgesmith.lower.bounded import MAX_MODEL_BYTES, tidy
from edgesmith.lower.tflite.flatbuffer import Bytes, Table
from edgesmith.lower.tflite.names import BUILTINS

IDENTIFIER = b"TFL3"
DTYPES: Mapping[int, str] = {
    0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16", 9: "int8", 10: "float64",
    13: "resource", 15: "uint32",
}  # fmt: skip
CUSTOM = 32
PLACEHOLDER = 127  # of the old one-byte operator code, where the new one counts


@dataclass(frozen=True)
class Value:
    """A tensor of the file.

    Attributes:
        shape: static; a batch that is left open is 1.
        dtype: numpy's name, or "resource" for a variable's handle, or what the file calls it.
        data: the stored constant, flat; empty for what is computed.
        scales, zeros, axis: its quantization; no scales for plain numbers.
        variable: it keeps its value from run to run.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    data: np.ndarray
    scales: np.ndarray
    zeros: np.ndarray
    axis: int
    variable: bool

    @property
    def is_constant(self) -> bool:
        """Whether the file holds its value."""
        return self.data.size > 0 and not self.variable

    @cached_property
    def array(self) -> np.ndarray:
        """The stored constant in its shape.

        Raises:
            BadInput: there are more or fewer bytes than the shape needs.
        """
        if self.dtype in ("resource",) or self.dtype.startswith("type "):
            raise Unsupported(f"reads {self.name!r}, which is stored as {self.dtype}; need plain integers or floats.")
        if self.data.size != math.prod(self.shape) * np.dtype(self.dtype).itemsize:
            raise BadInput(f"tensor {self.name!r} is {self.dtype}{self.shape} in {self.data.size} bytes; damaged.")
        return self.data.view(np.dtype(self.dtype).newbyteorder("<")).astype(self.dtype).reshape(self.shape)

    @property
    def quantized(self) -> bool:
        """Whether its integers stand for real values."""
        return self.scales.size > 0 and self.dtype in ("int8", "uint8", "int16", "int32")

    @property
    def format(self) -> PerTensor | None:
        """How an activation is stored; uint8 as the int8 that means the same.

        Raises:
            Unsupported: there is a scale per channel.
        """
        if not self.quantized:
            return None
        if len(self.scales) != 1:
            raise Unsupported(f"reads {self.name!r}, an activation with {len(self.scales)} scales; need one.")
        moved = 128 if self.dtype == "uint8" else 0
        zero = int(self.zeros[0]) if self.zeros.size else 0
        return PerTensor(float(self.scales[0]), zero - moved, "int8" if moved else self.dtype)


@dataclass(frozen=True)
class Operator:
    """A step.

    Attributes:
        kind: such as "CONV_2D", or "CUSTOM:name".
        inputs, outputs: indices of tensors; -1 for an optional one left out.
        options: the op's own settings, if it has any.
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Table | None


@dataclass(frozen=True)
class Program:
    """A subgraph."""

    values: tuple[Value, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    name: str = ""


@dataclass(frozen=True)
class Model:
    """A file: the program, and those it calls once to give variables their first values."""

    programs: tuple[Program, ...]
    size: int


def read(path: Path | str) -> Model:
    """Read a .tflite file; nothing in it is executed.

    Raises:
        Missing: no such file.
        BadInput: not such a file, too large, or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise Missing(f"{path}: it is not a file. Check the path.")
    if path.stat().st_size > MAX_MODEL_BYTES:
        raise BadInput(f"{path}: it is larger than {MAX_MODEL_BYTES} bytes; need less.")
    return parse(path.read_bytes(), path.name)


def parse(data: bytes, name: str) -> Model:
    """The same from bytes; `name` is for messages."""
    if data[4:8] != IDENTIFIER:
        raise BadInput(f"{name}: it does not hold {IDENTIFIER.decode()} at byte 4; need a TensorFlow Lite model.")
    root = Bytes(data, name).root()
    buffers = root.tables(4)
    kinds = [_kind(table) for table in root.tables(1)]
    programs = tuple(_program(table, buffers, kinds) for table in root.tables(2))
    if not programs:
        raise BadInput(f"{name}: it holds no subgraph; it is damaged.")
    return Model(programs, len(data))


def _kind(code: Table) -> str:
    """The operator's name; the one-byte field serves those that fit it (schema.fbs, OperatorCode)."""
    old, new = code.whole(0, "b"), code.whole(3)
    number = max(old, new) if old != PLACEHOLDER else new
    return f"CUSTOM:{tidy(code.text(1), '?')}" if number == CUSTOM else BUILTINS.get(number, f"builtin {number}")


def _program(table: Table, buffers: list[Table], kinds: list[str]) -> Program:
    values = tuple(_value(i, tensor, buffers) for i, tensor in enumerate(table.tables(0)))
    operators = tuple(_operator(op, kinds, len(values)) for op in table.tables(3))
    ends = [_indices(table, index, len(values)) for index in (1, 2)]
    return Program(values, operators, ends[0], ends[1], tidy(table.text(4), ""))


def _operator(table: Table, kinds: list[str], values: int) -> Operator:
    code = table.whole(0, "I")
    if code >= len(kinds):
        raise BadInput(f"{table.file.name}: an op has the code {code} of {len(kinds)}; the file is damaged.")
    return Operator(kinds[code], _indices(table, 1, values), _indices(table, 2, values), table.table(4))


def _indices(table: Table, index: int, count: int) -> tuple[int, ...]:
    found = table.array(index, "i4")
    if found.size and not (found.min() >= -1 and found.max() < count):
        raise BadInput(f"{table.file.name}: an op names tensor {found.max()} of {count}; the file is damaged.")
    return tuple(found.tolist())


def _value(index: int, table: Table, buffers: list[Table]) -> Value:
    shape = tuple(table.array(0, "i4").tolist())
    signature = tuple(table.array(7, "i4").tolist())
    if shape and len(signature) == len(shape) and signature[0] == -1:
        shape = (1, *shape[1:])
    if len(shape) > MAX_RANK or min(shape, default=1) < 0 or math.prod(shape) > MAX_TENSOR_BYTES:
        raise BadInput(f"{table.file.name}: tensor {index} has the shape {str(shape)[:80]}; the file is damaged.")
    number, buffer = table.whole(1, "B"), table.whole(2, "I")
    if buffer >= len(buffers):
        raise BadInput(f"{table.file.name}: tensor {index} names buffer {buffer} of {len(buffers)}; damaged.")
    scales, zeros, axis = _quantization(table, index)
    dtype = DTYPES.get(number, f"type {number}")
    name = tidy(table.text(3), f"t{index}")
    return Value(index, name, shape, dtype, buffers[buffer].array(0, "u1"), scales, zeros, axis, table.flag(5))


def _quantization(table: Table, index: int) -> tuple[np.ndarray, np.ndarray, int]:
    quantization = table.table(4)
    if quantization is None:
        return np.zeros(0), np.zeros(0, np.int64), 0
    scales = quantization.array(2, "f4").astype(np.float64)
    zeros = quantization.array(3, "i8").astype(np.int64)
    if not np.isfinite(scales).all() or (scales <= 0).any() or zeros.size not in (0, 1, scales.size):
        raise BadInput(f"{table.file.name}: tensor {index} has scales that are not above zero, or other zero points.")
    return scales, zeros, quantization.whole(6)
