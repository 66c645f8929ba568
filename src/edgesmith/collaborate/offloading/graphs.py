"""Jobs of dependent tasks: drawn with a seed, or read from rows of the Alibaba cluster trace v2018."""

import math
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from edgesmith.core.errors import BadInput

NAMED = re.compile(r"[A-Za-z]+(\d+)((?:_\d+)*)")  # "R4_2_3": task 4 waits for tasks 2 and 3
COLUMNS = 9  # of batch_task.csv: name, instances, job, type, status, start, end, CPU (100 is one core), memory
CHAIN = 0.4  # share of jobs drawn as chains, an assumption; the others are trees that join
SPREAD = 0.6  # sigma of the log-normal draws, an assumption: tasks of one job differ much (doi:10.1145/3357223.3362710)


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a job.

    Attributes:
        gcycles: 10^9 processor cycles.
        in_mbit: of its device's own data, wherever the task runs.
        out_mbit: to each task that waits for it; of a task that none waits for, to its device.
    """

    gcycles: float
    in_mbit: float = 0.0
    out_mbit: float = 0.0


@dataclass(frozen=True)
class Job:
    """Tasks and what each waits for.

    Attributes:
        before: of each task the indices of those it waits for, all below its own: no circle is possible.

    Raises:
        BadInput: no task, a size that is negative or not finite, no cycles, or a wrong index.
    """

    tasks: tuple[Task, ...]
    before: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if not self.tasks or len(self.before) != len(self.tasks):
            raise BadInput(f"job: {len(self.tasks)} tasks, {len(self.before)} lists of predecessors; need one a task.")
        for index, (task, earlier) in enumerate(zip(self.tasks, self.before, strict=True)):
            if not (0 < task.gcycles < math.inf and 0 <= task.in_mbit < math.inf and 0 <= task.out_mbit < math.inf):
                raise BadInput(f"job: {task} is task {index}; need gcycles above 0 and data of at least 0, all finite.")
            if len(set(earlier)) != len(earlier) or not all(0 <= other < index for other in earlier):
                raise BadInput(
                    f"job: task {index} waits for {earlier}; need different indices below its own. Sort the tasks."
                )

    @cached_property
    def after(self) -> tuple[tuple[int, ...], ...]:
        """Of each task those that wait for it."""
        indices = range(len(self.tasks))
        return tuple(tuple(later for later in indices if index in self.before[later]) for index in indices)

    def ranks_s(self, ghz: float, mbps: float) -> tuple[float, ...]:
        """Of each task the longest way from its start to the job's end, at these speeds; the priority in HEFT."""
        ranks = [0.0] * len(self.tasks)
        for index in reversed(range(len(self.tasks))):
            task = self.tasks[index]
            send_s = task.out_mbit / mbps
            ranks[index] = task.gcycles / ghz + max((send_s + ranks[later] for later in self.after[index]), default=0.0)
        return tuple(ranks)


@dataclass(frozen=True)
class Shape:
    """What drawn jobs look like; the medians are assumptions: about a second on a device, as much on its link.

    Attributes:
        least, most: tasks of a job.
        gcycles, mbit: medians, of a task and of what it takes in or hands on.
    """

    least: int = 4
    most: int = 8
    gcycles: float = 1.0
    mbit: float = 4.0

    def __post_init__(self) -> None:
        """Refuse what has no meaning.

        Raises:
            BadInput: which field.
        """
        if not 1 <= self.least <= self.most or not 0 < self.gcycles < math.inf or not 0 <= self.mbit < math.inf:
            raise BadInput(f"shape: {self}; need 1 <= least <= most, gcycles above 0 and mbit of at least 0.")


def draw_job(draw: random.Random, shape: Shape) -> Job:
    """A chain, or levels of few tasks that each wait for one or two of the level above, joined in a last one.

    Source: doi:10.1145/3357223.3362710, of jobs in the Alibaba trace: sparse graphs, nearly trees of small depth.
    """
    count = draw.randint(shape.least, shape.most)
    before = chain(count) if draw.random() < CHAIN else levels(draw, count)
    waited = {earlier for each in before for earlier in each}
    if len(lasts := [index for index in range(count - 1) if index not in waited]):
        before[-1] = tuple(sorted({*before[-1], *lasts}))
    tasks = tuple(
        Task(varied(draw, shape.gcycles), varied(draw, shape.mbit) if not earlier else 0.0, varied(draw, shape.mbit))
        for earlier in before
    )
    return Job(tasks, tuple(before))


def chain(count: int) -> list[tuple[int, ...]]:
    """Each waits for the one before."""
    return [() if index == 0 else (index - 1,) for index in range(count)]


def levels(draw: random.Random, count: int) -> list[tuple[int, ...]]:
    """Levels of one to three tasks; those of the first wait for nothing."""
    before: list[tuple[int, ...]] = []
    above: list[int] = []
    while len(before) < count:
        level = range(len(before), min(count, len(before) + draw.randint(1, 3)))
        before += [tuple(sorted(draw.sample(above, min(len(above), draw.randint(1, 2))))) for _ in level]
        above = list(level)
    return before


def varied(draw: random.Random, median: float) -> float:
    """Log-normal around a median."""
    return median * math.exp(draw.gauss(0.0, SPREAD))


def from_trace(rows: Iterable[Sequence[str]], mbit: float, ghz: float = 2.5) -> dict[str, Job]:
    """Jobs from rows of batch_task.csv; those of other tasks than DAGs' or with times or CPUs missing are left out.

    Args:
        rows: of a csv.reader.
        mbit: taken in and handed on by every task: the trace does not tell.
        ghz: of one core (assumption): a task has seconds x CPUs x this many cycles, over all its instances.

    Returns:
        By the job's name, tasks in the order of their numbers.

    Raises:
        BadInput: a row of another length, or words where numbers should be.

    Source: github.com/alibaba/clusterdata, cluster-trace-v2018/trace_2018.md.
    """
    found: dict[str, dict[int, tuple[tuple[int, ...], float]]] = {}
    for row in rows:
        job, number, earlier, gcycles = _row(row, ghz)
        found.setdefault(job, {})[number] = (earlier, gcycles)
    return {name: made for name, tasks in found.items() if (made := _traced(tasks, mbit)) is not None}


def _row(row: Sequence[str], ghz: float) -> tuple[str, int, tuple[int, ...], float]:
    """A job's name, the task's number, -1 where its name tells of no graph, those it waits for, and its gigacycles."""
    if len(row) != COLUMNS:
        raise BadInput(f"from_trace: a row of {len(row)} columns; need the {COLUMNS} of batch_task.csv.")
    name, instances, job, _, _, start, end, cpu, _ = row
    try:
        cores = float(cpu or 0) / 100 * int(instances or 0)
        gcycles = (float(end or 0) - float(start or 0)) * cores * ghz
    except ValueError as error:
        raise BadInput(f"from_trace: {error} in the row of {name} of {job}; need numbers or nothing.") from error
    if (numbers := NAMED.fullmatch(name)) is None:
        return job, -1, (), gcycles
    return job, int(numbers[1]), tuple(int(each) for each in numbers[2].split("_")[1:]), gcycles


def _traced(tasks: dict[int, tuple[tuple[int, ...], float]], mbit: float) -> Job | None:
    numbers = {number: index for index, number in enumerate(sorted(tasks))}
    whole = all(gcycles > 0 and all(each in numbers for each in before) for before, gcycles in tasks.values())
    if -1 in tasks or not whole or any(each >= number for number, (before, _) in tasks.items() for each in before):
        return None
    ordered = [tasks[number] for number in numbers]
    return Job(
        tuple(Task(gcycles, 0.0 if before else mbit, mbit) for before, gcycles in ordered),
        tuple(tuple(sorted({numbers[each] for each in before})) for before, _ in ordered),
    )
