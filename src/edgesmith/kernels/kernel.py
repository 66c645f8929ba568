"""The nouns of the kernel interface: a call of a C kernel, and how its folder wants it prepared."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgesmith.core.graph import Op, Tensor

Value = int | float | tuple[int, ...]
Arrange = Callable[[np.ndarray], np.ndarray]
ArrangeFor = Callable[[np.ndarray, Mapping[str, Value]], np.ndarray]  # (constant, field values) to the constant
# Element type to the ending of a function that exists for several.
SUFFIX = {"float32": "f32", "int8": "s8", "uint8": "u8", "int16": "s16", "int32": "s32"}


@dataclass(frozen=True)
class Field:
    """One member of a parameter struct.

    Attributes:
        ctype: C type of the member, or of its elements.
        length: 0 for a number, else the length of the C array; the entries beyond `value` are zero.
    """

    name: str
    value: Value
    ctype: str = "int32_t"
    length: int = 0


def plain_arguments(inputs: Sequence[str], outputs: Sequence[str]) -> list[str]:
    """Inputs then outputs, as most kernels take them."""
    return [*inputs, *outputs]


@dataclass(frozen=True)
class Call:
    """One op bound to a C function of a kernel file, the same whichever folder the file is taken from.

    Attributes:
        file: of the kernel, without folder and ending.
        struct: C type of the parameters.
        fields: members of the struct, in order.
        arguments: C expressions of the op's inputs and outputs to what is passed between parameters and scratch.
        arrange: input index to the change of a constant that every folder's version of this file wants.
    """

    file: str
    function: str
    struct: str
    fields: tuple[Field, ...]
    arguments: Callable[[Sequence[str], Sequence[str]], list[str]] = plain_arguments
    arrange: Mapping[int, Arrange] = field(default_factory=dict)

    def values(self) -> dict[str, Value]:
        """Field name to value."""
        return {f.name: f.value for f in self.fields}


@dataclass(frozen=True)
class Variant:
    """What one folder's version of a kernel file needs beyond the call.

    Attributes:
        scratch_bytes: field values to bytes; equal to the file's es_<kind>_scratch in C.
        arrange: input index to (constant, field values) -> the constant in this version's own order; replaces
            the call's arrangement of that input.
        suits: whether this version can serve a call with these field values.
        lead_bytes: y may lie over the first input if it begins at least so many bytes before it; None if it may not.
            Besides the fields the values hold x_bytes and y_bytes, of one element.
        in_place: whether y, no larger, may begin where the first input does; besides the ops of which every kernel can.
    """

    scratch_bytes: Callable[[Mapping[str, Value]], int] = lambda values: 0
    arrange: Mapping[int, ArrangeFor] = field(default_factory=dict)
    suits: Callable[[Mapping[str, Value]], bool] = lambda values: True
    lead_bytes: Callable[[Mapping[str, Value]], int | None] = lambda values: None
    in_place: Callable[[Mapping[str, Value]], bool] = lambda values: False


def raster_lead_bytes(values: Mapping[str, Value]) -> int:
    """Lead of a window kernel that writes output rows in order and, from row oy on, reads only its windows.

    When row oy is written whole, (oy + 1) rows of y are; the first input row still needed is that of its windows.
    """
    v = {"x_bytes": 1, "y_bytes": 1, **{name: int(value) for name, value in values.items() if isinstance(value, int)}}
    row_in = v["in_w"] * v.get("in_c", v.get("channels", 0)) * v["x_bytes"]
    row_out = v["out_w"] * v.get("out_c", v.get("channels", 0)) * v["y_bytes"]
    written = ((oy + 1) * row_out - max(0, oy * v["stride_h"] - v["pad_top"]) * row_in for oy in range(v["out_h"]))
    return max(written)


def rows_lead_bytes(
    values: Mapping[str, Value], together: int = 1, names: Sequence[str] = ("rows", "in_features", "out_features")
) -> int:
    """Lead of a kernel that works on `together` rows at a time: all of theirs may be written while all are needed.

    Args:
        names: fields with the number of rows, of input elements from one to the next, of output elements.
    """
    v = {"x_bytes": 1, "y_bytes": 1, **{name: int(value) for name, value in values.items() if isinstance(value, int)}}
    rows, step_in, step_out = (v[name] for name in names)
    firsts = range(0, rows, together)
    return max(min(row + together, rows) * step_out * v["y_bytes"] - row * step_in * v["x_bytes"] for row in firsts)


@dataclass(frozen=True)
class Kernel:
    """A kernel chosen for an op: everything needed to print its call.

    Attributes:
        source: the C file.
        scratch_bytes: of the block it needs, 16-byte aligned.
        arrange: input index to the order in which it wants that constant.
        lead_bytes: y may lie over the first input if it begins at least so many bytes before it; None if it may not.
        in_place: whether y, no larger, may begin where the first input does.
    """

    function: str
    source: Path
    struct: str
    fields: tuple[Field, ...]
    scratch_bytes: int
    arguments: Callable[[Sequence[str], Sequence[str]], list[str]]
    arrange: Mapping[int, Arrange]
    lead_bytes: int | None = None
    in_place: bool = False


# (op, its input tensors, its output tensors, its complete attributes) to calls, best first.
Binding = Callable[[Op, Sequence[Tensor], Sequence[Tensor], Mapping[str, object]], tuple[Call, ...]]


def numbers(**values: int | float) -> tuple[Field, ...]:
    """int32_t members."""
    return tuple(Field(name, int(value)) for name, value in values.items())


def floats(**values: float) -> tuple[Field, ...]:
    """float members."""
    return tuple(Field(name, float(value), "float") for name, value in values.items())
