"""The contract of `collaborate.schedule`: what every method does with awkward flights and clouds."""

import random
from dataclasses import replace

import pytest

from edgesmith.collaborate.links.link import Link, Outage
from edgesmith.collaborate.schedule import METHODS
from edgesmith.collaborate.schedule.baselines import edf_edge
from edgesmith.collaborate.schedule.network import NETWORKS, STEADY, steady
from edgesmith.collaborate.schedule.optimum import optimum
from edgesmith.collaborate.schedule.quality import worth
from edgesmith.collaborate.schedule.site import Cloud, fly
from edgesmith.collaborate.schedule.tasks import ACTIVE, PASSIVE, Fleet, Kind, exact, flight

every_method = pytest.mark.parametrize("factory", METHODS, ids=[factory.card.name for factory in METHODS])
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
INSTANT = Cloud(Link("instant", mbps=1e6))


def flown(factory, fleet: Fleet, cloud: Cloud, seed: int = 3):
    return fly(flight(fleet, steady().link_ms, seed), factory(), cloud, seed)


@every_network
@every_method
def test_every_task_ends_once_and_a_run_repeats(factory, network):
    """`fly` itself raises where a task is lost or ends twice."""
    fleet = Fleet(ACTIVE, 4, 40.0, edge_most=1.5, cloud_sigma=0.3)
    first, second = (flown(factory, fleet, network(3, 40.0)) for _ in range(2))
    assert first.outcomes == second.outcomes and first.ledger.entries == second.ledger.entries


def random_kind(draw: random.Random, name: int) -> Kind:
    times = (draw.uniform(low, high) for low, high in ((100, 1000), (10, 300), (20, 900)))
    return Kind(str(name), *times, draw.uniform(0, 100), draw.uniform(0, 5), draw.uniform(0, 50), 10)


@pytest.mark.soak
@every_method
def test_random_flights_lose_no_task(factory, repeats):
    """Random fleets, kinds and networks; `fly` raises where a task is lost, ends twice, or bytes do not add up."""
    for seed in range(repeats(12, 200)):
        draw = random.Random(seed)
        cloud = replace(draw.choice([*NETWORKS.values()])(seed, 60.0), slots=draw.choice((1, 4, 32)))
        kinds = tuple(draw.sample(ACTIVE, draw.randint(1, 6))) + tuple(random_kind(draw, n) for n in range(3))
        fleet = Fleet(kinds, draw.randint(1, 6), 60.0, 500.0, 0.5, draw.uniform(0.5, 2.0), draw.uniform(0, 0.4))
        fly(flight(fleet, steady().link_ms, seed), factory(), cloud, seed)


@every_method
def test_one_strategy_serves_many_flights(factory):
    """What a flight taught does not leak into the next."""
    scheduler = factory()
    found = flight(Fleet(PASSIVE, 3, 20.0), steady().link_ms, 1)
    assert fly(found, scheduler, steady()).outcomes == fly(found, scheduler, steady()).outcomes


@every_method
def test_what_the_edge_can_do_alone_it_does_alone(factory):
    made = flown(factory, Fleet(PASSIVE[:2], 1, 30.0), steady())
    assert {outcome.end for outcome in made.outcomes} == {"edge"} and worth(made.outcomes).completed == 1


@every_method
def test_the_edge_runs_one_at_a_time(factory):
    made = flown(factory, Fleet(ACTIVE, 3, 30.0), steady())
    runs = sorted((o.end_ms - o.task.edge_ms, o.end_ms) for o in made.outcomes if o.end == "edge")
    assert all(start >= end - 1e-6 for (_, end), (start, _) in zip(runs, runs[1:], strict=False))


@every_method
def test_what_costs_more_in_the_cloud_than_it_is_worth_never_runs_there(factory):
    made = flown(factory, Fleet(ACTIVE, 4, 60.0, edge_most=1.5), steady())
    assert all(outcome.end != "cloud" for outcome in made.outcomes if outcome.task.kind.cloud_utility <= 0)


@every_method
def test_nothing_runs_that_could_not_have_been_in_time(factory):
    """With times as expected every run is in time: what would not be is dropped before it begins."""
    draw = random.Random(7)
    case = exact(draw.choices(ACTIVE, k=200), [draw.uniform(0, 20_000) for _ in range(200)], INSTANT.link_ms)
    made = fly(case, factory(), INSTANT)
    assert all(outcome.in_time or outcome.end == "dropped" for outcome in made.outcomes)
    assert any(outcome.end == "dropped" for outcome in made.outcomes)


@every_method
def test_no_one_does_better_than_the_optimum(factory):
    for seed in range(5):
        draw = random.Random(seed)
        case = exact(draw.choices(ACTIVE, k=10), [draw.uniform(0, 800) for _ in range(10)], INSTANT.link_ms)
        assert worth(fly(case, factory(), INSTANT).outcomes).qos <= optimum(case) + 1e-6


@every_method
def test_a_dead_link_leaves_the_edge_at_work(factory):
    fleet = Fleet(PASSIVE, 2, 60.0)
    dead = Cloud(replace(STEADY, outages=(Outage(0.0, 1e6),)))
    alone, ours = (worth(flown(each, fleet, dead).outcomes).completed for each in (edf_edge, factory))
    assert ours > 0.9 * alone


@every_method
def test_awkward_kinds_are_served_or_dropped(factory):
    """No worth, no time, too little time, a deadline at once: all come to an end."""
    kinds = (
        Kind("worthless", 500, 10, 10, 0),
        Kind("instant", 500, 0, 0, 1),
        Kind("hopeless", 5, 50, 50, 9),
        Kind("now", 0, 0, 0, 1),
        Kind("same", 500, 100, 100, 5, 5, 5),
    )
    made = flown(factory, Fleet(kinds, 3, 10.0), steady())
    ends = {outcome.task.kind.name: outcome for outcome in made.outcomes}
    assert not ends["hopeless"].in_time and len(ends) == 5


@every_method
def test_no_flight_is_no_trouble(factory):
    assert fly((), factory(), steady()).outcomes == ()
