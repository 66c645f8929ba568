"""First fit: buffers one after another, each at the lowest place where it disturbs none in use at the same time."""

from collections.abc import Iterator, Mapping, Sequence

from edgesmith.compile.memory.storage import Buffer, Overlap, Part, align

Gaps = Mapping[tuple[str, str], int]  # (part that dies, part made from it) to the least distance of their buffers


def gaps_of(overlaps: Sequence[Overlap]) -> dict[tuple[str, str], int]:
    """What may overlap, part by part."""
    return {(x, y): overlap.gap for overlap in overlaps for x in overlap.dying for y in overlap.made}


def place(items: Sequence[Buffer], gaps: Gaps | None = None) -> dict[str, int]:
    """Byte offset of each buffer."""
    gaps = gaps or {}
    offsets: dict[str, int] = {}
    done: list[Buffer] = []
    for item in items:
        taken = (span for other in done for span in forbidden(item, other, offsets[other.name], gaps))
        offsets[item.name] = lowest(taken)
        done.append(item)
    return offsets


def forbidden(item: Buffer, other: Buffer, start: int, gaps: Gaps) -> Iterator[tuple[int, int]]:
    """Where `item` may not begin because `other` begins at `start`: between low and high, both excluded."""
    if item.first > other.last or other.first > item.last:
        return
    for part in item.parts:
        for taken in other.parts:
            if part.first > taken.last or taken.first > part.last:
                continue
            low, high = between(part, taken, gaps)
            if low < high:
                yield start + low, start + high


def between(part: Part, taken: Part, gaps: Gaps) -> tuple[int, int]:
    """The distances of two buffers, the second from the first, at which these parts of them would collide."""
    low, high = taken.offset - part.end, taken.end - part.offset
    if (gap := gaps.get((part.name, taken.name))) is not None:
        high = min(high, gap)
    if (gap := gaps.get((taken.name, part.name))) is not None:
        low = max(low, -gap)
    return low, high


def lowest(taken: Iterator[tuple[int, int]], least: int = 0) -> int:
    """The lowest aligned offset from `least` on that lies in none of the open intervals."""
    offset = align(least)
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
