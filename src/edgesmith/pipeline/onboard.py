"""Use an artifact on a real board: put it there, run it, hold it against numpy, time it."""

import hashlib
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edgesmith.board import Board
from edgesmith.board.images import Segments, flat, intel_hex, uf2
from edgesmith.board.port import open_port
from edgesmith.board.tools import Images, Plan, choose, plans
from edgesmith.board.wire import EMULATED_IDENTITY
from edgesmith.compile.emit.text import identifier
from edgesmith.core import artifact as artifacts
from edgesmith.core.artifact import Artifact
from edgesmith.core.atomic import write_file
from edgesmith.core.errors import Unsupported
from edgesmith.core.graph import Graph
from edgesmith.core.interface import decode, encode, random_input
from edgesmith.core.reading import Reading
from edgesmith.core.target import Target
from edgesmith.cost import op_costs
from edgesmith.emulate.serial import SerialBoard
from edgesmith.pipeline.build import bind_for, serial_files, serial_firmware
from edgesmith.pipeline.execute import certify_artifact, named, renewed, stored_inputs, target_of
from edgesmith.pipeline.verify import Inputs, Interpreted, Relation, first_difference
from edgesmith.toolchain.firmware import load_segments

REPEATS = 10  # runs of a timing: a core without interrupts repeats itself to the cycle or nearly so
PREFIX = "board "  # of readings in a manifest that a real board gave


@dataclass(frozen=True)
class OnBoard:
    """What a board gave.

    Attributes:
        outputs: of the last run, real values.
        readings: by name; measured, or emulated where the board is.
        layers: one row an op: name, op, MACs, cycles and share; empty unless asked for.
    """

    outputs: dict[str, np.ndarray]
    readings: dict[str, Reading]
    layers: tuple[dict[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        outputs = {name: array.tolist() for name, array in self.outputs.items()}
        readings = {name: reading.to_json() for name, reading in self.readings.items()}
        return {"outputs": outputs, "readings": readings, "layers": list(self.layers)}


def program_sha256(graph: Graph) -> str:
    """What a board says it runs: sha256 of graph.json followed by weights.safetensors, hexadecimal."""
    files = artifacts.graph_files(graph)
    return hashlib.sha256(files["graph.json"] + files["weights.safetensors"]).hexdigest()


def connect(graph: Graph, target: Target, port: str) -> Board:
    """Talk to the board at a serial port, which must run this graph.

    Raises:
        Missing: pyserial, the port or an answer.
        BadInput: another program, core or clock is there.
        Unsupported: the target says no UART.
    """
    if target.serial is None:
        raise Unsupported(
            f"serial: {target.name} has no [serial] table; need its UART. Add one to a TOML file (docs/real-board.md)."
        )
    opened = open_port(port, target.serial.baud)
    try:
        return Board(opened, graph, target, program_sha256(graph), port)
    except BaseException:
        opened.close()
        raise


def run_on_board(folder: Path, inputs: Inputs, port: str, repeats: int = REPEATS) -> OnBoard:
    """Run a compiled model on the board at `port`, `repeats` times on the same inputs from the initial state."""
    artifact = artifacts.load(folder)
    graph, target = artifact.graph, target_of(artifact)
    stored = {name: encode(graph.tensors[name], array) for name, array in named(graph, inputs).items()}
    with connect(graph, target, port) as board:
        found = _repeated(board, stored, repeats)
    _keep(artifact, found.readings)
    return found


def profile_on_board(folder: Path, port: str, repeats: int = REPEATS) -> OnBoard:
    """Cycles of every op on the board at `port`, medians over `repeats` runs on seeded random inputs."""
    artifact = artifacts.load(folder)
    graph, target = artifact.graph, target_of(artifact)
    rng = np.random.default_rng(0)
    stored = {name: random_input(graph, name, rng) for name in graph.inputs}
    rows: list[list[int]] = []
    with connect(graph, target, port) as board:
        found = _repeated(board, stored, repeats, lambda: rows.append(board.op_cycles()))
    _keep(artifact, found.readings)
    return replace(found, layers=_layers(graph, target, np.median(rows, axis=0)))


def certify_on_board(
    folder: Path, port: str, data: str | None, samples: int, trust: bool
) -> tuple[tuple[Relation, ...], dict[str, Reading]]:
    """The whole certificate, with one relation more: numpy = C on the board at `port`; kept in the artifact."""
    artifact = artifacts.load(folder)
    graph, target = artifact.graph, target_of(artifact)
    inputs = stored_inputs(graph, data, samples, trust)
    with connect(graph, target, port) as board:  # first: if nothing answers, nothing is written
        relation, readings = _held(board, inputs)
    relations = (*certify_artifact(folder, data, samples, trust), relation)
    artifact = artifacts.load(folder)
    artifacts.update(artifact, {"certificate": renewed(artifact, relations), **_kept(artifact, readings)})
    return relations, readings


def _held(board: Board, inputs: Sequence[Inputs]) -> tuple[Relation, dict[str, Reading]]:
    """numpy against the board, run in order from the initial state."""
    graph, numpy = board.graph, Interpreted(board.graph)
    where = "a real" if board.kind == "measured" else "the emulated"
    name = f"numpy = C on {where} {board.target.name}, over its serial port"
    cycles, stack, count = [], 0, 0
    board.reset()
    for turn, sample in enumerate(inputs):
        want, got = numpy.run(sample), board.run(sample)
        cycles.append(board.last.cycles if board.last else 0)
        stack = max(stack, board.last.stack_bytes if board.last else 0)
        count += sum(array.size for array in want.values())
        for tensor in graph.outputs:
            if (index := first_difference(want[tensor], got[tensor])) is not None:
                said = f"sample {turn}, output {tensor!r} at {index} differs; wanted {want[tensor][index]}, got "
                said += f"{got[tensor][index]}. If the emulated board agrees, look at clocks, supply and wiring"
                return Relation(name, False, count, said), {}
    said = f"every value equal over {len(inputs)} inputs, {board.kind} on the board itself"
    return Relation(name, True, count, said), _readings(board, cycles, stack)


def _repeated(board: Board, stored: Inputs, repeats: int, each: Callable[[], object] = lambda: None) -> OnBoard:
    """Run several times from the initial state; `each` after every run."""
    cycles, stack, outputs = [], 0, {}
    for _ in range(repeats):
        board.reset()
        outputs = board.run(stored)
        if board.last is None:
            raise AssertionError("a run leaves its cycles")
        cycles.append(board.last.cycles)
        stack = max(stack, board.last.stack_bytes)
        each()
    graph = board.graph
    real = {name: decode(graph.tensors[name], array) for name, array in outputs.items()}
    return OnBoard(real, _readings(board, cycles, stack))


def _readings(board: Board, cycles: Sequence[int], stack: int) -> dict[str, Reading]:
    """Figures of several runs: median, and half of the spread between the quartiles."""
    low, middle, high = (float(value) for value in np.percentile(cycles, (25, 50, 75)))
    target, runs = board.target, f"median of {len(cycles)} runs, least {min(cycles):,}, most {max(cycles):,}"
    painted = f"found by painting it on the {'' if board.kind == 'measured' else 'emulated '}board, harness included"
    stack_reading = Reading(stack, "B", board.kind, painted)
    half = (high - low) / 2
    if board.kind == "emulated":
        how = f"executed instructions, which is what the emulated {target.core}'s cycle counter counts; {runs}"
        return {"instructions": Reading(middle, "instructions", "emulated", how, half), "stack": stack_reading}
    how = f"the core's own cycle counter on a real {target.name}; {runs}"
    per_ms = target.clock_hz / 1e3
    at = f"{how}; at {target.clock_hz / 1e6:g} MHz as the firmware sets it"
    return {
        "latency": Reading(middle / per_ms, "ms", "measured", at, half / per_ms),
        "cycles": Reading(middle, "cycles", "measured", how, half),
        "stack": stack_reading,
    }


def _kept(artifact: Artifact, readings: Mapping[str, Reading]) -> dict[str, Any]:
    """The manifest's readings with those that a real board gave; an emulated board leaves them as they are."""
    found = {PREFIX + name: r.to_json() for name, r in readings.items() if r.kind == "measured"}
    return {"readings": {**artifact.manifest.get("readings", {}), **found}} if found else {}


def _keep(artifact: Artifact, readings: Mapping[str, Reading]) -> None:
    if kept := _kept(artifact, readings):
        artifacts.update(artifact, kept)


def _layers(graph: Graph, target: Target, cycles: np.ndarray) -> tuple[dict[str, Any], ...]:
    """One row an op; the program may have copies behind the graph's own ops (emit/prepare.py)."""
    program = bind_for(graph, target).program
    total = float(cycles.sum()) or 1.0
    return tuple(
        {"name": cost.layer, "op": op.kind, "macs": cost.macs, "cycles": float(count), "share": float(count) / total}
        for op, cost, count in zip(program.graph.ops, op_costs(program, target), cycles, strict=True)
    )


def emulated_board(folder: Path) -> SerialBoard:
    """An emulated board that runs the artifact behind a serial port, to try everything without hardware.

    Raises:
        Missing: the emulator is not installed.
        Unsupported: the core is not emulated, or the target says no UART.
    """
    artifact = artifacts.load(folder)
    target = target_of(artifact)
    with TemporaryDirectory(prefix="edgesmith-board-") as scratch:
        linked = serial_firmware(bind_for(artifact.graph, target), Path(scratch), program_sha256(artifact.graph))
        return SerialBoard(linked, target, EMULATED_IDENTITY)


@dataclass(frozen=True)
class Flashed:
    """What `flash` did or would do.

    Attributes:
        files: name to where it lies; they are gone afterwards unless a folder was named.
    """

    plan: Plan
    plans: tuple[Plan, ...]
    files: dict[str, str]
    sha256: str


@dataclass(frozen=True)
class Way:
    """How to reach a board; what is None is found out.

    Attributes:
        port: where the chip's ROM boot loader listens.
        probe: stlink, cmsis-dap or jlink.
        tool: which program flashes.
    """

    port: str | None = None
    probe: str | None = None
    tool: str | None = None


def flash_artifact(
    folder: Path,
    way: Way = Way(),
    out: Path | None = None,
    dry_run: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Flashed:
    """Build the serial firmware of an artifact from its graph and put it onto a board.

    Args:
        out: keeps sources and images there.
        dry_run: say the commands, run none.
        say: is told each command before it runs.

    Raises:
        Missing: no tool for this board is installed.
        Unsupported: the target says no UART or no tool, or a tool ended with an error.
        DoesNotFit: the model and the harness exceed the board.
    """
    artifact = artifacts.load(folder)
    target = target_of(artifact)
    with TemporaryDirectory(prefix="edgesmith-flash-") as scratch:
        images, files = build_images(artifact.graph, target, out or Path(scratch))
        found = plans(target, images, way.port, way.probe)
        plan = choose(target, found, way.tool, anyway=dry_run)
        if not dry_run:
            _carry_out(plan, images, say)
    return Flashed(plan, tuple(found), files, program_sha256(artifact.graph))


def build_images(graph: Graph, target: Target, folder: Path) -> tuple[Images, dict[str, str]]:
    """The serial firmware of a graph in every format, with its sources below `source/`."""
    compiled, sha256 = bind_for(graph, target), program_sha256(graph)
    with TemporaryDirectory(prefix="edgesmith-board-") as scratch:
        linked = serial_firmware(compiled, Path(scratch), sha256)
        elf = linked.elf.read_bytes()
        segments: Segments = load_segments(linked.elf)
    stem = folder / identifier(graph.name)
    address, binary = flat(segments)
    names = [stem.with_suffix(suffix) for suffix in (".elf", ".bin", ".hex", ".uf2")]
    images = Images(names[0], names[1], names[2], names[3], address)
    contents = {
        images.elf: elf,
        images.bin: binary,
        images.hex: intel_hex(segments).encode(),
    }
    if "uf2" in target.chips or "picotool" in target.chips:
        contents[images.uf2] = uf2(segments)
    for path, content in contents.items():
        write_file(path, content)
    for name, text in serial_files(compiled, sha256).items():
        write_file(folder / "source" / name, text)
    return images, {path.suffix[1:]: str(path) for path in contents}


def _carry_out(plan: Plan, images: Images, say: Callable[[str], None]) -> None:
    if plan.tool == "uf2":
        say(" ".join(plan.commands[0]))
        (Path(plan.commands[0][2]) / images.uf2.name).write_bytes(images.uf2.read_bytes())
        return
    for words in plan.commands:
        say(" ".join(words))
        code = subprocess.run(words, stdout=sys.stderr, check=False).returncode
        if code != 0:
            raise Unsupported(
                f"flash: {plan.tool} ended with code {code}; what it said stands above. Check cable, probe and boot "
                "pins, or choose another way with --tool (see them with --dry-run)."
            )
