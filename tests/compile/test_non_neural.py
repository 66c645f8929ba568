"""Sharing out a classical model's ops over cores."""

import itertools

import numpy as np
import pytest

from edgesmith.compile.non_neural import BARRIER, JOIN, dealt, non_neural
from edgesmith.lower.classical import Classical, lower_classical
from lower.classical_models import fitted, rows


def graph(name: str):
    return lower_classical(Classical(fitted("classifier", name)), rows(0, 3)[0], "float32")


@pytest.mark.parametrize("name", ["forest", "svc", "knn", "naive bayes", "logistic"])
def test_one_core_is_the_program_itself_and_more_are_never_slower(name):
    found = graph(name)
    counts = [1000.0] * len(found.ops)
    assert non_neural(1)(found, counts).speedup == 1
    times = [non_neural(cores)(found, counts).together for cores in (1, 2, 4, 8)]
    assert all(later <= earlier for earlier, later in itertools.pairwise(times))
    assert all(non_neural(cores)(found, counts).speedup <= cores for cores in (2, 4, 8))


def test_twelve_trees_on_four_cores_take_three_trees_time_and_a_join():
    """Three outputs, four cores: each output's three other partial sums are added by a core of its own."""
    found = graph("forest")
    together = non_neural(4)(found, [12_000.0]).together
    assert together == 3000 + 2 * BARRIER + 3 * JOIN


def test_parts_are_dealt_as_evenly_as_can_be_or_a_third_worse(nprng):
    """Longest part first stays within 4/3 of the best (Graham 1969); against every assignment of a few parts."""
    for _ in range(20):
        parts = [float(v) for v in nprng.integers(1, 30, 6)]
        best = min(
            max(sum(p for p, owner in zip(parts, owners, strict=True) if owner == core) for core in range(3))
            for owners in itertools.product(range(3), repeat=6)
        )
        loads = dealt(parts, 3)
        assert sum(loads) == pytest.approx(sum(parts)) and best <= max(loads) <= 4 / 3 * best
    assert dealt([2.0] * 10, 8) == [4.0, 4.0, *[2.0] * 6] and np.sum(dealt([], 3)) == 0
