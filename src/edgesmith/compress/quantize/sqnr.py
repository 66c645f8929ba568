"""How much noise a format adds to values of a known distribution: exact, by integrals over the cells of its grid."""

import math
from collections.abc import Callable, Mapping

import numpy as np

from edgesmith.compress.quantize.snapping import Grid
from edgesmith.core.errors import Missing

# (k,) bounds to (3, k): the integrals of p, x p and x^2 p from minus infinity to each bound.
Moments = Callable[[np.ndarray], np.ndarray]

SEARCH = np.geomspace(0.5, 1000, 401)  # what the greatest value may come to; neighbours 1.9% apart


def uniform(x: np.ndarray) -> np.ndarray:
    """Moments of the uniform distribution on [-1, 1]."""
    x = np.clip(x, -1, 1)
    return np.stack(((x + 1) / 2, (x**2 - 1) / 4, (x**3 + 1) / 6))


def gaussian(x: np.ndarray) -> np.ndarray:
    """Moments of the standard normal distribution."""
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    below = _special().ndtr(x)
    return np.stack((below, -density, below - np.where(np.isfinite(x), x, 0) * density))


def student_t(freedom: float) -> Moments:
    """Moments of Student's t with so many degrees of freedom, above 2: the fewer, the more outliers."""

    def moments(x: np.ndarray) -> np.ndarray:
        special = _special()
        log_norm = special.gammaln((freedom + 1) / 2) - special.gammaln(freedom / 2)
        norm = math.exp(log_norm) / math.sqrt(freedom * math.pi)
        # x p(x) as one power, so that it is zero at infinity
        first = -norm * freedom / (freedom - 1) * (1 + x**2 / freedom) ** ((1 - freedom) / 2)
        tail = special.stdtr(freedom - 2, x * math.sqrt((freedom - 2) / freedom))
        below = special.stdtr(freedom, x)
        return np.stack((below, first, freedom * (freedom - 1) / (freedom - 2) * tail - freedom * below))

    return moments


def _special():  # type: ignore[no-untyped-def]
    try:
        from scipy import special
    except ImportError as error:
        raise Missing('fp8: scipy is not installed; it has the distributions. pip install "edgesmith[fit]"') from error
    return special


DISTRIBUTIONS: Mapping[str, Moments] = {"uniform": uniform, "gaussian": gaussian, "student-t": student_t(3)}


def mean_squared_error(grid: Grid, scale: float, moments: Moments) -> float:
    """The expected squared error of values rounded to `scale` times a grid, clipping among it."""
    values = grid.values.double().numpy() * scale
    ends = np.concatenate(([-np.inf], grid.bounds.double().numpy() * scale, [np.inf]))
    mass, first, second = np.diff(moments(ends), axis=1)
    return float((second - 2 * values * first + values**2 * mass).sum())


def sqnr_db(grid: Grid, moments: Moments) -> float:
    """Signal to quantization noise in decibels, at the best scale (arXiv:2303.17951, its comparison of formats)."""
    power = float(np.diff(moments(np.array([-np.inf, np.inf])), axis=1)[2, 0])
    least = min(mean_squared_error(grid, float(scale) / grid.greatest, moments) for scale in SEARCH)
    return 10 * math.log10(power / max(least, 1e-300))
