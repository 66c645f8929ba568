"""Whole nets through the whole chain: counted on the emulated board, held against peers; int8 accuracy against float.

    EDGESMITH_DATA=<folder> python benchmarks/whole_nets.py [NAME ...] [--only board|accuracy]

Board: instructions per multiply-accumulate, arena, stack, flash and estimated cycles on nucleo-l4r5zi, each program
checked against numpy bit for bit and its predictions against the linked file. Nets of MLPerf Tiny take bytes, as the
published ones do. Criteria, fixed before the run: at most CMSIS-NN's instructions per MAC (counted on the same emulated
core), an arena of at most what TFLM records as activations. Accuracy: at most one point below float on the whole test
split. Writes benchmarks/results/whole_nets.json; nets that are not named keep their entry.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from stamp import commit, machine

from edgesmith import targets, zoo
from edgesmith.compile.integerize import integerize
from edgesmith.core import ops
from edgesmith.core.atomic import write_file
from edgesmith.core.graph import Graph
from edgesmith.core.task import Normalize, Split, Task
from edgesmith.cost import op_costs, totals
from edgesmith.emulate import cost
from edgesmith.lower import channels_last_input
from edgesmith.pipeline.build import Compiled, bind_for
from edgesmith.pipeline.profile import linked_firmware
from edgesmith.pipeline.programs import random_task, source_graph
from edgesmith.pipeline.realize import host_accuracy, samples_of
from edgesmith.pipeline.verify import Interpreted
from edgesmith.run.emulated import Emulated
from edgesmith.toolchain import Firmware
from edgesmith.training.evaluate import evaluate
from edgesmith.zoo.testbed import Testbed

RESULTS = Path(__file__).parent / "results" / "whole_nets.json"
BOARD = "nucleo-l4r5zi"
# CMSIS-NN built with gcc -Ofast and counted on the same emulated Cortex-M4, instructions per MAC.
CMSIS_NN_PER_MAC = {"ds-cnn": 2.9, "resnet8": 2.15, "mobilenet-v1-025": 3.73}
# The best published board figures that this project set itself to be held against, cycles per MAC; their boards and
# sources are not recorded.
BEST_PUBLISHED_CYCLES_PER_MAC = {"ds-cnn": 1.95, "resnet8": 1.59, "mobilenet-v1-025": 1.42}
# What TensorFlow Lite Micro records for the int8 nets of MLPerf Tiny under "activations", bytes.
TFLM_ACTIVATIONS = {"ds-cnn": 16_000, "mobilenet-v1-025": 73_728, "resnet8": 49_152, "fc-autoencoder": 768}
SCORED_NETS = ("digits-cnn", "digits-resnet", "fashion-cnn", "speech-dscnn", "occupancy-lstm", "nslkdd-autoencoder")
SHAPES = ("ds-cnn", "resnet8", "mobilenet-v1-025", "fc-autoencoder", "vit", "lstm", "mobilenet-v2-0.35-96")
POINTS_LOST = 0.01
SEED = 20261121


def byte_task(bed: Testbed) -> Task:
    """Random bytes that stand for 0 to 1: what a camera or a quantized front end gives to a shape without data."""
    if bed.task is not None:
        return bed.task
    if bed.name == "lstm":  # no sensor of six channels gives bytes
        return random_task(bed.example_inputs, bed.name)
    inputs = np.random.default_rng(SEED).integers(0, 256, (32, *bed.example_inputs[0].shape[1:]), np.uint8)
    split = Split(inputs, np.zeros(len(inputs), np.int64))
    return Task(bed.name, split, split, split, split, normalize=Normalize(std=(255.0,)))


def program_graph(bed: Testbed, task: Task, calibration: str) -> Graph:
    """The int8 graph that is compiled."""
    source = source_graph(bed.module, bed.example_inputs, task, bed.name, "int8", calibration)
    return channels_last_input(integerize(source))


def on_board(name: str) -> dict[str, Any]:
    """One int8 net on the emulated board."""
    bed, target = zoo.load(name), targets.load(BOARD)
    task = byte_task(bed)
    compiled = bind_for(program_graph(bed, task, "minmax"), target)
    with TemporaryDirectory(prefix="edgesmith-nets-") as folder:
        linked, roomy = linked_firmware(compiled, Path(folder))
        checked, call = _counted(compiled, linked, task)
    macs = sum(ops.macs(compiled.graph, op) for op in compiled.graph.ops)
    cycles = cost.cycles(target, call.classes)
    latency = cost.latency(target, call.classes)
    return {
        "macs": macs,
        "instructions_per_mac": round(call.instructions / macs, 3),
        "estimated_cycles_per_mac": round(cycles / macs, 3),
        "estimated_latency_ms": round(latency.value, 3),
        "estimated_energy_uj": round(cost.energy(target, latency).value, 1),
        "stack_bytes": call.stack_bytes,
        "fits_the_board": not roomy,
        "equals_numpy": checked,
        **_memory(compiled, linked),
        **_goals(name, call.instructions / macs, compiled.program.plan.arena_bytes),
    }


def _counted(compiled: Compiled, linked: Firmware, task: Task) -> tuple[bool, Any]:
    """Whether two inferences equal numpy bit for bit, and the counts of the last."""
    definition = Interpreted(compiled.graph)
    equal = True
    with Emulated(linked, compiled.program.interface, compiled.target) as board:
        for sample in samples_of(compiled.graph, task.validation, 2):
            wanted, found = definition.run(sample), board.run(sample)
            equal &= all(np.array_equal(wanted[tensor], found[tensor]) for tensor in compiled.graph.outputs)
        return equal, board.last


def _memory(compiled: Compiled, linked: Firmware) -> dict[str, Any]:
    """Linked against predicted."""
    program, target = compiled.program, compiled.target
    flash, ram, latency, _ = totals(program, op_costs(program, target), target)
    return {
        "arena_bytes": linked.symbol("arena").size_bytes,
        "arena_predicted_bytes": program.interface.arena_bytes,
        "arena_lower_bound_bytes": program.plan.lower_bound_bytes,
        "state_bytes": program.interface.state_bytes,
        "flash_bytes": linked.flash_bytes,
        "flash_predicted_bytes": int(flash.value),
        "ram_without_stack_bytes": linked.ram_bytes,
        "ram_predicted_bytes": int(ram.value),
        "latency_predicted_ms": round(latency.value, 3),
    }


def _goals(name: str, per_mac: float, arena_bytes: int) -> dict[str, Any]:
    """The peers' figures where they are known, and whether ours are at most those."""
    found: dict[str, Any] = {}
    if name in CMSIS_NN_PER_MAC:
        limit = CMSIS_NN_PER_MAC[name]
        found["cmsis_nn_instructions_per_mac"] = {"peer": limit, "holds": per_mac <= limit}
        found["best_published_cycles_per_mac"] = BEST_PUBLISHED_CYCLES_PER_MAC[name]
    if name in TFLM_ACTIVATIONS:
        activations = TFLM_ACTIVATIONS[name]
        found["tflm_activations_bytes"] = {"peer": activations, "holds": arena_bytes <= activations}
    return found


def accuracy(name: str) -> dict[str, Any]:
    """Float module and compiled int8 C on the whole test split."""
    bed = zoo.load(name)
    assert bed.task is not None
    before = evaluate(bed.module, bed.task, bed.task.test)
    reading, _ = host_accuracy(program_graph(bed, bed.task, "mse"), bed.task)
    sign = 1 if bed.task.metric.direction == "max" else -1
    lost = sign * (before - reading.value)
    return {
        "metric": bed.task.metric.name,
        "test_samples": len(bed.task.test),
        "float": round(before, 5),
        "int8": round(reading.value, 5),
        "lost": round(lost, 5),
        "holds": lost <= POINTS_LOST,
    }


def circumstances() -> dict[str, Any]:
    """The command, machine and commit of this run."""
    return {
        "command": f"EDGESMITH_DATA=<folder> python benchmarks/whole_nets.py {shlex.join(sys.argv[1:])}".strip(),
        "machine": f"{machine()}, torch {torch.__version__}",
        "commit": commit(),
    }


def update(section: str, name: str, found: dict[str, Any]) -> None:
    """Put one net's figures into the results."""
    document = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    document.setdefault("board_name", BOARD)
    document.setdefault(section, {})[name] = {**found, **circumstances()}
    write_file(RESULTS, json.dumps(document, indent=1) + "\n")
    print(f"{section:8} {name:22} {json.dumps(found)}", file=sys.stderr)


def main() -> None:
    """Measure the nets named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--only", choices=("board", "accuracy"))
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    sections: dict[str, tuple[Callable[[str], dict[str, Any]], tuple[str, ...]]] = {
        "board": (on_board, (*SHAPES, *SCORED_NETS)),
        "accuracy": (accuracy, SCORED_NETS),
    }
    for section, (measure, nets) in sections.items():
        if chosen.only in (None, section):
            for name in nets:
                if not chosen.names or name in chosen.names:
                    update(section, name, measure(name))


if __name__ == "__main__":
    main()
