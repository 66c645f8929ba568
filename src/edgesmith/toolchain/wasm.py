"""Sources to a WebAssembly module without imports, and what it takes of its host's memory."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgesmith.core.atomic import write_file
from edgesmith.core.errors import BadInput
from edgesmith.core.target import Target
from edgesmith.toolchain.compiler import OPTIMIZE, command, defined, includes, invoke
from edgesmith.toolchain.firmware import SUPPORT

STACK_BYTES = 1 << 16  # at the bottom of the linear memory: an overflow traps
PAGE_BYTES = 1 << 16
MEMORY_SECTION = 5


@dataclass(frozen=True)
class WasmModule:
    """A linked module.

    Attributes:
        memory_bytes: linear memory it starts with: stack, constants, arena and states in whole pages.
    """

    path: Path
    file_bytes: int
    memory_bytes: int


def compile_wasm(
    sources: Sequence[Path],
    include_dirs: Sequence[Path],
    target: Target,
    out: Path,
    exports: Sequence[str],
    defines: Sequence[str] = (),
) -> WasmModule:
    """Compile and link a module that exports its memory and `exports`; there is no C library.

    Args:
        out: the .wasm file, replaced whole.
        exports: functions, and variables whose address a global of that name holds; what they do not reach is dropped.

    Raises:
        CompilerFailed: the sources do not compile.
    """
    with tempfile.TemporaryDirectory(prefix="edgesmith-wasm-") as folder:
        made, memory = Path(folder) / "module.wasm", Path(folder) / "memory.o"
        flags = [*command(), *target.compiler_flags, "-g0"]
        invoke([*flags, "-O2", "-fno-builtin", "-c", str(SUPPORT / "memory.c"), "-o", str(memory)])
        words = [*flags, *OPTIMIZE, "-std=c99", "-nostdlib", "-lcompiler_rt", *includes(include_dirs)]
        words += [*defined(defines), *map(str, sources), str(memory), "-Wl,--no-entry", "-Wl,--gc-sections"]
        words += ["-Wl,--strip-all", f"-Wl,-z,stack-size={STACK_BYTES}", *(f"-Wl,--export={name}" for name in exports)]
        invoke([*words, "-o", str(made)])
        data = made.read_bytes()
    write_file(out, data)
    return WasmModule(out, len(data), initial_memory(data))


def initial_memory(module: bytes) -> int:
    """Bytes of linear memory a module starts with.

    Raises:
        BadInput: it is no module that defines a memory.

    Source: WebAssembly core specification 1.0, section 5.5.8.
    """
    at = 8
    while module[:4] == b"\0asm" and at < len(module):
        kind = module[at]
        size, start = _leb(module, at + 1)
        if kind == MEMORY_SECTION:
            _, flags = _leb(module, start)
            return _leb(module, flags + 1)[0] * PAGE_BYTES
        at = start + size
    raise BadInput("toolchain: no WebAssembly module with a memory of its own; need one that compile_wasm made.")


def _leb(data: bytes, at: int) -> tuple[int, int]:
    """The unsigned LEB128 number at `at`, and where it ends."""
    value, shift = 0, 0
    while at < len(data):
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at
    raise BadInput("toolchain: the WebAssembly module ends inside a number; need a whole file.")
