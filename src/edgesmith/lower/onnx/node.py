"""One ONNX node while it is lowered: values as names in the graph, or as arrays as long as they are constant."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgesmith.core.errors import Unsupported
from edgesmith.core.formats import PerChannel, PerTensor
from edgesmith.lower.bounded import BoundedBuilder
from edgesmith.lower.onnx.model import Step

UINT8_TO_INT8 = 128


@dataclass(frozen=True)
class Stored:
    """A constant that the file keeps in integers, or one that stands between a quantize and its dequantize.

    Attributes:
        integers: as stored; None for a value that is computed, whose name is then in `name`.
        scales, zeros: one, or one per entry of `axis`.
    """

    integers: np.ndarray | None
    scales: np.ndarray
    zeros: np.ndarray
    axis: int
    dtype: str
    name: str = ""

    def real(self) -> np.ndarray:
        """float32 values of a constant.

        Raises:
            Unsupported: it is computed.
        """
        if self.integers is None:
            raise Unsupported("reads quantized values as a constant; need a dequantize between.")
        along = [1] * self.integers.ndim
        if self.scales.size > 1:
            along[self.axis] = -1
        scales, zeros = self.scales.reshape(along), self.zeros.reshape(along)
        return ((self.integers.astype(np.float64) - zeros) * scales).astype(np.float32)

    def format(self) -> PerTensor:
        """How an activation is stored; uint8 as the int8 that means the same.

        Raises:
            Unsupported: there is a scale per channel, or a type that no activation has.
        """
        if self.scales.size != 1 or self.dtype not in ("int8", "uint8"):
            raise Unsupported(
                f"stores an activation as {self.dtype} with {self.scales.size} scales; need int8 or uint8, one."
            )
        moved = UINT8_TO_INT8 if self.dtype == "uint8" else 0
        return PerTensor(float(self.scales.reshape(-1)[0]), int(self.zeros.reshape(-1)[0]) - moved)


Value = str | np.ndarray | Stored | None


@dataclass
class Node:
    """What a lowering sees.

    Attributes:
        b: the graph while it grows.
        inputs: a name in the graph, an array, a stored constant, or None where it is left out.
        readers: how many nodes and outputs read each input.
        opset: version of ONNX's own operators.
    """

    b: BoundedBuilder
    step: Step
    inputs: Sequence[Value]
    readers: Sequence[int]
    opset: int

    def given(self, position: int) -> bool:
        """Whether the input is there."""
        return position < len(self.inputs) and self.inputs[position] is not None

    def constant(self, position: int) -> bool:
        """Whether the input is there and constant."""
        value = self.inputs[position] if self.given(position) else None
        return isinstance(value, np.ndarray) or (isinstance(value, Stored) and value.integers is not None)

    def x(self, position: int = 0) -> str:
        """An activation, or a constant operand, which is placed in the graph."""
        if not self.given(position):
            raise Unsupported(f"has no input {position}; need one.")
        value = self.inputs[position]
        if isinstance(value, str):
            return value
        if isinstance(value, Stored):
            if value.integers is None:
                return value.name
            return self.b.constant(f"{self.b.stem}.operand", value.real(), value.format())
        array = self.array(position)
        kept = array.astype(np.int32) if array.dtype.kind in "iub" else array
        return self.b.constant(f"{self.b.stem}.operand", kept)

    def array(self, position: int) -> np.ndarray:
        """A constant in real numbers; floats as float32.

        Raises:
            Unsupported: it is computed while the model runs.
        """
        if not self.constant(position):
            raise Unsupported(f"computes its input {position} while it runs; need a constant.")
        value = self.inputs[position]
        array = value.real() if isinstance(value, Stored) else np.asarray(value)
        return array.astype(np.float32) if array.dtype.kind == "f" else array

    def weight(self, position: int, arrange: Callable[[np.ndarray], np.ndarray], axis: int) -> str:
        """A constant weight, arranged with the output channels first; quantized, a scale for each.

        Args:
            axis: of the output channels as the file has it.
        """
        array = np.ascontiguousarray(arrange(self.array(position)))
        value, stem = self.inputs[position], f"{self.b.stem}.weight"
        if not isinstance(value, Stored):
            return self.b.constant(stem, array)
        middle = UINT8_TO_INT8 if value.dtype == "uint8" else 0
        if value.dtype not in ("int8", "uint8") or (value.zeros != middle).any():
            raise Unsupported("has a weight that is not symmetric int8; need zero point 0. Quantize it symmetrically.")
        assert value.integers is not None
        if value.scales.size > 1 and value.axis % value.integers.ndim != axis % value.integers.ndim:
            raise Unsupported(f"has scales along axis {value.axis} of its weight; need one per output channel.")
        scales = np.broadcast_to(value.scales.reshape(-1), (array.shape[0],))
        return self.b.constant(stem, array, PerChannel(tuple(map(float, scales))))

    def bias(self, position: int, channels: int) -> str:
        """A constant bias, zeros where it is left out."""
        if not self.given(position):
            return self.b.filled("bias", (channels,), 0.0)
        array = self.array(position).astype(np.float32).reshape(-1)
        if array.size not in (1, channels):
            raise Unsupported(f"has a bias of {array.size} entries; need {channels}.")
        return self.b.constant(f"{self.b.stem}.bias", np.broadcast_to(array, (channels,)).copy())

    def attr(self, name: str, default: Any = None) -> Any:
        """A setting."""
        value = self.step.attrs.get(name)
        return default if value is None else value

    def whole(self, name: str, default: int = 0) -> int:
        """A setting that is a whole number."""
        value = self.attr(name, default)
        if not isinstance(value, int):
            raise Unsupported(f"has {name} as {str(value)[:40]}; need a whole number.")
        return value

    def real(self, name: str, default: float) -> float:
        """A setting that is a number."""
        value = self.attr(name, default)
        if not isinstance(value, int | float):
            raise Unsupported(f"has {name} as {str(value)[:40]}; need a number.")
        return float(value)

    def sizes(self, name: str, count: int, default: int) -> tuple[int, ...]:
        """A setting that is a list of `count` whole numbers."""
        value = self.attr(name, [default] * count)
        if not isinstance(value, list) or len(value) != count or not all(isinstance(entry, int) for entry in value):
            raise Unsupported(f"has {name} as {str(value)[:40]}; need {count} whole numbers.")
        return tuple(value)

    def ints(self, name: str, position: int) -> list[int] | None:
        """A list of whole numbers that newer operators take as an input and older ones as a setting."""
        if self.given(position):
            array = self.array(position).reshape(-1)
            if array.dtype.kind not in "iu" or array.size > 64:
                raise Unsupported(f"has no short list of whole numbers as {name}.")
            return [int(entry) for entry in array]
        value = self.attr(name)
        return None if value is None else [int(entry) for entry in (value if isinstance(value, list) else [value])]

    def number(self, name: str, position: int, default: float) -> float:
        """The same for one number."""
        if self.given(position):
            array = self.array(position)
            if array.size != 1:
                raise Unsupported(f"has {array.size} numbers as {name}; need one.")
            return float(array.reshape(-1)[0])
        return self.real(name, default)

    def axis(self, axis: int, rank: int) -> int:
        """An axis counted from the front.

        Raises:
            Unsupported: there is none such.
        """
        if not -rank <= axis < rank:
            raise Unsupported(f"names axis {axis} of {rank}.")
        return axis % rank

    def carry(self, before: str, after: str) -> str:
        """A result of data movement inside a lowering keeps its source's format."""
        known = self.b.tensors[before].format
        if known is not None and self.b.tensors[after].format is None and after not in self.b.constants:
            self.b.tensors[after] = replace(self.b.tensors[after], format=known)
        return after


Lowering = Callable[[Node], "Value | list[Value]"]
