"""The nearest of sorted levels, exactly: float32 thresholds that no rounding of midpoints can blur."""

import numpy as np


def thresholds(levels: np.ndarray, up: np.ndarray) -> np.ndarray:
    """What a float32 must exceed to belong to the next level: the nearest level of x is the number of thresholds < x.

    Args:
        levels: (..., n) float32, ascending.
        up: (..., n - 1) bool, whether a value in the middle of two levels belongs to the upper.

    Returns:
        (..., n - 1) float32: the largest float32 not above the exact middle, one less where the middle goes up.
    """
    a, b = levels[..., :-1].astype(np.float64), levels[..., 1:].astype(np.float64)
    total = a + b
    shift = total - a
    rest = (a - (total - shift)) + (b - shift)  # total + rest is the exact sum (Knuth's two-sum)
    near = (total / 2).astype(np.float32)
    twice = 2 * near.astype(np.float64)
    above = (twice > total) | ((twice == total) & (rest < 0))
    exact = (twice == total) & (rest == 0)
    return np.where(above | (exact & up), np.nextafter(near, np.float32(-np.inf)), near)


def nearest(values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """The index of each value's level, by one row of thresholds."""
    return np.searchsorted(bounds, values, side="left")
