"""Ops on pieces of tensors: what `patches` and `lines` write their programs with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgesmith.compile.patch.reach import AXES, WINDOWS, Span, clipped
from edgesmith.compile.patch.stage import Stage
from edgesmith.core.graph import Attr, Graph, Op, Tensor
from edgesmith.core.ops import attrs_of

Region = tuple[Span, Span]  # rows and columns of an image


@dataclass(frozen=True)
class Piece:
    """A rectangle of a stage's tensor, held in a tensor of its own."""

    name: str
    region: Region


@dataclass
class Writer:
    """Writes the ops that take a stage's place.

    Attributes:
        ops, tensors: written so far.
        cuts: (tensor, region) to the piece that was cut there, so that no piece is cut twice.
    """

    stage: Stage
    ops: list[Op] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    cuts: dict[tuple[str, Region], str] = field(default_factory=dict)

    def whole(self, name: str) -> Piece:
        """A source, which is there whole."""
        return Piece(name, ((0, self.stage.size(name, AXES[0])), (0, self.stage.size(name, AXES[1]))))

    def cut(self, piece: Piece, region: Region, original: str, mark: str) -> Piece:
        """The part of a piece that lies in `region`.

        Args:
            original: the stage's tensor it is a piece of.
            mark: of the names that are made, so that they differ from piece to piece.
        """
        if region == piece.region:
            return piece
        if (piece.name, region) not in self.cuts:
            (top, bottom), (left, right) = (
                (span[0] - own[0], span[1] - own[0]) for span, own in zip(region, piece.region, strict=True)
            )
            channels = self.stage.graph.tensors[original].shape[3]
            attrs = {"starts": (0, top, left, 0), "ends": (1, bottom, right, channels), "steps": (1, 1, 1, 1)}
            rows, columns = region
            place = f"{rows[0]}-{rows[1]}.{columns[0]}-{columns[1]}"
            slicing = Op("slice", (piece.name,), (), attrs, original)
            name = self.make(slicing, original, region, f"{mark}/cut/{place}")
            self.cuts[piece.name, region] = name
        return Piece(self.cuts[piece.name, region], region)

    def join(self, parts: Sequence[Piece], axis: int, original: str, mark: str) -> Piece:
        """Pieces that lie side by side along an axis, as one."""
        if len(parts) == 1:
            return parts[0]
        along = (parts[0].region[axis - 1][0], parts[-1].region[axis - 1][1])
        rows, columns = (along if axis == each else parts[0].region[each - 1] for each in AXES)
        joining = Op("concat", tuple(p.name for p in parts), (), {"axis": axis}, original)
        name = self.make(joining, original, (rows, columns), mark)
        return Piece(name, (rows, columns))

    def compute(self, position: int, made: Region, held: Mapping[str, Piece], mark: str) -> Piece:
        """The op at `position` of the stage on pieces: the region `made` of its result.

        Args:
            held: the stage's tensors as they are there, each at least as large as the op reads.
        """
        op = self.stage.ops[position]
        outside: list[tuple[int, int]] = [(0, 0), (0, 0)]
        names, sizes = [], (0, 0)
        for name, reach in zip(op.inputs, self.stage.reaches[position], strict=True):
            if reach is None:
                names.append(name)
                continue
            raw = [reach[axis - 1].back(made[axis - 1]) for axis in AXES]
            full = [self.stage.size(name, axis) for axis in AXES]
            rows, columns = (clipped(span, size) for span, size in zip(raw, full, strict=True))
            outside = [(max(0, -r[0]), max(0, r[1] - size)) for r, size in zip(raw, full, strict=True)]
            names.append(self.cut(held[name], (rows, columns), name, mark).name)
            sizes = (rows[1] - rows[0], columns[1] - columns[0])
        attrs = adjusted(op, outside, sizes)
        result = op.outputs[0]
        needless = op.kind == "pad" and not any((*attrs["before"], *attrs["after"]))  # type: ignore[misc]
        if needless and result != self.stage.cut:
            return Piece(names[0], made)
        return Piece(self.make(replace(op, inputs=tuple(names), attrs=attrs), result, made, mark), made)

    def make(self, op: Op, original: str, region: Region, mark: str) -> str:
        """Append an op whose result is `region` of the tensor `original`; returns the result's name.

        Args:
            op: on pieces already; its outputs are replaced, its name is marked.
        """
        like = self.stage.graph.tensors[original]
        (top, bottom), (left, right) = region
        name = f"{original}:{mark}"
        self.tensors[name] = replace(like, name=name, shape=(1, bottom - top, right - left, like.shape[3]))
        self.ops.append(replace(op, outputs=(name,), name=f"{op.name or op.kind}:{mark}"))
        return name

    def finish(self, last: Piece) -> Graph:
        """The graph with what was written in place of the stage; `last` becomes the cut."""
        graph, stage = self.stage.graph, self.stage
        inside = set(stage.indices)
        written = [_renamed(op, last.name, stage.cut) for op in self.ops]
        before = [op for i, op in enumerate(graph.ops) if i not in inside and i < stage.indices[-1]]
        after = [op for i, op in enumerate(graph.ops) if i > stage.indices[-1]]
        gone = {op.outputs[0] for op in stage.ops} - {stage.cut}
        kept = {name: tensor for name, tensor in graph.tensors.items() if name not in gone}
        made = {name: tensor for name, tensor in self.tensors.items() if name != last.name}
        return replace(graph, ops=(*before, *written, *after), tensors={**kept, **made})


def _renamed(op: Op, old: str, new: str) -> Op:
    swap = {old: new}
    return replace(
        op, inputs=tuple(swap.get(n, n) for n in op.inputs), outputs=tuple(swap.get(n, n) for n in op.outputs)
    )


def adjusted(op: Op, outside: Sequence[tuple[int, int]], sizes: tuple[int, int]) -> dict[str, Attr]:
    """The op's attributes on a piece: only what lies outside the image is padded.

    Args:
        outside: cells before and after the image that the piece reaches, along height and width.
        sizes: rows and columns of the piece it reads.
    """
    attrs: dict[str, Attr] = dict(op.attrs)
    (top, bottom), (left, right) = outside
    if op.kind in WINDOWS:
        attrs["padding"] = (top, bottom, left, right)
    elif op.kind == "pad":
        full = attrs_of(op)
        attrs["before"] = (0, top, left, full["before"][3])  # type: ignore[index]
        attrs["after"] = (0, bottom, right, full["after"][3])  # type: ignore[index]
    elif op.kind == "slice":
        full = attrs_of(op)
        attrs["starts"] = (0, 0, 0, full["starts"][3])  # type: ignore[index]
        attrs["ends"] = (1, *sizes, full["ends"][3])  # type: ignore[index]
    return attrs
