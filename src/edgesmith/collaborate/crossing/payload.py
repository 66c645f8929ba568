"""A payload in fewer bits: even steps over the range that loses least, packed."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.formats.packing import pack_codes, packed_bytes, unpack_codes
from edgesmith.core.graph import Tensor

SHRINKS = np.linspace(1.0, 0.3, 6)  # of the way from the median to either end, tried for the least squared error
PILE = 0.1  # share of values at one end from which it stays: those a rectifier left at zero
MOST_BITS = 8
MOST_VALUES = 8192  # looked at for a range: more change it little


@dataclass(frozen=True)
class Steps:
    """Even steps: value = low + step * code, code from 0 to 2^bits - 1.

    Attributes:
        low, high: the values of the least and the greatest code, in the tensor's own numbers (integers, if it has
            such).
    """

    bits: int
    low: float
    high: float

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= MOST_BITS:
            raise BadInput(f"payload: {self.bits} bits; need 1 to {MOST_BITS}.")
        if not (np.isfinite([self.low, self.high]).all() and self.low < self.high):
            raise BadInput(f"payload: the range {self.low} to {self.high} is none; need finite numbers, low first.")

    @property
    def step(self) -> float:
        """Between two codes."""
        return (self.high - self.low) / ((1 << self.bits) - 1)

    def codes(self, values: np.ndarray) -> np.ndarray:
        """(...) numbers to uint8 codes; what lies outside the range takes the nearest code, NaN the least."""
        steps = np.rint((np.asarray(values, np.float64) - self.low) / self.step)
        return np.clip(np.nan_to_num(steps), 0, (1 << self.bits) - 1).astype(np.uint8)

    def values(self, codes: np.ndarray, dtype: str) -> np.ndarray:
        """Codes to numbers of the tensor's type; integers are rounded half to even."""
        found = self.low + self.step * codes.astype(np.float64)
        if np.dtype(dtype).kind in "iu":
            info = np.iinfo(dtype)
            found = np.clip(np.rint(found), info.min, info.max)
        return found.astype(dtype)

    def pack(self, values: np.ndarray) -> bytes:
        """Numbers as they go on the wire: ceil(n * bits / 8) bytes."""
        return pack_codes(self.codes(values), self.bits).tobytes()

    def unpack(self, data: bytes, tensor: Tensor) -> np.ndarray:
        """Inverse of `pack`, of a tensor's shape and type.

        Raises:
            BadInput: not the bytes of this tensor.
        """
        need = packed_bytes(tensor.shape, self.bits)
        if len(data) != need:
            raise BadInput(f"payload: {len(data)} bytes for {tensor.name}; need {need}.")
        return self.values(unpack_codes(np.frombuffer(data, np.uint8), tensor.shape, self.bits), tensor.dtype)

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)


def fit_steps(values: np.ndarray, bits: int) -> Steps:
    """The range within what was seen that leaves the least squared error.

    Args:
        values: (...) of the tensor, over calibration samples; at least one, finite.
    """
    flat = np.asarray(values, np.float64).ravel()
    low, high, middle = float(flat.min()), float(flat.max()), float(np.median(flat))
    flat = flat[:: -(-flat.size // MOST_VALUES)]
    if low == high:
        return Steps(bits, low, low + 1.0)
    lows = [float(middle - (middle - low) * s) for s in ends(flat == low)]
    highs = [float(middle + (high - middle) * s) for s in ends(flat == high)]
    tries = [Steps(bits, first, last) for first in lows for last in highs if first < last]
    return min(tries, key=lambda steps: float(((steps.values(steps.codes(flat), "float64") - flat) ** 2).mean()))


def ends(at_end: np.ndarray) -> np.ndarray:
    """Shrinks to try for one end of a range."""
    return SHRINKS[:1] if at_end.mean() > PILE else SHRINKS


def from_json(data: Mapping[str, Any]) -> Steps:
    """Inverse of `Steps.to_json`.

    Raises:
        BadInput: a field is missing, unknown or of another type.
    """
    if not isinstance(data, Mapping) or set(data) != {"bits", "low", "high"}:
        raise BadInput("payload: need exactly the fields bits, low, high; the file is damaged.")
    if type(data["bits"]) is not int or any(type(data[key]) not in (int, float) for key in ("low", "high")):
        raise BadInput("payload: bits, low and high are not numbers; the file is damaged.")
    return Steps(data["bits"], float(data["low"]), float(data["high"]))
