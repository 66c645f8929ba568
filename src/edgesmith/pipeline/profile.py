"""What each layer of a bound program costs on a target: counted on an emulated core, timed here, or predicted."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edgesmith.compile.emit.model import Program
from edgesmith.core.errors import DoesNotFit
from edgesmith.core.interface import random_input
from edgesmith.core.reading import Kind, Reading
from edgesmith.core.target import Target
from edgesmith.cost import OpCost, has_tables, op_costs, totals
from edgesmith.emulate import Call, cost
from edgesmith.pipeline.build import Compiled, firmware, host_library, wasm_module
from edgesmith.run.emulated import Emulated
from edgesmith.run.native import Native
from edgesmith.run.wasm import Wasm
from edgesmith.targets.machine import is_here
from edgesmith.toolchain import Firmware

WARM_UP, RUNS = 5, 50  # of a timing on this machine; half of the spread is stable to a tenth from 30 runs on
TIMED_S = 2.0  # after which no further run is started
CALL_S = 2e-3  # of inferences in one call into wasmtime, beside which entering it is little


@dataclass(frozen=True)
class Layer:
    """One op.

    Attributes:
        shape: of its first result.
        weight_bytes: constants and parameters in flash.
        cycles: as `Profile.kind` and `Profile.how` say they were obtained.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    macs: int
    weight_bytes: int
    cycles: float


@dataclass(frozen=True)
class Profile:
    """Costs of one inference.

    Attributes:
        kind, how: of the layers' cycles.
        instructions: executed in all, None where they are not counted.
        stack_bytes: None where it is not known.
        memory: the plan, as report/schema.py describes it.
    """

    target: str
    layers: tuple[Layer, ...]
    kind: Kind
    how: str
    flash: Reading
    ram: Reading
    latency: Reading
    energy: Reading
    instructions: float | None
    stack_bytes: int | None
    memory: Mapping[str, Any]

    def readings(self) -> dict[str, Reading]:
        """The four figures a budget limits."""
        return {"flash": self.flash, "ram": self.ram, "latency": self.latency, "energy": self.energy}

    def tables(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The sections "layers" and "memory" of a report."""
        rows = [
            {
                "name": layer.name,
                "op": layer.kind,
                "shape": list(layer.shape),
                "macs": layer.macs,
                "weight_bytes": layer.weight_bytes,
                "cycles": layer.cycles,
            }
            for layer in self.layers
        ]
        memory = dict(self.memory)
        if self.stack_bytes is not None:
            memory["stack_bytes"] = self.stack_bytes
        return {"kind": self.kind, "how": self.how, "rows": rows}, memory

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain values; shares are of all cycles."""
        layers, memory = self.tables()
        total = sum(layer.cycles for layer in self.layers)
        for row in layers["rows"]:
            row["share"] = row["cycles"] / total if total else 0.0
        readings = {name: reading.to_json() for name, reading in self.readings().items()}
        facts = {"target": self.target, "readings": readings, "instructions": self.instructions}
        return {**facts, "layers": layers, "memory": memory}


@dataclass(frozen=True)
class Execution:
    """What one way of obtaining figures found; the fields are those of `Profile`."""

    kind: Kind
    how: str
    cycles: Sequence[float]
    readings: tuple[Reading, Reading, Reading, Reading]
    instructions: float | None = None
    stack_bytes: int | None = None


def profile(program: Program, target: Target, measure: bool = True) -> Profile:
    """Cost of each layer and of the whole.

    Args:
        measure: link and run it, on the emulated board or on this machine; else, and for targets that can do
            neither here, everything is predicted. A program too large for the board is counted all the same.
    """
    predicted = op_costs(program, target)
    found = _executed(program, target, predicted) if measure else _predicted(program, target, predicted)
    layers = tuple(
        Layer(op.layer, op.kind, program.graph.tensors[own.outputs[0]].shape, op.macs, op.constant_bytes, float(cycles))
        for op, own, cycles in zip(predicted, program.graph.ops, found.cycles, strict=True)
    )
    return Profile(
        target.name,
        layers,
        found.kind,
        found.how,
        *found.readings,
        instructions=found.instructions,
        stack_bytes=found.stack_bytes,
        memory=memory_table(program),
    )


def _executed(program: Program, target: Target, predicted: Sequence[OpCost]) -> Execution:
    if target.emulated:
        return _emulated(program, target)
    if target.isa == "wasm":
        return _in_wasmtime(program, target)
    if is_here(target):
        return _timed(program, target)
    return _predicted(program, target, predicted)


def _predicted(program: Program, target: Target, predicted: Sequence[OpCost]) -> Execution:
    readings = totals(program, predicted, target)
    instructions = sum(op.instructions for op in predicted) if has_tables(target) else None
    return Execution("estimated", readings[2].how, [op.cycles for op in predicted], readings, instructions)


def _emulated(program: Program, target: Target) -> Execution:
    compiled = Compiled(program, target)
    with TemporaryDirectory(prefix="edgesmith-profile-") as name:
        linked, _ = linked_firmware(compiled, Path(name) / "plain")
        marked, roomy = linked_firmware(compiled, Path(name) / "marked", mark=True)
        call = _count(marked, compiled)
    cycles = [cost.cycles(target, call.by_layer[index]) for index in range(len(program.graph.ops))]
    whose = f"an emulated {target.core}" + (" with more memory than the board, which it exceeds" if roomy else "")
    how = f"instructions counted by layer on {whose}, cycles by class of instruction"
    flash = Reading(linked.flash_bytes, "B", "emulated", "the linked program, start-up code included")
    both = f"{linked.ram_bytes:,} B linked and {call.stack_bytes:,} B of stack used on {whose}"
    ram = Reading(linked.ram_bytes + call.stack_bytes, "B", "emulated", both)
    latency = cost.latency(target, call.classes)
    readings = (flash, ram, latency, cost.energy(target, latency))
    return Execution("estimated", how, cycles, readings, call.instructions, call.stack_bytes)


def linked_firmware(compiled: Compiled, folder: Path, mark: bool = False) -> tuple[Firmware, bool]:
    """Link for the board, or with ample memory when it does not fit; and whether it did not."""
    try:
        return firmware(compiled, folder, mark=mark), False
    except DoesNotFit:
        return firmware(compiled, folder, roomy=True, mark=mark), True


def _count(marked: Firmware, compiled: Compiled) -> Call:
    program = compiled.program
    layers = len(program.graph.ops)
    with Emulated(marked, program.interface, compiled.target, layers=layers) as board:
        board.run(random_inputs(program))
        if board.last is None:
            raise AssertionError("an inference leaves its counts")
        return board.last


def _timed(program: Program, target: Target) -> Execution:
    inputs = random_inputs(program)
    library = host_library(program)
    spans = _repeat(Native(library, program.interface).prepared(inputs))
    latency = _median(spans, f"median of {len(spans)} runs on this machine, one thread")
    flash = Reading(library.stat().st_size, "B", "measured", "the shared library built for this machine")
    face = program.interface
    ram = Reading(face.arena_bytes + face.state_bytes, "B", "measured", "arena and states; the process not counted")
    layers = [span * 1e-9 * target.clock_hz for span in _traced(program, inputs)]
    how = "medians of the time between callbacks after each op, at the nominal clock"
    return Execution("measured", how, layers, (flash, ram, latency, cost.energy(target, latency)))


def _in_wasmtime(program: Program, target: Target) -> Execution:
    inputs, face, compiled = random_inputs(program), program.interface, Compiled(program, target)
    stamps: list[int] = []
    with TemporaryDirectory(prefix="edgesmith-profile-") as name:
        built, timed = wasm_module(compiled, Path(name) / "plain"), wasm_module(compiled, Path(name) / "timed", True)
        with Wasm(built.path, face, target, count=True) as counted:
            counted.run(inputs)
        with Wasm(timed.path, face, target, traced=lambda op: stamps.append(time.perf_counter_ns())) as runner:
            call = runner.prepared(inputs)
            once = min(_repeat(lambda: call(1))) * 1e-3
            times = max(1, round(CALL_S / max(once, 1e-9)))
            spans = [span / times for span in _repeat(lambda: call(times))]
            runner.trace()
            layers = _by_op(program, lambda: call(1), stamps)
    latency = _median(spans, f"median of {len(spans)} timings in wasmtime on this machine, one thread")
    flash = Reading(built.file_bytes, "B", "measured", "the .wasm file, uncompressed")
    ram = Reading(built.memory_bytes, "B", "measured", "linear memory: stack, constants, arena, states, in whole pages")
    how = "medians of the time between callbacks after each op in wasmtime, at the nominal clock"
    cycles = [span * 1e-9 * target.clock_hz for span in layers]
    readings = (flash, ram, latency, cost.energy(target, latency))
    return Execution("measured", how, cycles, readings, counted.instructions)


def _repeat(run: Callable[[], object]) -> list[float]:
    """Milliseconds of each of up to RUNS runs."""
    for _ in range(WARM_UP):
        run()
    spans: list[float] = []
    begin = time.perf_counter()
    while len(spans) < RUNS and (len(spans) < 5 or time.perf_counter() - begin < TIMED_S):
        start = time.perf_counter_ns()
        run()
        spans.append((time.perf_counter_ns() - start) * 1e-6)
    return spans


def _median(spans: Sequence[float], how: str) -> Reading:
    low, middle, high = (float(value) for value in np.percentile(spans, (25, 50, 75)))
    return Reading(middle, "ms", "measured", how, (high - low) / 2)


def _traced(program: Program, inputs: Mapping[str, np.ndarray]) -> list[float]:
    """Median nanoseconds of each op."""
    runner = Native(host_library(program, trace=True), program.interface)
    stamps: list[int] = []
    runner.trace(lambda index: stamps.append(time.perf_counter_ns()))
    return _by_op(program, runner.prepared(inputs), stamps)


def _by_op(program: Program, call: Callable[[], object], stamps: list[int]) -> list[float]:
    """Median nanoseconds of each op; an op that moves nothing takes none.

    Args:
        stamps: takes the time after each op that `call` runs.
    """
    called = [index for index, kernel in enumerate(program.kernels) if kernel]
    rows: list[np.ndarray] = []

    def run() -> None:
        stamps.clear()
        start = time.perf_counter_ns()
        call()
        rows.append(np.diff([start, *stamps]))

    _repeat(run)
    medians = dict(zip(called, np.median(rows[WARM_UP:], axis=0).tolist(), strict=True))
    return [medians.get(index, 0.0) for index in range(len(program.graph.ops))]


def random_inputs(program: Program) -> dict[str, np.ndarray]:
    """Seeded inputs of the program's types: costs hardly depend on the values."""
    rng = np.random.default_rng(0)
    return {port.tensor.name: random_input(program.graph, port.tensor.name, rng) for port in program.interface.inputs}


def memory_table(program: Program) -> dict[str, Any]:
    """The memory plan: parts of buffers as rectangles over ops and offsets."""
    plan, ops = program.plan, program.graph.ops
    buffers = [
        {
            "name": part.name,
            "offset_bytes": plan.offsets[buffer.name] + part.offset,
            "size_bytes": part.nbytes,
            "first_op": part.first,
            "last_op": min(part.last, len(ops) - 1),
        }
        for buffer in plan.buffers
        for part in buffer.parts
    ]
    return {
        **plan.facts(),
        "state_bytes": program.interface.state_bytes,
        "ops": [op.name or f"{op.kind}.{index}" for index, op in enumerate(ops)],
        "buffers": buffers,
    }
