"""One operator while it is lowered: its tensors as names in the graph, its constants as arrays."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgesmith.core.errors import Unsupported
from edgesmith.core.formats import PerChannel, PerTensor
from edgesmith.lower.bounded import BoundedBuilder, stored
from edgesmith.lower.tflite.model import Operator, Value

LIMITS = {0: (-math.inf, math.inf), 1: (0.0, math.inf), 2: (-1.0, 1.0), 3: (0.0, 6.0)}  # fused activations


@dataclass
class Node:
    """What a lowering sees.

    Attributes:
        b: the graph while it grows.
        op: the operator in the file.
        values: every tensor of the file.
        names: the graph's tensor of each tensor of the file that is there already.
        sole_reader: whether one op alone reads the tensor of an index.
        room: elements of constants that may still be made; a file cannot hold more than it is long.
    """

    b: BoundedBuilder
    op: Operator
    values: tuple[Value, ...]
    names: dict[int, str]
    sole_reader: Callable[[int], bool]
    room: list[int]

    def value(self, position: int) -> Value:
        """The tensor of the file at an input.

        Raises:
            Unsupported: the input is left out.
        """
        if not self.given(position):
            raise Unsupported(f"has no input {position}; need one.")
        return self.values[self.op.inputs[position]]

    def given(self, position: int) -> bool:
        """Whether the input is there."""
        return position < len(self.op.inputs) and self.op.inputs[position] >= 0

    def output(self, position: int = 0) -> Value:
        """The tensor of the file at an output."""
        if position >= len(self.op.outputs) or self.op.outputs[position] < 0:
            raise Unsupported(f"has no output {position}; need one.")
        return self.values[self.op.outputs[position]]

    @property
    def quantized(self) -> bool:
        """Whether the op computes on integers that stand for real values."""
        return self.output().quantized

    def x(self, position: int = 0) -> str:
        """An activation, or a constant operand in its format."""
        value = self.value(position)
        if value.index in self.names:
            return self.names[value.index]
        if not value.is_constant:
            raise Unsupported(f"reads {value.name!r}, which nothing has made.")
        if value.dtype in ("int32", "int64") and not value.quantized:
            return self.constant(value.name, value.array.astype(np.int32))
        format_ = value.format if self.quantized else None
        self.names[value.index] = self.constant(value.name, real(value), format_)
        return self.names[value.index]

    def weight(self, position: int, arrange: Callable[[np.ndarray], np.ndarray], channels: int) -> str:
        """A constant weight, its axes put in order with the output channels first; quantized, a scale for each."""
        value = self.value(position)
        self.check_weight(value)
        array = np.ascontiguousarray(arrange(real(value)))
        if len(value.scales) > 1 and not (len(value.scales) == channels == value.shape[value.axis % len(value.shape)]):
            raise Unsupported(f"has {len(value.scales)} scales for the {channels} channels of {value.name!r}.")
        if array.shape[0] != channels:
            raise Unsupported(f"has {array.shape[0]} output channels in {value.name!r}; need {channels}.")
        scales = np.broadcast_to(value.scales, (channels,)) if self.quantized else ()
        return self.constant(value.name, array, PerChannel(tuple(map(float, scales))) if self.quantized else None)

    def check_weight(self, value: Value) -> None:
        """Refuse what a weight here cannot be.

        Raises:
            Unsupported: it is computed, or its zero point is not 0.
        """
        if not value.is_constant:
            raise Unsupported(f"computes its weight {value.name!r}; need a constant.")
        if self.quantized and (value.dtype != "int8" or value.zeros.any() or not value.scales.size):
            raise Unsupported(
                f"has the weight {value.name!r} as {value.dtype} with zero point {value.zeros[:1].tolist() or 0}; need "
                "int8 with scales and zero point 0. Convert the model again with signed weights."
            )

    def bias(self, position: int, channels: int) -> str:
        """A constant bias in real numbers, zeros where it is left out."""
        if not self.given(position):
            return self.b.filled("bias", (channels,), 0.0)
        value = self.value(position)
        if not value.is_constant:
            raise Unsupported(f"computes its bias {value.name!r}; need a constant.")
        return self.constant(value.name, real(value).reshape(-1))

    def ints(self, position: int) -> list[int]:
        """A constant list of whole numbers: axes, sizes.

        Raises:
            Unsupported: it is computed.
        """
        value = self.value(position)
        if not value.is_constant or value.dtype not in ("int32", "int64"):
            raise Unsupported(f"computes {value.name!r} while it runs; need constant sizes and axes.")
        return [int(entry) for entry in value.array.reshape(-1)]

    def number(self, position: int) -> float:
        """A constant of one element, as a real number."""
        value = self.value(position)
        if not value.is_constant or value.array.size != 1:
            raise Unsupported(f"needs one constant number as {value.name!r}.")
        return float(real(value).reshape(-1)[0])

    def whole(self, index: int, code: str = "i", default: int = 0) -> int:
        """A setting that is a whole number."""
        return self.op.options.whole(index, code, default) if self.op.options else default

    def flag(self, index: int) -> bool:
        """A setting that is a bool."""
        return bool(self.op.options and self.op.options.flag(index))

    def constant(self, name: str, array: np.ndarray, format_: PerTensor | PerChannel | None = None) -> str:
        """A constant of the graph."""
        self.room[0] -= array.size
        if self.room[0] < 0:
            raise Unsupported("needs more constants than the file is long; the file names the same bytes too often.")
        return self.b.constant(name, array, format_)

    def limits(self, index: int) -> dict[str, float]:
        """The bounds `low` and `high` of a fused activation, whose number is setting `index`.

        Raises:
            Unsupported: it is no limit.
        """
        number = self.whole(index, "b")
        if number not in LIMITS:
            raise Unsupported(f"has the fused activation {number}; need none, RELU, RELU_N1_TO_1 or RELU6.")
        low, high = LIMITS[number]
        return {"low": low, "high": high}

    def limited(self, x: str, index: int) -> str:
        """x within the bounds of a fused activation, for ops that have none of their own."""
        bounds = self.limits(index)
        return x if bounds == self._none() else self.b.op("clamp", x, **bounds)

    def _none(self) -> dict[str, float]:
        low, high = LIMITS[0]
        return {"low": low, "high": high}

    def carry(self, index: int, name: str) -> None:
        """A result of data movement inside a lowering keeps the format of the tensor it comes from."""
        known = self.b.tensors[self.names[index]].format
        if known is not None and self.b.tensors[name].format is None:
            self.b.set_format(name, known)

    def stored(self, name: str, position: int = 0) -> str:
        """The result in the format that the file gives an output: a step that only stores where it has another."""
        format_ = self.output(position).format
        if format_ is None:
            return name
        return stored(self.b, name, format_)


def real(value: Value) -> np.ndarray:
    """A constant as float32, by its scales where it has any.

    Raises:
        Unsupported: a scale per channel along no axis of it, or values that are not finite.
    """
    array = value.array
    if not value.quantized:
        if not np.isfinite(array.astype(np.float64)).all():
            raise Unsupported(f"has the constant {value.name!r} with values that are not finite.")
        return array.astype(np.float32)
    scales, zeros = value.scales, value.zeros if value.zeros.size else np.zeros(1, np.int64)
    if scales.size > 1:
        if not value.shape or value.shape[value.axis % len(value.shape)] != scales.size:
            raise Unsupported(f"has {scales.size} scales for {value.name!r} of shape {value.shape}.")
        along = [1] * len(value.shape)
        along[value.axis % len(value.shape)] = -1
        scales = scales.reshape(along)
        zeros = zeros.reshape(along) if zeros.size > 1 else zeros
    return ((array.astype(np.float64) - zeros) * scales).astype(np.float32)


Lowering = Callable[[Node], "str | list[str]"]
