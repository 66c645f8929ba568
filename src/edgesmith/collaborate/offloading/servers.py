"""A site of servers: users send tasks to any of them, each server divides its speed evenly among what it has.

Times are exact: a server's tasks are run through event by event, whether their data is still on its way or not.

Source: arXiv:2509.10474 and its forerunner arXiv:2307.14346, whose constants are kept where nothing else is said.
"""

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import hyperu

from edgesmith.core.errors import BadInput

BANDWIDTH_HZ = 16.6e6
SEND_W = 0.2  # a handset of 23 dBm; the authors take 0.01 W with channel gains that are squared
NOISE_W = 10 ** ((-174 - 30) / 10) * BANDWIDTH_HZ
SHADOW_DB = 8.0
NEAREST_M, FARTHEST_M = 50.0, 500.0
JOULES_PER_CYCLE_HZ2 = 5e-31  # a cycle at f costs this times f squared
CYCLES_PER_BIT = 1e3
LEAST_BITS, MOST_BITS = 0.1e6, 100e6


@dataclass(frozen=True)
class Site:
    """Servers and who uses them.

    Attributes:
        hz: speed of each server; the first is the cloud, which is reached through a base station as near as the edges.
        tasks: of one episode.
        users: who sends them; each has a rate of its own to each server.
        per_s: tasks that arrive a second on average, at random.
        load: bits that arrive over bits that all servers together do; the authors' is 1.
    """

    hz: tuple[float, ...]
    tasks: int = 100
    users: int = 10
    per_s: float = 1.0
    load: float = 1.0

    def __post_init__(self) -> None:
        if len(self.hz) < 2 or not all(0 < hz < np.inf for hz in self.hz):
            raise BadInput(f"site: speeds {self.hz}; need at least two servers, each of finite speed above 0 Hz.")
        if self.tasks < 1 or self.users < 1:
            raise BadInput(f"site: {self.tasks} tasks of {self.users} users; need at least one of each.")
        if not (0 < self.per_s < np.inf and 0 < self.load < np.inf):
            raise BadInput(f"site: {self.per_s:g} tasks a second, load {self.load:g}; need both finite and above 0.")

    @property
    def mean_bits(self) -> float:
        """Of a task, before sizes are clipped to 0.1 to 100 Mbit."""
        return self.load * sum(self.hz) / CYCLES_PER_BIT / self.per_s


@dataclass(frozen=True)
class Task:
    """When it was made, s; its data, bits; to each server its rate, bits a second."""

    at_s: float
    bits: float
    rates: np.ndarray


def drawn(site: Site, seed: int) -> tuple[Task, ...]:
    """The tasks of one episode: Poisson arrivals, exponential sizes, users at random distances."""
    rng = np.random.default_rng(seed)
    rates = rate(rng.uniform(NEAREST_M, FARTHEST_M, (site.users, len(site.hz))), rng)
    at_s = np.cumsum(rng.exponential(1 / site.per_s, site.tasks))
    bits = np.clip(rng.exponential(site.mean_bits, site.tasks), LEAST_BITS, MOST_BITS)
    users = rng.integers(site.users, size=site.tasks)
    return tuple(Task(float(at), float(size), rates[user]) for at, size, user in zip(at_s, bits, users, strict=True))


def rate(distance_m: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bits a second over these distances, with shadowing drawn: Shannon's rate averaged over Rayleigh fading.

    The mean of log2(1 + s * X) over X ~ Exp(1) is exp(1/s) * E1(1/s) / ln 2.
    """
    loss_db = 133.6 + 35 * np.log10(distance_m / 1000) + rng.normal(0, SHADOW_DB, distance_m.shape)
    inverse = NOISE_W / (SEND_W * 10 ** (-loss_db / 10))
    return BANDWIDTH_HZ * hyperu(1, 1, inverse) / np.log(2)


class Sharing:
    """One server that divides its speed evenly among the tasks whose data has arrived.

    All running tasks gain the same work per time, so each is kept as the level of work at which it is done.
    """

    def __init__(self, bits_per_s: float) -> None:
        self.bits_per_s = bits_per_s
        self.now_s = self.level = 0.0
        self.levels: list[float] = []  # sorted; the first is done first
        self.coming: list[tuple[float, float]] = []  # sorted (arrival s, bits)
        self.done_s = 0.0  # sum of the moments at which tasks were done

    def copy(self) -> "Sharing":
        """One that goes on from here by itself."""
        twin = Sharing(self.bits_per_s)
        twin.now_s, twin.level, twin.done_s = self.now_s, self.level, self.done_s
        twin.levels, twin.coming = self.levels.copy(), self.coming.copy()
        return twin

    def add(self, arrives_s: float, bits: float) -> None:
        """A task whose data will be there at that moment."""
        insort(self.coming, (arrives_s, bits))

    def run(self, until_s: float) -> None:
        """Work until that moment; with infinity, until all is done."""
        while self.coming and self.coming[0][0] <= until_s:
            arrives_s, bits = self.coming.pop(0)
            self._work(max(arrives_s, self.now_s))
            insort(self.levels, self.level + bits)
        self._work(until_s)

    def _work(self, until_s: float) -> None:
        while self.levels:
            slowness = len(self.levels) / self.bits_per_s
            end_s = self.now_s + (self.levels[0] - self.level) * slowness
            if end_s > until_s:
                self.level += (until_s - self.now_s) / slowness
                break
            self.now_s, self.level = end_s, self.levels.pop(0)
            self.done_s += end_s
        if until_s < np.inf:
            self.now_s = until_s

    def total_s(self) -> float:
        """Sum of the moments at which all tasks, past and present, are done if none is added."""
        twin = self.copy()
        twin.run(np.inf)
        return twin.done_s

    def left_bits(self) -> list[float]:
        """What is left of each task, running or on its way."""
        return [level - self.level for level in self.levels] + [bits for _, bits in self.coming]


class Episode:
    """The tasks of a site, assigned one by one as they are made.

    Attributes:
        task: the one to be assigned; None at the end.
    """

    def __init__(self, site: Site, tasks: Sequence[Task]) -> None:
        self.site, self.tasks = site, tasks
        self.servers = [Sharing(hz / CYCLES_PER_BIT) for hz in site.hz]
        self.totals_s = [0.0] * len(site.hz)
        self.made = 0

    @property
    def task(self) -> Task | None:
        return self.tasks[self.made] if self.made < len(self.tasks) else None

    def cost(self, server: int) -> tuple[float, float]:
        """What the task would cost there: seconds by which all delays together grow, and joules.

        Summed over an episode the seconds are exactly the delays of all tasks, from made to done.

        Raises:
            BadInput: no such server, or no task is left.
        """
        task = self.task
        if task is None or not 0 <= server < len(self.servers):
            raise BadInput(f"episode: server {server} of {len(self.servers)}, task {self.made} of {len(self.tasks)}.")
        return self._with(task, server) - self.totals_s[server] - task.at_s, joules(self.site, task, server)

    def assign(self, server: int) -> tuple[float, float]:
        """Send the task to a server, and go on to the moment of the next: its cost, as in `cost`."""
        cost = self.cost(server)
        task = self.tasks[self.made]
        self.totals_s[server] += cost[0] + task.at_s
        self.servers[server].add(task.at_s + task.bits / float(task.rates[server]), task.bits)
        self.made += 1
        if (following := self.task) is not None:
            for each in self.servers:
                each.run(following.at_s)
        return cost

    def _with(self, task: Task, server: int) -> float:
        twin = self.servers[server].copy()
        twin.add(task.at_s + task.bits / float(task.rates[server]), task.bits)
        return twin.total_s()


def joules(site: Site, task: Task, server: int) -> float:
    """Of sending the task and of computing it there."""
    sending = SEND_W * task.bits / float(task.rates[server])
    return sending + task.bits * CYCLES_PER_BIT * JOULES_PER_CYCLE_HZ2 * site.hz[server] ** 2
