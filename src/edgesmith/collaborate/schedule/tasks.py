"""Kinds of inference tasks with their deadlines, times and worth; flights of drones that make them."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from edgesmith.core.errors import BadInput

P95 = 1.645  # standard deviations of a normal distribution above its median


@dataclass(frozen=True)
class Kind:
    """One kind of task: a network that runs on every segment of a drone's video.

    Attributes:
        deadline_ms: after the segment is there.
        edge_ms: on the edge, expected.
        cloud_ms: on the cloud from sending to the answer, expected.
        benefit: of an answer in time, in units of utility.
        edge_cost, cloud_cost: of a run there, whether in time or not.
        bonus: for each window in which enough of the kind were in time.
    """

    name: str
    deadline_ms: float
    edge_ms: float
    cloud_ms: float
    benefit: float
    edge_cost: float = 0.0
    cloud_cost: float = 0.0
    bonus: float = 0.0

    @property
    def edge_utility(self) -> float:
        """Of an answer in time from the edge."""
        return self.benefit - self.edge_cost

    @property
    def cloud_utility(self) -> float:
        """Of an answer in time from the cloud; it may be negative."""
        return self.benefit - self.cloud_cost


# Deadlines, expected times, utilities and bonuses: github.com/dream-lab/ocularone-scheduler, Application.java, modes
# MEDIUM and HEAVY, tables for AWS Lambda beside a Jetson Nano.
HAZARD_VEST = Kind("hazard vest", 650, 174, 398, 125, 1, 25, 100)
DISTANCE_TO_PERSON = Kind("distance to person", 750, 172, 429, 100, 1, 26, 120)
MASK = Kind("mask", 850, 142, 589, 75, 1, 15, 130)
CROWD_DENSITY = Kind("crowd density", 1000, 563, 878, 175, 4, 152, 140)
BODY_POSE = Kind("body pose", 900, 244, 542, 40, 2, 43, 150)
DISTANCE_TO_OBJECT = Kind("distance to object", 950, 739, 832, 250, 6, 210, 160)
PASSIVE = (HAZARD_VEST, DISTANCE_TO_PERSON, MASK, BODY_POSE)
ACTIVE = (*PASSIVE, CROWD_DENSITY, DISTANCE_TO_OBJECT)


@dataclass(frozen=True, slots=True)
class Task:
    """One task, with what it will really take; a strategy sees only its kind.

    Attributes:
        index: its place in the flight.
        at_ms: when its segment is there.
        edge_ms: on the edge.
        function_ms: of the cloud's function alone, without the link.
    """

    index: int
    kind: Kind
    at_ms: float
    edge_ms: float
    function_ms: float

    @property
    def deadline_ms(self) -> float:
        """By when its answer is wanted, on the run's clock."""
        return self.at_ms + self.kind.deadline_ms


@dataclass(frozen=True)
class Fleet:
    """Drones that share one edge.

    Attributes:
        kinds: that run on every segment.
        drones: each sends a segment every `every_ms`; they start at different moments of it.
        seconds: of flight.
        edge_least, edge_most: the edge takes between these shares of the expected time, evenly.
        cloud_sigma: spread of the function's time, log-normal with its 95th percentile at the expected time.
    """

    kinds: tuple[Kind, ...] = PASSIVE
    drones: int = 2
    seconds: float = 300.0
    every_ms: float = 1000.0
    edge_least: float = 0.85  # an assumption: a dedicated accelerator varies little
    edge_most: float = 1.0  # an assumption: what is expected is near the longest
    cloud_sigma: float = 0.05  # an assumption: warm functions of a fixed size vary little

    def __post_init__(self) -> None:
        """Refuse what has no meaning.

        Raises:
            BadInput: which field.
        """
        if not self.kinds or self.drones < 1 or not 0 < self.seconds < math.inf or not 0 < self.every_ms < math.inf:
            raise BadInput("schedule: a fleet needs kinds, drones, seconds and every_ms above zero.")
        if not 0 < self.edge_least <= self.edge_most < math.inf or self.cloud_sigma < 0:
            raise BadInput("schedule: need 0 < edge_least <= edge_most, and cloud_sigma not negative.")


def flight(fleet: Fleet, link_ms: float, seed: int) -> tuple[Task, ...]:
    """All tasks of a flight in the order they come; the same seed gives the same tasks to every strategy.

    Args:
        link_ms: of a segment up and its result down, which the kinds' `cloud_ms` contains.
    """
    draw = random.Random(f"{seed} flight")
    starts_ms = [draw.uniform(0, fleet.every_ms) for _ in range(fleet.drones)]
    rounds = int(fleet.seconds * 1e3 / fleet.every_ms)
    times = sorted(
        (start_ms + turn * fleet.every_ms, drone) for turn in range(rounds) for drone, start_ms in enumerate(starts_ms)
    )
    tasks: list[Task] = []
    for at_ms, _ in times:
        # In a new order each time, as the authors do: no kind is always first.
        for kind in draw.sample(fleet.kinds, len(fleet.kinds)):
            edge_ms = kind.edge_ms * draw.uniform(fleet.edge_least, fleet.edge_most)
            factor = math.exp(fleet.cloud_sigma * (draw.gauss(0.0, 1.0) - P95))
            tasks.append(Task(len(tasks), kind, at_ms, edge_ms, max(0.0, kind.cloud_ms - link_ms) * factor))
    return tuple(tasks)


def exact(kinds: Sequence[Kind], times_ms: Sequence[float], link_ms: float = 0.0) -> tuple[Task, ...]:
    """Tasks that take exactly what is expected of them, for cases small enough to solve."""
    pairs = sorted(zip(times_ms, kinds, strict=True), key=lambda pair: pair[0])
    return tuple(
        Task(index, kind, at_ms, kind.edge_ms, kind.cloud_ms - link_ms) for index, (at_ms, kind) in enumerate(pairs)
    )
