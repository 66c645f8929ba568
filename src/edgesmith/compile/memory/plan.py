"""Where each buffer lies in the arena: the best of several greedy orders, improved, beside the lower bound."""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from edgesmith.compile.memory.place import Gaps, extent, gaps_of, lower_bound, place
from edgesmith.compile.memory.sharing import Sharing, Way
from edgesmith.compile.memory.storage import ALIGNMENT, Buffer, Overlap, buffers, overlaps, scratch_buffers
from edgesmith.core.graph import Graph

__all__ = ["ALIGNMENT", "Plan", "plan"]

MOVES = 1000  # of one buffer within the best order, until the bound is reached; 5,000 found no more on the zoo
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
        order: name of the greedy order that won, before its improvement.
        settled: indices of the concatenations whose inputs lie where they would be copied to.
    """

    buffers: tuple[Buffer, ...]
    offsets: Mapping[str, int]
    arena_bytes: int
    lower_bound_bytes: int
    order: str
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
class Problem:
    """What is to be placed.

    Attributes:
        settled: as of Plan.
    """

    items: tuple[Buffer, ...]
    overlaps: tuple[Overlap, ...]
    settled: frozenset[int]

    @property
    def gaps(self) -> Gaps:
        """What may overlap, part by part."""
        return gaps_of(self.overlaps)


def plan(
    graph: Graph,
    scratch_bytes: Mapping[int, int],
    lead_bytes: Mapping[int, int] | None = None,
    in_place: Collection[int] = (),
) -> Plan:
    """Place every buffer of a graph so that buffers in use at the same time never overlap.

    The one exception is a kernel that reads its input ahead of what it writes: its result may lie over the input,
    begun some bytes earlier.

    Args:
        scratch_bytes: op index to the bytes of scratch its kernel needs.
        lead_bytes: op index to the bytes that its first result must begin before its first input to lie over it.
        in_place: indices of ops whose result may be their first input, besides those that always can.
    """
    return min(
        (placed(problem) for problem in problems(graph, scratch_bytes, lead_bytes or {}, in_place)),
        key=lambda found: found.arena_bytes,
    )


def problems(
    graph: Graph, scratch_bytes: Mapping[int, int], lead_bytes: Mapping[int, int], in_place: Collection[int]
) -> list[Problem]:
    """The ways to share bytes that differ, best first where the arena is the same."""
    found: list[Problem] = []
    for ways in WAYS:
        sharing = Sharing(graph, in_place, ways)
        own = buffers(sharing)
        problem = Problem(
            (*own, *scratch_buffers(scratch_bytes)), overlaps(graph, own, lead_bytes), frozenset(sharing.settled)
        )
        if problem not in found:
            found.append(problem)
        if not any(op.kind == "concat" for op in graph.ops):
            break
    return found


def placed(problem: Problem) -> Plan:
    """The best of the greedy orders, improved."""
    items, gaps = problem.items, problem.gaps
    bound = lower_bound(items, problem.overlaps)
    orders = [(name, sorted(items, key=key)) for name, key in _orders().items()]
    name, order = min(orders, key=lambda entry: extent(items, place(entry[1], gaps)))
    offsets = place(improved(order, gaps, bound) if len(items) <= FEW else order, gaps)
    return Plan(items, offsets, extent(items, offsets), bound, name, problem.settled)


def improved(order: Sequence[Buffer], gaps: Gaps, bound: int) -> Sequence[Buffer]:
    """Move one buffer at a time to another turn while that does no harm; seeded, so the same each time."""
    chooser, best = random.Random(0), extent(order, place(order, gaps))
    for _ in range(MOVES):
        if best <= bound:
            break
        tried = list(order)
        tried.insert(chooser.randrange(len(tried)), tried.pop(chooser.randrange(len(tried))))
        if (reached := extent(tried, place(tried, gaps))) <= best:
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
