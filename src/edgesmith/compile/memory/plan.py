"""Where each buffer lies in the arena: greedy orders, then an exact search, beside the lower bound."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from edgesmith.compile.memory.place import Clashes, clashes_of, extent, gaps_of, lower_bound, place
from edgesmith.compile.memory.search import Search
from edgesmith.compile.memory.sharing import Sharing, Way
from edgesmith.compile.memory.storage import (
    ALIGNMENT,
    Buffer,
    Demands,
    Overlap,
    align,
    buffers,
    overlaps,
    scratch_buffers,
)
from edgesmith.core.graph import Graph

__all__ = ["ALIGNMENT", "Plan", "plan"]

STEPS = 240_000  # of the exact search, about a second; the nets of the zoo take at most 21,000
BUFFERS_PLACED = 40_000  # at most, to improve the greedy orders, a second or two
# What may share bytes, in the order in which it is tried: each takes chances from the other.
WAYS: tuple[tuple[Way, ...], ...] = (("join", "overwrite"), ("overwrite", "join"), ("overwrite",))


@dataclass(frozen=True)
class Plan:
    """A placed arena.

    Attributes:
        offsets: buffer name to byte offset.
        arena_bytes: size of the whole block, a multiple of ALIGNMENT.
        lower_bound_bytes: most bytes in use at one op; no placement of these buffers can be smaller.
        way: name of the greedy order that it began from, or "exact".
        optimal: whether it is known that no placement of these buffers is smaller.
        settled: indices of the concatenations whose inputs lie where they would be copied to.
    """

    buffers: tuple[Buffer, ...]
    offsets: Mapping[str, int]
    arena_bytes: int
    lower_bound_bytes: int
    way: str
    optimal: bool
    settled: frozenset[int] = frozenset()

    def tensor_offsets(self) -> dict[str, int]:
        """Byte offset of every tensor in the arena."""
        return {
            name: self.offsets[buffer.name] + start for buffer in self.buffers for name, start in buffer.tensors.items()
        }

    def facts(self) -> dict[str, int | bool]:
        """Its size, as manifests and reports say it."""
        sizes = {"arena_bytes": self.arena_bytes, "lower_bound_bytes": self.lower_bound_bytes}
        return {**sizes, "optimal": self.optimal}

    def scratch_offset(self, index: int) -> int:
        """Byte offset of the scratch of op `index`; 0 when it has none."""
        return self.offsets.get(f"{index}:scratch", 0)


@dataclass(frozen=True)
class Placement:
    """Where the buffers of a problem lie, placed in this order; `way` and `optimal` as of Plan."""

    offsets: Mapping[str, int]
    way: str
    optimal: bool
    order: tuple[Buffer, ...]


@dataclass(frozen=True)
class Problem:
    """What is to be placed.

    Attributes:
        settled: as of Plan.
    """

    items: tuple[Buffer, ...]
    overlaps: tuple[Overlap, ...]
    settled: frozenset[int]

    @cached_property
    def bound(self) -> int:
        """No placement is smaller."""
        return lower_bound(self.items, self.overlaps)

    @cached_property
    def clashes(self) -> Clashes:
        """Which buffers are in each other's way."""
        return clashes_of(self.items, gaps_of(self.overlaps))


def plan(graph: Graph, demands: Demands | None = None) -> Plan:
    """Place every buffer of a graph so that buffers in use at the same time never overlap.

    The one exception is a kernel that reads its input ahead of what it writes: its result may lie over the input,
    begun some bytes earlier.
    """
    ways = [(problem, greedy(problem)) for problem in problems(graph, demands or Demands())]
    ways.sort(key=lambda way: extent(way[0].items, way[1][0].offsets))
    found = [improved(*ways[0]), *(settled(problem, placements[0]) for problem, placements in ways[1:])]
    return min(found, key=lambda plan: (plan.arena_bytes, not plan.optimal))


def least_bytes(graph: Graph, demands: Demands) -> int:
    """No plan of these ops in this order is smaller."""
    return min(problem.bound for problem in problems(graph, demands))


def problems(graph: Graph, demands: Demands) -> list[Problem]:
    """The ways to share bytes that differ, best first where the arena is the same."""
    found: list[Problem] = []
    for ways in WAYS:
        sharing = Sharing(graph, demands.in_place, ways)
        own = buffers(sharing)
        items = (*own, *scratch_buffers(demands.scratch_bytes))
        problem = Problem(items, overlaps(graph, own, demands.lead_bytes), frozenset(sharing.settled))
        if problem not in found:
            found.append(problem)
        if not any(op.kind == "concat" for op in graph.ops):
            break
    return found


def greedy(problem: Problem) -> list[Placement]:
    """What each greedy order gives, the best first."""
    items, clashes = problem.items, problem.clashes
    orders = ((way, tuple(sorted(items, key=key))) for way, key in _orders().items())
    found = [Placement(place(order, clashes), way, False, order) for way, order in orders]
    return sorted(found, key=lambda placement: extent(items, placement.offsets))


def improved(problem: Problem, placements: Sequence[Placement]) -> Plan:
    """The greedy orders, each improved, then what the exact search finds below that."""
    items, bound = problem.items, problem.bound
    best = searched(problem, placements[0], STEPS // 8)  # settles most chains at once
    for one in placements:
        if best.optimal:
            return settled(problem, best)
        offsets = promoted(one, problem.clashes, bound, BUFFERS_PLACED // len(placements))
        if extent(items, offsets) < extent(items, best.offsets):
            best = replace(one, offsets=offsets, way=f"{one.way}, improved", optimal=extent(items, offsets) == bound)
    return settled(problem, searched(problem, best, STEPS))


def settled(problem: Problem, best: Placement) -> Plan:
    """The plan that a placement is."""
    arena = extent(problem.items, best.offsets)
    optimal = best.optimal or arena == problem.bound
    return Plan(problem.items, best.offsets, arena, problem.bound, best.way, optimal, problem.settled)


def searched(problem: Problem, best: Placement, steps: int) -> Placement:
    """What the exact search makes of a placement."""
    found = Search(problem.items, problem.clashes, problem.bound, steps).beat(extent(problem.items, best.offsets))
    if found.offsets is None:
        return replace(best, optimal=found.complete)
    return replace(best, offsets=found.offsets, way="exact", optimal=found.complete)


def promoted(start: Placement, clashes: Clashes, bound: int, count: int) -> Mapping[str, int]:
    """Place the buffers again and again, each time with what ended highest halfway to the front.

    Args:
        count: most buffers that are placed; those before the first that was moved stay.

    Returns:
        The best of these placements.
    """
    turn, best, offsets = list(start.order), start.offsets, start.offsets
    while count > 0:
        reached = extent(turn, offsets)
        highest = [item for item in turn if align(offsets[item.name] + item.nbytes) == reached]
        if reached <= bound or highest == turn[:1]:
            break
        kept = len(turn)
        for item in highest:
            index = turn.index(item)
            turn.insert(index // 2, turn.pop(index))
            kept = min(kept, index // 2)
        offsets = place(turn[kept:], clashes, {item.name: offsets[item.name] for item in turn[:kept]})
        count -= len(turn) - kept
        if extent(turn, offsets) < extent(turn, best):
            best = offsets
    return best


def _orders() -> dict[str, Callable[[Buffer], tuple[int, ...]]]:
    """Greedy orders: what is hard to place goes first."""
    return {
        "size": lambda b: (-b.nbytes, b.first),
        "area": lambda b: (-b.nbytes * (b.last - b.first + 1), b.first),
        "lifetime": lambda b: (b.first - b.last, -b.nbytes),
        "time": lambda b: (b.first, -b.nbytes),
        "time backwards": lambda b: (-b.last, -b.nbytes),
    }
