"""Tables from what was seen, or from a prior: which channels share one, and what its frequencies are."""

import numpy as np

from edgesmith.collaborate.coding.code import MAX_TABLES, Code
from edgesmith.collaborate.coding.tables import MAX_BITS, MIN_BITS, VALUE_LIMIT, Table, number_bits, outside, quantize
from edgesmith.core.errors import BadInput

MAX_WINDOW = 4096  # values with a frequency of their own; a board's table stays within 8 kB
ROUNDS = 30  # of regrouping; it settles in fewer than ten on activations
PRIOR_UNITS = 1 << 30  # a probability of one, as a count


def fit(symbols: np.ndarray, tables: int = 1, bits: int = MAX_BITS) -> Code:
    """A code for arrays like this one.

    Args:
        symbols: (..., channels) integers. With `tables` 1 all channels count as one, so that any shape can be coded.
        tables: at most so many; channels whose values are distributed alike share one.
        bits: the frequencies of a table sum to 2^bits.

    Raises:
        BadInput: no integers, none at all, or beyond 22 bits; a number of tables or bits out of range.
    """
    symbols = np.asarray(symbols)
    if symbols.dtype.kind not in "iu" or not symbols.size:
        raise BadInput(f"code: {symbols.size} values of {symbols.dtype}; need integers to fit on.")
    _check(tables, bits)
    if symbols.min() < -VALUE_LIMIT or symbols.max() >= VALUE_LIMIT:
        raise BadInput(f"code: values {symbols.min()} .. {symbols.max()}; need at most 22 bits with sign.")
    flat = symbols.reshape(-1, 1 if tables == 1 or symbols.ndim < 2 else symbols.shape[-1])
    counts, low = histogram(flat, min(MAX_WINDOW, 1 << (bits - 1)))
    counts[:, -1] += 1  # the next value may be one that was never seen
    return design(counts, low, tables, bits)


def from_pmf(pmf: np.ndarray, low: int, tables: int | None = None, bits: int = MAX_BITS) -> Code:
    """A code from a prior.

    Args:
        pmf: (channels, n) probabilities of low, low + 1, ...; what a row lacks to 1 is the escape's.
        tables: at most so many; None keeps one for each channel.

    Raises:
        BadInput: not finite, negative, a row with a sum above 1 or of nothing, or a number out of range.
    """
    pmf = np.asarray(pmf, np.float64)
    if pmf.ndim != 2 or not pmf.size or not np.isfinite(pmf).all() or pmf.min() < 0 or pmf.sum(1).max() > 1 + 1e-6:
        raise BadInput(f"code: a prior of shape {pmf.shape}; need (channels, n) probabilities, each row at most 1.")
    wanted = len(pmf) if tables is None else tables
    _check(wanted, bits)
    if pmf.shape[1] > min(MAX_WINDOW, 1 << (bits - 1)) or not -VALUE_LIMIT <= low < VALUE_LIMIT - pmf.shape[1]:
        raise BadInput(f"code: a prior of {pmf.shape[1]} values from {low}; need fewer than 2^{bits - 1} of 22 bits.")
    full = np.column_stack([pmf, np.clip(1 - pmf.sum(1), 0, 1)])
    return design(np.rint(full * PRIOR_UNITS).astype(np.int64), low, wanted, bits)


def _check(tables: int, bits: int) -> None:
    if not MIN_BITS <= bits <= MAX_BITS or not 1 <= tables <= MAX_TABLES:
        raise BadInput(
            f"code: {tables} tables of {bits} bits; need 1 .. {MAX_TABLES} of {MIN_BITS} .. {MAX_BITS} bits."
        )


def histogram(symbols: np.ndarray, window: int) -> tuple[np.ndarray, int]:
    """How often each value occurs in each channel.

    Args:
        symbols: (n, channels).
        window: values counted one by one at most, those that hold the most; the others are counted together.

    Returns:
        counts: (channels, values + 1) int64; the last is that of all other values.
        low: the first value.
    """
    low, high = int(symbols.min()), int(symbols.max())
    if high - low >= window:
        every = np.bincount((symbols.astype(np.int64) - low).ravel())
        sums = np.concatenate([[0], np.cumsum(every)])
        low += int(np.argmax(sums[window:] - sums[:-window]))
        high = low + window - 1
    span = high - low + 1
    index = symbols.astype(np.int64) - low
    index[(index < 0) | (index >= span)] = span
    channels = symbols.shape[1]
    flat = index + np.arange(channels) * (span + 1)
    return np.bincount(flat.ravel(), minlength=channels * (span + 1)).reshape(channels, span + 1), low


def design(counts: np.ndarray, low: int, tables: int, bits: int) -> Code:
    """A code from counts: group the channels, choose each group's window, quantize.

    Args:
        counts: (channels, n + 1) of low, low + 1, ..., and of all other values.
    """
    which = grouped(counts, tables)
    made = (best_window(counts[which == group].sum(0), low, bits) for group in range(which.max() + 1))
    return Code(bits, tuple(int(group) for group in which), tuple(made))


def best_window(counts: np.ndarray, low: int, bits: int) -> Table:
    """The table of fewest bits among windows that leave out both ends up to a share of 0, 2^-16, 2^-15, ... 2^-5.

    In the window even a value that hardly ever occurs takes 2^-bits from the others; outside it takes a number.

    Args:
        counts: (n + 1,) of low, low + 1, ..., and of all other values.
    """
    below, above = np.cumsum(counts[:-1]), np.cumsum(counts[-2::-1])
    found: dict[tuple[int, int], tuple[float, Table]] = {}
    for exponent in (None, *range(16, 4, -1)):
        limit = 0 if exponent is None else int(counts.sum()) >> exponent
        first = min(int(np.searchsorted(below, limit, "right")), len(below) - 1)
        last = len(above) - 1 - int(np.searchsorted(above, limit, "right"))
        window = (first, max(first, last))
        if window not in found:
            found[window] = _weighed(counts, low, window, bits)
    return min(found.values(), key=lambda pair: pair[0])[1]


def _weighed(counts: np.ndarray, low: int, window: tuple[int, int], bits: int) -> tuple[float, Table]:
    """Bits of all that was counted, and the table of one window."""
    inside = counts[window[0] : window[1] + 1]
    escaped = int(counts.sum() - inside.sum())
    frequencies = quantize(np.append(inside, escaped), bits)
    table = Table(low + window[0], tuple(int(f) for f in frequencies))
    left_out = np.r_[0 : window[0], window[1] + 1 : len(counts) - 1]
    numbers = counts[left_out] @ number_bits(outside(left_out + low, table)) if len(left_out) else 0.0
    return float(numbers + np.append(inside, escaped) @ (bits - np.log2(frequencies))), table


def grouped(counts: np.ndarray, groups: int) -> np.ndarray:
    """(channels,) group of each channel, 0 and on: those together cost few bits with one table.

    Lloyd's algorithm with the code length as distance, from channels sorted by their mean and cut in equal parts.
    """
    channels = len(counts)
    if groups >= channels:
        return np.arange(channels)
    mean = counts @ np.arange(counts.shape[1]) / np.maximum(counts.sum(1), 1)
    which = np.empty(channels, np.int64)
    which[np.argsort(mean, kind="stable")] = np.arange(channels) * groups // channels
    for _ in range(ROUNDS):
        sums = np.stack([counts[which == group].sum(0) for group in range(groups)]) + 0.5
        lengths = np.log2(sums.sum(1, keepdims=True)) - np.log2(sums)
        moved = np.argmin(counts @ lengths.T, axis=1)
        if (moved == which).all():
            break
        which = moved
    return np.unique(which, return_inverse=True)[1]
