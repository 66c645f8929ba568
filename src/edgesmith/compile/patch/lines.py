"""Band by band with line buffers: each layer makes only rows that are new, rows needed again are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgesmith.compile.patch.pieces import Piece, Writer
from edgesmith.compile.patch.reach import AXES, Reach, Span, clipped, length
from edgesmith.compile.patch.stage import Stage
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
    """The graph with its stage run in `count` bands of full width; nothing is computed twice.

    Args:
        count: bands; each takes an equal share of the sources' rows, and every layer goes as far as those allow.
    """
    writer, rows = Writer(stage), rows_of(stage, count)
    held: dict[str, Piece] = {name: writer.whole(name) for name in stage.sources}
    bands = []
    for band, made in enumerate(rows.made):
        kept = rows.kept[band + 1] if band + 1 < count else {}
        for position, op in enumerate(stage.ops):
            if (result := op.outputs[0]) in made:
                held[result] = _advance(writer, position, made[result], held, f"{band}")
                if result == stage.cut:
                    bands.append(held[result])
            for name in stage.read_last[position]:
                # What is still needed is cut out at once, so that the other rows' bytes are free again.
                if name in kept:
                    held[name] = writer.cut(held[name], (kept[name], held[name].region[1]), name, f"{band}/kept")
                else:
                    held.pop(name, None)
    return writer.finish(writer.join(bands, ROWS, stage.cut, "joined"))


def _advance(writer: Writer, position: int, new: Span, held: Mapping[str, Piece], mark: str) -> Piece:
    """The new rows of an op's result, below those of it that are kept."""
    stage = writer.stage
    result = stage.ops[position].outputs[0]
    piece = writer.compute(position, (new, (0, stage.size(result, AXES[1]))), held, mark)
    if result not in held or result == stage.cut:
        return piece
    return writer.join([held[result], piece], ROWS, result, f"{mark}/rows")


def rows_of(stage: Stage, count: int) -> Lines:
    """Which rows each band makes and keeps; every op goes as far as the rows of its inputs that are due."""
    whole = stage.spans(ROWS, (0, stage.size(stage.cut, ROWS)))
    results = [op.outputs[0] for op in stage.ops]
    made: list[dict[str, Span]] = []
    done = {name: whole[name][0] for name in results}
    for band in range(count):
        due = {name: whole[name][0] + -(-(band + 1) * length(whole[name]) // count) for name in stage.sources}
        for position, result in enumerate(results):
            due[result] = _reached(stage, position, (done[result], whole[result][1]), whole, due)
        new = {name: (done[name], due[name]) for name in results if due[name] > done[name]}
        done |= {name: span[1] for name, span in new.items()}
        made.append(new)
    return Lines(tuple(made), _kept(stage, made))


def _reached(stage: Stage, position: int, left: Span, whole: Mapping[str, Span], due: Mapping[str, int]) -> int:
    """The last row, and one, to which an op can go with the rows of its inputs that are due.

    Args:
        left: rows of its result that are not made yet.
    """
    ends = [left[1]]
    for name, reach in stage.split[position]:
        end, step = left[0], reach[0].repeat
        while end < left[1]:
            read = clipped(reach[0].back((end, further := (end // step + 1) * step)), stage.size(name, ROWS))
            if read[1] > (due[name] if reach[0].stride else whole[name][1]):
                break
            end = further
        ends.append(min(end, left[1]))
    reached = min(ends)
    padding = any(empty(stage, name, reach[0], (left[0], reached)) for name, reach in stage.split[position])
    return left[0] if padding else reached


def empty(stage: Stage, name: str, reach: Reach, span: Span) -> bool:
    """Whether rows of a result read no row of an input: they are padding alone."""
    if span[0] >= span[1]:
        return False
    first, end = clipped(reach.back(span), stage.size(name, ROWS))
    return first >= end


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
            for name, reach in stage.split[position]:
                read = clipped(reach[0].back(new), stage.size(name, ROWS))
                first[name] = min(first.get(name, read[0]), read[0])
        found.append({n: (first[n], there[n]) for n in results if n in first and first[n] < there[n]})
    return tuple(reversed(found))
