"""What formats of codes and scales share: runs of values with a scale each, packed codes, sizes."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.formats.packing import pack_codes, packed_bytes, unpack_codes


def float32s(values: Sequence[float], what: str) -> tuple[float, ...]:
    """Numbers as float32 holds them.

    Raises:
        BadInput: none, or one that float32 does not hold.
    """
    with np.errstate(over="ignore"):
        rounded = np.asarray(values, np.float64).astype(np.float32)
    if rounded.ndim != 1 or not rounded.size or not np.isfinite(rounded).all():
        raise BadInput(f"format: {what} must be finite numbers of float32, at least one.")
    return tuple(map(float, rounded))


def scale_numbers(values: Sequence[float]) -> tuple[float, ...]:
    """Scales as float32 holds them.

    Raises:
        BadInput: none, or one that is not above zero.
    """
    scales = float32s(values, "scales")
    if min(scales) <= 0:
        raise BadInput("format: scales must be finite numbers of float32 above zero, at least one.")
    return scales


def check_runs(shape: tuple[int, ...], count: int) -> None:
    """Check that so many scales share out a tensor's values.

    Raises:
        BadInput: they do not.
    """
    rows = shape[0] if shape else 1
    if count > 1 and (count % rows or math.prod(shape) % count):
        raise BadInput(
            f"format: {count} scales for a tensor {shape}; need one, or for each of its {rows} rows as many, each for "
            "as many values."
        )


class Scaled:
    """Codes of `bits`, and scales for runs of equal length in memory order: one for all, or some for each row.

    A format of this kind says how codes and values divided by their scale (one float32 division) belong together, in
    `_encoded` and `_decoded`; a real value is scale times that, one float32 product.
    """

    scales: tuple[float, ...]
    bits: int

    def fits(self, shape: tuple[int, ...]) -> None:
        """Check that a tensor of this shape can be stored so.

        Raises:
            BadInput: the scales do not share out its values.
        """
        check_runs(shape, len(self.scales))

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Real values to codes, unsigned, of the same shape (docs/numbers.md says which).

        Raises:
            BadInput: the shape does not fit, or a value is not a number and has no code.
        """
        values = np.asarray(values)
        self.fits(values.shape)
        with np.errstate(over="ignore"):
            runs = self._runs(values.astype(np.float32)) / self._column()
        if np.isnan(runs).any() and not self._holds_nan():
            raise BadInput(f"format: a value is not a number; {type(self).__name__} has no code for it.")
        return self._encoded(runs).reshape(self._code_shape(values.shape))

    def dequantize(self, codes: np.ndarray) -> np.ndarray:
        """Codes to float32."""
        shape = self._value_shape(codes.shape)
        self.fits(shape)
        runs = self._decoded(self._runs(codes)) * self._column()
        return np.asarray(runs, np.float32).reshape(shape)

    def pack(self, codes: np.ndarray) -> np.ndarray:
        """Codes to bytes (docs/numbers.md, Packed codes)."""
        return pack_codes(codes, self.bits)

    def unpack(self, data: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The codes of a tensor of this shape.

        Raises:
            BadInput: not its bytes.
        """
        return unpack_codes(data, self._code_shape(shape), self.bits)

    def nbytes(self, shape: tuple[int, ...]) -> int:
        """Bytes of a tensor of this shape: packed codes, float32 scales, and what else the format needs."""
        return self._packed_bytes(shape) + 4 * len(self.scales) + self._other_bytes()

    def bits_per_weight(self, shape: tuple[int, ...]) -> float:
        """All its bits, shared by the values of such a tensor."""
        return 8 * self.nbytes(shape) / math.prod(shape)

    def _packed_bytes(self, shape: tuple[int, ...]) -> int:
        return packed_bytes(self._code_shape(shape), self.bits)

    def _other_bytes(self) -> int:
        return 0

    def _holds_nan(self) -> bool:
        return False

    def _code_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    def _value_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    def _runs(self, array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array).reshape(len(self.scales), -1)

    def _column(self) -> np.ndarray:
        return np.asarray(self.scales, np.float32)[:, None]

    def to_json(self) -> dict[str, Any]:
        """The fields, with the format's name."""
        raise NotImplementedError

    def _encoded(self, runs: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _decoded(self, runs: np.ndarray) -> np.ndarray:
        raise NotImplementedError


def run_scales(peaks: np.ndarray, greatest: float) -> tuple[float, ...]:
    """Scales that take the largest magnitude of each run to `greatest`; 1 for runs of zeros."""
    scales = np.asarray(peaks, np.float64) / greatest
    return tuple(map(float, np.where(scales > np.finfo(np.float32).tiny, scales, 1.0)))


def run_peaks(values: np.ndarray, runs: int) -> np.ndarray:
    """The largest magnitude of each of so many runs of equal length.

    Raises:
        BadInput: the runs do not share out the values.
    """
    if runs < 1 or values.size % runs or not values.size:
        raise BadInput(f"format: {values.size} values in {runs} runs; need as many in each.")
    return np.asarray(np.abs(values.reshape(runs, -1)).max(axis=1))


def whole(value: Any, what: str, low: int, high: int) -> int:
    """A whole number within bounds.

    Raises:
        BadInput: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadInput(f"format: {what} is {str(value)[:40]}; need a whole number from {low} to {high}.")
    return value
