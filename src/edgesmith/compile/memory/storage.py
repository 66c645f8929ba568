"""The buffers of a graph: what lies in each, which bytes of it are in use when, and which may overlap."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from edgesmith.compile.memory.sharing import Sharing, Span
from edgesmith.core.graph import Graph

ALIGNMENT = 16  # bytes, of a buffer: enough for any element type and for 128-bit loads


@dataclass(frozen=True)
class Demands:
    """What the kernels need and allow.

    Attributes:
        scratch_bytes: op index to the bytes of scratch its kernel needs.
        lead_bytes: op index to the bytes that its first result must begin before its first input to lie over it.
        in_place: indices of ops whose first result, no larger, may begin where their first input does, besides those
            of sharing.OVERWRITES.
    """

    scratch_bytes: Mapping[int, int] = field(default_factory=dict)
    lead_bytes: Mapping[int, int] = field(default_factory=dict)
    in_place: Collection[int] = ()

    def permuted(self, order: Sequence[int]) -> "Demands":
        """Of the ops in another order: the indices that come first, second and so on."""
        new = {old: index for index, old in enumerate(order)}
        return Demands(
            {new[i]: size for i, size in self.scratch_bytes.items()},
            {new[i]: lead for i, lead in self.lead_bytes.items()},
            {new[i] for i in self.in_place},
        )


@dataclass(frozen=True)
class Part:
    """Bytes of a buffer and when they are in use.

    Attributes:
        name: of the tensor that they hold first, or "<op>:scratch"; a tensor's further parts add where they begin.
        offset: in the buffer.
        first, last: indices of the first and last op that use them; inputs start at 0, kept tensors end at len(ops).
    """

    name: str
    offset: int
    nbytes: int
    first: int
    last: int

    @property
    def end(self) -> int:
        """Offset behind it."""
        return self.offset + self.nbytes


@dataclass(frozen=True)
class Buffer:
    """Bytes that are placed together.

    Attributes:
        name: of the first tensor in it, or "<op>:scratch".
        tensors: those that live in it, and the byte offset of each.
        parts: by offset; they cover all of it that is ever used.
    """

    name: str
    tensors: Mapping[str, int] = field(hash=False)
    parts: tuple[Part, ...]

    @cached_property
    def nbytes(self) -> int:
        """Size."""
        return max(part.end for part in self.parts)

    @cached_property
    def first(self) -> int:
        """Index of the first op that uses it."""
        return min(part.first for part in self.parts)

    @cached_property
    def last(self) -> int:
        """Index of the last op that uses it."""
        return max(part.last for part in self.parts)

    def live_bytes(self, time: int) -> int:
        """Bytes in use at op `time`."""
        return sum(part.nbytes for part in self.parts if part.first <= time <= part.last)


@dataclass(frozen=True)
class Overlap:
    """A result that may lie over an input that dies where it is made.

    Attributes:
        dying, made: names of the parts of the input and of the result.
        gap: bytes by which the result's buffer must begin before the input's, at least.
        time: index of the op.
        saved: most bytes that overlapping saves.
    """

    dying: frozenset[str]
    made: frozenset[str]
    gap: int
    time: int
    saved: int


def whole(name: str, nbytes: int, first: int, last: int) -> Buffer:
    """A buffer of one part that holds one tensor."""
    return Buffer(name, {name: 0}, (Part(name, 0, nbytes, first, last),))


def scratch_buffers(scratch_bytes: Mapping[int, int]) -> tuple[Buffer, ...]:
    """What kernels need beside their tensors: op index to bytes."""
    names = {i: f"{i}:scratch" for i, size in scratch_bytes.items() if size > 0}
    return tuple(Buffer(name, {}, (Part(name, 0, scratch_bytes[i], i, i),)) for i, name in names.items())


def buffers(sharing: Sharing) -> tuple[Buffer, ...]:
    """The groups of tensors that share bytes."""
    return tuple(_buffer(sharing, places) for places in sharing.groups.values())


def _buffer(sharing: Sharing, places: Mapping[str, int]) -> Buffer:
    order = {name: index for index, name in enumerate(sharing.graph.tensors)}
    low = min(places.values())
    tensors = {name: places[name] - low for name in sorted(places, key=lambda name: order[name])}
    edges = sorted({edge for name, at in tensors.items() for edge in (at, at + sharing.graph.tensors[name].nbytes)})
    parts: list[Part] = []
    for start, end in zip(edges, edges[1:], strict=False):
        if (part := _part(sharing, tensors, start, end)) is None:
            continue
        before = parts[-1] if parts else None
        if before and (before.end, before.first, before.last) == (start, part.first, part.last):
            parts[-1] = Part(before.name, before.offset, end - before.offset, part.first, part.last)
        else:
            parts.append(part)
    return Buffer(next(iter(tensors)), tensors, tuple(parts))


def _part(sharing: Sharing, tensors: Mapping[str, int], start: int, end: int) -> Part | None:
    """The bytes [start, end), which no tensor's edge divides."""
    sizes = sharing.graph.tensors
    here = [name for name, at in tensors.items() if at <= start and end <= at + sizes[name].nbytes]
    if not here:
        return None
    first = min(here, key=lambda name: sharing.spans[name].first)
    span = Span(max(sharing.spans[first].first, 0), max(sharing.spans[name].last for name in here))
    name = first if tensors[first] == start else f"{first}+{start - tensors[first]}"
    return Part(name, start, end - start, max(span.first, 0), max(span.last, 0))


def overlaps(graph: Graph, items: Collection[Buffer], lead_bytes: Mapping[int, int]) -> tuple[Overlap, ...]:
    """What may overlap: an op's first input that dies there, and its first result made there.

    Args:
        lead_bytes: op index to the bytes that the result must begin before the input.
    """
    homes = {name: buffer for buffer in items for name in buffer.tensors}
    found = []
    for index, lead in lead_bytes.items():
        op = graph.ops[index]
        x, y = op.inputs[0], op.outputs[0]
        others = {homes[name].name for name in op.inputs[1:] if name in homes}
        if x not in homes or y not in homes or homes[x] is homes[y] or homes[x].name in others:
            continue
        dying = [part for part in _parts_of(graph, homes[x], x) if part.last == index]
        made = [part for part in _parts_of(graph, homes[y], y) if part.first == index]
        if dying and made:
            x_bytes, y_bytes = (sum(part.nbytes for part in parts) for parts in (dying, made))
            gap = lead + homes[y].tensors[y] - homes[x].tensors[x]
            x_names, y_names = (frozenset(part.name for part in parts) for parts in (dying, made))
            simple = len(homes[x].parts) == len(homes[y].parts) == 1
            rounded = align if simple else int
            together = max(rounded(y_bytes), rounded(lead) + rounded(x_bytes))
            saved = max(0, align(x_bytes) + align(y_bytes) - together)
            found.append(Overlap(x_names, y_names, gap, index, saved))
    return tuple(found)


def _parts_of(graph: Graph, buffer: Buffer, tensor: str) -> list[Part]:
    start = buffer.tensors[tensor]
    end = start + graph.tensors[tensor].nbytes
    return [part for part in buffer.parts if start <= part.offset and part.end <= end]


def align(nbytes: int) -> int:
    """Rounded up to the alignment."""
    return -(-nbytes // ALIGNMENT) * ALIGNMENT
