"""Times, energies and loads of small worlds by hand; order and mutual exclusion over drawn ones."""

from dataclasses import replace

import pytest

from collaborate.offloading.small import DIAMOND, ONE, diamond
from edgesmith.collaborate.offloading.cluster import Device, Run, Server, Weights, World, earliest_gap, play
from edgesmith.collaborate.offloading.graphs import Shape
from edgesmith.collaborate.offloading.heuristics import RULES, at_random
from edgesmith.collaborate.offloading.settings import Setting
from edgesmith.core.errors import BadInput

LARGE = Setting(devices=6, servers=2, shape=Shape(2, 12))


def test_a_diamond_over_all_places_by_hand() -> None:
    """Task 0 on the device, 2 on server 2, 1 on server 1, 3 on server 1.

    Task 0: 0 to 2 s. Task 2: 8 Mbit take 4 s, 6 Gcycles at 4 GHz 1.5 s: 6 to 7.5. Task 1: 4 s, then 2 s: 6 to 8.
    Task 3: from server 2 over the backhaul 0.5 s, ready at 8; 1 s; its result is back 3 s later: at 12.
    """
    run = Run(diamond())
    assert run.world.orders == ((0, 2, 1, 3),), "the longer way to the end first"
    for place in (0, 2, 1, 1):
        run.round([place])
    spans = {index: (made.start_s, made.end_s) for index, made in run.placed[0].items()}
    assert spans == {0: (0.0, 2.0), 2: (6.0, 7.5), 1: (6.0, 8.0), 3: (8.0, 9.0)}
    assert run.latency_s == [12.0]
    computing_j, sending_j = 2 * 2 + 1.5 * 8 + 2 * 3 + 1 * 3, (4 + 4) * 0.5
    assert run.energy_j == [computing_j + sending_j]
    assert run.busy_s == [3.0, 1.5] and run.imbalance_s == 0.75


def test_the_cost_is_weighed_against_the_device_alone() -> None:
    """On the device the diamond takes 14 s and 28 J; in the run above 12 s, 29 J, and 0.75 s apart of 14 s."""
    run = Run(diamond(Weights(latency=0.5, energy=0.25, balance=0.25)))
    assert run.world.local_s == (14.0,) and run.world.local_j == (28.0,)
    for place in (0, 2, 1, 1):
        run.round([place])
    assert run.cost == pytest.approx(0.5 * 12 / 14 + 0.25 * 29 / 28 + 0.25 * 0.75 / 14)


def test_all_local_costs_the_weights_of_latency_and_energy() -> None:
    for seed in range(5):
        assert play(LARGE(seed), RULES["all local"]()).cost == pytest.approx(0.8)


def test_two_devices_wait_for_each_other_on_a_server() -> None:
    """4 Gcycles at 2 GHz, 2 Mbit each: over 2 Mbit/s at 1 s, over 1 Mbit/s at 2 s, when the server is busy until 3."""
    near = Device(ONE, 1.0, 1.0, 0.5, (2.0,))
    world = World((near, replace(near, mbps=(1.0,))), (Server(2.0, 3.0),), 1.0)
    assert world.rounds == ((0, 1),), "of equal priority: in their order"
    run = Run(world)
    run.round([1, 1])
    assert [run.placed[device][0].start_s for device in (0, 1)] == [1.0, 3.0]


def test_a_gap_is_used_where_it_is_long_enough() -> None:
    busy = [(1.0, 2.0), (4.0, 5.0)]
    assert earliest_gap(busy, 0.0, 1.0) == 0.0
    assert earliest_gap(busy, 0.5, 1.0) == 2.0
    assert earliest_gap(busy, 0.5, 2.0) == 2.0
    assert earliest_gap(busy, 0.5, 2.1) == 5.0
    assert earliest_gap(busy, 9.0, 1.0) == 9.0


def ways_s(run: Run, device: int, index: int) -> float:
    """When all data of a task can be where it runs, worked out anew from the definition."""
    world, owner, place = run.world, run.world.devices[device], run.placed[device][index].place
    arrivals = [0.0 if place == 0 else owner.job.tasks[index].in_mbit / owner.mbps[place - 1]]
    for earlier in owner.job.before[index]:
        made, mbit = run.placed[device][earlier], owner.job.tasks[earlier].out_mbit
        if made.place == place:
            rate = float("inf")
        elif made.place and place:
            rate = world.backhaul_mbps
        else:
            rate = owner.mbps[(made.place or place) - 1]
        arrivals.append(made.end_s + mbit / rate)
    return max(arrivals)


def test_dependencies_hold_on_random_graphs() -> None:
    """No task begins before all its data is where it runs, whoever places it."""
    for seed in range(40):
        run = play(LARGE(seed), at_random(seed))
        for device, made in enumerate(run.placed):
            assert len(made) == len(run.world.devices[device].job.tasks)
            for index, each in made.items():
                assert each.start_s >= ways_s(run, device, index) - 1e-9


def test_a_machine_runs_one_task_at_a_time() -> None:
    for seed in range(40):
        run = play(LARGE(seed), at_random(seed))
        for machine in range(6 + 2):
            spans = sorted(
                (made.start_s, made.end_s)
                for device, placed in enumerate(run.placed)
                for made in placed.values()
                if run.machine(device, made.place) == machine
            )
            assert all(end <= start + 1e-9 for (_, end), (start, _) in zip(spans, spans[1:], strict=False))
            assert spans == run.busy[machine]


def test_a_run_repeats_and_a_copy_goes_its_own_way() -> None:
    first, second = (play(LARGE(3), at_random(8)) for _ in range(2))
    assert first.placed == second.placed and first.cost == second.cost
    run = Run(LARGE(3))
    run.copy().round([1] * 6)
    assert run.placed == [{}] * 6 and run.busy == [[]] * 8 and run.cost == 0.0


def test_each_rule_is_least_in_what_it_minimises_on_a_single_task() -> None:
    """One task, one choice: the rule's own figure is the least there is."""
    figures = {
        "HEFT": lambda run: run.latency_s[0],
        "least energy": lambda run: run.energy_j[0],
        "least cost": lambda run: run.cost,
    }
    for seed in range(20):
        world = Setting(devices=1, servers=3, shape=Shape(1, 1))(seed)
        for name, figure in figures.items():
            each = [play(world, lambda _, place=place: lambda run: [place]) for place in range(4)]
            assert figure(play(world, RULES[name]())) == pytest.approx(min(map(figure, each)))


def test_all_edge_uses_no_device_and_least_loaded_spreads() -> None:
    edge = play(LARGE(1), RULES["all edge"]())
    assert all(made.place for placed in edge.placed for made in placed.values())
    spread, heap = (play(LARGE(1), RULES[name]()) for name in ("least loaded", "least energy"))
    assert spread.imbalance_s < heap.imbalance_s


@pytest.mark.parametrize(
    "make",
    [
        lambda: replace(diamond(), devices=()),
        lambda: replace(diamond(), servers=()),
        lambda: replace(diamond(), backhaul_mbps=0.0),
        lambda: replace(diamond(), servers=(Server(float("inf"), 1.0), Server(1.0, 1.0))),
        lambda: World((Device(DIAMOND, 1.0, 1.0, 1.0, (1.0,)),), diamond().servers, 1.0),
        lambda: Run(diamond()).round([3]),
        lambda: Run(diamond()).round([0, 0]),
        lambda: play(diamond(), RULES["HEFT"]()).look(0, 1),
        lambda: Setting(devices=0),
        lambda: Setting(mbps=(2.0, 1.0)),
    ],
)
def test_what_is_no_world_or_place_is_refused(make) -> None:
    with pytest.raises(BadInput, match="need"):
        make()
