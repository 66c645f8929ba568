"""Sources to a freestanding ELF for a board, and what that ELF takes of its memories."""

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgesmith.core.atomic import write_file
from edgesmith.core.errors import BadInput, DoesNotFit, Missing, Unsupported
from edgesmith.core.target import Memory, Target
from edgesmith.toolchain.compiler import OPTIMIZE, CompilerFailed, command, defined, includes, invoke
from edgesmith.toolchain.linker import PAGE_BYTES, linker_script

SUPPORT = Path(__file__).parent / "support"
OVERFLOW = re.compile(r"section '([^']+)' will not fit in region '(\w+)': overflowed by (\d+) bytes")
IN_FLASH = (".vectors", ".text", ".rodata", ".data")
IN_RAM = (".data", ".bss")
# Where a program for a system with virtual memory is linked, and how far it may grow; any addresses below 4 GB serve.
PROCESS = (Memory("flash", 0x00400000, 1 << 30), Memory("ram", 0x80000000, 1 << 30))
PROCESS_STACK_BYTES = 1 << 16
CONSTANT_GAPS = 64  # bytes between sections, at most


@dataclass(frozen=True)
class Symbol:
    """A function or variable: where it lies and how long it is, in bytes."""

    name: str
    address: int
    size_bytes: int
    kind: str  # "function" or "object"


@dataclass(frozen=True)
class Firmware:
    """A linked program.

    Attributes:
        flash_bytes: vectors, code, constants and the initial values of .data.
        ram_bytes: .data and .bss; the stack is not in it.
        memories: the regions it was linked for: the board's, or larger ones when that was asked for; of a program for
            an operating system the pages that it takes, its stack among them.
        sections: section name to size in bytes.
        symbols: by name; the bit of Thumb functions is cleared.
    """

    elf: Path
    flash_bytes: int
    ram_bytes: int
    memories: tuple[Memory, ...]
    sections: dict[str, int]
    symbols: dict[str, Symbol]

    def symbol(self, name: str) -> Symbol:
        """The symbol called `name`.

        Raises:
            BadInput: there is none.
        """
        if name not in self.symbols:
            raise BadInput(
                f"firmware: {self.elf.name} has no symbol {name!r}; need one that is linked. "
                "Name it in `exports` when compiling."
            )
        return self.symbols[name]


def compile_firmware(
    sources: Sequence[Path],
    include_dirs: Sequence[Path],
    target: Target,
    out: Path,
    defines: Sequence[str] = (),
    exports: Sequence[str] = (),
    stack_bytes: int = 2048,
    flash_bytes: int | None = None,
    ram_bytes: int | None = None,
) -> Firmware:
    """Compile and link a freestanding program for `target`.

    What main does not refer to is dropped, unless it is among `exports`. memcpy, memset, memmove, memcmp and the
    start-up code come with it; there is no C library.

    Args:
        out: the ELF file, replaced whole.
        exports: functions and variables kept under their names, e.g. those the emulated board is asked to call.
        stack_bytes: RAM that must stay free above .bss.
        flash_bytes, ram_bytes: capacities to link for in place of the board's, e.g. for a model known not to fit.

    A program for AArch64 is linked at fixed addresses in place of an operating system's process, to be emulated.

    Raises:
        DoesNotFit: flash or RAM is too small; the message says by how many bytes.
        CompilerFailed: the sources do not compile.
        Unsupported: the target is no Cortex-M, RISC-V or AArch64.
    """
    flash, ram = _memories(target, flash_bytes, ram_bytes)
    stack_bytes = max(stack_bytes, PROCESS_STACK_BYTES) if target.hosted else stack_bytes
    with tempfile.TemporaryDirectory(prefix="edgesmith-link-") as folder:
        script = Path(folder) / "link.ld"
        script.write_text(linker_script(flash, ram, stack_bytes, exports, target.hosted))
        elf = Path(folder) / "firmware.elf"
        support = _support_objects(target, Path(folder))
        words = [*command(), *_flags(target), *OPTIMIZE, "-g0", "-std=c99", "-nostdlib", "-lcompiler_rt"]
        words += [*includes(include_dirs), *defined(defines), *map(str, sources), *map(str, support)]
        words += [f"-Wl,-T,{script}", "-Wl,--gc-sections", "-Wl,-e,Reset_Handler", "-o", str(elf)]
        try:
            invoke(words)
        except CompilerFailed as failed:
            raise _explain(failed, target, flash, ram) from failed
        write_file(out, elf.read_bytes())
    linked = read_firmware(out, (flash, ram))
    return _as_process(linked) if target.hosted else linked


def _as_process(linked: Firmware) -> Firmware:
    """With the pages that the program takes in place of the regions it was linked in."""
    flash, ram = linked.memories
    used = -(-(linked.flash_bytes + CONSTANT_GAPS) // PAGE_BYTES) * PAGE_BYTES
    top = linked.symbol("_estack").address
    return replace(linked, memories=(replace(flash, size_bytes=used), replace(ram, size_bytes=top - ram.origin)))


def _memories(target: Target, flash_bytes: int | None, ram_bytes: int | None) -> tuple[Memory, Memory]:
    if target.isa == "aarch64":
        return PROCESS
    if target.hosted or target.isa not in ("thumb", "riscv32"):
        raise Unsupported(
            f"compile_firmware: {target.name} is {target.isa} with an operating system; need a bare Cortex-M or "
            "RISC-V target, or AArch64. Use compile_library for this machine, compile_wasm for WebAssembly."
        )
    flash, ram = target.memory("flash"), target.memory("ram")
    return _enlarged(flash, flash_bytes, ram), _enlarged(ram, ram_bytes, flash)


def _enlarged(memory: Memory, size_bytes: int | None, other: Memory) -> Memory:
    """With another size, but no further than to where the other memory begins."""
    size = size_bytes or memory.size_bytes
    room = other.origin - memory.origin
    return replace(memory, size_bytes=min(size, room) if room > 0 else size)


def _flags(target: Target) -> list[str]:
    """The target's flags; a process too is linked for fixed addresses."""
    return [*target.compiler_flags, *(("-fno-pie", "-static") if target.hosted else ())]


def _support_objects(target: Target, folder: Path) -> list[Path]:
    """Start-up and memory functions as objects: they need flags of their own."""
    fpu = ["-DEDGESMITH_FPU"] if target.has_fpu else []
    objects = []
    for source in (SUPPORT / f"startup_{target.isa}.c", SUPPORT / "memory.c"):
        out = folder / f"{source.stem}.o"
        flags = [*_flags(target), "-O2", "-g0", "-ffreestanding", "-fno-builtin", "-ffunction-sections", *fpu]
        invoke([*command(), *flags, "-c", str(source), "-o", str(out)])
        objects.append(out)
    return objects


def _explain(failed: CompilerFailed, target: Target, flash: Memory, ram: Memory) -> Exception:
    """DoesNotFit when the linker ran out of a region, else the failure itself."""
    over: dict[str, int] = {}
    for _, region, count in OVERFLOW.findall(failed.stderr):
        over[region] = max(over.get(region, 0), int(count))
    if not over:
        return failed
    sizes = {"flash": flash.size_bytes, "ram": ram.size_bytes}
    parts = [f"{region} by {count:,} bytes (it has {sizes[region]:,})" for region, count in sorted(over.items())]
    return DoesNotFit(
        f"compile: the program exceeds {target.name}'s {' and its '.join(parts)}; need it to fit. "
        "Use a smaller model, int8, or a board with more memory."
    )


def read_firmware(elf: Path, memories: tuple[Memory, ...]) -> Firmware:
    """Sizes and symbols of a linked ELF.

    Raises:
        Missing: pyelftools is not installed.
    """
    try:
        from elftools.elf.elffile import ELFFile
    except ImportError as error:
        raise Missing(
            'toolchain: pyelftools is not installed; need it to read ELF files. pip install "edgesmith[firmware]"'
        ) from error
    with elf.open("rb") as file:
        image = ELFFile(file)
        sections = {s.name: int(s["sh_size"]) for s in image.iter_sections() if s["sh_flags"] & 2}
        table: Any = image.get_section_by_name(".symtab")
        entries = [(s.name, s["st_info"]["type"], s["st_value"], s["st_size"]) for s in table.iter_symbols()]
    kinds = {"STT_FUNC": "function", "STT_OBJECT": "object", "STT_NOTYPE": "label"}
    symbols = {
        name: Symbol(name, value & ~1 if kind == "STT_FUNC" else value, size, kinds[kind])
        for name, kind, value, size in entries
        if name and not name.startswith("$") and kind in kinds
    }
    flash = sum(sections.get(name, 0) for name in IN_FLASH)
    ram = sum(sections.get(name, 0) for name in IN_RAM)
    return Firmware(elf, flash, ram, memories, sections, symbols)


def load_segments(elf: Path) -> list[tuple[int, bytes]]:
    """What a programmer writes to flash: addresses and bytes of a linked ELF."""
    from elftools.elf.elffile import ELFFile

    with elf.open("rb") as file:
        loaded = [s for s in ELFFile(file).iter_segments() if s["p_type"] == "PT_LOAD" and s["p_filesz"]]
        return [(s["p_paddr"], s.data()) for s in loaded]
