"""Binary bases: a weight is a sum of signs, each times its base's scale of the output channel."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.formats.levels import nearest, thresholds
from edgesmith.core.formats.scaled import Scaled, scale_numbers

MOST_BASES = 8


@dataclass(frozen=True)
class BinaryBases(Scaled):
    """real = sum over bases b of scale[b][channel] * sign_b, added in order in float32; bit b of a code is 1 for +1.

    Attributes:
        scales: above zero, (bases * channels): all channels of the first base, then of the next; kept as float32.
        bases: 1 to 8.
    """

    scales: tuple[float, ...]
    bases: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", scale_numbers(self.scales))
        good = isinstance(self.bases, int) and not isinstance(self.bases, bool) and 1 <= self.bases <= MOST_BASES
        if not good or len(self.scales) % self.bases:
            raise BadInput(
                f"format: {str(self.bases)[:40]} bases with {len(self.scales)} scales; need 1 to {MOST_BASES} bases, "
                "and for each a scale a channel."
            )

    @property
    def bits(self) -> int:  # type: ignore[override]
        """Of one code."""
        return self.bases

    @property
    def channels(self) -> int:
        """Of the first axis."""
        return len(self.scales) // self.bases

    def fits(self, shape: tuple[int, ...]) -> None:
        """Its channels are the first axis."""
        if not shape or shape[0] != self.channels:
            raise BadInput(f"format: scales for {self.channels} channels, a tensor {shape}; need one a row.")

    def sums(self) -> np.ndarray:
        """What every code stands for in every channel: (channels, 2^bases) float32."""
        scales = np.asarray(self.scales, np.float32).reshape(self.bases, -1, 1)
        codes = np.arange(1 << self.bases)
        total = np.zeros((self.channels, len(codes)), np.float32)
        for base in range(self.bases):
            total = total + scales[base] * np.where(codes >> base & 1, np.float32(1), np.float32(-1))
        return total

    def ordered(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of every channel the codes in the order of their sums, the sums, and their thresholds; a middle goes up."""
        sums = self.sums()
        order = np.argsort(sums, axis=1, kind="stable")
        levels = np.take_along_axis(sums, order, axis=1)
        return order, levels, thresholds(levels, np.ones_like(levels[:, 1:], bool))

    def _runs(self, array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array).reshape(self.channels, -1)

    def _column(self) -> np.ndarray:
        return np.ones((1, 1), np.float32)

    def _encoded(self, runs: np.ndarray) -> np.ndarray:
        order, _, bounds = self.ordered()
        rows = [order[i][nearest(run, bounds[i])] for i, run in enumerate(runs)]
        return np.stack(rows).astype(np.uint8)

    def _decoded(self, runs: np.ndarray) -> np.ndarray:
        return np.take_along_axis(self.sums(), runs.astype(np.int64), axis=1)

    def to_json(self) -> dict[str, Any]:
        """The fields, with the format's name."""
        return {"format": "binary_bases", "scales": list(self.scales), "bases": self.bases}


def read_bases(data: dict[str, Any]) -> BinaryBases:
    """Inverse of `to_json`."""
    return BinaryBases(tuple(map(float, data["scales"])), data["bases"])


def residual_bases(weight: np.ndarray, bases: int = 1) -> BinaryBases:
    """Scales by the signs of what earlier bases leave: the mean magnitude of each channel's rest.

    Args:
        weight: (O, ...).

    Source: one base is arXiv:1603.05279; what is left again and again, arXiv:1706.02021.
    """
    rest = np.ascontiguousarray(weight, np.float64).reshape(len(weight), -1)
    scales: list[float] = []
    for _ in range(bases):
        mean = np.abs(rest).mean(axis=1)
        mean = np.where(mean > np.finfo(np.float32).tiny, mean, np.finfo(np.float32).tiny)
        scales += map(float, mean)
        rest = rest - mean[:, None] * np.where(rest >= 0, 1, -1)
    return BinaryBases(tuple(scales), bases)
