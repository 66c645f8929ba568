"""Which tensors share bytes: pieces of others, parts of what they are joined into, results written over inputs.

Tensors are joined into groups, each at its place. A join is made only when it loses nothing: no op may write where a
value lies that is still needed, and no group may reach further than the larger of the two did, for a long group of
short-lived pieces would keep the arena from using the same bytes again.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Literal, NamedTuple, cast

from edgesmith.compile.memory.views import WORD_BYTES, roots, views
from edgesmith.core.graph import Graph, Op

# Ops whose kernels read each element of the input before they write that element of the output, and nothing after.
UNARY = (
    "clamp leaky_relu hardswish hardsigmoid sigmoid tanh gelu silu sqrt rsqrt exp log abs neg affine rescale_s8 lookup "
    "gelu_delta_s8"
)
BINARY = "add sub mul div add_s8 mul_s8 div_s8"
# What a row is made of is read first.
BY_ROWS = (
    "softmax softmax_s8 shiftmax shiftmax_s8 single_pass_softmax_s8 shift_gelu shift_gelu_s8 "
    "layer_norm layer_norm_s8 rms_norm rms_norm_s8"
)
OVERWRITES: Mapping[str, int] = {
    **dict.fromkeys(f"{UNARY} {BY_ROWS}".split(), 1),
    **dict.fromkeys(BINARY.split(), 2),
    **dict.fromkeys(("outliers", "round_float"), 1),
}

Way = Literal["join", "overwrite"]  # concatenations without copying; results in place of inputs
BEFORE = -1  # when the inputs are written


class Span(NamedTuple):
    """Indices of the op that makes a value and of the last that needs it."""

    first: int
    last: int


class Write(NamedTuple):
    """Bytes [start, end) of a group that op `time` writes, and the tensor that they become part of."""

    time: int
    start: int
    end: int
    tensor: str


def spans(graph: Graph) -> dict[str, Span]:
    """When each tensor must hold its value; inputs begin BEFORE, kept tensors end at len(ops)."""
    producer, consumers, kept = graph.producer(), graph.consumers(), graph.kept()
    found = {}
    for name in graph.tensors:
        first = producer.get(name, BEFORE)
        found[name] = Span(first, len(graph.ops) if name in kept else max(consumers[name], default=first))
    return found


class Sharing:
    """The groups of a graph's tensors in the arena.

    Args:
        in_place: indices of ops whose first result, no larger, may begin where their first input does; besides those
            of OVERWRITES.
        ways: what is joined besides pieces, in this order.

    Attributes:
        groups: a tensor's name to the tensors that share bytes with it and where they begin, in bytes.
        settled: indices of the concatenations that have nothing left to copy.
    """

    def __init__(self, graph: Graph, in_place: Collection[int], ways: Collection[Way] = ("join", "overwrite")) -> None:
        self.graph, self.spans, self.producer = graph, spans(graph), graph.producer()
        self._sizes = {name: tensor.nbytes for name, tensor in graph.tensors.items()}
        self._views, self._roots = views(graph), roots(graph)
        elsewhere = {*graph.constants, *(state.tensor for state in graph.states)}
        own = [name for name in graph.tensors if self._roots[name][0] not in elsewhere]
        self._homes = {name: (name, 0) for name in own}
        self.groups: dict[str, dict[str, int]] = {name: {name: 0} for name in own}
        self._copied: dict[str, dict[int, int]] = {}  # result of a concatenation to the pieces it copies, start to end
        self._take_views()
        for way in ways:
            self._join_all() if way == "join" else self._overwrite_all(in_place)
        self.settled = {self.producer[name] for name, pieces in self._copied.items() if not pieces}

    def _take_views(self) -> None:
        for index, offset in self._views.items():
            op = self.graph.ops[index]
            if op.inputs[0] in self._homes:
                self._put(op.outputs[0], op.inputs[0], offset)

    def _join_all(self) -> None:
        """Let the inputs of concatenations lie where they would be copied to."""
        for op in self.graph.ops:
            if op.kind == "concat" and math.prod(self._shape(op.outputs[0])[: cast(int, op.attrs["axis"])]) == 1:
                self._join(op)

    def _shape(self, name: str) -> tuple[int, ...]:
        return self.graph.tensors[name].shape

    def _join(self, op: Op) -> None:
        """One by one; the caller's inputs and what lies outside the arena have to be copied."""
        (y,), end = op.outputs, 0
        pieces = self._copied[y] = {}
        places = []
        for x in op.inputs:
            places.append((x, end))
            end += self._sizes[x]
            pieces[places[-1][1]] = end
        for x, start in places:
            if x in self._homes and self._roots[x][0] not in self.graph.inputs and start % WORD_BYTES == 0:
                stop = pieces.pop(start)
                if not self._agree(x, y, start):
                    pieces[start] = stop

    def _overwrite_all(self, in_place: Collection[int]) -> None:
        """Let results take the place of inputs that die, where the op's kernel allows it."""
        for index, op in enumerate(self.graph.ops):
            for name in op.inputs[: OVERWRITES.get(op.kind, int(index in in_place))]:
                x, y = self.graph.tensors[name], self.graph.tensors[op.outputs[0]]
                same = (x.shape == y.shape and x.nbytes == y.nbytes) or (index in in_place and x.nbytes >= y.nbytes)
                once = op.inputs.count(name) == 1
                if same and once and name in self._homes and self._agree(y.name, name, 0, over=name):
                    break

    def _agree(self, a: str, b: str, offset: int, over: str = "") -> bool:
        """Put a `offset` bytes behind where b begins, unless that loses anything.

        Args:
            over: a tensor that the op which makes a may write over, from its beginning on.

        Returns:
            Whether a lies there now.
        """
        (group, start), (other, place) = self._homes[a], self._homes[b]
        if group == other:
            return not over and start == place + offset
        shift = place + offset - start
        low, high = self._extent(group)
        other_low, other_high = self._extent(other)
        reach = max(high + shift, other_high) - min(low + shift, other_low)
        if reach > max(high - low, other_high - other_low) or self._clash(group, other, shift, over):
            return False
        self._put(a, b, offset)
        return True

    def _put(self, a: str, b: str, offset: int) -> None:
        (group, start), (other, place) = self._homes[a], self._homes[b]
        for name, at in self.groups.pop(group).items():
            self._homes[name] = (other, at + place + offset - start)
            self.groups[other][name] = at + place + offset - start

    def _extent(self, group: str) -> tuple[int, int]:
        places = self.groups[group]
        return min(places.values()), max(at + self._sizes[name] for name, at in places.items())

    def _clash(self, group: str, other: str, shift: int, over: str) -> bool:
        """Whether a write of one group would hit a value of the other that is still needed."""
        pairs = ((group, other, shift), (other, group, -shift))
        return any(
            self._hits(write, name, at, over)
            for writing, holding, move in pairs
            for write in self._writes(writing, move)
            for name, at in self.groups[holding].items()
        )

    def _writes(self, group: str, shift: int) -> Iterator[Write]:
        for name, at in self.groups[group].items():
            time = self.producer.get(name, BEFORE)
            if time == BEFORE or time in self._views:
                continue
            for start, end in self._copied.get(name, {0: self._sizes[name]}).items():
                yield Write(time, at + shift + start, at + shift + end, name)

    def _hits(self, write: Write, name: str, at: int, over: str) -> bool:
        """Whether a write falls on tensor `name` at `at` while that is needed."""
        first, last = self.spans[name]
        if not first <= write.time <= last or write.end <= at or at + self._sizes[name] <= write.start:
            return False
        if first == write.time:
            return True  # two results of one op
        return not (last == write.time and name == over and write.start == at and write.tensor in self._made_over(over))

    def _made_over(self, name: str) -> tuple[str, ...]:
        """First result of the op that reads `name` last."""
        return self.graph.ops[self.spans[name].last].outputs[:1]
