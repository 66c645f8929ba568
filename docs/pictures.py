"""Draw memory over time from real plans: each pass of the compiler in docs/compiler, patches in docs/patches.

python docs/pictures.py
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
from whole_nets import byte_task, program_graph

from edgesmith import targets, zoo
from edgesmith.compile.emit import model
from edgesmith.compile.emit.model import Program
from edgesmith.compile.memory import plan as planning
from edgesmith.compile.memory.sharing import Sharing, Way
from edgesmith.compile.memory.storage import Demands, buffers, overlaps, scratch_buffers
from edgesmith.compile.patch import parse
from edgesmith.core.graph import Graph, Op, Tensor
from edgesmith.core.ops.fixed import multipliers_of
from edgesmith.lower import channels_last_input
from edgesmith.pipeline.build import bind_for
from edgesmith.pipeline.profile import memory_table
from edgesmith.pipeline.programs import source_graph
from edgesmith.report.timeline import document, timeline

DOCS = Path(__file__).parent
BOARD = targets.load("nucleo-l4r5zi")
Panel = tuple[str, dict[str, Any]]
PATCHED = "resnet8"
SCHEDULES = {"unpatched": "off", "patches": "3x2@stacks.1.add_1", "lines": "lines:6@stacks.1.add_1"}
STYLE = """<style>
svg { font: 12px sans-serif; background: #fff; }
.grid { stroke: #ddd; } .peak { stroke: #777; stroke-dasharray: 4 4; }
text { fill: #333; } .tick { fill: #777; } .strong { fill: #111; font-weight: bold; }
rect { fill: #cfe0f5; stroke: #5b8bc9; stroke-width: 0.5; }
</style>"""


def panel(title: str, program: Program) -> Panel:
    """A program's memory under a title that says its size."""
    memory = memory_table(program)
    return f"{title}: {memory['arena_bytes']:,} bytes", memory


def shared(program: Program, ways: Sequence[Way], leads: bool = False) -> Program:
    """The program with less shared, placed by the best greedy order."""
    demands = model.demands_of(program.kernels)
    if not leads:
        demands = Demands(demands.scratch_bytes)
    own = buffers(Sharing(program.graph, demands.in_place, ways))
    items = (*own, *scratch_buffers(demands.scratch_bytes))
    problem = planning.Problem(items, overlaps(program.graph, own, demands.lead_bytes), frozenset())
    return replace(program, plan=planning.settled(problem, planning.greedy(problem)[0]))


def as_written(graph: Graph) -> Program:
    """Bound without the pass that orders the ops."""
    with patch.object(model, "best_order", lambda graph, demands: tuple(range(len(graph.ops)))):
        return bind_for(graph, BOARD).program


def integers(name: str) -> Graph:
    """A net of the zoo as it is compiled, on bytes."""
    bed = zoo.load(name)
    return program_graph(bed, byte_task(bed), "minmax")


def floats(name: str) -> Graph:
    """The same in float, as lowered."""
    bed = zoo.load(name)
    return channels_last_input(source_graph(bed.module, bed.example_inputs, bed.task, name, "float32", "minmax"))


class Branches:
    """A graph of 1x1 convolutions on 16x16 images, with random weights."""

    def __init__(self, channels: int) -> None:
        self.tensors = {"x": Tensor("x", (1, 16, 16, channels), "int8")}
        self.ops: list[Op] = []
        self.constants: dict[str, np.ndarray] = {}
        self.rng = np.random.default_rng(0)

    def add(self, kind: str, shape: tuple[int, ...], *inputs: str, **attrs: Any) -> str:
        """An op with one result."""
        name = f"{kind.removesuffix('_s8')}.{len(self.ops)}"
        self.ops.append(Op(kind, inputs, (name,), attrs, name))
        self.tensors[name] = Tensor(name, shape, "int8")
        return name

    def convolve(self, x: str, channels: int) -> str:
        """To so many channels."""
        *image, before = self.tensors[x].shape
        weights = self.rng.integers(-127, 128, (channels, 1, 1, before)).astype(np.int8)
        arrays = (weights, np.zeros(channels, np.int32), *multipliers_of(np.full(channels, 0.01)))
        names = [f"{len(self.ops)}.{index}" for index in range(len(arrays))]
        self.constants.update(zip(names, arrays, strict=True))
        self.tensors.update({n: Tensor(n, a.shape, str(a.dtype)) for n, a in zip(names, arrays, strict=True)})
        return self.add("conv2d_s8", (*image, channels), x, *names)

    def graph(self, output: str) -> Graph:
        """All of it."""
        return Graph("branches", self.tensors, tuple(self.ops), ("x",), (output,), self.constants)


def bands() -> Graph:
    """Two halves of an image, widened and narrowed one after the other, put together again."""
    net = Branches(16)
    image, made = net.convolve("x", 16), []
    for start in (0, 8):
        cut = {"starts": (0, start, 0, 0), "ends": (1, start + 8, 16, 16), "steps": (1, 1, 1, 1)}
        half = net.add("slice", (1, 8, 16, 16), image, **cut)
        made.append(net.convolve(net.convolve(half, 48), 16))
    return net.graph(net.add("concat", (1, 16, 16, 16), *made, axis=1))


def cell() -> Graph:
    """Four branches that widen and narrow, written down side by side."""
    net = Branches(8)
    wide = [net.convolve("x", channels) for channels in (16, 32, 48, 32)]
    ends = [net.convolve(branch, 8) for branch in wide]
    return net.graph(net.add("concat", (1, 16, 16, 32), *ends, axis=3))


def pictures() -> dict[str, list[Panel]]:
    """File name to the memories in it."""
    digits = bind_for(floats("digits-cnn"), BOARD).program
    mobilenet, halves, branches = integers("mobilenet-v2-0.35-96"), as_written(bands()), cell()
    bound, residual = as_written(mobilenet), as_written(integers("resnet8"))
    return {
        "integerize": [
            panel("digits-cnn in float, as lowered", digits),
            panel("digits-cnn in int8, activations fused", bind_for(integers("digits-cnn"), BOARD).program),
        ],
        "order": [
            panel("A cell of four branches, side by side", as_written(branches)),
            panel("The same, one branch after the other", bind_for(branches, BOARD).program),
        ],
        "views": [
            panel("Two bands, joined by copying", shared(halves, ("overwrite",), leads=True)),
            panel("Two bands, made where the whole wants them", halves),
        ],
        "in-place": [
            panel("mobilenet-v2-0.35-96, results beside their inputs", shared(bound, ())),
            panel("mobilenet-v2-0.35-96, results over their inputs", bound),
        ],
        "plan": [
            panel("resnet8, the best greedy order", shared(residual, ("join", "overwrite"), leads=True)),
            panel("resnet8, the exact plan", residual),
        ],
    }


def patched(schedule: str) -> str:
    """The arena of one net under a schedule of patches."""
    graph = integers(PATCHED)
    changed = graph if schedule == "off" else parse(schedule, graph).apply(graph)
    memory = memory_table(bind_for(changed, BOARD).program)
    sys.stdout.write(f"{PATCHED} {schedule}: {memory['arena_bytes']:,} bytes, {len(memory['ops'])} ops\n")
    head, body = str(timeline(memory)).split(">", 1)
    return f'{head} xmlns="http://www.w3.org/2000/svg">{STYLE}{body}\n'


def main() -> None:
    """Draw all of them."""
    for name, panels in pictures().items():
        (DOCS / "compiler" / f"{name}.svg").write_text(document(panels), "utf-8")
        sys.stdout.writelines(f"{title}\n" for title, _ in panels)
    for name, schedule in SCHEDULES.items():
        (DOCS / "patches" / f"{name}.svg").write_text(patched(schedule), "utf-8")


if __name__ == "__main__":
    main()
