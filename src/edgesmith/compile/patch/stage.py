"""The part of a program that runs piece by piece: everything one tensor is made from, as far as it can be split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from edgesmith.compile.patch.reach import AXES, Reaches, Span, clipped, hull, reaches, widened
from edgesmith.core.errors import Unsupported
from edgesmith.core.graph import Graph, Op
from edgesmith.core.ops import macs

Spans = Mapping[str, Span]  # tensor name to cells along one axis


@dataclass(frozen=True)
class Stage:
    """Ops that are run piece by piece.

    Attributes:
        cut: the tensor they make, (1, H, W, C).
        indices: of the ops in the graph, in order.
        reaches: for each of the ops, how the result reaches each input; None for an input that is read whole.
        sources: tensors that pieces are cut from: inputs of the graph, or results of other ops.
    """

    graph: Graph
    cut: str
    indices: tuple[int, ...]
    reaches: tuple[tuple[Reaches | None, ...], ...]
    sources: tuple[str, ...]

    @cached_property
    def ops(self) -> tuple[Op, ...]:
        """The ops themselves."""
        return tuple(self.graph.ops[index] for index in self.indices)

    def size(self, name: str, axis: int) -> int:
        """Cells of a tensor along an axis."""
        return self.graph.tensors[name].shape[axis]

    @cached_property
    def split(self) -> tuple[tuple[tuple[str, Reaches], ...], ...]:
        """For each op the inputs that are split, each with its reaches."""
        return tuple(
            tuple((name, reach) for name, reach in zip(op.inputs, found, strict=True) if reach)
            for op, found in zip(self.ops, self.reaches, strict=True)
        )

    @cached_property
    def read_last(self) -> tuple[tuple[str, ...], ...]:
        """For each op the stage's own results that no op after it reads."""
        own = {op.outputs[0] for op in self.ops}
        last = {name: position for position, pairs in enumerate(self.split) for name, _ in pairs if name in own}
        found: list[list[str]] = [[] for _ in self.ops]
        for name, position in last.items():
            found[position].append(name)
        return tuple(map(tuple, found))

    @cached_property
    def cell_macs(self) -> tuple[int, ...]:
        """For each op the multiply-accumulates of one cell of its result, all channels."""
        cells = (self.size(op.outputs[0], AXES[0]) * self.size(op.outputs[0], AXES[1]) for op in self.ops)
        return tuple(macs(self.graph, op) // count for op, count in zip(self.ops, cells, strict=True))

    def widened(self, position: int, axis: int, span: Span) -> Span:
        """What an op must make of its result so that it holds `span` and needs some of every split input."""
        result = self.ops[position].outputs[0]
        for name, reach in self.split[position]:
            span = widened(reach[axis - 1], span, self.size(name, axis), self.size(result, axis))
        return span

    def spans(self, axis: int, span: Span) -> dict[str, Span]:
        """Cells along an axis of every tensor of the stage that a piece of the cut needs, its halo included.

        A tensor that several ops read is made once, as large as they need together.
        """
        needed: dict[str, Span] = {self.cut: span}
        for position in reversed(range(len(self.indices))):
            result = self.ops[position].outputs[0]
            needed[result] = made = self.widened(position, axis, needed[result])
            for name, reach in self.split[position]:
                read = clipped(reach[axis - 1].back(made), self.size(name, axis))
                needed[name] = hull(needed.get(name), read)
        return needed


def stage_of(graph: Graph, cut: str) -> Stage:
    """The stage that makes tensor `cut`: all ops behind it that can be split and whose results nothing else needs.

    Raises:
        Unsupported: the tensor is no image, or nothing that makes it can be split.
    """
    if cut not in graph.tensors:
        raise Unsupported(f"patch: there is no tensor {cut!r}.")
    known = {i: found for i, op in enumerate(graph.ops) if (found := reaches(graph, op)) is not None}
    needed_elsewhere: set[str] = set()
    while True:
        chosen = _behind(graph, cut, known, needed_elsewhere)
        if not chosen:
            raise Unsupported(
                f"patch: {cut!r} cannot be made piece by piece; need a result of convolutions, pooling or elementwise "
                "ops over an image."
            )
        outside = _read_outside(graph, chosen) - {cut}
        if not outside - needed_elsewhere:
            break
        needed_elsewhere |= outside
    made = {graph.ops[i].outputs[0] for i in chosen}
    pairs = [(n, r) for i in chosen for n, r in zip(graph.ops[i].inputs, known[i], strict=True)]
    sources = tuple(dict.fromkeys(name for name, reach in pairs if reach and name not in made))
    return Stage(graph, cut, tuple(chosen), tuple(known[i] for i in chosen), sources)


def _behind(graph: Graph, cut: str, known: Mapping[int, Sequence[Reaches | None]], whole: set[str]) -> list[int]:
    """Indices of the ops that pieces of `cut` are made by; tensors in `whole` are not split any further."""
    wanted, chosen = {cut}, []
    for index in reversed(range(len(graph.ops))):
        op = graph.ops[index]
        if index in known and op.outputs[0] in wanted and op.outputs[0] not in whole:
            chosen.append(index)
            wanted |= {name for name, reach in zip(op.inputs, known[index], strict=True) if reach}
    return sorted(chosen)


def _read_outside(graph: Graph, chosen: Sequence[int]) -> set[str]:
    """Results of the chosen ops that something else needs whole: another op, an output, a state."""
    inside = set(chosen)
    made = {graph.ops[i].outputs[0] for i in chosen}
    read = {name for i, op in enumerate(graph.ops) if i not in inside for name in op.inputs}
    return made & (read | graph.kept() | _whole_operands(graph, chosen))


def _whole_operands(graph: Graph, chosen: Sequence[int]) -> set[str]:
    found: set[str] = set()
    for index in chosen:
        op = graph.ops[index]
        pairs = zip(op.inputs, reaches(graph, op) or (), strict=True)
        found |= {name for name, reach in pairs if reach is None}
    return found


def pieces(size: int, count: int) -> list[Span]:
    """An axis of `size` cells in `count` parts, the larger ones first.

    >>> pieces(10, 4)
    [(0, 3), (3, 6), (6, 8), (8, 10)]
    """
    ends = [sum(size // count + (i < size % count) for i in range(part + 1)) for part in range(count)]
    return list(zip([0, *ends[:-1]], ends, strict=True))
