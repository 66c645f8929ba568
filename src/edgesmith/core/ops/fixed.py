"""The integer arithmetic of docs/numbers.md, in numpy: rounding shifts, requantization, multipliers."""

import math

import numpy as np


def rshift(value: np.ndarray, bits: int) -> np.ndarray:
    """Shift right by `bits`, rounding half up; int64 in, int64 out."""
    return value if bits == 0 else (value + (1 << (bits - 1))) >> bits


def requant(acc: np.ndarray, multiplier: np.ndarray | int, shift: np.ndarray | int) -> np.ndarray:
    """acc * multiplier / 2^shift with one rounding (docs/numbers.md, Requantization).

    Args:
        acc: integers within int32, any shape.
        multiplier: 0, or in [2^30, 2^31); broadcasts against acc.
        shift: in [1, 62]; broadcasts against acc.

    Returns:
        int64, not yet clamped.
    """
    shift64 = np.asarray(shift, np.int64)
    product = np.asarray(acc, np.int64) * np.asarray(multiplier, np.int64)
    return (product + (np.int64(1) << (shift64 - 1))) >> shift64


def multiplier_of(real: float) -> tuple[int, int]:
    """The (m, s) that requantizes by `real` >= 0; exact to 31 bits.

    >>> multiplier_of(0.5)
    (1073741824, 31)
    """
    if real == 0 or real < 2.0**-32:
        return 0, 1
    shift = 30 - math.floor(math.log2(real))
    value = round(real * 2.0**shift)
    if value == 1 << 31:
        value, shift = value >> 1, shift - 1
    if value < 1 << 30:  # log2 rounded up to the next power of two
        value, shift = round(real * 2.0 ** (shift + 1)), shift + 1
    if shift > 62:
        return 0, 1
    if shift < 1:
        raise ValueError(f"multiplier {real} is too large to requantize by")
    return value, shift


def multipliers_of(reals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`multiplier_of` for each entry: int32 multipliers and uint8 shifts."""
    pairs = [multiplier_of(float(real)) for real in np.asarray(reals).ravel()]
    return np.array([m for m, _ in pairs], np.int32), np.array([s for _, s in pairs], np.uint8)


def short_multipliers_of(*reals: float) -> tuple[tuple[int, ...], int]:
    """Integer multipliers below 2^21 in magnitude with one common shift, for 9-bit operands; reals may be negative.

    >>> short_multipliers_of(1.0)
    ((1048576,), 20)
    """
    peak = max(abs(real) for real in reals)
    shift = 30 if peak == 0 else min(30, 20 - math.floor(math.log2(peak)))
    if shift < 0:
        raise ValueError(f"multiplier {peak} is too large to rescale by")
    values = tuple(round(real * 2.0**shift) for real in reals)
    if max(abs(value) for value in values) >= 1 << 21:
        return short_multipliers_of_at(reals, shift - 1), shift - 1
    return values, shift


def short_multipliers_of_at(reals: tuple[float, ...], shift: int) -> tuple[int, ...]:
    """The multipliers at a given shift."""
    return tuple(round(real * 2.0**shift) for real in reals)


def clamp(value: np.ndarray, low: int, high: int) -> np.ndarray:
    """Saturate to [low, high] and store as int8."""
    return np.clip(value, low, high).astype(np.int8)
