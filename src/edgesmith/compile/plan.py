"""Where each buffer lies in the arena: the best of several greedy orders, beside the lower bound."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edgesmith.compile.storage import Buffer, buffers
from edgesmith.core.graph import Graph

ALIGNMENT = 16  # bytes: enough for any element type and for 128-bit loads
SHUFFLES = 32  # random orders tried beside the named ones; more found nothing on the zoo


@dataclass(frozen=True)
class Plan:
    """A placed arena.

    Attributes:
        offsets: buffer name to byte offset.
        arena_bytes: size of the whole block, a multiple of ALIGNMENT.
        lower_bound_bytes: most bytes in use at one op; no placement of these buffers can be smaller.
        order: name of the greedy order that won.
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


def plan(graph: Graph, scratch_bytes: Mapping[int, int]) -> Plan:
    """Place every buffer of a graph so that buffers in use at the same time never overlap.

    Args:
        scratch_bytes: op index to the bytes of scratch its kernel needs.
    """
    items = buffers(graph, scratch_bytes)
    placed = [(name, place(sorted(items, key=key))) for name, key in _orders().items()]
    chooser = random.Random(0)
    for turn in range(SHUFFLES if len(items) <= 200 else 0):
        placed.append((f"shuffle {turn}", place(chooser.sample(items, len(items)))))
    name, offsets = min(placed, key=lambda entry: _extent(items, entry[1]))
    return Plan(items, offsets, _extent(items, offsets), lower_bound(items), name)


def _orders() -> dict[str, Callable[[Buffer], tuple[int, ...]]]:
    """Greedy orders: what is hard to place goes first."""
    return {
        "size": lambda b: (-b.nbytes, b.first),
        "area": lambda b: (-b.nbytes * (b.last - b.first + 1), b.first),
        "lifetime": lambda b: (b.first - b.last, -b.nbytes),
        "time": lambda b: (b.first, -b.nbytes),
    }


def place(items: Sequence[Buffer]) -> dict[str, int]:
    """First fit: each buffer at the lowest offset where it overlaps no buffer alive at the same time."""
    offsets: dict[str, int] = {}
    done: list[Buffer] = []
    for item in items:
        offset = 0
        neighbours = [(offsets[b.name], b) for b in done if b.first <= item.last and item.first <= b.last]
        for start, other in sorted(neighbours, key=lambda pair: pair[0]):
            if offset + item.nbytes <= start:
                break
            offset = max(offset, _align(start + other.nbytes))
        offsets[item.name] = offset
        done.append(item)
    return offsets


def lower_bound(items: Sequence[Buffer]) -> int:
    """Most bytes alive at one op, each buffer rounded up to the alignment."""
    times = range(max((b.last for b in items), default=0) + 1)
    return max((sum(_align(b.nbytes) for b in items if b.first <= time <= b.last) for time in times), default=0)


def _extent(items: Sequence[Buffer], offsets: Mapping[str, int]) -> int:
    return max((_align(offsets[b.name] + b.nbytes) for b in items), default=0)


def _align(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT
