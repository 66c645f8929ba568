"""Policies that send independent tasks to servers, how both objectives reward them, and what their choices cost."""

from collections.abc import Callable, Sequence

import numpy as np

from edgesmith.collaborate.offloading.servers import Episode, Site, drawn
from edgesmith.core.errors import BadInput

Policy = Callable[[Episode, float], int]  # (episode, preference of delay over energy in 0 to 1) -> server
Learner = Callable[[Sequence[Site]], Policy]

DELAY_PER_S, ENERGY_PER_J = 0.01, 5.0  # the authors' 0.01 and a tenth of their 50, so that both count alike here


def rewards(cost: tuple[float, float]) -> tuple[float, float]:
    """Of delay and of energy, from a cost in seconds and joules."""
    return -DELAY_PER_S * cost[0], -ENERGY_PER_J * cost[1]


def weighed(cost: tuple[float, float], preference: float) -> float:
    """Both rewards in one, by the preference for delay."""
    delay, energy = rewards(cost)
    return preference * delay + (1 - preference) * energy


def run(site: Site, policy: Policy, preference: float, seeds: Sequence[int]) -> tuple[float, float]:
    """Mean delay in s and mean energy in J of a task, over the episodes of these seeds.

    Raises:
        BadInput: no seeds, or a preference outside 0 to 1.
    """
    if not seeds or not 0 <= preference <= 1:
        raise BadInput(f"run: {len(seeds)} seeds, preference {preference:g}; need at least one, and 0 to 1.")
    costs = []
    for seed in seeds:
        episode = Episode(site, drawn(site, seed))
        while episode.task is not None:
            costs.append(episode.assign(policy(episode, preference)))
    delay_s, energy_j = np.mean(costs, axis=0)
    return float(delay_s), float(energy_j)
