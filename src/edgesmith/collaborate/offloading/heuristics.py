"""What learners are held against: rules that see the whole world, server queues included, and choose task by task."""

import random
from collections.abc import Callable

from edgesmith.collaborate.offloading.cluster import Chooser, Policy, Run, World

Key = Callable[[Run, int, int], float]  # of a run, a device and a place: less is better


def greedy(key: Key, edge_only: bool = False) -> Policy:
    """Each task, by falling priority, goes where `key` is least; those before it in the round are counted in."""

    def choose(run: Run) -> list[int]:
        ahead, places = run.copy(), [0] * len(run.world.devices)
        among = range(int(edge_only), len(run.world.servers) + 1)
        for device in run.active:
            places[device] = min(among, key=lambda place: key(ahead, device, place))
            ahead.place(device, places[device])
        return places

    return lambda world: choose


def done_s(run: Run, device: int, place: int) -> float:
    """When the next task is done there."""
    return run.look(device, place).done_s


def energy_j(run: Run, device: int, place: int) -> float:
    """What the next task takes there."""
    return run.look(device, place).energy_j


def work_s(run: Run, device: int, place: int) -> float:
    """How long the machine is busy already."""
    return sum(end_s - start_s for start_s, end_s in run.busy[run.machine(device, place)])


def cost(run: Run, device: int, place: int) -> float:
    """Of all jobs, once the next task is there."""
    ahead = run.copy()
    ahead.place(device, place)
    return ahead.cost


def heft() -> Policy:
    """Earliest finish, by falling priority and into gaps (Topcuoglu et al. 2002, doi:10.1109/71.993206)."""
    return greedy(done_s)


def least_energy() -> Policy:
    """Where the task takes the least energy."""
    return greedy(energy_j)


def least_loaded() -> Policy:
    """The machine with the least work."""
    return greedy(work_s)


def least_cost() -> Policy:
    """Where the cost that learners are rewarded by grows least."""
    return greedy(cost)


def all_local() -> Policy:
    """Everything on its device."""
    return lambda world: lambda run: [0] * len(world.devices)


def all_edge() -> Policy:
    """Nothing on a device; the server of the earliest finish."""
    return greedy(done_s, edge_only=True)


def at_random(seed: int = 0) -> Policy:
    """Any place, evenly; the same in every world."""

    def start(world: World) -> Chooser:
        draw = random.Random(f"{seed} places")
        return lambda run: [draw.randint(0, len(world.servers)) for _ in world.devices]

    return start


RULES: dict[str, Callable[[], Policy]] = {
    "HEFT": heft,
    "least cost": least_cost,
    "least energy": least_energy,
    "least loaded": least_loaded,
    "all local": all_local,
    "all edge": all_edge,
    "random": at_random,
}
