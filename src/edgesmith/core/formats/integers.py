"""Integers: one scale and zero point for a tensor, or one scale per channel."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.formats.packing import MOST_BITS, pack_codes, packed_bytes, unpack_codes

BIAS_LIMIT = (1 << 30) - 1  # largest magnitude of a stored bias (docs/numbers.md, Formats)
WIDTH = {"int8": 8, "uint8": 8, "int16": 16, "int32": 32}  # bits of each stored type


@dataclass(frozen=True)
class PerTensor:
    """One scale and zero point: real = scale * (q - zero_point).

    Attributes:
        scale: above zero, in the tensor's unit.
        zero_point: an integer of `dtype`.
        dtype: "int8", "uint8", "int16" or "int32": what holds one integer.
        bits: that are used of it, 2 or more; 0 stands for all.
    """

    scale: float
    zero_point: int = 0
    dtype: str = "int8"
    bits: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", _bits(self.bits, self.dtype))
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise BadInput(f"format: scale is {self.scale}; need a finite number above zero.")
        if not self.low <= self.zero_point <= self.high:
            raise BadInput(f"format: zero point {self.zero_point} is outside {self.bits} bits of {self.dtype}.")

    @property
    def low(self) -> int:
        """The least integer."""
        return 0 if self.dtype == "uint8" else -(1 << (self.bits - 1))

    @property
    def high(self) -> int:
        """The greatest integer."""
        return self.low + (1 << self.bits) - 1

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Real values of any shape to stored integers; rounds half to even, saturates."""
        steps = np.rint(np.asarray(values, np.float64) / self.scale) + self.zero_point
        return np.clip(steps, self.low, self.high).astype(self.dtype)

    def dequantize(self, stored: np.ndarray) -> np.ndarray:
        """Stored integers of any shape to float32."""
        return ((stored.astype(np.float64) - self.zero_point) * self.scale).astype(np.float32)

    def nbytes(self, shape: tuple[int, ...]) -> int:
        """Bytes of a tensor of this shape, its integers packed, with a float32 scale."""
        return packed_bytes(shape, self.bits) + 4

    def bits_per_weight(self, shape: tuple[int, ...]) -> float:
        """All its bits, shared by the values of such a tensor."""
        return 8 * self.nbytes(shape) / math.prod(shape)

    def pack(self, stored: np.ndarray) -> np.ndarray:
        """Integers of at most 16 bits to bytes, each less the least of its bits (docs/numbers.md, Packed codes)."""
        return pack_integers(stored, self.dtype, self.bits)

    def unpack(self, data: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Inverse of `pack`."""
        return unpack_integers(data, shape, self.dtype, self.bits)

    def fits(self, shape: tuple[int, ...]) -> None:
        """Any shape does."""

    def to_json(self) -> dict[str, Any]:
        """The fields, with the format's name."""
        fields = {"format": "per_tensor", "scale": self.scale, "zero_point": self.zero_point, "dtype": self.dtype}
        return fields | _narrow(self)


@dataclass(frozen=True)
class PerChannel:
    """Symmetric, one scale per index of `axis`: real = scale[channel] * q.

    Attributes:
        scales: above zero, one per channel.
        axis: the channel axis.
        dtype: "int8" or "int32" (a bias).
        bits: that are used of it, 2 or more; 0 stands for all. With all, magnitudes stay equal ([-127, 127]); fewer
            bits use every code (4 bits: [-8, 7]), where one code more counts.
    """

    scales: tuple[float, ...]
    axis: int = 0
    dtype: str = "int8"
    bits: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "bits", _bits(self.bits, self.dtype))
        if not self.scales or not all(np.isfinite(scale) and scale > 0 for scale in self.scales):
            raise BadInput("format: scales must be finite numbers above zero, at least one.")

    @property
    def low(self) -> int:
        """The least integer."""
        return -(1 << (self.bits - 1)) + (self.bits == WIDTH[self.dtype])

    @property
    def high(self) -> int:
        """The greatest integer."""
        return (1 << (self.bits - 1)) - 1

    def _scales(self, rank: int) -> np.ndarray:
        shape = [1] * rank
        shape[self.axis] = len(self.scales)
        return np.asarray(self.scales, np.float64).reshape(shape)

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Real values to stored integers; rounds half to even, saturates."""
        steps = np.rint(np.asarray(values, np.float64) / self._scales(values.ndim))
        return np.clip(steps, self.low, self.high).astype(self.dtype)

    def dequantize(self, stored: np.ndarray) -> np.ndarray:
        """Stored integers to float32."""
        return (stored.astype(np.float64) * self._scales(stored.ndim)).astype(np.float32)

    def nbytes(self, shape: tuple[int, ...]) -> int:
        """Bytes of a tensor of this shape, its integers packed, with a float32 scale a channel."""
        return packed_bytes(shape, self.bits) + 4 * len(self.scales)

    def bits_per_weight(self, shape: tuple[int, ...]) -> float:
        """All its bits, shared by the values of such a tensor."""
        return 8 * self.nbytes(shape) / math.prod(shape)

    def pack(self, stored: np.ndarray) -> np.ndarray:
        """Integers of at most 16 bits to bytes, each less the least of its bits (docs/numbers.md, Packed codes)."""
        return pack_integers(stored, self.dtype, self.bits)

    def unpack(self, data: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Inverse of `pack`."""
        return unpack_integers(data, shape, self.dtype, self.bits)

    def fits(self, shape: tuple[int, ...]) -> None:
        """Check that the tensor has the channels.

        Raises:
            BadInput: it has not.
        """
        if not 0 <= self.axis < len(shape) or len(self.scales) != shape[self.axis]:
            raise BadInput(f"format: a tensor {shape} does not have the channels of its format.")

    def to_json(self) -> dict[str, Any]:
        """The fields, with the format's name."""
        fields = {"format": "per_channel", "scales": list(self.scales), "axis": self.axis, "dtype": self.dtype}
        return fields | _narrow(self)


def pack_integers(stored: np.ndarray, dtype: str, bits: int) -> np.ndarray:
    """Integers to the codes u = q + 2^(bits-1), of uint8 u = q, packed; those outside their bits keep the lowest.

    Raises:
        BadInput: more than 16 bits, which nothing packs.
    """
    return pack_codes(stored.astype(np.int64) + _least(dtype, bits), bits)


def unpack_integers(data: np.ndarray, shape: tuple[int, ...], dtype: str, bits: int) -> np.ndarray:
    """Inverse of `pack_integers`."""
    return (unpack_codes(data, shape, bits).astype(np.int64) - _least(dtype, bits)).astype(dtype)


def _least(dtype: str, bits: int) -> int:
    """What makes the least integer code 0."""
    if bits > MOST_BITS:
        raise BadInput(f"format: {bits} bits of {dtype} are not packed; store them as they are.")
    return 0 if dtype == "uint8" else 1 << (bits - 1)


def affine(low: float, high: float, bits: int = 8) -> PerTensor:
    """The format, in int8, of activations whose real values lie in [low, high] (docs/numbers.md, Formats).

    >>> affine(-1.0, 1.0).zero_point
    0
    """
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    scale = (high - low) / ((1 << bits) - 1) or 1.0
    least, most = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    zero_point = int(np.clip(np.rint(least - low / scale), least, most))
    return PerTensor(scale, zero_point, bits=bits)


def symmetric(weight: np.ndarray, axis: int = 0, bits: int = 8) -> PerChannel:
    """The format, in int8, of a weight: each channel's largest magnitude maps to the greatest integer.

    An all-zero channel gets scale 1.
    """
    others = tuple(i for i in range(weight.ndim) if i != axis)
    peak = np.abs(weight).max(axis=others).astype(np.float64)
    greatest = (1 << (bits - 1)) - 1
    return PerChannel(tuple(float(p) / greatest if p > 0 else 1.0 for p in peak), axis, bits=bits)


def with_bias_room(weight: PerChannel, bias: np.ndarray, x_scale: float) -> PerChannel:
    """The weight format with scales raised so that every bias, at scale x_scale * scale, stays below 2^30.

    Args:
        bias: (channels,) real values, in the unit of the accumulator.
        x_scale: of the layer's input.

    Source: docs/numbers.md, Formats.
    """
    least = np.abs(np.asarray(bias, np.float64)) / (x_scale * BIAS_LIMIT)
    raised = np.maximum(np.asarray(weight.scales, np.float64), least)
    return replace(weight, scales=tuple(map(float, raised)))


def _bits(bits: int, dtype: str) -> int:
    """All of a type's bits for 0.

    Raises:
        BadInput: more than it has, or a single one.
    """
    if bits and not 2 <= bits <= WIDTH[dtype]:
        raise BadInput(f"format: {bits} bits of {dtype}; need 2 to {WIDTH[dtype]}.")
    return bits or WIDTH[dtype]


def _narrow(format_: PerTensor | PerChannel) -> dict[str, int]:
    """The bits where they are not all: files of version 1 stay as they are."""
    return {"bits": format_.bits} if format_.bits != WIDTH[format_.dtype] else {}


def read_integers(data: dict[str, Any]) -> PerTensor | PerChannel:
    """Inverse of `to_json`; malformed fields raise KeyError, TypeError, ValueError or OverflowError."""
    bits = int(data.get("bits", 0))
    if data["format"] == "per_tensor":
        return PerTensor(float(data["scale"]), int(data["zero_point"]), _dtype(data["dtype"]), bits)
    return PerChannel(tuple(map(float, data["scales"])), int(data["axis"]), _dtype(data["dtype"]), bits)


def _dtype(name: Any) -> str:
    if name not in WIDTH:
        raise BadInput(f"format: dtype {name!r} is not an integer type a tensor can be stored in.")
    return str(name)
