"""The solver against brute force, ties, infeasible limits, and the time hundreds of layers take."""

from itertools import product

import numpy as np
import pytest

from edgesmith.compress.quantize.allocation import Choice, allocate, undominated
from edgesmith.core.errors import BadInput, DoesNotFit


def drawn(nprng, groups, costs=("bytes",), widths=(8, 4, 2)):
    """Random groups whose loss falls and whose costs rise with the bits."""
    made = {}
    for index in range(groups):
        size, hurt = nprng.uniform(1, 100), nprng.uniform(0.1, 10)
        choices = [
            Choice(
                bits,
                hurt * 4.0**-bits * nprng.uniform(0.5, 2),
                {name: size * bits * nprng.uniform(0.8, 1.2) for name in costs},
            )
            for bits in widths
        ]
        made[f"layer{index}"] = choices
    return made


def rough(nprng, cost, costs):
    return {name: cost * nprng.uniform(0.8, 1.2) for name in costs}


def brute(groups, limits):
    """The least loss of all combinations that hold the limits; None if none does."""
    best = None
    for combination in product(*groups.values()):
        sums = {name: sum(choice.costs[name] for choice in combination) for name in limits}
        if all(sums[name] <= limit for name, limit in limits.items()):
            loss = sum(choice.loss for choice in combination)
            best = loss if best is None else min(best, loss)
    return best


@pytest.mark.parametrize("costs", [("bytes",), ("bytes", "cycles"), ("bytes", "cycles", "energy")])
def test_the_solver_equals_brute_force(nprng, costs):
    for _ in range(8):
        groups = drawn(nprng, 6, costs)
        most = {name: sum(max(c.costs[name] for c in choices) for choices in groups.values()) for name in costs}
        limits = {name: most[name] * nprng.uniform(0.25, 0.9) for name in costs}
        expected = brute(groups, limits)
        if expected is None:
            with pytest.raises(DoesNotFit):
                allocate(groups, limits)
            continue
        found = allocate(groups, limits)
        assert found.loss == pytest.approx(expected, rel=1e-9)
        assert all(found.costs[name] <= limit * (1 + 1e-8) for name, limit in limits.items())


def test_without_a_limit_everything_loses_least(nprng):
    groups = drawn(nprng, 5)
    found = allocate(groups, {})
    assert found.loss == pytest.approx(sum(min(c.loss for c in choices) for choices in groups.values()))


def test_a_limit_that_nothing_holds_is_named_with_the_least_that_would():
    groups = {"a": [Choice(8, 0.0, {"bytes": 80}), Choice(4, 1.0, {"bytes": 40})], "b": [Choice(8, 0.0, {"bytes": 10})]}
    with pytest.raises(DoesNotFit, match="bytes is at least 50, above the limit of 45.*a limit of bytes 50"):
        allocate(groups, {"bytes": 45})
    assert allocate(groups, {"bytes": 50}).chosen["a"].what == 4


def test_limits_that_hold_one_by_one_but_not_together_are_told_how_far_to_grow():
    small = Choice("small", 0.0, {"bytes": 10, "cycles": 30})
    fast = Choice("fast", 0.0, {"bytes": 30, "cycles": 10})
    limits = {"bytes": 15.0, "cycles": 20.0}
    with pytest.raises(DoesNotFit, match="not all together.*bytes 22.5, cycles 30, 1.5 times") as found:
        allocate({"a": [small, fast]}, limits)
    assert found
    assert allocate({"a": [small, fast]}, {"bytes": 22.5, "cycles": 30.0}).chosen["a"] is small


def test_of_equal_choices_the_first_is_taken_and_equal_input_gives_equal_output():
    twins = [
        Choice("first", 1.0, {"bytes": 5}),
        Choice("second", 1.0, {"bytes": 5}),
        Choice("worse", 1.0, {"bytes": 6}),
    ]
    assert [choice.what for choice in undominated(twins, ("bytes",))] == ["first"]
    alike = {f"layer{i}": [Choice(8, 0.0, {"bytes": 8}), Choice(4, 1.0, {"bytes": 4})] for i in range(7)}
    results = [{name: c.what for name, c in allocate(alike, {"bytes": 40}).chosen.items()} for _ in range(3)]
    assert results[0] == results[1] == results[2]
    assert sorted(results[0].values()) == [4, 4, 4, 4, 8, 8, 8]


def test_hundreds_of_layers_are_exact_by_a_bound_from_the_relaxation(nprng):
    """The Lagrangian bound of the limit (algebra) is below the optimum and close to it with many layers."""
    groups = drawn(nprng, 400)
    limit = 0.5 * sum(choices[0].costs["bytes"] for choices in groups.values())
    found = allocate(groups, {"bytes": limit})

    def bound(price):
        return (
            sum(min(c.loss + price * c.costs["bytes"] for c in choices) for choices in groups.values()) - price * limit
        )

    best = max(bound(price) for price in np.geomspace(1e-9, 1e-1, 4000))
    assert best <= found.loss * (1 + 1e-9)
    assert found.loss <= best + max(c.loss for choices in groups.values() for c in choices)


def test_what_is_not_finite_or_missing_is_refused():
    with pytest.raises(BadInput, match="not finite"):
        allocate({"a": [Choice(8, float("nan"), {"bytes": 1})]}, {"bytes": 1})
    with pytest.raises(BadInput, match="names no cycles"):
        allocate({"a": [Choice(8, 0.0, {"bytes": 1})]}, {"cycles": 1})
    with pytest.raises(BadInput, match="has no choice"):
        allocate({"a": []}, {})
    with pytest.raises(BadInput, match="limit on bytes"):
        allocate({}, {"bytes": float("inf")})
    assert allocate({}, {"bytes": 1.0}).chosen == {}
