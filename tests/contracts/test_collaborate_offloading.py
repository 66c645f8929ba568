"""The contract of `collaborate.offloading`: learners take worlds and return policies, from their seed alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from edgesmith.collaborate.offloading import METHODS, com_ddpg, gmorl
from edgesmith.collaborate.offloading.cluster import play
from edgesmith.collaborate.offloading.com_ddpg import Training as Episodes
from edgesmith.collaborate.offloading.gmorl import Training as Tasks
from edgesmith.collaborate.offloading.policy import run
from edgesmith.collaborate.offloading.servers import Site
from edgesmith.collaborate.offloading.settings import Setting


@dataclass(frozen=True)
class Case:
    """A learner made quick, worlds that suit it, and what a policy costs in one that it did not meet."""

    learner: Callable[[int], Any]
    worlds: Any
    cost: Callable[[Any], tuple[float, ...]]


SETTING, SITES = Setting(devices=2, servers=2), [Site((3e9, 2e9, 1e9), tasks=30)]
CASES = {
    "com_ddpg": Case(
        lambda seed: com_ddpg(Episodes(episodes=8, together=4, updates=2, batch=4, kept=8, width=8), seed=seed),
        SETTING,
        lambda policy: tuple(play(SETTING(99), policy).latency_s),
    ),
    "gmorl": Case(
        lambda seed: gmorl(Tasks(tasks=60, first=30, batch=8, width=8), seed=seed),
        SITES,
        lambda policy: run(SITES[0], policy, 0.5, [99]),
    ),
}
every_method = pytest.mark.parametrize("case", [CASES[factory.card.name] for factory in METHODS], ids=sorted(CASES))


@every_method
def test_a_seed_gives_the_same_policy_twice(case):
    """And a policy asked twice costs the same: nothing of one run stays for the next."""
    first, second = (case.learner(3)(case.worlds) for _ in range(2))
    assert case.cost(first) == case.cost(second) == case.cost(first)


@every_method
def test_seeds_give_different_policies(case):
    assert len({case.cost(case.learner(seed)(case.worlds)) for seed in range(4)}) > 1


@every_method
def test_learning_leaves_global_randomness_alone(case):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    case.learner(0)(case.worlds)
    assert torch.equal(before, torch.get_rng_state())


@every_method
def test_a_policy_finishes_what_it_is_given(case):
    assert all(0 < each < np.inf for each in case.cost(case.learner(1)(case.worlds)))
