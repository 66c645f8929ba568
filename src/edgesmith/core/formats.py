"""How a tensor's stored integers map to real values."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesmith.core.errors import BadInput

VERSION = 1
BIAS_LIMIT = (1 << 30) - 1  # largest magnitude of a stored bias (docs/numbers.md, Formats)


@dataclass(frozen=True)
class PerTensor:
    """One scale and zero point: real = scale * (q - zero_point).

    Attributes:
        scale: above zero, in the tensor's unit.
        zero_point: an integer of `dtype`.
        dtype: "int8", "uint8", "int16" or "int32".
    """

    scale: float
    zero_point: int = 0
    dtype: str = "int8"

    def __post_init__(self) -> None:
        info = np.iinfo(self.dtype)
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise BadInput(f"format: scale is {self.scale}; need a finite number above zero.")
        if not info.min <= self.zero_point <= info.max:
            raise BadInput(f"format: zero point {self.zero_point} is outside {self.dtype}.")

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Real values of any shape to stored integers; rounds half to even, saturates."""
        info = np.iinfo(self.dtype)
        steps = np.rint(np.asarray(values, np.float64) / self.scale) + self.zero_point
        return np.clip(steps, info.min, info.max).astype(self.dtype)

    def dequantize(self, stored: np.ndarray) -> np.ndarray:
        """Stored integers of any shape to float32."""
        return ((stored.astype(np.float64) - self.zero_point) * self.scale).astype(np.float32)

    def to_json(self) -> dict[str, Any]:
        """The fields, with the format's name."""
        return {"format": "per_tensor", "scale": self.scale, "zero_point": self.zero_point, "dtype": self.dtype}


@dataclass(frozen=True)
class PerChannel:
    """Symmetric, one scale per index of `axis`: real = scale[channel] * q.

    Attributes:
        scales: above zero, one per channel.
        axis: the channel axis.
        dtype: "int8" (values stay in [-127, 127]) or "int32" (a bias).
    """

    scales: tuple[float, ...]
    axis: int = 0
    dtype: str = "int8"

    def __post_init__(self) -> None:
        if not self.scales or not all(np.isfinite(scale) and scale > 0 for scale in self.scales):
            raise BadInput("format: scales must be finite numbers above zero, at least one.")

    def _scales(self, rank: int) -> np.ndarray:
        shape = [1] * rank
        shape[self.axis] = len(self.scales)
        return np.asarray(self.scales, np.float64).reshape(shape)

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Real values to stored integers; rounds half to even, saturates symmetrically."""
        limit = np.iinfo(self.dtype).max
        steps = np.rint(np.asarray(values, np.float64) / self._scales(values.ndim))
        return np.clip(steps, -limit, limit).astype(self.dtype)

    def dequantize(self, stored: np.ndarray) -> np.ndarray:
        """Stored integers to float32."""
        return (stored.astype(np.float64) * self._scales(stored.ndim)).astype(np.float32)

    def to_json(self) -> dict[str, Any]:
        """The fields, with the format's name."""
        return {"format": "per_channel", "scales": list(self.scales), "axis": self.axis, "dtype": self.dtype}


Format = PerTensor | PerChannel


def affine(low: float, high: float) -> PerTensor:
    """The int8 format of activations whose real values lie in [low, high] (docs/numbers.md, Formats).

    >>> affine(-1.0, 1.0).zero_point
    0
    """
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    scale = (high - low) / 255 or 1.0
    zero_point = int(np.clip(np.rint(-128 - low / scale), -128, 127))
    return PerTensor(scale, zero_point)


def symmetric(weight: np.ndarray, axis: int = 0) -> PerChannel:
    """The int8 format of a weight: largest magnitude of each channel maps to 127; an all-zero channel to scale 1."""
    others = tuple(i for i in range(weight.ndim) if i != axis)
    peak = np.abs(weight).max(axis=others).astype(np.float64)
    return PerChannel(tuple(float(p) / 127 if p > 0 else 1.0 for p in peak), axis)


def with_bias_room(weight: PerChannel, bias: np.ndarray, x_scale: float) -> PerChannel:
    """The weight format with scales raised so that every bias, at scale x_scale * scale, stays below 2^30.

    Args:
        bias: (channels,) real values, in the unit of the accumulator.
        x_scale: of the layer's input.

    Source: docs/numbers.md, Formats.
    """
    least = np.abs(np.asarray(bias, np.float64)) / (x_scale * BIAS_LIMIT)
    raised = np.maximum(np.asarray(weight.scales, np.float64), least)
    return PerChannel(tuple(map(float, raised)), weight.axis, weight.dtype)


def from_json(data: dict[str, Any]) -> Format:
    """Inverse of `to_json`.

    Raises:
        BadInput: unknown format or malformed fields.
    """
    try:
        if data["format"] == "per_tensor":
            return PerTensor(float(data["scale"]), int(data["zero_point"]), _dtype(data["dtype"]))
        if data["format"] == "per_channel":
            return PerChannel(tuple(map(float, data["scales"])), int(data["axis"]), _dtype(data["dtype"]))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BadInput(f"format: malformed ({error}); the file is damaged or from another version.") from error
    raise BadInput(f"format: unknown format {data['format']!r}; this edgesmith reads version {VERSION}.")


def _dtype(name: Any) -> str:
    if name not in ("int8", "uint8", "int16", "int32"):
        raise BadInput(f"format: dtype {name!r} is not an integer type a tensor can be stored in.")
    return str(name)
