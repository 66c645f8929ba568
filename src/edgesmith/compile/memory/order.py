"""The order of the ops: that of a branching graph in which the fewest bytes are in use at once.

What is still needed after some ops have run depends on which have run, not on their order. So the search goes over sets
of ops, from the empty one, always on from the set that was reached with the smallest peak: the first time that all ops
have run, no order has a smaller peak. Where there are too many sets, a beam of the best of each size is followed.

Sources: dynamic programming over sets, arXiv:2003.02369 (Ahn et al.); for one core, arXiv:1910.05110 (Liberis & Lane).
"""

import heapq
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

from edgesmith.compile.memory.sharing import OVERWRITES
from edgesmith.compile.memory.storage import Demands, align
from edgesmith.compile.memory.views import roots, views
from edgesmith.core.graph import Graph

STATES = (
    20_000  # sets that the exact search may look at, a second or two; 30 ops that can run in many orders need fewer
)
BEAM = 64  # sets of each size beyond that
MANY = 1000  # ops from which on a graph stays as it is


@dataclass(frozen=True)
class Step:
    """What one op does to memory.

    Attributes:
        before: the ops that must have run, as bits.
        reads: values that it reads.
        makes: bytes of its results, rounded up.
        scratch: bytes in use only meanwhile.
        over: (value, bytes saved if it dies here): of these the first that dies counts.
        joined: the same, but all count: inputs of a concatenation that lie in its result.
        wasted: bytes of results that nothing reads.
    """

    before: int
    reads: tuple[int, ...]
    makes: int
    scratch: int
    over: tuple[tuple[int, int], ...]
    joined: tuple[tuple[int, int], ...]
    wasted: int


@dataclass(frozen=True)
class Model:
    """A graph as the search sees it.

    Attributes:
        steps: one per op.
        sizes: bytes of each value, rounded up.
        users: the ops that read each value, as bits; -1 for one that is kept.
        start: bytes of the inputs.
    """

    steps: tuple[Step, ...]
    sizes: tuple[int, ...]
    users: tuple[int, ...]
    start: int

    def run(self, index: int, done: int, live: int) -> tuple[int, int]:
        """Bytes in use during op `index` and after it, when the ops `done` have run and `live` bytes are in use."""
        step, after = self.steps[index], done | 1 << index
        dying = {value for value in step.reads if not self.users[value] & ~after}
        saved = next((size for value, size in step.over if value in dying), 0)
        saved += sum(size for value, size in step.joined if value in dying)
        during = live + step.makes + step.scratch - saved
        return during, live + step.makes - step.wasted - sum(self.sizes[value] for value in dying)

    def ready(self, done: int) -> Iterator[int]:
        """The ops that can run next."""
        for index, step in enumerate(self.steps):
            if not done >> index & 1 and not step.before & ~done:
                yield index

    def peak(self, order: Collection[int]) -> int:
        """Most bytes in use at one op."""
        most, live, done = self.start, self.start, 0
        for index in order:
            during, live = self.run(index, done, live)
            most, done = max(most, during), done | 1 << index
        return most


def model(graph: Graph, demands: Demands) -> Model:
    """The values of a graph, each with all pieces of it, and what each op does to them."""
    return _Reader(graph, demands).model()


class _Reader:
    """Makes the model of a graph."""

    def __init__(self, graph: Graph, demands: Demands) -> None:
        self.graph, self.demands = graph, demands
        self.root, self.still, self.producer = roots(graph), views(graph), graph.producer()
        names = [n for n in graph.tensors if self.root[n] == (n, 0) and (n in graph.inputs or n in self.producer)]
        self.number = {name: index for index, name in enumerate(names)}
        self.bytes = {name: align(tensor.nbytes) for name, tensor in graph.tensors.items()}
        self.users = [0] * len(names)
        for index, op in enumerate(graph.ops):
            for value in self._values(op.inputs) if index not in self.still else ():
                self.users[value] |= 1 << index
        for value in self._values(tuple(graph.kept())):
            self.users[value] = -1

    def model(self) -> Model:
        sizes = tuple(self.bytes[name] for name in self.number)
        start = sum(self.bytes[name] for name in self.graph.inputs)
        return Model(tuple(map(self._step, range(len(self.graph.ops)))), sizes, tuple(self.users), start)

    def _values(self, names: tuple[str, ...]) -> tuple[int, ...]:
        """The values in the arena that these are, or are pieces of."""
        found = (self.root[name][0] for name in names)
        return tuple(dict.fromkeys(self.number[name] for name in found if name in self.number))

    def _step(self, index: int) -> Step:
        op = self.graph.ops[index]
        before = sum(1 << i for i in {self.producer[name] for name in op.inputs if name in self.producer})
        if index in self.still:
            return Step(before, (), 0, 0, (), (), 0)
        return Step(
            before,
            self._values(op.inputs),
            sum(self.bytes[name] for name in op.outputs),
            align(self.demands.scratch_bytes.get(index, 0)),
            tuple(self._over(index)),
            tuple(self._joined(index)),
            sum(self.bytes[name] for name in op.outputs if not self.users[self.number[name]]),
        )

    def _whole(self, name: str) -> int | None:
        """The value that a tensor is all of."""
        value = self.root[name][0]
        return self.number[value] if value in self.number and self.bytes[value] == self.bytes[name] else None

    def _over(self, index: int) -> Iterator[tuple[int, int]]:
        """(value, bytes saved if it dies here), the best first."""
        op, shorter = self.graph.ops[index], index in self.demands.in_place
        y = self.bytes[op.outputs[0]]
        for name in op.inputs[: OVERWRITES.get(op.kind, int(shorter))]:
            if (value := self._whole(name)) is not None and (self.bytes[name] == y or shorter and self.bytes[name] > y):
                yield value, y
        lead, value = self.demands.lead_bytes.get(index), self._whole(op.inputs[0])
        if lead is not None and value is not None:
            x = self.bytes[op.inputs[0]]
            yield value, max(0, x + y - max(y, align(lead) + x))

    def _joined(self, index: int) -> Iterator[tuple[int, int]]:
        op = self.graph.ops[index]
        if op.kind == "concat":
            leading = self.graph.tensors[op.outputs[0]].shape[: cast(int, op.attrs["axis"])]
            for name in dict.fromkeys(op.inputs) if math.prod(leading) == 1 else ():
                if (value := self._whole(name)) is not None and self.root[name][0] not in self.graph.inputs:
                    yield value, self.bytes[name]


def permuted(graph: Graph, order: Sequence[int]) -> Graph:
    """The ops in another order."""
    return replace(graph, ops=tuple(graph.ops[index] for index in order))


def best_order(graph: Graph, demands: Demands) -> tuple[int, ...]:
    """Indices of the ops in the order with the smallest peak; as they are where no other is smaller."""
    given = tuple(range(len(graph.ops)))
    if len(given) > MANY or _is_chain(graph):
        return given
    seen = model(graph, demands)
    most = seen.peak(given)
    try:
        return exact(seen, most, STATES) or given
    except OutOfStates:
        found = beam(seen, BEAM)
        return found if seen.peak(found) < most else given


def _is_chain(graph: Graph) -> bool:
    """Whether each op needs the one before it, so that there is no other order."""
    return all(set(op.inputs) & set(last.outputs) for last, op in zip(graph.ops, graph.ops[1:], strict=False))


class OutOfStates(Exception):
    """There are too many sets of ops."""


Chain = tuple[int, "Chain"] | None  # the last op, and those before it


def exact(seen: Model, below: int, states: int) -> tuple[int, ...] | None:
    """An order with the smallest peak, if that is smaller than `below`.

    Raises:
        OutOfStates: more than `states` sets of ops would have to be looked at.
    """
    everything = (1 << len(seen.steps)) - 1
    queue: list[tuple[int, int, int, int, Chain]] = [(seen.start, 0, seen.start, 0, None)]
    reached = {0: seen.start}
    while queue:
        peak, fewer, live, done, chain = heapq.heappop(queue)
        if done == everything:
            return _unrolled(chain)
        if reached[done] < peak:
            continue
        for index, during, after in _choices(seen, peak, live, done):
            most, then = max(peak, during), done | 1 << index
            if most < min(below, reached.get(then, below)):
                reached[then] = most
                heapq.heappush(queue, (most, fewer - 1, after, then, (index, chain)))
        if len(reached) > states:
            raise OutOfStates
    return None


def beam(seen: Model, width: int) -> tuple[int, ...]:
    """An order with a small peak: of each number of ops that have run, only the best sets are followed."""
    front: dict[int, tuple[int, int, Chain]] = {0: (seen.start, seen.start, None)}
    for _ in seen.steps:
        following: dict[int, tuple[int, int, Chain]] = {}
        for done, (peak, live, chain) in front.items():
            for index, during, after in _choices(seen, peak, live, done):
                then, entry = done | 1 << index, (max(peak, during), after, (index, chain))
                if then not in following or entry[:2] < following[then][:2]:
                    following[then] = entry
        kept = sorted(following, key=lambda done: (*following[done][:2], done))[:width]
        front = {done: following[done] for done in kept}
    return _unrolled(next(iter(front.values()))[2])


def _choices(seen: Model, peak: int, live: int, done: int) -> list[tuple[int, int, int]]:
    """What can run next, with the bytes in use during and after it.

    Alone an op that leaves no more bytes in use than there were and needs no more than was needed before: whatever
    comes later, to have run it now does no harm.
    """
    found = []
    for index in seen.ready(done):
        during, after = seen.run(index, done, live)
        if during <= peak and after <= live:
            return [(index, during, after)]
        found.append((index, during, after))
    return found


def _unrolled(chain: Chain) -> tuple[int, ...]:
    order = []
    while chain is not None:
        index, chain = chain
        order.append(index)
    return tuple(reversed(order))
