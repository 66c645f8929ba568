"""The exact solver against brute force, and every rule against it."""

from itertools import product

import pytest

from collaborate.offloading.small import diamond, small_setting
from edgesmith.collaborate.offloading.cluster import Run, World, play
from edgesmith.collaborate.offloading.exact import optimum
from edgesmith.collaborate.offloading.heuristics import RULES
from edgesmith.collaborate.offloading.settings import Setting
from edgesmith.core.errors import BadInput


def brute_force(world: World) -> float:
    """The least cost over all placements, without any bound."""
    sequence = [device for active in world.rounds for device in active]
    costs = []
    for places in product(range(len(world.servers) + 1), repeat=len(sequence)):
        run = Run(world)
        for device, place in zip(sequence, places, strict=True):
            run.place(device, place)
        costs.append(run.cost)
    return min(costs)


@pytest.mark.parametrize("seed", range(6))
def test_the_optimum_is_that_of_brute_force(seed: int) -> None:
    world = small_setting()(seed)
    assert optimum(world).cost == pytest.approx(brute_force(world))


def test_the_optimum_of_the_diamond_is_that_of_brute_force() -> None:
    assert optimum(diamond()).cost == pytest.approx(brute_force(diamond()))


@pytest.mark.parametrize("seed", range(3))
def test_no_rule_is_better_than_the_optimum(seed: int) -> None:
    world = small_setting(devices=3)(seed)
    assert all(play(world, rule()).cost >= optimum(world).cost - 1e-12 for rule in RULES.values())


def test_too_many_tasks_are_refused() -> None:
    with pytest.raises(BadInput, match="need at most"):
        optimum(Setting()(0))
