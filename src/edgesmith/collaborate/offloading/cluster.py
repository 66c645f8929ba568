"""Mobile devices with a job each, edge servers and links: when tasks run, what they cost, who waits for whom.

Every round each device places its next task, in the order of its tasks' priorities. A task runs in the earliest gap of
its machine that begins once all its data has arrived and is long enough; a machine runs one task at a time. Data goes
on as soon as a task ends, each edge of the graph on its own, and does not queue on links.
"""

import math
import statistics
from bisect import insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from edgesmith.collaborate.offloading.graphs import Job
from edgesmith.core.errors import BadInput


@dataclass(frozen=True)
class Device:
    """A mobile device.

    Attributes:
        watts: while it computes.
        send_watts: while it sends; receiving costs nothing.
        mbps: to each server and back.
    """

    job: Job
    ghz: float
    watts: float
    send_watts: float
    mbps: tuple[float, ...]


@dataclass(frozen=True)
class Server:
    """An edge server; `watts` while it computes."""

    ghz: float
    watts: float


@dataclass(frozen=True)
class Weights:
    """What a run's cost is made of, each against the same jobs all on their devices: an assumption, not the paper's.

    Attributes:
        balance: of the standard deviation of the servers' busy times, over the mean time of a job on its device.
    """

    latency: float = 0.4
    energy: float = 0.4
    balance: float = 0.2


@dataclass(frozen=True)
class World:
    """Devices and servers; place 0 of a device is itself, place k the k-th server.

    Raises:
        BadInput: no device or server, a speed, power or rate not above 0, or a rate missing.
    """

    devices: tuple[Device, ...]
    servers: tuple[Server, ...]
    backhaul_mbps: float
    weights: Weights = Weights()

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if not self.devices or not self.servers:
            raise BadInput(f"world: {len(self.devices)} devices, {len(self.servers)} servers; need one of each.")
        for device in self.devices:
            if len(device.mbps) != len(self.servers):
                raise BadInput(
                    f"world: a device has rates to {len(device.mbps)} of {len(self.servers)} servers; need all."
                )
        numbers = [self.backhaul_mbps]
        numbers += [each for d in self.devices for each in (d.ghz, d.watts, d.send_watts, *d.mbps)]
        numbers += [each for server in self.servers for each in (server.ghz, server.watts)]
        if wrong := [number for number in numbers if not 0 < number < math.inf]:
            raise BadInput(f"world: {wrong[0]:g} among speeds, powers and rates; need all above 0 and finite.")

    @cached_property
    def ranks_s(self) -> tuple[tuple[float, ...], ...]:
        """Of every task of every device: the priority, at the mean speed of its places and rate of its links."""
        found = []
        for device in self.devices:
            ghz = statistics.fmean([device.ghz, *(server.ghz for server in self.servers)])
            found.append(device.job.ranks_s(ghz, statistics.fmean(device.mbps)))
        return tuple(found)

    @cached_property
    def orders(self) -> tuple[tuple[int, ...], ...]:
        """Of every device its tasks by falling priority, which never puts one before what it waits for."""
        return tuple(tuple(sorted(range(len(r)), key=lambda index: -r[index])) for r in self.ranks_s)

    @cached_property
    def rounds(self) -> tuple[tuple[int, ...], ...]:
        """Of every round the devices that still have tasks, by falling priority of theirs."""
        found = []
        for turn in range(max(map(len, self.orders))):
            active = [device for device, order in enumerate(self.orders) if turn < len(order)]
            found.append(tuple(sorted(active, key=lambda d: -self.ranks_s[d][self.orders[d][turn]])))
        return tuple(found)

    @cached_property
    def local_s(self) -> tuple[float, ...]:
        """Of every device the time of its job with all tasks on it."""
        return tuple(sum(task.gcycles for task in device.job.tasks) / device.ghz for device in self.devices)

    @cached_property
    def local_j(self) -> tuple[float, ...]:
        """Of every device the energy of its job with all tasks on it."""
        return tuple(time * device.watts for time, device in zip(self.local_s, self.devices, strict=True))


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and when one task runs; times in seconds from the start of all jobs.

    Attributes:
        arrive_s: when its data is there.
        done_s: its end; of a task that none waits for, when its result is back on the device.
        energy_j: of computing and of sending its data there.
    """

    place: int
    arrive_s: float
    start_s: float
    end_s: float
    done_s: float
    energy_j: float


class Run:
    """One pass over a world's jobs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.placed: list[dict[int, Placement]] = [{} for _ in world.devices]
        self.busy: list[list[tuple[float, float]]] = [[] for _ in (*world.devices, *world.servers)]
        self.latency_s = [0.0] * len(world.devices)
        self.energy_j = [0.0] * len(world.devices)
        self.busy_s = [0.0] * len(world.servers)

    def copy(self) -> "Run":
        """Another that goes on from here."""
        other = Run(self.world)
        other.placed = [dict(made) for made in self.placed]
        other.busy = [list(spans) for spans in self.busy]
        other.latency_s, other.energy_j = list(self.latency_s), list(self.energy_j)
        other.busy_s = list(self.busy_s)
        return other

    @property
    def active(self) -> tuple[int, ...]:
        """Devices that place a task in this round, in the order in which their tasks get their places."""
        turn = min(
            (len(made) for made, order in zip(self.placed, self.world.orders, strict=True) if len(made) < len(order)),
            default=len(self.world.rounds),
        )
        at = self.world.rounds[turn] if turn < len(self.world.rounds) else ()
        return tuple(device for device in at if len(self.placed[device]) == turn)

    def task(self, device: int) -> int:
        """The index of the device's next task.

        Raises:
            BadInput: all its tasks have their places.
        """
        order, done = self.world.orders[device], len(self.placed[device])
        if done == len(order):
            raise BadInput(f"run: device {device} has placed all its {done} tasks; need one left. Ask active ones.")
        return order[done]

    def machine(self, device: int, place: int) -> int:
        """Into `busy`."""
        return device if place == 0 else len(self.world.devices) + place - 1

    def send_s(self, device: int, mbit: float, here: int, there: int) -> float:
        """Time of data between two places of a device's job."""
        if here == there or mbit == 0:
            return 0.0
        near = self.world.devices[device].mbps
        return mbit / (self.world.backhaul_mbps if here and there else near[max(here, there) - 1])

    def look(self, device: int, place: int) -> Placement:
        """What would become of the device's next task there; nothing changes.

        Raises:
            BadInput: no such place.
        """
        world, index = self.world, self.task(device)
        if not 0 <= place <= len(world.servers):
            raise BadInput(f"run: place {place} for device {device}; need 0 (itself) to {len(world.servers)}.")
        owner, made = world.devices[device], self.placed[device]
        task = owner.job.tasks[index]
        arrive_s = up_s = self.send_s(device, task.in_mbit, 0, place)
        for earlier in owner.job.before[index]:
            way_s = self.send_s(device, owner.job.tasks[earlier].out_mbit, made[earlier].place, place)
            arrive_s = max(arrive_s, made[earlier].end_s + way_s)
            up_s += way_s if made[earlier].place == 0 else 0.0
        machine: Device | Server = owner if place == 0 else world.servers[place - 1]
        length_s = task.gcycles / machine.ghz
        start_s = earliest_gap(self.busy[self.machine(device, place)], arrive_s, length_s)
        end_s = start_s + length_s
        back_s = 0.0 if owner.job.after[index] else self.send_s(device, task.out_mbit, place, 0)
        energy_j = length_s * machine.watts + up_s * owner.send_watts
        return Placement(place, arrive_s, start_s, end_s, end_s + back_s, energy_j)

    def place(self, device: int, place: int) -> Placement:
        """Place the device's next task."""
        made, index = self.look(device, place), self.task(device)
        self.placed[device][index] = made
        insort(self.busy[self.machine(device, place)], (made.start_s, made.end_s))
        self.latency_s[device] = max(self.latency_s[device], made.done_s)
        self.energy_j[device] += made.energy_j
        if place:
            self.busy_s[place - 1] += made.end_s - made.start_s
        return made

    def round(self, places: Sequence[int]) -> None:
        """Place the next task of every active device.

        Args:
            places: one a device; those of devices that are done do not matter.

        Raises:
            BadInput: not one a device, or no such place.
        """
        if len(places) != len(self.world.devices):
            raise BadInput(f"run: {len(places)} places for {len(self.world.devices)} devices; need one each.")
        for device in self.active:
            self.place(device, places[device])

    @property
    def imbalance_s(self) -> float:
        """Standard deviation of the servers' busy times."""
        mean_s = sum(self.busy_s) / len(self.busy_s)
        return math.sqrt(sum((busy_s - mean_s) ** 2 for busy_s in self.busy_s) / len(self.busy_s))

    @property
    def own_costs(self) -> list[float]:
        """Of every device's job so far, time and energy; all on their devices cost the sum of both weights."""
        world, weights = self.world, self.world.weights
        return [
            weights.latency * self.latency_s[i] / world.local_s[i]
            + weights.energy * self.energy_j[i] / world.local_j[i]
            for i in range(len(world.devices))
        ]

    @property
    def shared_cost(self) -> float:
        """Of the servers' imbalance."""
        return self.world.weights.balance * self.imbalance_s / statistics.fmean(self.world.local_s)

    @property
    def cost(self) -> float:
        """Mean over the jobs; minus the mean return that agents learn to raise."""
        return statistics.fmean(self.own_costs) + self.shared_cost


def earliest_gap(busy: Sequence[tuple[float, float]], ready_s: float, length_s: float) -> float:
    """When a machine that is busy in these spans, sorted, can first run for so long, not before `ready_s`."""
    start_s = ready_s
    for begin_s, end_s in busy:
        if start_s + length_s <= begin_s:
            break
        start_s = max(start_s, end_s)
    return start_s


Chooser = Callable[[Run], Sequence[int]]  # of every device its place, round by round
Policy = Callable[[World], Chooser]


def play(world: World, policy: Policy) -> Run:
    """All jobs, placed by a policy."""
    run, choose = Run(world), policy(world)
    for _ in world.rounds:
        run.round(choose(run))
    return run
