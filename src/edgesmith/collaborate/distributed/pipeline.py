"""When an answer is there: sensing and encoding in virtual time on one processor whose speed changes."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgesmith.collaborate.distributed.streams import PARTIAL, Sensor, units_of


@dataclass(frozen=True)
class Load:
    """How much slower than alone a processor is: (seconds, factor) steps, repeated without end."""

    steps: tuple[tuple[float, float], ...]

    def factor(self, at_s: float) -> float:
        """At a moment."""
        return self._step(at_s)[0]

    def _step(self, at_s: float) -> tuple[float, float]:
        """The factor, and how long it still holds."""
        ends, total = [], 0.0
        for seconds, _ in self.steps:
            total += seconds
            ends.append(total)
        within = at_s % total
        index = min(bisect_right(ends, within), len(ends) - 1)
        return self.steps[index][1], max(ends[index] - within, 1e-9)

    def done_s(self, start_s: float, work_s: float) -> float:
        """When work that takes `work_s` alone is done.

        >>> Load(((1.0, 2.0), (1.0, 4.0))).done_s(0.0, 0.75)
        2.0
        """
        while True:
            factor, left_s = self._step(start_s)
            if work_s * factor <= left_s:
                return start_s + work_s * factor
            work_s -= left_s / factor
            start_s += left_s


@dataclass(frozen=True)
class Choice:
    """Of one stream: index of the branch's size, number of units."""

    size: int
    count: int


Config = tuple[Choice, ...]  # one of each stream, the sooner first


@dataclass(frozen=True)
class Costs:
    """Seconds on a processor alone, each measured.

    Attributes:
        unit: of encoding one unit, by (stream, size, count).
        join: of joining units, by (stream, size).
        fuse, choose, gate: of the fusion, the choice of a configuration, the question whether to skip.
    """

    unit: Mapping[tuple[int, int, int], float]
    join: Mapping[tuple[int, int], float]
    fuse: float
    choose: float
    gate: float

    def stream(self, index: int, choice: Choice) -> float:
        """Encoding all units of a stream, and joining them."""
        return choice.count * self.unit[index, choice.size, choice.count] + self.join[index, choice.size]


@dataclass(frozen=True)
class Timeline:
    """One request.

    Attributes:
        answer_s: from the beginning of sensing.
        share: of the later stream's units that the answer is made of.
    """

    answer_s: float
    share: float = 1.0


def wait_for_all(sensors: Sequence[Sensor], config: Config, costs: Costs, load: Load, start_s: float) -> Timeline:
    """Sense everything, then encode it, one unit after the other."""
    work = costs.fuse + sum(costs.stream(index, choice) for index, choice in enumerate(config))
    return Timeline(load.done_s(start_s + max(sensor.seconds for sensor in sensors), work) - start_s)


def alone(sensor: Sensor, stream: int, choice: Choice, costs: Costs, load: Load, start_s: float) -> Timeline:
    """One stream, sensed and then encoded; its branch tells classes apart by itself."""
    return Timeline(load.done_s(start_s + sensor.seconds, costs.stream(stream, choice)) - start_s)


def pipelined(
    sensors: Sequence[Sensor], config: Config, costs: Costs, load: Load, start_s: float, skip: "Skip | None" = None
) -> Timeline:
    """Encode every unit when it is there, in the order they come; skip the later stream's rest where asked to.

    Args:
        skip: what the gate says after each share of the later stream; None never asks.
    """
    skip = skip or Skip({}, chosen=False)
    at = start_s
    if skip.chosen:  # a first unit of each stream in the smallest net, from which the configuration follows
        at = _first_look(sensors, costs, load, start_s)
    arrivals = sorted(
        (start_s + ready, stream, index)
        for stream, (sensor, choice) in enumerate(zip(sensors, config, strict=True))
        for index, ready in enumerate(sensor.ready_s(choice.count))
    )
    last, sooner_done = len(config) - 1, False
    marks = {units_of(config[last].count, share): share for share in reversed(PARTIAL)}
    for ready, stream, index in arrivals:
        choice = config[stream]
        at = load.done_s(max(at, ready), costs.unit[stream, choice.size, choice.count])
        if index + 1 == choice.count:
            at = load.done_s(at, costs.join[stream, choice.size])
            sooner_done = sooner_done or stream < last
        elif stream == last and sooner_done and index + 1 in marks and marks[index + 1] in skip.says:
            at = load.done_s(at, costs.join[last, choice.size] + costs.gate)
            if skip.says[marks[index + 1]]:
                return Timeline(load.done_s(at, costs.fuse) - start_s, marks[index + 1])
    return Timeline(load.done_s(at, costs.fuse) - start_s)


@dataclass(frozen=True)
class Skip:
    """What is asked while a request runs.

    Attributes:
        says: a share of the later stream's units to whether the answer is sure enough without the rest.
        chosen: whether the configuration is chosen from the first units, which takes its time.
    """

    says: Mapping[float, bool]
    chosen: bool


def _first_look(sensors: Sequence[Sensor], costs: Costs, load: Load, start_s: float) -> float:
    """When the configuration is known."""
    at = start_s
    for stream, sensor in enumerate(sensors):
        most = sensor.counts[0]
        at = load.done_s(max(at, start_s + sensor.ready_s(most)[0]), costs.unit[stream, 0, most])
    return load.done_s(at, costs.choose)
