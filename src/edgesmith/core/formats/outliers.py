"""Sparse outliers: a dense format, and beside it the few values that it would spoil or that would spoil it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.formats.scaled import Scaled

MOST_OUTLIERS = 1 << 24


@dataclass(frozen=True)
class SparseOutliers:
    """A dense format whose values at some places are replaced by float16 numbers.

    Attributes:
        dense: of all values; those at the outliers' places are stored as zero would be.
        indices: places in memory order, ascending.
        values: one a place, kept as float16.
    """

    dense: Scaled
    indices: tuple[int, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.dense, Scaled):
            raise BadInput("format: outliers beside a format that has none of codes and scales; need such a one.")
        if not 1 <= len(self.indices) == len(self.values) <= MOST_OUTLIERS:
            raise BadInput(
                f"format: {len(self.indices)} places, {len(self.values)} outliers; need as many, at least one."
            )
        if any(isinstance(i, bool) or not isinstance(i, int) or not 0 <= i < 1 << 31 for i in self.indices):
            raise BadInput("format: an outlier's place is no whole number from 0 to 2^31 - 1.")
        with np.errstate(over="ignore"):
            halves = np.asarray(self.values, np.float64).astype(np.float16)
        if not np.isfinite(halves).all() or (np.diff(np.asarray(self.indices, np.int64)) <= 0).any():
            raise BadInput("format: outliers must be finite in float16 and their places ascend.")
        object.__setattr__(self, "values", tuple(map(float, halves)))

    def fits(self, shape: tuple[int, ...]) -> None:
        """Check that a tensor of this shape can be stored so.

        Raises:
            BadInput: the dense format does not fit, or a place is outside.
        """
        self.dense.fits(shape)
        if self.indices[-1] >= np.prod(shape, dtype=np.int64):
            raise BadInput(f"format: an outlier at {self.indices[-1]} of a tensor {shape}; need a place inside.")

    def quantize(self, values: np.ndarray) -> np.ndarray:
        """Real values to the dense format's codes; the outliers themselves are the format's."""
        values = np.array(values, np.float32)
        self.fits(values.shape)
        values.reshape(-1)[list(self.indices)] = 0
        return self.dense.quantize(values)

    def dequantize(self, codes: np.ndarray) -> np.ndarray:
        """Codes to float32, outliers in their places."""
        values = self.dense.dequantize(codes)
        self.fits(values.shape)
        values.reshape(-1)[list(self.indices)] = np.asarray(self.values, np.float32)
        return values

    def pack(self, codes: np.ndarray) -> np.ndarray:
        """Codes to bytes."""
        return self.dense.pack(codes)

    def unpack(self, data: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The codes of a tensor of this shape."""
        return self.dense.unpack(data, shape)

    def nbytes(self, shape: tuple[int, ...]) -> int:
        """The dense format's, and six bytes an outlier: uint32 place, float16 value."""
        return self.dense.nbytes(shape) + 6 * len(self.indices)

    def bits_per_weight(self, shape: tuple[int, ...]) -> float:
        """All its bits, shared by the values of such a tensor."""
        return 8 * self.nbytes(shape) / float(np.prod(shape, dtype=np.int64))

    def to_json(self) -> dict[str, Any]:
        """The fields, with the format's name."""
        outliers = {"indices": list(self.indices), "values": list(self.values)}
        return {"format": "sparse_outliers", "dense": self.dense.to_json(), **outliers}


def with_outliers(dense: Scaled, weight: np.ndarray, indices: Sequence[int]) -> SparseOutliers:
    """A dense format and a weight's values at some places (in memory order, any sequence)."""
    places = tuple(sorted({int(i) for i in indices}))
    flat = np.asarray(weight, np.float64).reshape(-1)
    if places and not 0 <= places[0] <= places[-1] < flat.size:
        raise BadInput(f"format: an outlier's place is outside of {flat.size} values.")
    return SparseOutliers(dense, places, tuple(map(float, flat[list(places)])))
