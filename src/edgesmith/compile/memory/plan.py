"""Where each buffer lies in the arena: the best of several greedy orders, improved, beside the lower bound."""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from edgesmith.compile.memory.storage import Buffer, buffers, overlaps
from edgesmith.core.graph import Graph

ALIGNMENT = 16  # bytes: enough for any element type and for 128-bit loads
MOVES = 1000  # of one buffer within the best order, until the bound is reached; 5,000 found no more on the zoo
FEW = 64  # buffers up to which that is done; a placement of so many takes a millisecond

Leads = Mapping[tuple[str, str], int]  # (buffer that dies, buffer made from it) to the lead that lets them overlap


@dataclass(frozen=True)
class Plan:
    """A placed arena.

    Attributes:
        offsets: buffer name to byte offset.
        arena_bytes: size of the whole block, a multiple of ALIGNMENT.
        lower_bound_bytes: most bytes in use at one op; no placement of these buffers can be smaller.
        order: name of the greedy order that won, before its improvement.
    """

    buffers: tuple[Buffer, ...]
    offsets: Mapping[str, int]
    arena_bytes: int
    lower_bound_bytes: int
    order: str

    def tensor_offsets(self) -> dict[str, int]:
        """Byte offset of every tensor in the arena."""
        return {name: self.offsets[buffer.name] for buffer in self.buffers for name in buffer.tensors}

    def scratch_offset(self, index: int) -> int:
        """Byte offset of the scratch of op `index`; 0 when it has none."""
        return self.offsets.get(f"{index}:scratch", 0)


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
    items = buffers(graph, scratch_bytes, in_place)
    leads = overlaps(graph, items, lead_bytes or {})
    bound = lower_bound(items, leads)
    placed = [(name, sorted(items, key=key)) for name, key in _orders().items()]
    name, order = min(placed, key=lambda entry: _extent(items, place(entry[1], leads)))
    offsets = place(improved(order, leads, bound) if len(items) <= FEW else order, leads)
    return Plan(items, offsets, _extent(items, offsets), bound, name)


def improved(order: Sequence[Buffer], leads: Leads, bound: int) -> Sequence[Buffer]:
    """Move one buffer at a time to another turn while that does no harm; seeded, so the same each time."""
    chooser, best = random.Random(0), _extent(order, place(order, leads))
    for _ in range(MOVES):
        if best <= bound:
            break
        tried = list(order)
        tried.insert(chooser.randrange(len(tried)), tried.pop(chooser.randrange(len(tried))))
        if (extent := _extent(tried, place(tried, leads))) <= best:
            order, best = tried, extent
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


def place(items: Sequence[Buffer], leads: Leads | None = None) -> dict[str, int]:
    """First fit: each buffer at the lowest offset where it disturbs no buffer alive at the same time."""
    leads = leads or {}
    offsets: dict[str, int] = {}
    done: list[Buffer] = []
    for item in items:
        neighbours = [(offsets[b.name], b) for b in done if b.first <= item.last and item.first <= b.last]
        offsets[item.name] = min(
            offset
            for offset in _candidates(item, neighbours, leads)
            if all(_peaceful(item, offset, other, start, leads) for start, other in neighbours)
        )
        done.append(item)
    return offsets


def _candidates(item: Buffer, neighbours: Sequence[tuple[int, Buffer]], leads: Leads) -> set[int]:
    """Offsets worth trying: the bottom, behind each neighbour, and just led or leading one."""
    found = {0}
    for start, other in neighbours:
        found.add(_align(start + other.nbytes))
        if (lead := leads.get((item.name, other.name))) is not None:
            found.add(_align(start + lead))
        if (lead := leads.get((other.name, item.name))) is not None and start >= lead:
            found.add((start - lead) // ALIGNMENT * ALIGNMENT)
    return found


def _peaceful(item: Buffer, offset: int, other: Buffer, start: int, leads: Leads) -> bool:
    """Whether two buffers alive together may lie there."""
    if offset + item.nbytes <= start or start + other.nbytes <= offset:
        return True
    if (lead := leads.get((item.name, other.name))) is not None and start + lead <= offset:
        return True
    return (lead := leads.get((other.name, item.name))) is not None and offset + lead <= start


def lower_bound(items: Sequence[Buffer], leads: Leads | None = None) -> int:
    """Most bytes alive at one op, each buffer rounded up to the alignment, what may overlap counted together."""
    times = range(max((b.last for b in items), default=0) + 1)
    return max((_alive(items, time, leads or {}) for time in times), default=0)


def _alive(items: Sequence[Buffer], time: int, leads: Leads) -> int:
    alive = {b.name: b for b in items if b.first <= time <= b.last}
    total = sum(_align(b.nbytes) for b in alive.values())
    for (dying, made), lead in leads.items():
        x, y = alive.get(dying), alive.get(made)
        if x and y and x.last == y.first == time:
            together = max(_align(y.nbytes), _align(lead) + _align(x.nbytes))
            total -= max(0, _align(x.nbytes) + _align(y.nbytes) - together)
    return total


def _extent(items: Sequence[Buffer], offsets: Mapping[str, int]) -> int:
    return max((_align(offsets[b.name] + b.nbytes) for b in items), default=0)


def _align(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT
