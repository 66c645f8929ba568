"""Codes and payloads for tests: drawn by Hypothesis, or seeded."""

import numpy as np
from hypothesis import strategies as st

from edgesmith.collaborate.coding import Code, Table
from edgesmith.collaborate.coding.tables import quantize

WAYS = ("native", "constriction", "python")


def laplace(rng: np.random.Generator, n: int, channels: int) -> np.ndarray:
    """(n, channels) int8: activations' kind, each channel with a spread of its own."""
    spread = rng.uniform(0.3, 9, channels)
    return np.rint(rng.laplace(0, spread, (n, channels))).clip(-128, 127).astype(np.int8)


@st.composite
def codes(draw: st.DrawFn, low: int = -200, high: int = 200) -> Code:
    """Any code whose windows begin in low .. high."""
    bits = draw(st.integers(4, 15))
    tables = []
    for _ in range(draw(st.integers(1, 3))):
        counts = draw(st.lists(st.integers(0, 1000), min_size=2, max_size=min(300, 1 << bits)))
        frequencies = quantize(np.array(counts), bits)
        tables.append(Table(draw(st.integers(low, high)), tuple(int(f) for f in frequencies)))
    which = draw(st.lists(st.integers(0, len(tables) - 1), min_size=1, max_size=5))
    return Code(bits, tuple(which), tuple(tables))


@st.composite
def payloads(draw: st.DrawFn, code: Code, limit: int = 1 << 21) -> np.ndarray:
    """(n, channels) int32 for a code: values of its tables, their edges, and anything below `limit`."""
    table = st.sampled_from(code.tables)
    near = table.flatmap(lambda t: st.integers(t.low - 3, t.high + 3))
    one = st.one_of(near, near, st.integers(-limit, limit - 1)).filter(lambda value: -limit <= value < limit)
    rows = draw(st.lists(st.lists(one, min_size=code.channels, max_size=code.channels), max_size=40))
    return np.array(rows, np.int32).reshape(-1, code.channels)
