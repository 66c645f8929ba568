"""Signs: one bit a value and one scale, or one scale per channel; a weight's channels may be told by differences."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesmith.core.errors import BadInput

NO_AXIS = -1


@dataclass(frozen=True)
class Signs:
    """real = scale where the value is zero or more, else -scale (docs/numbers.md, Signs).

    Attributes:
        scales: above zero; one, or one per channel along `axis`.
        axis: of the channels; -1 for one scale.
        parents: of every channel, -1 for the root: weights are stored as each channel's differences from its parent.
            Empty where all are stored plainly.
    """

    scales: tuple[float, ...] = (1.0,)
    axis: int = NO_AXIS
    parents: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.scales or not all(np.isfinite(scale) and scale > 0 for scale in self.scales):
            raise BadInput("format: scales must be finite numbers above zero, at least one.")
        if self.axis < NO_AXIS or (self.axis == NO_AXIS and (len(self.scales) > 1 or self.parents)):
            raise BadInput(f"format: {len(self.scales)} scales along axis {self.axis}; need one, or an axis.")
        if self.parents and len(self.parents) != len(self.scales):
            raise BadInput(f"format: {len(self.parents)} parents of {len(self.scales)} channels; need as many.")
        if not all(-1 <= parent < len(self.scales) for parent in self.parents):
            raise BadInput(f"format: a parent is none of the {len(self.scales)} channels.")

    def fits(self, shape: tuple[int, ...]) -> None:
        """Raise BadInput for a tensor that does not have its channels."""
        if self.axis != NO_AXIS and not (self.axis < len(shape) and len(self.scales) == shape[self.axis]):
            raise BadInput(
                f"format: {len(self.scales)} channels along axis {self.axis}, a tensor {shape}; need as many."
            )

    def shaped(self, rank: int) -> np.ndarray:
        """The scales in float64, ready to broadcast against a tensor of this rank."""
        shape = [1] * rank
        if self.axis != NO_AXIS:
            shape[self.axis] = len(self.scales)
        return np.asarray(self.scales, np.float64).reshape(shape if self.axis != NO_AXIS else ())

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Real values to bits, as bool."""
        return np.asarray(values) >= 0

    def dequantize(self, stored: np.ndarray) -> np.ndarray:
        """Bits to float32."""
        return np.where(stored, self.shaped(stored.ndim), -self.shaped(stored.ndim)).astype(np.float32)

    def nbytes(self, shape: tuple[int, ...]) -> int:
        """Bytes of a tensor of this shape, its signs packed plainly, with a float32 scale a channel."""
        return (math.prod(shape) + 7) // 8 + 4 * len(self.scales)

    def to_json(self) -> dict[str, Any]:
        """The fields, with the format's name."""
        return {"format": "signs", "scales": list(self.scales), "axis": self.axis, "parents": list(self.parents)}


def read_signs(data: dict[str, Any]) -> Signs:
    """Inverse of `to_json`; malformed fields raise KeyError, TypeError, ValueError or OverflowError."""
    return Signs(tuple(map(float, data["scales"])), int(data["axis"]), tuple(map(int, data["parents"])))
