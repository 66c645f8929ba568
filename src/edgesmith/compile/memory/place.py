"""First fit: buffers one after another, each at the lowest place where it disturbs none in use at the same time."""

from collections.abc import Iterable, Mapping, Sequence

from edgesmith.compile.memory.storage import Buffer, Overlap, Part, align

Gaps = Mapping[tuple[str, str], int]  # (part that dies, part made from it) to the least distance of their buffers
Spans = tuple[tuple[int, int], ...]  # distances of one buffer from another between low and high, both excluded
Clashes = Mapping[str, Mapping[str, Spans]]  # a buffer to each that it can collide with, and where it may not begin


def gaps_of(overlaps: Sequence[Overlap]) -> dict[tuple[str, str], int]:
    """What may overlap, part by part."""
    return {(x, y): overlap.gap for overlap in overlaps for x in overlap.dying for y in overlap.made}


def clashes_of(items: Sequence[Buffer], gaps: Gaps | None = None) -> Clashes:
    """Which buffers are in each other's way, and where: what all placements of them share."""
    found: dict[str, dict[str, Spans]] = {item.name: {} for item in items}
    alive: list[Buffer] = []
    for item in sorted(items, key=lambda item: item.first):
        alive = [other for other in alive if other.last >= item.first]
        for other in alive:
            if spans := forbidden(item, other, gaps or {}):
                found[item.name][other.name] = spans
                found[other.name][item.name] = tuple((-high, -low) for low, high in spans)
        alive.append(item)
    return found


def forbidden(item: Buffer, other: Buffer, gaps: Gaps) -> Spans:
    """Where `item` may not begin, from where `other` begins."""
    met = [(p, q) for p in item.parts for q in other.parts if p.first <= q.last and q.first <= p.last]
    spans = (between(part, taken, gaps) for part, taken in met)
    return tuple((low, high) for low, high in spans if low < high)


def between(part: Part, taken: Part, gaps: Gaps) -> tuple[int, int]:
    """The distances of two buffers, the second from the first, at which these parts of them would collide."""
    low, high = taken.offset - part.end, taken.end - part.offset
    if (gap := gaps.get((part.name, taken.name))) is not None:
        high = min(high, gap)
    if (gap := gaps.get((taken.name, part.name))) is not None:
        low = max(low, -gap)
    return low, high


def place(order: Sequence[Buffer], clashes: Clashes, placed: Mapping[str, int] | None = None) -> dict[str, int]:
    """Byte offset of each buffer, taken in this order, after those that are placed already."""
    offsets = dict(placed or {})
    for item in order:
        others = ((offsets[name], spans) for name, spans in clashes[item.name].items() if name in offsets)
        offsets[item.name] = lowest((start + low, start + high) for start, spans in others for low, high in spans)
    return offsets


def lowest(taken: Iterable[tuple[int, int]]) -> int:
    """The lowest aligned offset that lies in none of the open intervals."""
    offset = 0
    for low, high in sorted(taken):
        if low < offset < high:
            offset = align(high)
    return offset


def extent(items: Sequence[Buffer], offsets: Mapping[str, int]) -> int:
    """Bytes of the block that holds them all."""
    return max((align(offsets[item.name] + item.nbytes) for item in items), default=0)


def lower_bound(items: Sequence[Buffer], overlaps: Sequence[Overlap] = ()) -> int:
    """Most bytes in use at one op: no placement can be smaller.

    A buffer of one part counts rounded up to the alignment; what may overlap counts together.
    """
    saved: dict[int, int] = {}
    for overlap in overlaps:
        saved[overlap.time] = saved.get(overlap.time, 0) + overlap.saved
    totals = [0] * (max((item.last for item in items), default=-1) + 1)
    for item in items:
        for part in item.parts:
            for time in range(part.first, part.last + 1):
                totals[time] += align(part.nbytes) if len(item.parts) == 1 else part.nbytes
    return max((align(total - saved.get(time, 0)) for time, total in enumerate(totals)), default=0)
