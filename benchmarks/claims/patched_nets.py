"""Int8 programs before and after patching: memory counted in each way, work, and whether they agree bit for bit."""

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edgesmith import targets, zoo
from edgesmith.compile.integerize import integerize
from edgesmith.compile.patch import parse
from edgesmith.core import ops
from edgesmith.core.graph import Graph, Op, Tensor
from edgesmith.core.interface import random_input
from edgesmith.core.task import Normalize, Split, Task
from edgesmith.cost.memory import flash_bytes
from edgesmith.lower import channels_last_input
from edgesmith.lower.tflite import lower_tflite
from edgesmith.pipeline.build import bind_for
from edgesmith.pipeline.profile import linked_firmware
from edgesmith.pipeline.programs import source_graph
from edgesmith.run.emulated import Emulated

BOARD = "stm32h743"
CALIBRATED_ON = 4  # random pictures: the values of a net with random weights do not matter


def net_graph(name: str, folder: Path) -> Graph:
    """An int8 net: of the zoo, with random weights on raw bytes, or from a .tflite file of `folder`, on its int8."""
    if name.endswith(".tflite"):
        source = lower_tflite(folder / name, Path(name).stem)
        return integerize(source, source.inputs)
    bed = zoo.load(name)
    inputs = np.random.default_rng(1).integers(0, 256, (CALIBRATED_ON, *bed.example_inputs[0].shape[1:]), np.uint8)
    split = Split(inputs, np.zeros(len(inputs), np.int64))
    task = Task(name, split, split, split, split, normalize=Normalize(std=(255.0,)))
    return channels_last_input(integerize(source_graph(bed.module, bed.example_inputs, task, name, "int8", "minmax")))


def scheduled(graph: Graph, schedule: str) -> Graph:
    """The graph under a schedule, or as it is."""
    return graph if schedule == "off" else parse(schedule, graph).apply(graph)


def work(graph: Graph) -> int:
    """Multiply-accumulates of one inference."""
    return sum(ops.macs(graph, op) for op in graph.ops)


def arena_without_image_bytes(graph: Graph) -> int:
    """As planned when the image lies elsewhere: in flash, in the camera's memory, or decoded as it is read."""
    image = graph.inputs[0]
    elsewhere = {**graph.constants, image: np.zeros(graph.tensors[image].shape, graph.tensors[image].dtype)}
    tensors = {**graph.tensors, "idle": Tensor("idle", (1,), "int8")}
    without = replace(graph, inputs=("idle",), constants=elsewhere, tensors=tensors)
    return bind_for(without, targets.load(BOARD)).program.plan.arena_bytes


def paper_peak_bytes(graph: Graph, schedule: str = "off") -> int:
    """Peak memory as arXiv:2110.15352 counts it (figure 1), layer by layer, weights and image not counted.

    A layer holds what it reads and what it writes; a depthwise convolution and elementwise ops work in place. In the
    patched stage the stage's whole result is held beside the layer of one patch.
    """
    changed = scheduled(graph, schedule)
    if schedule == "off":
        return max(layer_bytes(graph, op) for op in graph.ops)
    cut = parse(schedule, graph).cut
    end = next(i for i, op in enumerate(changed.ops) if cut in op.outputs)
    inside = max(layer_bytes(changed, op) for op in changed.ops[:end] if op.kind not in ("slice", "concat"))
    after = max(layer_bytes(changed, op) for op in changed.ops[end + 1 :])
    return max(inside + changed.tensors[cut].nbytes, after)


def layer_bytes(graph: Graph, op: Op) -> int:
    """What one layer holds."""
    read = [graph.tensors[name] for name in op.inputs if name not in graph.constants and name not in graph.inputs]
    sizes = [tensor.nbytes for tensor in (*read, *graph.types(op.outputs))]
    depthwise = op.kind == "conv2d_s8" and op.attrs.get("groups", 1) == graph.tensors[op.inputs[0]].shape[3]
    in_place = depthwise or op.kind in ("lookup", "rescale_s8", "add_s8", "reshape")
    return max(sizes) if in_place else sum(sizes)


def outputs(graph: Graph, sample: dict[str, np.ndarray], emulated: bool) -> np.ndarray:
    """The first output, on the emulated board or in numpy, which defines what a program computes."""
    if not emulated:
        return ops.interpret(graph, sample)[graph.outputs[0]]
    compiled = bind_for(graph, targets.load(BOARD))
    with TemporaryDirectory(prefix="edgesmith-patched-") as folder:
        linked, _ = linked_firmware(compiled, Path(folder))
        with Emulated(linked, compiled.program.interface, compiled.target) as board:
            return board.run(sample)[graph.outputs[0]]


def row(name: str, graph: Graph, schedule: str, wanted: np.ndarray | None, emulated: bool) -> dict[str, Any]:
    """One line of the table: a net under one schedule, beside itself unpatched."""
    changed, target = scheduled(graph, schedule), targets.load(BOARD)
    program = bind_for(changed, target).program
    line = {
        "net": name,
        "schedule": schedule,
        "macs": work(changed),
        "extra_macs_percent": round(100 * (work(changed) / work(graph) - 1), 2),
        "paper_peak_bytes": paper_peak_bytes(graph, schedule) if not schedule.startswith("lines") else None,
        "arena_bytes": program.plan.arena_bytes,
        "arena_without_image_bytes": arena_without_image_bytes(changed),
        "flash_predicted_bytes": flash_bytes(program, target),
    }
    if wanted is not None:
        found = outputs(changed, sample_of(graph), emulated)
        line["equals_unpatched"] = bool(np.array_equal(wanted, found))
        line["where"] = f"emulated {BOARD}" if emulated else "numpy"
    print(json.dumps(line), flush=True)
    return line


def sample_of(graph: Graph) -> dict[str, np.ndarray]:
    """A seeded random input."""
    rng = np.random.default_rng(0)
    return {name: random_input(graph, name, rng) for name in graph.inputs}


def rows(name: str, folder: Path, schedules: tuple[str, ...], emulated: bool) -> list[dict[str, Any]]:
    """A net of the table, unpatched and under each schedule."""
    graph = net_graph(name, folder)
    wanted = outputs(graph, sample_of(graph), emulated)
    return [row(name, graph, "off", None, emulated), *(row(name, graph, s, wanted, emulated) for s in schedules)]
