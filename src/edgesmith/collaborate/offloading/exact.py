"""The least cost of any placement, for worlds small enough: branch and bound over all tasks in their order."""

import math

from edgesmith.collaborate.offloading.cluster import Run, World, play
from edgesmith.collaborate.offloading.heuristics import RULES
from edgesmith.core.errors import BadInput

MOST_TASKS = 14  # of all jobs together; with three places each under five million leaves, most of them cut


def optimum(world: World) -> Run:
    """The run of least cost over every placement; tasks get their places in the order of rounds and priorities.

    A branch is left once the work placed, the energy each other task takes at least, and the quickest way to each
    job's end without waiting cost as much as the best run; balance counts as perfect there.

    Raises:
        BadInput: more than 14 tasks.
    """
    total = sum(map(len, world.orders))
    if total > MOST_TASKS:
        raise BadInput(f"optimum: {total} tasks; need at most {MOST_TASKS} in all. Solve a smaller world.")
    found = min((play(world, rule()) for rule in RULES.values()), key=lambda run: run.cost)
    return _Search(world, found).deepen(Run(world), 0)


class _Search:
    """Depth first, cheapest place first."""

    def __init__(self, world: World, best: Run) -> None:
        self.world, self.best = world, best
        self.sequence = [device for active in world.rounds for device in active]
        self.ahead_s = [_quickest(world, device) for device in range(len(world.devices))]
        self.least_j = [_least_energies(world, device) for device in range(len(world.devices))]

    def deepen(self, run: Run, depth: int) -> Run:
        """The best run below this one, or the best so far."""
        if depth == len(self.sequence):
            if run.cost < self.best.cost:
                self.best = run
            return self.best
        branches = []
        for place in range(len(self.world.servers) + 1):
            branch = run.copy()
            branch.place(self.sequence[depth], place)
            branches.append((self.bound(branch), place, branch))
        for bound, _, branch in sorted(branches, key=lambda each: each[:2]):
            if bound < self.best.cost - 1e-12:
                self.deepen(branch, depth + 1)
        return self.best

    def bound(self, run: Run) -> float:
        """No run that goes on from here costs less."""
        world, total = self.world, 0.0
        for device, made in enumerate(run.placed):
            ends_s = [each.end_s + self.ahead_s[device][index] for index, each in made.items()]
            latency_s = max(run.latency_s[device], max(ends_s, default=0.0))
            rest_j = sum(joules for index, joules in enumerate(self.least_j[device]) if index not in made)
            total += world.weights.latency * latency_s / world.local_s[device]
            total += world.weights.energy * (run.energy_j[device] + rest_j) / world.local_j[device]
        return total / len(world.devices)


def _quickest(world: World, device: int) -> list[float]:
    """Of each task the least time from its end to the job's end."""
    owner = world.devices[device]
    fastest = max(owner.ghz, *(server.ghz for server in world.servers))
    ranks = owner.job.ranks_s(fastest, math.inf)
    return [rank - task.gcycles / fastest for rank, task in zip(ranks, owner.job.tasks, strict=True)]


def _least_energies(world: World, device: int) -> list[float]:
    """Of each task the least energy of computing it."""
    owner = world.devices[device]
    least = min(owner.watts / owner.ghz, *(server.watts / server.ghz for server in world.servers))
    return [task.gcycles * least for task in owner.job.tasks]
