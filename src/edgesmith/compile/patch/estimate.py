"""Bytes a stage takes under a schedule, reckoned without writing its program: a guide for the search, not a plan."""

from collections.abc import Mapping

import numpy as np

from edgesmith.compile.memory.sharing import OVERWRITES, Sharing
from edgesmith.compile.memory.storage import buffers
from edgesmith.compile.patch.lines import Lines, rows_of
from edgesmith.compile.patch.patches import Parts
from edgesmith.compile.patch.reach import AXES, Span, clipped, length
from edgesmith.compile.patch.stage import Stage
from edgesmith.core.graph import Graph


def live_bytes(graph: Graph) -> np.ndarray:
    """Bytes in use at each op of a program, kernels' scratch not counted: (ops + 1,)."""
    change = np.zeros(len(graph.ops) + 2, np.int64)
    for buffer in buffers(Sharing(graph, ())):
        for part in buffer.parts:
            change[part.first] += part.nbytes
            change[part.last + 1] -= part.nbytes
    return np.cumsum(change)[:-1]


def outside_bytes(stage: Stage, live: np.ndarray) -> int:
    """Most bytes in use where the stage does not run.

    Args:
        live: of `live_bytes` of the graph as it is.
    """
    inside = set(stage.indices)
    return int(max((live[i] for i in range(len(live)) if i not in inside), default=0))


def standing_bytes(stage: Stage) -> int:
    """The larger of what a stage begins and ends with: no schedule takes less."""
    sources = sum(stage.graph.tensors[name].nbytes for name in stage.sources)
    return max(sources, stage.graph.tensors[stage.cut].nbytes)


def cell_bytes(stage: Stage, name: str) -> int:
    """Bytes of one cell of a tensor, all channels."""
    tensor = stage.graph.tensors[name]
    return tensor.nbytes // (tensor.shape[1] * tensor.shape[2])


def row_bytes(stage: Stage, name: str) -> int:
    """Bytes of one row of a tensor."""
    return cell_bytes(stage, name) * stage.size(name, AXES[1])


def patches_bytes(stage: Stage, tall: Parts, wide: Parts) -> int:
    """Most bytes in use while a patch is made.

    Patches as wide as the image are pieces of the sources' bytes, and rows that no later one reads are free; others
    are cut out, and a band's patches wait beside one another.

    Args:
        tall, wide: of `spans_of`.
    """
    columns = max(wide, key=lambda spans: sum(map(length, spans.values())))
    most = 0
    for index, rows in enumerate(tall):
        done = stage.size(stage.cut, AXES[0]) * (index + 1) // len(tall) * row_bytes(stage, stage.cut)
        sizes = {n: length(rows[n]) * length(columns[n]) * cell_bytes(stage, n) for n in rows}
        if len(wide) == 1:
            sizes |= dict.fromkeys(stage.sources, 0)
            standing = done + sum(_left(stage, n, rows[n][0]) for n in stage.sources)
        else:
            band = length(rows[stage.cut]) * row_bytes(stage, stage.cut)
            standing = done + band + sum(stage.graph.tensors[n].nbytes for n in stage.sources)
        most = max(most, standing + _patch_bytes(stage, sizes, rows, columns, copies=len(wide) > 1))
    return most


def _left(stage: Stage, name: str, first: int) -> int:
    """Bytes of a source from row `first` on."""
    return (stage.size(name, AXES[0]) - first) * row_bytes(stage, name)


def _patch_bytes(
    stage: Stage, sizes: Mapping[str, int], tall: Mapping[str, Span], wide: Mapping[str, Span], copies: bool
) -> int:
    """Most bytes in use within one patch.

    Args:
        copies: whether parts of a tensor that an op reads are cut out, not pieces of its bytes.
    """
    alive = {name: sizes[name] for name in stage.sources}
    most = sum(alive.values())
    last = {name: p for p in range(len(stage.indices)) for name, _ in stage.split[p]}
    for position, op in enumerate(stage.ops):
        result = op.outputs[0]
        cut = 0
        for name, reach in stage.split[position]:
            rows = clipped(reach[0].back(tall[result]), stage.size(name, AXES[0]))
            columns = clipped(reach[1].back(wide[result]), stage.size(name, AXES[1]))
            cells = length(rows) * length(columns) * cell_bytes(stage, name)
            cut += cells if copies and cells < sizes[name] else 0
        dying = [n for n, _ in stage.split[position] if last[n] == position]
        over = op.kind in OVERWRITES and any(sizes[n] == sizes[result] for n in dying)
        most = max(most, sum(alive.values()) + cut + (0 if over else sizes[result]))
        for name in dying:
            alive.pop(name, None)
        alive[result] = sizes[result]
    return most


def lines_bytes(stage: Stage, count: int) -> int:
    """Most bytes in use in any band."""
    rows = rows_of(stage, count)
    row = {
        n: stage.size(n, AXES[1]) * cell_bytes(stage, n) for n in (*(o.outputs[0] for o in stage.ops), *stage.sources)
    }
    held: dict[str, int] = {}  # rows of each result that are there
    most = 0
    for band in range(count):
        most = max(most, _standing(stage, rows, band) + _band_bytes(stage, rows, band, row, held))
    return most


def _standing(stage: Stage, rows: Lines, band: int) -> int:
    """The rows of the cut that are made, and of the sources those that this band or a later one reads."""
    done = max((made[stage.cut][1] for made in rows.made[: band + 1] if stage.cut in made), default=0)
    first = {name: stage.size(name, AXES[0]) for name in stage.sources}
    for position, op in enumerate(stage.ops):
        for name, reach in stage.split[position]:
            if name in first and (new := rows.made[band].get(op.outputs[0])):
                first[name] = min(first[name], clipped(reach[0].back(new), stage.size(name, AXES[0]))[0])
    return done * row_bytes(stage, stage.cut) + sum(_left(stage, name, row) for name, row in first.items())


def _band_bytes(stage: Stage, rows: Lines, band: int, row: Mapping[str, int], held: dict[str, int]) -> int:
    """Most bytes in use in one band; `held` goes on to the next."""
    kept = rows.kept[band + 1] if band + 1 < len(rows.made) else {}
    most = 0
    for position, op in enumerate(stage.ops):
        result = op.outputs[0]
        if result in rows.made[band]:
            new = length(rows.made[band][result])
            alive = sum(held[n] * row[n] for n in held)
            before = held.get(result, 0)
            most = max(most, alive + (new + before) * row[result])  # kept rows are copied, new ones made beside them
            if result != stage.cut:
                held[result] = before + new
        for name in stage.read_last[position]:
            held[name] = length(kept[name]) if name in kept else 0
    return most
