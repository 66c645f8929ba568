"""How a stage is run: so many patches or bands, up to which layer; as text and as a change of the graph."""

import re
from dataclasses import dataclass
from typing import Literal

from edgesmith.compile.patch.lines import lines
from edgesmith.compile.patch.patches import patches
from edgesmith.compile.patch.reach import AXES
from edgesmith.compile.patch.stage import stage_of
from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Graph

FORM = re.compile(r"(?:(\d{1,4})x(\d{1,4})|lines:(\d{1,4}))@(\S+)")
MOST = 1024  # patches or bands of a stage; each takes code of its own
NEED = "need auto, off, ROWSxCOLUMNS@LAYER or lines:BANDS@LAYER, such as 4x4@3 or lines:28@3"


@dataclass(frozen=True)
class Schedule:
    """A stage run piece by piece.

    Attributes:
        rows, columns: of patches; bands and 1 for lines.
        cut: the tensor that the stage makes.
        layer: name of the op that makes it, as the user knows it.
    """

    kind: Literal["patches", "lines"]
    rows: int
    columns: int
    cut: str
    layer: str

    def __str__(self) -> str:
        grid = f"lines:{self.rows}" if self.kind == "lines" else f"{self.rows}x{self.columns}"
        return f"{grid}@{self.layer}"

    def words(self) -> str:
        """In a few words, for progress and tables."""
        if self.kind == "lines":
            return f"{self.rows} bands with line buffers up to {self.layer}"
        return f"{self.rows} x {self.columns} patches up to {self.layer}"

    def apply(self, graph: Graph) -> Graph:
        """The graph with its stage run by this schedule; every value stays as it was.

        Raises:
            BadInput: more patches than the layer has rows or columns.
            Unsupported: the layer cannot be made piece by piece.
        """
        stage = stage_of(graph, self.cut)
        height, width = (stage.size(self.cut, axis) for axis in AXES)
        if self.kind == "lines":
            return lines(stage, self.rows)
        if self.rows > height or self.columns > width:
            raise BadInput(f"patch: {self} asks for more patches than {self.layer} has cells, {height}x{width}.")
        return patches(stage, (self.rows, self.columns))


def parse(text: str, graph: Graph) -> Schedule:
    """A schedule in the form `4x4@layer` or `lines:28@layer`; the layer by its op's name or index.

    Raises:
        BadInput: another form, or no such layer.
    """
    match = FORM.fullmatch(text)
    if match is None:
        raise BadInput(f"patch: {text!r} is no schedule; {NEED}.")
    rows, columns = (int(match[3]), 1) if match[3] else (int(match[1]), int(match[2]))
    if not 1 <= rows * columns <= MOST:
        raise BadInput(f"patch: {text!r} makes {rows * columns} pieces; need 1 to {MOST}.")
    return schedule(graph, "lines" if match[3] else "patches", rows, columns, layer_index(graph, match[4]))


def schedule(graph: Graph, kind: Literal["patches", "lines"], rows: int, columns: int, index: int) -> Schedule:
    """The schedule whose stage ends with op `index`."""
    op = graph.ops[index]
    return Schedule(kind, rows, columns, op.outputs[0], op.name or str(index))


def layer_index(graph: Graph, layer: str) -> int:
    """Index of an op, given by name or index.

    Raises:
        BadInput: there is none, or several have that name.
    """
    found = [index for index, op in enumerate(graph.ops) if op.name == layer]
    if not found and layer.isdecimal() and int(layer) < len(graph.ops):
        return int(layer)
    if len(found) != 1:
        known = ", ".join(op.name or str(i) for i, op in enumerate(graph.ops[:12]))
        raise BadInput(f"patch: {layer!r} is {'no' if not found else 'not one'} layer; there are {known}, ...")
    return found[0]
