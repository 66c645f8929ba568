"""Floating point of 8 and 4 bits, and posits, with scales (docs/numbers.md, Small floats and posits)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.formats.levels import nearest
from edgesmith.core.formats.packing import code_type
from edgesmith.core.formats.scaled import Scaled, run_peaks, run_scales, scale_numbers


@dataclass(frozen=True)
class FloatKind:
    """A sign, `exponent` bits, `mantissa` bits; value (-1)^s * 2^(e - bias) * 1.m, subnormal where e = 0.

    Attributes:
        numbers: codes of magnitudes that are numbers; those beyond are infinity or NaN.
        nan: the code of NaN that quantizing makes; -1 where every code is a number.
        source: that defines it.
    """

    exponent: int
    mantissa: int
    numbers: int
    nan: int
    source: str

    @property
    def bits(self) -> int:
        """Of a code."""
        return 1 + self.exponent + self.mantissa

    @property
    def bias(self) -> int:
        """Of the exponent."""
        return (1 << (self.exponent - 1)) - 1

    @property
    def greatest(self) -> float:
        """The greatest number."""
        return self.magnitude(self.numbers - 1)

    @property
    def least_normal(self) -> float:
        """2 to the least exponent."""
        return 2.0 ** (1 - self.bias)

    def magnitude(self, code: int) -> float:
        """The value of a code without its sign."""
        exponent, mantissa = divmod(code, 1 << self.mantissa)
        if code >= self.numbers:
            return math.inf if mantissa == 0 and self.exponent == 5 else math.nan
        fraction = mantissa / (1 << self.mantissa) + (exponent > 0)
        return math.ldexp(fraction, max(exponent, 1) - self.bias)


KINDS: Mapping[str, FloatKind] = {
    "e4m3": FloatKind(4, 3, 127, 0x7F, "OCP OFP8, E4M3: no infinity"),
    "e5m2": FloatKind(5, 2, 124, 0x7E, "OCP OFP8, E5M2: infinity and NaN as IEEE 754"),
    "e3m4": FloatKind(3, 4, 128, -1, "arXiv:2208.09225: every code is a number"),
    "e2m5": FloatKind(2, 5, 128, -1, "arXiv:2208.09225: every code is a number"),
    "e2m1": FloatKind(2, 1, 8, -1, "OCP MX, FP4 E2M1: every code is a number"),
}
POSITS = ((4, 1), (8, 0), (16, 1))


@dataclass(frozen=True)
class FloatFormat(Scaled):
    """real = scale[run] * the number of an FP8 or FP4 code; rounds half to even, saturates at the greatest number.

    Attributes:
        scales: above zero, one for all or one for every run of equal length (a channel), kept as float32.
        kind: "e4m3", "e5m2", "e3m4", "e2m5" or "e2m1".
    """

    scales: tuple[float, ...] = (1.0,)
    kind: str = "e4m3"

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", scale_numbers(self.scales))
        if not isinstance(self.kind, str) or self.kind not in KINDS:
            raise BadInput(f"format: float kind {str(self.kind)[:40]!r}; need one of {', '.join(KINDS)}.")

    @property
    def bits(self) -> int:  # type: ignore[override]
        """Of a code."""
        return KINDS[self.kind].bits

    def _holds_nan(self) -> bool:
        return KINDS[self.kind].nan >= 0

    def _encoded(self, runs: np.ndarray) -> np.ndarray:
        kind, table = KINDS[self.kind], float_values(self.kind)
        magnitude = np.abs(rounded_float(runs, self.kind))
        codes = np.searchsorted(table[: kind.numbers], magnitude)
        codes = np.where(np.isnan(runs), kind.nan, codes) + (np.signbit(runs) << (kind.bits - 1))
        return codes.astype(np.uint8)

    def _decoded(self, runs: np.ndarray) -> np.ndarray:
        return float_values(self.kind)[runs]

    def to_json(self) -> dict[str, Any]:
        """The fields, with the format's name."""
        return {"format": "float", "scales": list(self.scales), "kind": self.kind}


@dataclass(frozen=True)
class Posit(Scaled):
    """real = scale[run] * the posit of `n` bits and `es` exponent bits; rounds to the nearest, half to the even code.

    Attributes:
        scales: above zero, one for all or one for every run of equal length (a channel), kept as float32.
        n, es: (4, 1), (8, 0) or (16, 1).
    """

    scales: tuple[float, ...] = (1.0,)
    n: int = 8
    es: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", scale_numbers(self.scales))
        if (self.n, self.es) not in POSITS or isinstance(self.es, bool):
            raise BadInput(f"format: posit {str(self.n)[:40]}, {str(self.es)[:40]}; need one of {POSITS}.")

    @property
    def bits(self) -> int:  # type: ignore[override]
        """Of a code."""
        return self.n

    def levels(self) -> np.ndarray:
        """Values of the codes from 0 to the greatest posit, ascending: (2^(n-1),) float32."""
        return posit_values(self.n, self.es)[: 1 << (self.n - 1)]

    def bounds(self) -> np.ndarray:
        """Thresholds of those."""
        return posit_bounds(self.n, self.es)

    def _holds_nan(self) -> bool:
        return True

    def _encoded(self, runs: np.ndarray) -> np.ndarray:
        codes = nearest(np.abs(runs), self.bounds())
        codes = np.where(runs < 0, (1 << self.n) - codes, codes)
        return np.where(np.isnan(runs), 1 << (self.n - 1), codes).astype(code_type(self.n))

    def _decoded(self, runs: np.ndarray) -> np.ndarray:
        return posit_values(self.n, self.es)[runs]

    def to_json(self) -> dict[str, Any]:
        """The fields, with the format's name."""
        return {"format": "posit", "scales": list(self.scales), "n": self.n, "es": self.es}


@cache
def float_values(kind: str) -> np.ndarray:
    """The number of every code: (2^bits,) float32, read-only."""
    found = KINDS[kind]
    magnitudes = np.array([found.magnitude(code) for code in range(1 << (found.bits - 1))], np.float32)
    return _constant(np.concatenate([magnitudes, -magnitudes]))


def rounded_float(values: np.ndarray, kind: str) -> np.ndarray:
    """float32 to the nearest number of a kind, half to even; beyond the greatest, to it. A NaN and a sign stay.

    A power of two divides exactly, so the one rounding is that to a whole number of steps.
    """
    found = KINDS[kind]
    greatest = np.float32(found.greatest)
    kept = np.clip(values.astype(np.float32, copy=False), -greatest, greatest)
    power = (kept.view(np.uint32) & np.uint32(0x7F800000)).view(np.float32)
    step = np.maximum(power, np.float32(found.least_normal)) * np.float32(2.0**-found.mantissa)
    return np.asarray(np.where(np.isnan(values), values, np.rint(kept / step) * step), np.float32)


@cache
def posit_values(n: int, es: int) -> np.ndarray:
    """The number of every code: (2^n,) float32, NaN for the code 2^(n-1); read-only."""
    positive = np.array([posit_value(code, n, es) for code in range(1 << (n - 1))], np.float32)
    return _constant(np.concatenate([positive, [np.float32(np.nan)], -positive[:0:-1]]).astype(np.float32))


@cache
def posit_bounds(n: int, es: int) -> np.ndarray:
    """Thresholds of the codes from 0 on: the posits of one bit more between them; above zero is never zero."""
    middles = np.array([posit_value(2 * code + 1, n + 1, es) for code in range((1 << (n - 1)) - 1)], np.float32)
    middles[0] = 0
    odd = (np.arange(len(middles)) % 2).astype(bool)
    return _constant(thresholds_at(middles, odd))


def thresholds_at(middles: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Thresholds where the middles are known in float32 exactly."""
    return np.where(up, np.nextafter(middles, np.float32(-np.inf)), middles)


def posit_value(code: int, n: int, es: int) -> float:
    """The number of a code below 2^(n-1): 2^(k 2^es + e) * 1.f, k from the run of equal bits after the sign.

    Source: Posit Standard (2022), section 3, with any number of exponent bits.
    """
    if code == 0:
        return 0.0
    first = code >> (n - 2) & 1
    run = 1
    while run < n - 1 and code >> (n - 2 - run) & 1 == first:
        run += 1
    left = max(n - 2 - run, 0)  # bits after the one that ends the run
    rest = code & ((1 << left) - 1)
    exponent_bits = min(es, left)
    exponent = rest >> (left - exponent_bits) << (es - exponent_bits)  # bits that are cut off are 0
    fraction_bits = left - exponent_bits
    fraction = (rest & ((1 << fraction_bits) - 1)) / (1 << fraction_bits)
    scale = ((run - 1) if first else -run) * (1 << es) + exponent
    return math.ldexp(1 + fraction, scale)


def _constant(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def read_float(data: dict[str, Any]) -> FloatFormat:
    """Inverse of `to_json`."""
    return FloatFormat(tuple(map(float, data["scales"])), data["kind"])


def read_posit(data: dict[str, Any]) -> Posit:
    """Inverse of `to_json`."""
    return Posit(tuple(map(float, data["scales"])), data["n"], data["es"])


def scaled_float(values: np.ndarray, kind: str = "e4m3", runs: int = 1) -> FloatFormat:
    """The format whose scales take the largest magnitude of each run (1: of all) to the kind's greatest number."""
    return FloatFormat(run_scales(run_peaks(np.asarray(values), runs), KINDS[kind].greatest), kind)
