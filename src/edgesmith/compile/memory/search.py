"""The exact plan: branch and bound over which of two buffers lies above the other.

Two buffers in use at the same time leave a few ranges for the distance of their beginnings: one above the other, the
other above the one, and, where buffers have parts that live at different times or may overlap, some between. A node has
chosen a range for some pairs; the lowest and highest place of every buffer follow (longest paths), and rule out ranges
of other pairs. Where the lowest places collide, the search branches. A node from which nothing can be reached in less
than the best arena so far is left. So when nodes run out, the best arena is the smallest there is.

The limit counts steps, never seconds: the same graph has the same plan on every machine.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from edgesmith.compile.memory.place import Clashes
from edgesmith.compile.memory.storage import ALIGNMENT, Buffer, align

FAR = 1 << 40
ATTEMPT_STEPS = 50_000  # for one arena that is tried, about a quarter of a second
Range = tuple[int, int]  # of the distance of two beginnings, both ends included


@dataclass(frozen=True)
class Pair:
    """Two buffers that cannot lie anywhere.

    Attributes:
        a, b: their indices.
        ranges: where b may begin, from where a begins.
    """

    a: int
    b: int
    ranges: tuple[Range, ...]


@dataclass
class Node:
    """A partial decision.

    Attributes:
        low, high: lowest and highest place of each buffer.
        above: index to (index, distance): what must begin at least so far behind it.
        below: the same backwards.
        open: pairs that are not decided, with the ranges they have left.
    """

    low: list[int]
    high: list[int]
    above: list[tuple[tuple[int, int], ...]]
    below: list[tuple[tuple[int, int], ...]]
    open: dict[int, tuple[Range, ...]] = field(default_factory=dict)

    def copy(self) -> "Node":
        """Its own lists."""
        return Node(self.low[:], self.high[:], self.above[:], self.below[:], dict(self.open))


class OutOfSteps(Exception):
    """The limit was reached."""


@dataclass(frozen=True)
class Found:
    """What a search gave.

    Attributes:
        offsets: of a smaller arena than was asked to beat; None when it found none.
        complete: whether it looked everywhere, so that no smaller arena exists.
    """

    offsets: Mapping[str, int] | None
    complete: bool


class Search:
    """Looks for arenas smaller than one that is known.

    Args:
        bound: no arena is smaller; reaching it ends the search.
        steps: most changes of a place and checks of a pair that are made.
    """

    def __init__(self, items: Sequence[Buffer], clashes: Clashes, bound: int, steps: int) -> None:
        self.items = sorted(items, key=lambda item: item.first)
        self.bound, self.steps, self.left = bound, steps, steps
        self.sizes = [align(item.nbytes) for item in self.items]
        self.pairs = pairs(self.items, clashes)
        self.touching: list[list[int]] = [[] for _ in items]
        for index, pair in enumerate(self.pairs):
            self.touching[pair.a].append(index)
            self.touching[pair.b].append(index)

    def beat(self, arena_bytes: int) -> Found:
        """Search for arenas below `arena_bytes`: just below, then at the bound, then between it and the best so far."""
        best: Mapping[str, int] | None = None
        none_below = start = self.bound  # no arena is smaller; none was found below
        limit = arena_bytes - ALIGNMENT
        while start < arena_bytes and self.steps > 0:
            places, certain = self._attempt(limit)
            if places is not None:
                best = {item.name: place for item, place in zip(self.items, places, strict=True)}
                arena_bytes = max(place + size for place, size in zip(places, self.sizes, strict=True))
            elif certain:
                none_below = start = limit + ALIGNMENT
            elif limit < arena_bytes - ALIGNMENT or best is not None:
                start = limit + ALIGNMENT
            last, limit = limit, start + (arena_bytes - start) // 2 // ALIGNMENT * ALIGNMENT
            if start == self.bound and last != start:
                limit = start
            elif limit == last:
                break
        return Found(best, complete=none_below >= arena_bytes)

    def _attempt(self, limit: int) -> tuple[list[int] | None, bool]:
        """Places within `limit`, and whether it is certain that there are none otherwise."""
        self.left = min(self.steps, ATTEMPT_STEPS)
        spent = self.left
        try:
            return self._below(limit), True
        except OutOfSteps:
            return None, False
        finally:
            self.steps -= spent - max(self.left, 0)

    def _below(self, limit: int) -> list[int] | None:
        """Places with which the arena takes at most `limit` bytes; None when there are none."""
        count = len(self.items)
        start = Node([0] * count, [limit - size for size in self.sizes], [()] * count, [()] * count)
        start.open = {index: pair.ranges for index, pair in enumerate(self.pairs)}
        if min(start.high, default=0) < 0 or not self._settle(start, list(start.open)):
            return None
        stack = [start]
        while stack:
            node = stack.pop()
            index = self._collision(node)
            if index is None:
                return node.low
            pair, left = self.pairs[index], node.open[index]
            distance = node.low[pair.b] - node.low[pair.a]
            for chosen in sorted(left, key=lambda r: max(r[0] - distance, distance - r[1]), reverse=True):
                child = node.copy()
                child.open[index] = (chosen,)
                if self._settle(child, [index]):
                    stack.append(child)
        return None

    def _collision(self, node: Node) -> int | None:
        """The open pair whose lowest places collide, the two that are largest together; None when none does."""
        worst, found = -1, None
        for index, ranges in node.open.items():
            pair = self.pairs[index]
            distance = node.low[pair.b] - node.low[pair.a]
            if any(low <= distance <= high for low, high in ranges):
                continue
            weight = min(self.sizes[pair.a], self.sizes[pair.b])
            if weight > worst:
                worst, found = weight, index
        self._count(len(node.open))
        return found

    def _settle(self, node: Node, waiting: list[int]) -> bool:
        """Draw all conclusions from the pairs that wait; False when the node leads nowhere."""
        queued = set(waiting)
        while waiting:
            index = waiting.pop()
            queued.discard(index)
            if index not in node.open:
                continue
            self._count(1)
            pair = self.pairs[index]
            least, most = node.low[pair.b] - node.high[pair.a], node.high[pair.b] - node.low[pair.a]
            left = tuple(r for r in node.open[index] if r[0] <= most and r[1] >= least)
            if not left:
                return False
            node.open[index] = left
            if len(left) > 1:
                continue
            del node.open[index]
            moved = self._decide(node, pair, left[0])
            if moved is None:
                return False
            for buffer in moved:
                fresh = [i for i in self.touching[buffer] if i in node.open and i not in queued]
                waiting.extend(fresh)
                queued.update(fresh)
        return True

    def _decide(self, node: Node, pair: Pair, chosen: Range) -> set[int] | None:
        """Keep b within `chosen` of a; the buffers whose lowest or highest place that moves, None when it cannot be."""
        moved: set[int] = set()
        for first, second, distance in ((pair.a, pair.b, chosen[0]), (pair.b, pair.a, -chosen[1])):
            if abs(distance) >= FAR:
                continue
            node.above[first] += ((second, distance),)
            node.below[second] += ((first, distance),)
            if not (self._raise(node, second, node.low[first] + distance, moved)):
                return None
            if not (self._lower(node, first, node.high[second] - distance, moved)):
                return None
        return moved

    def _raise(self, node: Node, buffer: int, place: int, moved: set[int]) -> bool:
        waiting = [(buffer, place)]
        while waiting:
            buffer, place = waiting.pop()
            if place <= node.low[buffer]:
                continue
            if place > node.high[buffer]:
                return False
            self._count(1)
            node.low[buffer] = place
            moved.add(buffer)
            waiting += [(other, place + distance) for other, distance in node.above[buffer]]
        return True

    def _lower(self, node: Node, buffer: int, place: int, moved: set[int]) -> bool:
        waiting = [(buffer, place)]
        while waiting:
            buffer, place = waiting.pop()
            if place >= node.high[buffer]:
                continue
            if place < node.low[buffer]:
                return False
            self._count(1)
            node.high[buffer] = place
            moved.add(buffer)
            waiting += [(other, place - distance) for other, distance in node.below[buffer]]
        return True

    def _count(self, steps: int) -> None:
        self.left -= steps
        if self.left < 0:
            raise OutOfSteps


def pairs(items: Sequence[Buffer], clashes: Clashes) -> tuple[Pair, ...]:
    """The buffers that are in each other's way, once each."""
    number = {item.name: index for index, item in enumerate(items)}
    return tuple(
        Pair(number[name], b, allowed(spans))
        for b, item in enumerate(items)
        for name, spans in clashes[item.name].items()
        if number[name] < b
    )


def allowed(taken: Iterable[Range]) -> tuple[Range, ...]:
    """What open intervals leave, in multiples of the alignment."""
    ranges, low = [], -FAR
    for start, end in sorted(taken):
        high = start // ALIGNMENT * ALIGNMENT
        if high >= low:
            ranges.append((low, high))
        low = max(low, align(end))
    return (*ranges, (low, FAR))
