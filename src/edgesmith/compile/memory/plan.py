"""Where each buffer lies in the arena: greedy orders, then an exact search, beside the lower bound."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from edgesmith.compile.memory.place import Clashes, clashes_of, extent, gaps_of, lower_bound, place
from edgesmith.compile.memory.search import Search
from edgesmith.compile.memory.sharing import Sharing, Way
from edgesmith.compile.memory.storage import ALIGNMENT, Buffer, Demands, Overlap, buffers, overlaps, scratch_buffers
from edgesmith.core.graph import Graph

__all__ = ["ALIGNMENT", "Plan", "plan"]

STEPS = 240_000  # of the exact search, about a second; the nets of the zoo take at most 21,000
MOVES = 500  # of one buffer within the best greedy order, where the exact search gave up
FEW = 64  # buffers up to which that is done; a placement of so many takes a millisecond
# What may share bytes, in the order in which it is tried: each takes chances from the other.
WAYS: tuple[tuple[Way, ...], ...] = (("join", "overwrite"), ("overwrite", "join"), ("overwrite",))


@dataclass(frozen=True)
class Plan:
    """A placed arena.

    Attributes:
        offsets: buffer name to byte offset.
        arena_bytes: size of the whole block, a multiple of ALIGNMENT.
        lower_bound_bytes: most bytes in use at one op; no placement of these buffers can be smaller.
        way: name of the greedy order that won, or "exact".
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

    def scratch_offset(self, index: int) -> int:
        """Byte offset of the scratch of op `index`; 0 when it has none."""
        return self.offsets.get(f"{index}:scratch", 0)


@dataclass(frozen=True)
class Placement:
    """Where the buffers of a problem lie; `way` and `optimal` as of Plan."""

    offsets: Mapping[str, int]
    way: str
    optimal: bool


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
    first, *others = problems(graph, demands or Demands())
    best = placed(first)
    for other in others:
        if other.bound < best.arena_bytes and (found := placed(other)).arena_bytes < best.arena_bytes:
            best = found
    return best


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


def placed(problem: Problem) -> Plan:
    """The best of the greedy orders, then whatever is below it: by exact search, by small changes, by search again."""
    items, clashes, bound = problem.items, problem.clashes, problem.bound
    orders = [(name, sorted(items, key=key)) for name, key in _orders().items()]
    way, order = min(orders, key=lambda entry: extent(items, place(entry[1], clashes)))
    best = searched(problem, Placement(place(order, clashes), way, optimal=False))
    if not best.optimal and len(items) <= FEW:
        offsets = place(improved(order, clashes, bound), clashes)
        if extent(items, offsets) < extent(items, best.offsets):
            best = searched(problem, Placement(offsets, f"{way}, improved", optimal=False))
    return Plan(items, best.offsets, extent(items, best.offsets), bound, best.way, best.optimal, problem.settled)


def searched(problem: Problem, best: Placement) -> Placement:
    """What the exact search makes of a placement."""
    found = Search(problem.items, problem.clashes, problem.bound, STEPS).beat(extent(problem.items, best.offsets))
    if found.offsets is None:
        return replace(best, optimal=found.complete)
    return Placement(found.offsets, "exact", found.complete)


def improved(order: Sequence[Buffer], clashes: Clashes, bound: int) -> Sequence[Buffer]:
    """Move one buffer at a time to another turn while that does no harm; seeded, so the same each time."""
    chooser, best = random.Random(0), extent(order, place(order, clashes))
    for _ in range(MOVES):
        if best <= bound:
            break
        tried = list(order)
        tried.insert(chooser.randrange(len(tried)), tried.pop(chooser.randrange(len(tried))))
        if (reached := extent(tried, place(tried, clashes))) <= best:
            order, best = tried, reached
    return order


def _orders() -> dict[str, Callable[[Buffer], tuple[int, ...]]]:
    """Greedy orders: what is hard to place goes first."""
    return {
        "size": lambda b: (-b.nbytes, b.first),
        "area": lambda b: (-b.nbytes * (b.last - b.first + 1), b.first),
        "lifetime": lambda b: (b.first - b.last, -b.nbytes),
        "time": lambda b: (b.first, -b.nbytes),
        "time backwards": lambda b: (-b.last, -b.nbytes),
    }
