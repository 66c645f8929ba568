"""Patch by patch: each patch of the cut is made from its own receptive field, halos are computed again."""

from edgesmith.compile.patch.pieces import Piece, Writer
from edgesmith.compile.patch.reach import AXES, Span, length
from edgesmith.compile.patch.stage import Stage, pieces
from edgesmith.core.graph import Graph

Grid = tuple[int, int]  # patches along height and width
Parts = tuple[dict[str, Span], ...]  # for each patch along an axis, tensor name to the cells it needs


def patches(stage: Stage, grid: Grid) -> Graph:
    """The graph with its stage run patch by patch (arXiv:2110.15352, section 3.1).

    Borders of the image keep their padding, borders between patches read the neighbour's cells, so every value is
    what it was.
    """
    writer = Writer(stage)
    tall, wide = spans_of(stage, grid)
    bands = []
    for r, rows in enumerate(tall):
        parts = []
        for c, columns in enumerate(wide):
            mark = f"{r}.{c}"
            held: dict[str, Piece] = {}
            for name in stage.sources:
                held[name] = writer.cut(writer.whole(name), (rows[name], columns[name]), name, mark)
            for position, op in enumerate(stage.ops):
                result = op.outputs[0]
                held[result] = writer.compute(position, (rows[result], columns[result]), held, mark)
            wanted = (own(stage, 1, grid[0])[r], own(stage, 2, grid[1])[c])
            parts.append(writer.cut(held[stage.cut], wanted, stage.cut, mark))
        bands.append(writer.join(parts, AXES[1], stage.cut, f"{r}"))
    return writer.finish(writer.join(bands, AXES[0], stage.cut, "joined"))


def own(stage: Stage, axis: int, count: int) -> list[Span]:
    """The cells of the cut that each patch along an axis makes."""
    return pieces(stage.size(stage.cut, axis), count)


def spans_of(stage: Stage, grid: Grid) -> tuple[Parts, Parts]:
    """Rows of every tensor for each row of patches, and columns for each column."""
    return parts(stage, AXES[0], grid[0]), parts(stage, AXES[1], grid[1])


def parts(stage: Stage, axis: int, count: int) -> Parts:
    """Cells along an axis of every tensor for each of `count` patches."""
    return tuple(stage.spans(axis, span) for span in own(stage, axis, count))


def patch_macs(stage: Stage, tall: Parts, wide: Parts) -> int:
    """Multiply-accumulates of the stage, halos included.

    Args:
        tall, wide: of `spans_of`.
    """
    total = 0
    for op, each in zip(stage.ops, stage.cell_macs, strict=True):
        rows, columns = (sum(length(spans[op.outputs[0]]) for spans in part) for part in (tall, wide))
        total += each * rows * columns
    return total
