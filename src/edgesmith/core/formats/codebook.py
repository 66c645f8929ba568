"""Codebooks: a code is the number of a table's entry, a number or several; ternary weights and NF4 are such tables."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.formats.levels import nearest, thresholds
from edgesmith.core.formats.packing import code_type, pack_trits, trit_bytes, unpack_trits
from edgesmith.core.formats.scaled import Scaled, float32s, run_peaks, run_scales, scale_numbers

MOST_ENTRIES = 1 << 16
MOST_WIDTH = 64
SEARCHED = 1 << 22  # distances at a time while vectors are encoded

# NormalFloat of four bits: quantiles of a normal distribution, arXiv:2305.14314, appendix E.
NF4 = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)
TERNARY = (-1.0, 0.0, 1.0)


@dataclass(frozen=True)
class Codebook(Scaled):
    """real = scale[run] * table[code]; a code stands for `width` values beside one another.

    Attributes:
        scales: above zero, one for all or one for every run of equal length, kept as float32.
        table: its entries one after the other, kept as float32; of width 1 ascending.
        width: values of an entry.
        trits: three entries, packed five to a byte.
    """

    scales: tuple[float, ...]
    table: tuple[float, ...]
    width: int = 1
    trits: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", scale_numbers(self.scales))
        object.__setattr__(self, "table", float32s(self.table, "the table"))
        width = self.width
        if isinstance(width, bool) or not isinstance(width, int) or not 1 <= width <= MOST_WIDTH:
            raise BadInput(f"format: entries of {str(width)[:40]} values; need 1 to {MOST_WIDTH}.")
        if len(self.table) % width or not 2 <= self.entries <= MOST_ENTRIES:
            raise BadInput(f"format: a table of {len(self.table)} numbers; need 2 to {MOST_ENTRIES} times {width}.")
        if width == 1 and (np.diff(np.asarray(self.table)) <= 0).any():
            raise BadInput("format: the table is not ascending; sort it, each number once.")
        if not isinstance(self.trits, bool) or (self.trits and (self.entries != 3 or width != 1)):
            raise BadInput("format: only three numbers go five to a byte; need a table of 3.")

    @property
    def entries(self) -> int:
        """Of the table."""
        return len(self.table) // self.width

    @property
    def bits(self) -> int:  # type: ignore[override]
        """Of one code, in whole bits."""
        return (self.entries - 1).bit_length()

    def rows(self) -> np.ndarray:
        """The table: (entries, width) float32."""
        return np.asarray(self.table, np.float32).reshape(-1, self.width)

    def levels(self) -> np.ndarray:
        """The table of width 1: (entries,) float32."""
        return np.asarray(self.table, np.float32)

    def bounds(self) -> np.ndarray:
        """Thresholds of its levels: the middle of two belongs to the smaller magnitude, of equal ones to the lower."""
        magnitude = np.abs(self.levels())
        return thresholds(self.levels(), magnitude[1:] < magnitude[:-1])

    def fits(self, shape: tuple[int, ...]) -> None:
        """Also: codes share out every run."""
        super().fits(shape)
        run = math.prod(shape) // len(self.scales)
        if self.width > 1 and (not shape or shape[-1] % self.width or run % self.width):
            raise BadInput(f"format: entries of {self.width} values do not share out the last axis of {shape}.")

    def pack(self, codes: np.ndarray) -> np.ndarray:
        """Codes to bytes."""
        return pack_trits(codes) if self.trits else super().pack(codes)

    def unpack(self, data: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The codes of a tensor of this shape."""
        return unpack_trits(data, shape) if self.trits else super().unpack(data, shape)

    def _packed_bytes(self, shape: tuple[int, ...]) -> int:
        return trit_bytes(shape) if self.trits else super()._packed_bytes(shape)

    def _other_bytes(self) -> int:
        return 4 * len(self.table)

    def _code_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape[:-1], shape[-1] // self.width) if self.width > 1 else shape

    def _value_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape[:-1], shape[-1] * self.width) if self.width > 1 else shape

    def _encoded(self, runs: np.ndarray) -> np.ndarray:
        if self.width == 1:
            return nearest(runs, self.bounds()).astype(code_type(self.bits))
        return nearest_rows(runs.reshape(-1, self.width), self.rows()).astype(code_type(self.bits))

    def _decoded(self, runs: np.ndarray) -> np.ndarray:
        found = self.rows()[np.minimum(runs, self.entries - 1)]
        return found.reshape(len(runs), -1)

    def to_json(self) -> dict[str, Any]:
        """The fields, with the format's name."""
        fields = {"format": "codebook", "scales": list(self.scales), "table": list(self.table)}
        return fields | ({"width": self.width} if self.width > 1 else {}) | ({"trits": True} if self.trits else {})


def nearest_rows(vectors: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The entry of least squared distance (float64) to each vector, the first of equals: (n,) int64."""
    wide, entries = vectors.astype(np.float64), table.astype(np.float64)
    step = max(1, SEARCHED // table.size)
    found = np.zeros(len(wide), np.int64)
    for at in range(0, len(wide), step):
        differences = wide[at : at + step, None] - entries
        found[at : at + step] = np.square(differences).sum(axis=2).argmin(axis=1)
    return found


def read_codebook(data: dict[str, Any]) -> Codebook:
    """Inverse of `to_json`."""
    scales, table = (tuple(map(float, data[key])) for key in ("scales", "table"))
    return Codebook(scales, table, data.get("width", 1), data.get("trits", False))


def nf4(weight: np.ndarray, size: int = 64) -> Codebook:
    """NF4 of a weight: groups of `size` values by their largest magnitude.

    Args:
        size: 64 is the paper's block.

    Raises:
        BadInput: `size` does not divide a row.

    Source: arXiv:2305.14314.
    """
    peaks = run_peaks(np.asarray(weight), weight.size // size if size > 0 else 0)
    made = Codebook(run_scales(peaks, 1.0), NF4)
    made.fits(weight.shape)
    return made


def ternary(scales: tuple[float, ...], trits: bool = True) -> Codebook:
    """Weights -1, 0 and 1 times a scale: 1.6 bits each, five to a byte, or 2 bits."""
    return Codebook(scales, TERNARY, trits=trits)
