"""Integers of a few bits in groups that share a scale, and where asked a zero point."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.formats.packing import packed_bytes
from edgesmith.core.formats.scaled import Scaled, run_peaks, run_scales, scale_numbers, whole

MOST_SIZE = 1 << 28


@dataclass(frozen=True)
class Group(Scaled):
    """real = scale[group] * (code - zero[group]); a group is `size` values in memory order, within one row.

    Attributes:
        scales: above zero, one a group, kept as float32.
        size: values of a group; divides a row, that is all the values of one entry of the first axis (the last axis
            of a matrix).
        bits: 2 to 8.
        zero_points: one a group, codes; none: the middle code, 2^(bits-1).
    """

    scales: tuple[float, ...]
    size: int
    bits: int = 4
    zero_points: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", scale_numbers(self.scales))
        whole(self.size, "the size of a group", 1, MOST_SIZE)
        whole(self.bits, "bits", 2, 8)
        for zero in self.zero_points:
            whole(zero, "a zero point", 0, self.most)
        if self.zero_points and len(self.zero_points) != len(self.scales):
            raise BadInput(f"format: {len(self.zero_points)} zero points, {len(self.scales)} scales; need one a group.")

    @property
    def most(self) -> int:
        """The greatest code."""
        return (1 << self.bits) - 1

    def fits(self, shape: tuple[int, ...]) -> None:
        """Groups of `size` share out every row."""
        total = int(np.prod(shape, dtype=np.int64))
        rows = shape[0] if shape else 1
        if total != len(self.scales) * self.size or (total // rows) % self.size:
            raise BadInput(
                f"format: {len(self.scales)} groups of {self.size} for a tensor {shape}; need groups that share out "
                f"each of its {rows} rows."
            )

    def zeros(self) -> np.ndarray:
        """The code of zero: (groups, 1) or (1, 1), float32."""
        return np.asarray(self.zero_points or (1 << (self.bits - 1),), np.float32)[:, None]

    def _encoded(self, runs: np.ndarray) -> np.ndarray:
        return np.clip(np.rint(runs) + self.zeros(), 0, self.most).astype(np.uint8)

    def _decoded(self, runs: np.ndarray) -> np.ndarray:
        return runs.astype(np.float32) - self.zeros()

    def _other_bytes(self) -> int:
        return packed_bytes((len(self.zero_points),), self.bits)

    def to_json(self) -> dict[str, Any]:
        """The fields, with the format's name."""
        zeros = {"zero_points": list(self.zero_points)} if self.zero_points else {}
        return {"format": "group", "scales": list(self.scales), "size": self.size, "bits": self.bits, **zeros}


def read_group(data: dict[str, Any]) -> Group:
    """Inverse of `to_json`."""
    zeros = tuple(data.get("zero_points", ()))
    return Group(tuple(map(float, data["scales"])), data["size"], data["bits"], zeros)


def grouped(weight: np.ndarray, size: int, bits: int = 4, symmetric: bool = True) -> Group:
    """The format of a weight by each group's range.

    Args:
        symmetric: the largest magnitude maps to the greatest code; else the least and greatest value (zero among
            them) map to the ends.

    Raises:
        BadInput: `size` does not divide a row.
    """
    flat = np.ascontiguousarray(weight, np.float64)
    count = flat.size // size if size > 0 else 0
    if symmetric:
        made = Group(run_scales(run_peaks(flat, count), (1 << (bits - 1)) - 1), size, bits)
    else:
        run_peaks(flat, count)
        groups = flat.reshape(count, -1)
        low, high = np.minimum(groups.min(axis=1), 0), np.maximum(groups.max(axis=1), 0)
        scales = run_scales(high - low, (1 << bits) - 1)
        zeros = np.clip(np.rint(-low / np.asarray(scales)), 0, (1 << bits) - 1)
        made = Group(scales, size, bits, tuple(map(int, zeros)))
    made.fits(weight.shape)
    return made
