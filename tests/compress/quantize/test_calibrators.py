"""Ranges from histograms: against brute force, algebra and an independent implementation."""

import math

import numpy as np
import pytest

from edgesmith.compress.quantize.calibrators import (
    LEVELS,
    STRIDE,
    divergence,
    entropy,
    histogram,
    minmax,
    mse,
    percentile,
)
from edgesmith.core.errors import BadInput
from edgesmith.core.formats import affine


def rounding_error(values, low, high):
    format_ = affine(low, high)
    return float(np.square(values - format_.dequantize(format_.quantize(values))).sum())


def test_minmax_holds_everything(nprng):
    values = nprng.normal(size=1000)
    assert minmax(histogram(values)) == (values.min(), values.max())


def test_percentile_cuts_the_same_share_from_both_ends():
    """Of 1001 evenly spread values, 98% without the outer 1% at each end lie in [-490, 490]."""
    low, high = percentile(histogram(np.arange(-500.0, 501.0), bins=1001), 98.0)
    assert low == pytest.approx(-490, abs=1) and high == pytest.approx(490, abs=1)


def test_percentile_keeps_zero_for_values_of_one_sign():
    low, high = percentile(histogram(np.arange(100.0, 1100.0)), 98.0)
    assert low == 0 and high == pytest.approx(1090, abs=2)


def test_mse_beats_minmax_on_heavy_tails(nprng):
    """arXiv:2106.08295, section 3.1: clipping outliers trades a larger clipping error for less rounding error."""
    values = nprng.laplace(size=300_000)
    chosen, whole = mse(histogram(values)), (values.min(), values.max())
    assert rounding_error(values, *chosen) < 0.85 * rounding_error(values, *whole)


@pytest.mark.parametrize("kind", ["normal", "heavy", "positive", "shifted"])
def test_mse_is_near_the_best_of_all_ranges(nprng, kind):
    """Brute force over a grid of both ends, on the values themselves."""
    values = {
        "normal": nprng.normal(size=5000),
        "heavy": nprng.standard_t(3, 5000),
        "positive": np.abs(nprng.standard_t(3, 5000)),
        "shifted": nprng.laplace(size=5000) + 3,
    }[kind]
    grid = np.linspace(0, 1, 41)
    least, most = min(values.min(), 0.0), max(values.max(), 0.0)
    tried = [(least * a, most * b) for a in (grid if least < 0 else [0.0]) for b in grid[1:]]
    best = min(rounding_error(values, low, high) for low, high in tried)
    assert rounding_error(values, *mse(histogram(values))) <= 1.02 * best


def entropy_in_words(counts):
    """The pseudocode of Migacz (GTC 2017, S7310), bin by bin; returns the best number of bins."""
    best, best_loss = None, math.inf
    for i in range(LEVELS, len(counts) + 1, STRIDE):
        p = list(counts[:i])
        p[-1] += sum(counts[i:])
        q = [0.0] * i
        for level in range(LEVELS):
            bins = [b for b in range(i) if b * LEVELS // i == level]
            full = [b for b in bins if counts[b] > 0]
            for b in full:
                q[b] = sum(counts[c] for c in bins) / len(full)
        if p[-1] > 0 and q[-1] == 0:
            q[-1] = 1e-4
        total_p, total_q = sum(p), sum(q)
        loss = sum(a / total_p * math.log((a / total_p) / (b / total_q)) for a, b in zip(p, q, strict=True) if a > 0)
        if loss < best_loss:
            best, best_loss = i, loss
    return best


def test_entropy_follows_the_published_pseudocode(nprng):
    counts = np.histogram(np.abs(nprng.standard_t(3, 3000)), 400)[0].astype(float)
    cuts = range(LEVELS, 401, STRIDE)
    ours = cuts[int(np.argmin([divergence(counts, cut) for cut in cuts]))]
    assert ours == entropy_in_words(counts.tolist())


def test_nothing_is_lost_by_a_cut_at_128_levels_of_all_values():
    """128 bins are 128 levels: the divergence is zero when no value lies beyond."""
    counts = np.zeros(256)
    counts[:128] = np.arange(1, 129)
    assert divergence(counts, 128) == pytest.approx(0, abs=1e-12)


def test_entropy_cuts_a_lonely_outlier(nprng):
    values = np.append(nprng.normal(size=50000), 80.0)
    low, high = entropy(histogram(values))
    assert 2.5 < high < 20 and low == pytest.approx(values.min())


def test_a_tensor_with_nan_is_refused():
    with pytest.raises(BadInput, match="not finite"):
        histogram(np.array([1.0, np.nan]))


def test_entropy_keeps_values_that_lie_far_from_zero(nprng):
    """Log-mel energies are nowhere near zero: a cut below them all would seem to lose nothing."""
    values = 30 + nprng.normal(size=20000)
    low, high = entropy(histogram(values))
    assert high > 31
