"""Flights that the schedulers' experiments share: fleets, networks, and what each strategy makes of them."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import replace

from edgesmith.collaborate.schedule.network import NETWORKS, steady
from edgesmith.collaborate.schedule.quality import Worth, worth
from edgesmith.collaborate.schedule.site import fly
from edgesmith.collaborate.schedule.strategy import Scheduler
from edgesmith.collaborate.schedule.tasks import ACTIVE, PASSIVE, Fleet, flight

SEEDS = (11, 12, 13, 14, 15)
SECONDS = 300.0
FLEETS = {
    f"{drones} drones, {len(kinds)} kinds": Fleet(kinds, drones, SECONDS)
    for kinds in (PASSIVE, ACTIVE)
    for drones in (2, 3, 4)
}
Strategies = Mapping[str, Callable[[], Scheduler]]
Row = dict[str, Worth]  # by strategy
Flights = dict[str, list[Row]]  # by fleet, one row a seed


def flown(strategies: Strategies, network: str, **changes: float) -> Flights:
    """Every fleet on a network under every strategy, seed by seed.

    Args:
        changes: to the fleets.
    """
    return {name: [row(replace(fleet, **changes), strategies, network, seed) for seed in SEEDS]
            for name, fleet in FLEETS.items()}  # fmt: skip


def row(fleet: Fleet, strategies: Strategies, network: str, seed: int) -> Row:
    """One flight: the same tasks and the same network for every strategy."""
    tasks, cloud = flight(fleet, steady().link_ms, seed), NETWORKS[network](seed, SECONDS)
    return {name: worth(fly(tasks, strategy(), cloud, seed).outcomes) for name, strategy in strategies.items()}


def medians(flights: Flights) -> dict[str, dict[str, dict[str, float]]]:
    """By fleet and strategy: completed, utility of service, of experience, and both."""
    return {
        fleet: {
            name: {
                figure: round(statistics.median(getattr(row[name], figure) for row in rows), 3)
                for figure in ("completed", "qos", "qoe", "total")
            }
            for name in rows[0]
        }
        for fleet, rows in flights.items()
    }


def per_seed(flights: Flights, figure: Callable[[Row], float], over: Callable[..., float]) -> list[float]:
    """A figure of every fleet's flight, joined over the fleets by `over`, one value a seed."""
    return [over(figure(rows[index]) for rows in flights.values()) for index in range(len(SEEDS))]


def best(row: Row, names: Mapping[str, object], figure: str) -> float:
    """The greatest of a figure among some strategies."""
    return max(getattr(row[name], figure) for name in names)
