"""From a module to something that runs: lower, quantize, bind to kernels, compile for this machine or a board."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesmith.compile.emit import kernel_file, model_files, project_files
from edgesmith.compile.emit.browser import timing_source
from edgesmith.compile.emit.firmware import Vector, main_source
from edgesmith.compile.emit.harness import board_header, driver_files, glue_source
from edgesmith.compile.emit.model import Program, bind
from edgesmith.compile.emit.text import identifier
from edgesmith.core.errors import Unsupported
from edgesmith.core.graph import Graph
from edgesmith.core.target import Target
from edgesmith.run.emulated import Emulated
from edgesmith.run.native import Native
from edgesmith.run.wasm import Wasm
from edgesmith.toolchain import Firmware, WasmModule, compile_firmware, compile_library, compile_wasm
from edgesmith.toolchain.firmware import SUPPORT

ROOMY_FLASH_BYTES = 64 << 20  # what a program is given when it is only to be counted, not to fit
ROOMY_RAM_BYTES = 64 << 20
HOST_KERNELS = ("x86", "reference")
WASM_EXPORTS = ("infer", "reset", "arena", "result")
WASM_TIMING = ("infer_times", "edgesmith_tracing")


@dataclass(frozen=True)
class Compiled:
    """A graph bound to the kernels of a target."""

    program: Program
    target: Target

    @property
    def graph(self) -> Graph:
        """The program's graph."""
        return self.program.graph


def bind_for(graph: Graph, target: Target) -> Compiled:
    """Choose kernels and place memory for a target.

    Raises:
        Unsupported: an op has no kernel there.
    """
    return Compiled(bind(graph, target.kernels), target)


def firmware(
    compiled: Compiled, folder: Path, roomy: bool = False, mark: bool = False, self_test: Sequence[Vector] = ()
) -> Firmware:
    """Link a program for the board.

    Args:
        folder: where sources and ELF are put.
        roomy: pretend that the board has ample memory, to count a program that does not fit.
        mark: announce each op, for a table of the layers; costs a few instructions an op.

    Raises:
        DoesNotFit: flash or RAM is too small, and by how much.
    """
    face = compiled.program.interface
    files = (
        project_files(compiled.program, compiled.target, self_test, "")
        if self_test
        else {**model_files(compiled.program), "main.c": main_source(face)}
    )
    paths = written(files, folder)
    defines = [name for name, wanted in (("EDGESMITH_MARK", mark), ("EDGESMITH_SELF_TEST", bool(self_test))) if wanted]
    room = {"flash_bytes": ROOMY_FLASH_BYTES, "ram_bytes": ROOMY_RAM_BYTES} if roomy else {}
    return compile_firmware(
        [path for path in paths if path.suffix == ".c"],
        [folder, folder / "kernels"],
        compiled.target,
        folder / f"{identifier(face.name)}.elf",
        defines,
        exports=("infer", "reset"),
        **room,
    )


def serial_files(compiled: Compiled, sha256: str) -> dict[str, str]:
    """The sources of a program that is driven over the board's UART, by relative path.

    Args:
        sha256: by which the computer will recognise the program, hexadecimal.

    Raises:
        Unsupported: the target says no UART.
    """
    program, target = compiled.program, compiled.target
    glue = glue_source(program.interface, target, len(program.graph.ops), bytes.fromhex(sha256))
    files = {name: (SUPPORT / "serial" / name).read_text() for name in driver_files(target)}
    return {
        **model_files(program),
        **files,
        "edgesmith_glue.c": glue,
        "edgesmith_board.h": board_header(target),
    }


def serial_firmware(compiled: Compiled, folder: Path, sha256: str) -> Firmware:
    """Link a program that is driven over the board's UART.

    Raises:
        DoesNotFit: flash or RAM is too small, and by how much.
        Unsupported: the target says no UART.
    """
    paths = written(serial_files(compiled, sha256), folder)
    return compile_firmware(
        [path for path in paths if path.suffix == ".c"],
        [folder, folder / "kernels"],
        compiled.target,
        folder / f"{identifier(compiled.program.interface.name)}.elf",
        ["EDGESMITH_TICKS"],
    )


def wasm_module(compiled: Compiled, folder: Path, traced: bool = False) -> WasmModule:
    """Link a program for WebAssembly.

    Args:
        folder: where sources and module are put.
        traced: call back after each op, and offer many inferences in one call, to be timed.
    """
    face = compiled.program.interface
    files = {**model_files(compiled.program), "main.c": main_source(face)}
    if traced:
        files["timing.c"] = timing_source(face)
    paths = written(files, folder)
    return compile_wasm(
        [path for path in paths if path.suffix == ".c"],
        [folder, folder / "kernels"],
        compiled.target,
        folder / f"{identifier(face.name)}.wasm",
        (*WASM_EXPORTS, *(WASM_TIMING if traced else ())),
        ["EDGESMITH_TRACE"] if traced else [],
    )


def runs(target: Target) -> bool:
    """Whether programs for a target run here: on an emulated core, or in wasmtime."""
    return target.emulated or target.isa == "wasm"


def place(target: Target) -> str:
    """Where they do, in words."""
    return "in wasmtime" if target.isa == "wasm" else f"on the emulated {target.name}"


def on_target(compiled: Compiled, folder: Path, roomy: bool = False) -> Emulated | Wasm:
    """Link a program and load it where `runs` says it can run; close it after use.

    Args:
        folder, roomy: as `firmware`.

    Raises:
        Unsupported: it runs nowhere here.
    """
    face, target = compiled.program.interface, compiled.target
    if target.isa == "wasm":
        return Wasm(wasm_module(compiled, folder).path, face, target)
    return Emulated(firmware(compiled, folder, roomy=roomy), face, target)


def host_library(program: Program, trace: bool = False) -> Path:
    """The program as a shared library of this machine, from the cache if it was built before.

    Args:
        trace: call back after each op.
    """
    with tempfile.TemporaryDirectory(prefix="edgesmith-host-") as name:
        folder = Path(name)
        paths = written(model_files(program), folder)
        sources = [path for path in paths if path.suffix == ".c"]
        defines = ["EDGESMITH_TRACE"] if trace else []
        return compile_library(sources, [folder, folder / "kernels"], defines=defines, threads=program.threaded)


def host_program(graph: Graph, reference: bool = False) -> Program:
    """A graph bound to this machine's kernels; `reference` leaves out the fast ones."""
    return bind(graph, ("reference",) if reference else HOST_KERNELS)


def native(graph: Graph, trace: bool = False, threads: int = 1) -> Native:
    """A graph compiled for this machine and loaded.

    Raises:
        BadInput: threads below 1.
    """
    program = host_program(graph)
    return Native(host_library(program, trace), program.interface, threads)


def written(files: Mapping[str, str], folder: Path) -> list[Path]:
    """Put files into a scratch folder."""
    paths = []
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        paths.append(path)
    return paths


__all__ = [
    "Compiled",
    "Unsupported",
    "bind_for",
    "firmware",
    "host_library",
    "host_program",
    "kernel_file",
    "native",
    "on_target",
    "place",
    "runs",
    "wasm_module",
]
