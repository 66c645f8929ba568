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
from functools import cached_property
from typing import NamedTuple, cast

from edgesmith.compile.memory.sharing import OVERWRITES
from edgesmith.compile.memory.storage import Demands, align
from edgesmith.compile.memory.views import roots, views
from edgesmith.core.graph import Graph

STATES = 20_000  # sets that the exact search may reach, a second or two; 30 ops in many orders need fewer
BEAM, BEAM_STATES = 64, 8_000  # beyond that: most sets of each size, and of all sizes
MANY = 2000  # ops from which on a graph stays as it is


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

    @cached_property
    def first(self) -> int:
        """The ops that can run at once, as bits."""
        return sum(1 << index for index, step in enumerate(self.steps) if not step.before)

    @cached_property
    def after(self) -> tuple[tuple[int, ...], ...]:
        """The ops that need each op."""
        found: list[list[int]] = [[] for _ in self.steps]
        for index, step in enumerate(self.steps):
            for other in bits(step.before):
                found[other].append(index)
        return tuple(map(tuple, found))

    def ready(self, ready: int, index: int, done: int) -> int:
        """The ops that can run next, as bits, from those that could before op `index` made the set `done` full."""
        new = sum(1 << other for other in self.after[index] if not self.steps[other].before & ~done)
        return ready & ~(1 << index) | new

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
        """What the search needs of the graph; sizes in bytes, rounded up."""
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
        found = beam(seen, min(BEAM, -(-BEAM_STATES // len(given))))
        return found if seen.peak(found) < most else given


def _is_chain(graph: Graph) -> bool:
    """Whether each op needs the one before it, so that there is no other order."""
    return all(set(op.inputs) & set(last.outputs) for last, op in zip(graph.ops, graph.ops[1:], strict=False))


class OutOfStates(Exception):
    """There are too many sets of ops."""


Chain = tuple[int, "Chain"] | None  # the last op, and those before it


class State(NamedTuple):
    """What is known when a set of ops has run.

    Attributes:
        peak, live: most bytes in use so far, and bytes in use now.
        done, ready: the ops that have run, and those that can run next, as bits.
    """

    peak: int
    live: int
    done: int
    ready: int
    chain: Chain


def exact(seen: Model, below: int, states: int) -> tuple[int, ...] | None:
    """An order with the smallest peak, if that is smaller than `below`.

    Raises:
        OutOfStates: more than `states` sets of ops would have to be looked at.
    """
    everything = (1 << len(seen.steps)) - 1
    start = State(seen.start, seen.start, 0, seen.first, None)
    queue = [(seen.start, 0, seen.start, 0, start)]
    reached = {0: seen.start}
    while queue:
        _, fewer, _, _, state = heapq.heappop(queue)
        if state.done == everything:
            return _unrolled(state.chain)
        if reached[state.done] < state.peak:
            continue
        for then in _following(seen, state):
            if then.peak < min(below, reached.get(then.done, below)):
                reached[then.done] = then.peak
                heapq.heappush(queue, (then.peak, fewer - 1, then.live, then.done, then))
        if len(reached) > states:
            raise OutOfStates
    return None


def beam(seen: Model, width: int) -> tuple[int, ...]:
    """An order with a small peak: of each number of ops that have run, only the best sets are followed."""
    front = [State(seen.start, seen.start, 0, seen.first, None)]
    for _ in seen.steps:
        following: dict[int, State] = {}
        for state in front:
            for then in _following(seen, state):
                known = following.get(then.done)
                if known is None or (then.peak, then.live) < (known.peak, known.live):
                    following[then.done] = then
        front = heapq.nsmallest(width, following.values(), key=lambda state: (state.peak, state.live, state.done))
    return _unrolled(front[0].chain)


def _following(seen: Model, state: State) -> list[State]:
    """What can come next, one op on.

    Alone an op that leaves no more bytes in use than there were and needs no more than was needed before: whatever
    comes later, to have run it now does no harm.
    """
    found = []
    for index in bits(state.ready):
        during, live = seen.run(index, state.done, state.live)
        done = state.done | 1 << index
        then = State(max(state.peak, during), live, done, seen.ready(state.ready, index, done), (index, state.chain))
        if during <= state.peak and live <= state.live:
            return [then]
        found.append(then)
    return found


def bits(mask: int) -> Iterator[int]:
    """Places of the ones, lowest first.

    >>> list(bits(0b10110))
    [1, 2, 4]
    """
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def _unrolled(chain: Chain) -> tuple[int, ...]:
    order = []
    while chain is not None:
        index, chain = chain
        order.append(index)
    return tuple(reversed(order))
