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
    """The cut and its sources, which are there all the while."""
    return sum(stage.graph.tensors[name].nbytes for name in (stage.cut, *stage.sources))


def cell_bytes(stage: Stage, name: str) -> int:
    """Bytes of one cell of a tensor, all channels."""
    tensor = stage.graph.tensors[name]
    return tensor.nbytes // (tensor.shape[1] * tensor.shape[2])


def patches_bytes(stage: Stage, tall: Parts, wide: Parts) -> int:
    """Most bytes in use while the largest patch is made; a band's patches wait beside one another.

    Args:
        tall, wide: of `spans_of`.
    """
    rows, columns = (max(part, key=lambda spans: sum(map(length, spans.values()))) for part in (tall, wide))
    sizes = {n: length(rows[n]) * length(columns[n]) * cell_bytes(stage, n) for n in rows}
    band = length(rows[stage.cut]) * stage.size(stage.cut, AXES[1]) * cell_bytes(stage, stage.cut)
    return standing_bytes(stage) + (band if len(wide) > 1 else 0) + _patch_bytes(stage, sizes, rows, columns)


def _patch_bytes(stage: Stage, sizes: Mapping[str, int], tall: Mapping[str, Span], wide: Mapping[str, Span]) -> int:
    """Most bytes in use within one patch."""
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
            cut += cells if cells < sizes[name] else 0
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
        most = max(most, _band_bytes(stage, rows, band, row, held))
    return standing_bytes(stage) + most


def _band_bytes(stage: Stage, rows: Lines, band: int, row: Mapping[str, int], held: dict[str, int]) -> int:
    """Most bytes in use in one band; `held` goes on to the next."""
    kept = rows.kept[band + 1] if band + 1 < len(rows.made) else {}
    most = 0
    for position, op in enumerate(stage.ops):
        result = op.outputs[0]
        if result in rows.made[band]:
            new = length(rows.made[band][result])
            alive = sum(held[n] * row[n] for n in held)
            cut = sum(
                _cut_rows(stage, position, name, rows, band, held) * row[name] for name, _ in stage.split[position]
            )
            before = held.get(result, 0)
            joined = (new + before) * row[result] if before else 0
            most = max(most, alive + cut + new * row[result], alive + new * row[result] + joined)
            if result != stage.cut:
                held[result] = before + new
        for name in stage.read_last[position]:
            held[name] = length(kept[name]) if name in kept else 0
    return most


def _cut_rows(stage: Stage, position: int, name: str, rows: Lines, band: int, held: Mapping[str, int]) -> int:
    """Rows of an input that must be cut out of what is held for the op to read them."""
    reach = next(r for n, r in stage.split[position] if n == name)
    read = clipped(reach[0].back(rows.made[band][stage.ops[position].outputs[0]]), stage.size(name, AXES[0]))
    return length(read) if name in stage.sources or length(read) < held.get(name, 0) else 0
