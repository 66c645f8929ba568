"""The edge, the cloud and the optimum against sums done by hand and against brute force."""

import random
from itertools import permutations

import pytest

from collaborate.schedule.desks import kind, tasks
from edgesmith.collaborate.links.link import Link, Outage
from edgesmith.collaborate.schedule.baselines import cloud_only, edf_both, edf_edge, hpf_edge, sjf_both
from edgesmith.collaborate.schedule.network import NETWORKS, trapezium, wandering
from edgesmith.collaborate.schedule.optimum import MOST_TASKS, optimum, without_edge
from edgesmith.collaborate.schedule.site import Cloud, fly
from edgesmith.collaborate.schedule.tasks import ACTIVE, Fleet, Task, exact, flight
from edgesmith.core.errors import BadInput

# 40,000 bytes in 28 packets are 328.96 ms at 1 Mbit/s with their headers; 500 and 40 are 4.32 ms.
LINK = Link("l", mbps=1.0, delay_ms=10.0)


def ends(found) -> list[tuple[int, str, float]]:
    return [(outcome.task.index, outcome.end, round(outcome.end_ms, 3)) for outcome in found.outcomes]


def test_the_edge_does_one_after_the_other():
    found = fly(tuple(tasks(kind(), kind(deadline=500))), edf_edge(), Cloud(LINK))
    assert ends(found) == [(0, "edge", 100.0), (1, "edge", 200.0)], "it had begun with the first"
    assert found.edge_busy_ms == 200


def test_highest_utility_goes_first():
    each = (kind(), kind(benefit=50), kind(benefit=200))
    assert [index for index, *_ in ends(fly(tuple(tasks(*each)), hpf_edge(), Cloud(LINK)))] == [0, 2, 1]


def test_shortest_goes_first():
    each = (kind(), kind(edge=90, deadline=800), kind(edge=80))
    assert [index for index, *_ in ends(fly(tuple(tasks(*each)), sjf_both(), Cloud(LINK)))] == [0, 2, 1]


def test_what_would_be_late_on_the_edge_is_dropped_before_it_begins():
    found = fly(tuple(tasks(kind(edge=600), kind(edge=600))), edf_edge(), Cloud(LINK))
    assert ends(found) == [(0, "edge", 600.0), (1, "dropped", 600.0)]


def test_the_cloud_takes_link_and_function():
    (each,) = tasks(kind(cloud=700))
    found = fly((Task(0, each.kind, 5.0, 100, 200.0),), cloud_only(), Cloud(LINK))
    assert ends(found) == [(0, "cloud", round(5 + 328.96 + 10 + 200 + 4.32 + 10, 3))]
    (entry,) = found.ledger
    assert (entry.place, entry.in_time, entry.server_ms, entry.up_bytes) == ("server", True, 200.0, 40_000 + 28 * 40)


def test_extra_latency_is_added_to_every_call():
    each = Task(0, kind(cloud=700).__class__("k", 1000, 100, 700, 100), 0.0, 100, 200.0)
    plain, late = (fly((each,), cloud_only(), Cloud(LINK, extra_ms=extra)) for extra in (lambda _: 0.0, lambda _: 99.0))
    assert late.outcomes[0].end_ms - plain.outcomes[0].end_ms == pytest.approx(99.0)


def test_without_a_free_slot_calls_wait_and_are_dropped_when_too_late():
    """The first takes 553.28 ms; with 500 expected of 1,000 the second could have left until 500."""
    each = kind(cloud=500)
    pair = tuple(Task(index, each, 0.0, 100, 200.0) for index in range(2))
    assert ends(fly(pair, cloud_only(), Cloud(LINK, slots=1))) == [(0, "cloud", 553.28), (1, "dropped", 553.28)]


def test_a_call_without_an_answer_is_given_up():
    (each,) = tasks(kind())
    link = Link("dead", mbps=1.0, outages=(Outage(0.0, 1e6),))
    (outcome,) = fly((each,), cloud_only(), Cloud(link)).outcomes
    assert (outcome.end, outcome.in_time, outcome.end_ms) == ("cloud", False, 10_000.0)


def test_both_keep_what_fits_on_the_edge_and_send_the_rest():
    found = fly(tuple(tasks(*[kind(edge=400, cloud=600)] * 3)), edf_both(), Cloud(Link("fast", mbps=1e6)))
    assert sorted(ends(found)) == [(0, "edge", 400.0), (1, "edge", 800.0), (2, "cloud", pytest.approx(600, abs=0.1))]


def test_a_strategy_that_loses_a_task_is_found_out():
    class Forgetful:
        def __init__(self, desk):
            self.desk = desk

        def arrived(self, task):
            pass

        def next(self):
            return None

    with pytest.raises(AssertionError, match="1 tasks, 0 ends"):
        fly(tuple(tasks(kind())), Forgetful, Cloud(LINK))


def brute_force(case: tuple[Task, ...]) -> float:
    """Every order of every set of tasks on the edge."""
    best = 0.0
    for size in range(len(case) + 1):
        for order in permutations(case, size):
            now_ms = worth = 0.0
            for task in order:
                now_ms = max(now_ms, task.at_ms) + task.kind.edge_ms
                worth += task.kind.edge_utility if now_ms <= task.deadline_ms else float("-inf")
            best = max(best, worth + sum(without_edge(task) for task in case if task not in order))
    return best


def test_the_optimum_is_that_of_brute_force():
    for seed in range(15):
        draw = random.Random(seed)
        case = exact(draw.choices(ACTIVE, k=6), [draw.uniform(0, 700) for _ in range(6)])
        assert optimum(case) == pytest.approx(brute_force(case)), seed
    assert optimum(()) == 0


def milp_optimum(case: tuple[Task, ...]) -> float:
    """The same as an integer program: who goes before whom on the edge, with large constants."""
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp

    n, big = len(case), 1e5
    # x: on the edge; s: its start; y[i, j]: i before j.
    size = 2 * n + n * n
    gain = np.zeros(size)
    rows, low, high = [], [], []
    for i, task in enumerate(case):
        gain[i] = task.kind.edge_utility - without_edge(task)
        row = np.zeros(size)
        row[n + i], row[i] = 1, big
        rows, low, high = [*rows, row], [*low, -np.inf], [*high, task.deadline_ms - task.kind.edge_ms + big]
        for j in range(n):
            if i == j:
                continue
            row = np.zeros(size)
            row[n + j], row[n + i], row[2 * n + i * n + j] = 1, -1, -big
            rows, low, high = [*rows, row], [*low, task.kind.edge_ms - big], [*high, np.inf]
            row = np.zeros(size)
            row[[2 * n + i * n + j, 2 * n + j * n + i, i, j]] = 1, 1, -1, -1
            rows, low, high = [*rows, row], [*low, -1], [*high, np.inf]
    lower, upper = np.zeros(size), np.ones(size)
    lower[n : 2 * n], upper[n : 2 * n] = [task.at_ms for task in case], big
    whole = np.ones(size)
    whole[n : 2 * n] = 0
    found = milp(
        -gain, constraints=LinearConstraint(np.array(rows), low, high), bounds=Bounds(lower, upper), integrality=whole
    )
    return -found.fun + sum(map(without_edge, case))


def test_the_optimum_is_that_of_an_integer_program():
    for seed in range(3):
        draw = random.Random(100 + seed)
        case = exact(draw.choices(ACTIVE, k=8), [draw.uniform(0, 1000) for _ in range(8)])
        assert optimum(case) == pytest.approx(milp_optimum(case), abs=0.01), seed


def test_too_many_tasks_for_the_optimum_are_refused():
    with pytest.raises(BadInput, match="at most 18"):
        optimum(exact([ACTIVE[0]] * (MOST_TASKS + 1), range(MOST_TASKS + 1)))


def test_a_flight_has_every_kind_of_every_drone_and_is_the_same_again():
    fleet = Fleet(ACTIVE, 3, 10.0)
    found = flight(fleet, 40.0, seed=2)
    assert len(found) == 6 * 3 * 10 and found == flight(fleet, 40.0, seed=2) != flight(fleet, 40.0, seed=3)
    assert all(0.85 * task.kind.edge_ms <= task.edge_ms <= task.kind.edge_ms for task in found)
    late = sum(task.function_ms + 40.0 > task.kind.cloud_ms for task in flight(Fleet(ACTIVE, 3, 300.0), 40.0, seed=2))
    assert 0.03 < late / (6 * 3 * 300) < 0.07, "one in twenty takes longer than expected"


@pytest.mark.parametrize(
    "wrong", [{"drones": 0}, {"kinds": ()}, {"seconds": 0.0}, {"edge_least": 1.2}, {"cloud_sigma": -1}]
)
def test_fleets_without_meaning_are_refused(wrong):
    with pytest.raises(BadInput, match="schedule"):
        Fleet(**wrong)


def test_networks_vary_as_they_say():
    assert [trapezium(at_s) for at_s in (59.0, 90.0, 150.0, 181.0, 240.0 + 90.0)] == [0.0, 400.0, 400.0, 0.0, 400.0]
    steps = wandering(1, 300.0, 10.0)
    assert len(steps) == 300 and steps == wandering(1, 300.0, 10.0)
    assert min(rate for _, rate in steps) < 5 < 20 < max(rate for _, rate in steps)
    assert set(NETWORKS) == {"steady", "rising latency", "wandering rate"}
