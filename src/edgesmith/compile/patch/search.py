"""Which schedule meets a memory limit at the least extra work: split depth, grid, patches or line buffers."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from edgesmith.compile.patch.estimate import lines_bytes, live_bytes, outside_bytes, patches_bytes, standing_bytes
from edgesmith.compile.patch.patches import parts, patch_macs
from edgesmith.compile.patch.reach import AXES
from edgesmith.compile.patch.schedule import Schedule, schedule
from edgesmith.compile.patch.stage import Stage, stage_of
from edgesmith.core.errors import Unsupported
from edgesmith.core.graph import Graph
from edgesmith.core.ops import macs

SIDES = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16)  # patches along one axis
PATCHES = 64  # at most: each takes code of its own
BANDS = (2, 3, 4, 6, 7, 8, 12, 14, 16, 24, 28, 32, 48, 56)
STEPS = 1000  # calls of the bands of one stage, at most: each takes code of its own
EXTRA = 1.0  # work of the whole net that halos may cost at most
TRIES = 8  # schedules that are planned in earnest
SLACK = 1.3  # by which a schedule may seem too large and yet be planned: buffers that overlap are not reckoned
LOOSE = 2.0  # the same for small nets, of which every schedule that may fit is planned; the most ever seen is 1.8
ALL_CALLS = 8000  # of kernels in the schedules of a net, up to which it is small: some seconds of planning
GAIN = 0.96  # of the memory of the one planned before it, below which the next is worth a try

# A graph to how full each limit is: memory, and whatever else must hold; 1 is full.
Measure = Callable[[Graph], float]


@dataclass(frozen=True)
class Candidate:
    """A schedule with what it is reckoned to cost.

    Attributes:
        extra_macs: beyond those of the graph as it is.
        bytes: in use at once at most, scratch not counted.
        calls: of kernels for all pieces, at most.
    """

    schedule: Schedule
    extra_macs: int
    bytes: int
    calls: int

    @property
    def pieces(self) -> int:
        """Patches or bands, each of which takes code of its own."""
        return self.schedule.rows * self.schedule.columns


@dataclass(frozen=True)
class Choice:
    """What the search found.

    Attributes:
        schedule: None where the graph as it is was best.
        graph: with the schedule applied.
        extra_macs: more multiply-accumulates than without.
        fullness: of the limit, as `Measure` says; at most 1 where it holds.
    """

    schedule: Schedule | None
    graph: Graph
    extra_macs: int
    fullness: float

    @classmethod
    def of(cls, schedule: Schedule, graph: Graph) -> "Choice":
        """A schedule that was asked for; no limit is held against it."""
        changed = schedule.apply(graph)
        return cls(schedule, changed, _macs(changed) - _macs(graph), 0.0)

    def describe(self) -> dict[str, Any]:
        """For a manifest."""
        said = str(self.schedule) if self.schedule else "off"
        return {"patch": said, "extra_macs": self.extra_macs, "macs": _macs(self.graph)}

    @property
    def meets(self) -> bool:
        """Whether the limit holds."""
        return self.fullness <= 1


def search(graph: Graph, measure: Measure, limit_bytes: int) -> Choice:
    """The schedule that meets the limit at the least extra work, then in the fewest pieces.

    Candidates are reckoned first; those that promise to fit are planned in earnest, cheapest first. A graph that fits
    as it is stays so. Where nothing fits, what comes nearest.

    Args:
        measure: how full the limits are, from the real plan.
        limit_bytes: what the reckoned bytes are held against.
    """
    best = Choice(None, graph, 0, measure(graph))
    if best.meets:
        return best
    for candidate in promising(candidates(graph, limit_bytes), limit_bytes):
        changed = candidate.schedule.apply(graph)
        full = measure(changed)
        if full < best.fullness:
            best = Choice(candidate.schedule, changed, candidate.extra_macs, full)
        if full <= 1:
            break
    return best


def promising(found: Sequence[Candidate], limit_bytes: int) -> list[Candidate]:
    """What is planned in earnest, cheapest first: of a small net all that may fit.

    Of others the cheapest that may fit, each of less memory than the one before, then the smallest of all.
    """
    ordered = sorted(found, key=lambda c: (c.extra_macs, c.pieces, c.bytes))
    if sum(c.calls for c in ordered) <= ALL_CALLS:
        return [c for c in ordered if c.bytes <= LOOSE * limit_bytes] or ordered
    chosen: list[Candidate] = []
    for candidate in (c for c in ordered if c.bytes <= SLACK * limit_bytes):
        if not chosen or candidate.bytes < GAIN * chosen[-1].bytes:
            chosen.append(candidate)
    smallest = sorted(found, key=lambda c: (c.bytes, c.extra_macs))[: TRIES // 3]
    return [*chosen[:TRIES], *(c for c in smallest if c not in chosen[:TRIES])]


def candidates(graph: Graph, limit_bytes: int) -> list[Candidate]:
    """Schedules with their reckoned cost: of stages beside which the rest of the net may fit, else of the best ones."""
    live, total = live_bytes(graph), _macs(graph)
    least = [(max(outside_bytes(stage, live), standing_bytes(stage)), stage) for stage in stages(graph)]
    inside = [stage for floor, stage in least if floor <= SLACK * limit_bytes]
    smallest = [stage for _, stage in sorted(least, key=lambda pair: pair[0])[: TRIES // 3]]
    return [c for stage in inside or smallest for c in _of_stage(stage, outside_bytes(stage, live), total)]


def stages(graph: Graph) -> Iterator[Stage]:
    """Stages with a window, whose halos make the work of splitting; one for each layer they can end with."""
    for op in graph.ops:
        try:
            stage = stage_of(graph, op.outputs[0])
        except Unsupported:
            continue  # no stage ends with this layer; the search asks which can, so the answer no is no failure
        if any(r.extent > 1 for each in stage.reaches for pair in each if pair for r in pair):
            yield stage


def _of_stage(stage: Stage, outside: int, total: int) -> Iterator[Candidate]:
    graph, end = stage.graph, stage.indices[-1]
    plain = sum(macs(graph, op) for op in stage.ops)
    tall, wide = ({n: parts(stage, axis, n) for n in SIDES if n <= stage.size(stage.cut, axis)} for axis in AXES)
    for rows, columns in itertools.product(tall, wide):
        if not 1 < rows * columns <= PATCHES:
            continue
        extra = patch_macs(stage, tall[rows], wide[columns]) - plain
        if extra <= EXTRA * total:
            reckoned = max(outside, patches_bytes(stage, tall[rows], wide[columns]))
            calls = rows * columns * len(stage.indices)
            yield Candidate(schedule(graph, "patches", rows, columns, end), extra, reckoned, calls)
    source = max(stage.size(name, AXES[0]) for name in stage.sources)
    for bands in BANDS:
        if bands <= source and bands * len(stage.indices) <= STEPS:
            reckoned = max(outside, lines_bytes(stage, bands))
            yield Candidate(schedule(graph, "lines", bands, 1, end), 0, reckoned, bands * len(stage.indices))


def _macs(graph: Graph) -> int:
    return sum(macs(graph, op) for op in graph.ops)
