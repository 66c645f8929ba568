"""Band by band with line buffers: each layer makes only rows that are new, rows needed again are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgesmith.compile.patch.pieces import Piece, Writer
from edgesmith.compile.patch.reach import AXES, Span, clipped
from edgesmith.compile.patch.stage import Stage, pieces
from edgesmith.core.graph import Graph

ROWS = AXES[0]


@dataclass(frozen=True)
class Lines:
    """Rows of a stage over its bands.

    Attributes:
        made: for each band, result to the rows that are new in it; a result without new rows is missing.
        kept: for each band, tensor to the rows from an earlier band that this one or a later one still reads.
    """

    made: tuple[dict[str, Span], ...]
    kept: tuple[dict[str, Span], ...]


def lines(stage: Stage, count: int) -> Graph:
    """The graph with its stage run in `count` bands of full width; nothing is computed twice."""
    writer, rows = Writer(stage), rows_of(stage, count)
    held: dict[str, Piece] = {name: writer.whole(name) for name in stage.sources}
    bands = []
    for band, made in enumerate(rows.made):
        mark = f"{band}"
        for position, op in enumerate(stage.ops):
            result = op.outputs[0]
            if result not in made:
                continue
            width = (0, stage.size(result, AXES[1]))
            piece = writer.compute(position, (made[result], width), held, mark)
            if result == stage.cut:
                bands.append(piece)
            kept = rows.kept[band].get(result)
            if kept:
                old = writer.cut(held[result], (kept, width), result, mark)
                piece = writer.join([old, piece], ROWS, result, f"{mark}/rows")
            held[result] = piece
        for name, span in (rows.kept[band + 1] if band + 1 < len(rows.made) else {}).items():
            # Cut at once, so that the rest of the band's rows can go.
            held[name] = writer.cut(held[name], (span, held[name].region[1]), name, f"{mark}/kept")
    return writer.finish(writer.join(bands, ROWS, stage.cut, "joined"))


def rows_of(stage: Stage, count: int) -> Lines:
    """Which rows each band makes and keeps."""
    results = [op.outputs[0] for op in stage.ops]
    whole = stage.spans(ROWS, (0, stage.size(stage.cut, ROWS)))
    ends = [_ends(stage, span[1], whole) for span in pieces(stage.size(stage.cut, ROWS), count)]
    done = {name: whole[name][0] for name in results}
    made: list[dict[str, Span]] = []
    for reached in ends:
        new = {name: (done[name], reached[name]) for name in results if reached[name] > done[name]}
        done |= {name: span[1] for name, span in new.items()}
        made.append(new)
    return Lines(tuple(made), _kept(stage, made))


def _ends(stage: Stage, end: int, whole: dict[str, Span]) -> dict[str, int]:
    """The row before which each result must be there, so that the cut is there before row `end`."""
    needed = {stage.cut: end}
    for position in reversed(range(len(stage.indices))):
        result = stage.ops[position].outputs[0]
        needed[result] = reached = _reached(stage, position, (whole[result][0], needed[result]))
        for name, reach in stage.split_inputs(position):
            read = clipped(reach[0].back((whole[result][0], reached)), stage.size(name, ROWS))
            needed[name] = max(needed.get(name, 0), read[1])
    return needed


def _reached(stage: Stage, position: int, span: Span) -> int:
    """The end of `span` of an op's result, moved on until neither it nor the rest is padding alone."""
    first, end = span
    full = stage.size(stage.ops[position].outputs[0], ROWS)
    end = stage.widened(position, ROWS, (first, end))[1]
    for name, reach in stage.split_inputs(position):
        if end < full and reach[0].stride and reach[0].back((end, full))[0] >= stage.size(name, ROWS):
            end = full
    return end


def _kept(stage: Stage, made: Sequence[Mapping[str, Span]]) -> tuple[dict[str, Span], ...]:
    """Rows kept for each band: from the first that it or a later band reads to the last that is there."""
    results = {op.outputs[0] for op in stage.ops}
    first: dict[str, int] = {}  # row that is still read, going back through the bands
    found = []
    there = {name: max(band[name][1] for band in made if name in band) for name in results}
    for band in reversed(made):
        there |= {name: span[0] for name, span in band.items()}
        for position, op in enumerate(stage.ops):
            if (new := band.get(op.outputs[0])) is None:
                continue
            for name, reach in stage.split_inputs(position):
                read = clipped(reach[0].back(new), stage.size(name, ROWS))
                first[name] = min(first.get(name, read[0]), read[0])
        found.append({n: (first[n], there[n]) for n in results if n in first and first[n] < there[n]})
    return tuple(reversed(found))

