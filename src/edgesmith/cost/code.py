"""Bytes of the kernels' own code on a board: linked once for each set of kernels, kept in the cache."""

import hashlib
import json
import tempfile
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edgesmith.compile.emit.model import Program
from edgesmith.core.atomic import write_file
from edgesmith.core.cache import cache_folder
from edgesmith.core.target import Target
from edgesmith.kernels.abi import FOLDER
from edgesmith.kernels.costs import digest
from edgesmith.toolchain import compile_firmware, compile_library
from edgesmith.toolchain.firmware import SUPPORT

# What holds every kernel there is; the board itself may be smaller.
ROOM_BYTES = 16 << 20
MAIN = "int main(void);\nint main(void) { return 0; }\n"
Set = tuple[tuple[Path, str], ...]


@dataclass(frozen=True)
class CodeSize:
    """A program of kernels alone: start-up code, kernels and what they call, soft-float helpers included.

    Attributes:
        flash_bytes: code and the constants of kernels.
        ram_bytes: their variables.
    """

    flash_bytes: int
    ram_bytes: int


def code_size(program: Program, target: Target) -> CodeSize:
    """What the kernels of a program take on a bare board.

    Raises:
        Missing: there is no compiler.
    """
    wanted = {(kernel.source, kernel.function) for kernel in program.kernels if kernel}
    extra = ("memcpy",) if program.graph.states else ()
    return _sized(tuple(sorted(wanted)), extra, target.compiler_flags, _Board(target))


def library_bytes(program: Program) -> int:
    """Size of a shared library of the program's kernels alone on this machine, from the cache after the first time.

    Raises:
        Missing: there is no compiler.
    """
    sources = sorted(program.kernel_sources)
    return compile_library(sources, [FOLDER / "include"], threads=program.threaded).stat().st_size


class _Board:
    """A target that the in-memory cache does not compare; its compiler flags are compared beside it."""

    def __init__(self, target: Target) -> None:
        self.target = target

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Board) and other.target.has_fpu == self.target.has_fpu

    def __hash__(self) -> int:
        return hash(self.target.has_fpu)


@cache
def _sized(kernels: Set, extra: tuple[str, ...], flags: tuple[str, ...], board: _Board) -> CodeSize:
    path = cache_folder() / "code" / f"{_key(kernels, extra, board.target)}.json"
    if path.is_file():
        return CodeSize(**json.loads(path.read_text("utf-8")))
    size = _link(kernels, extra, board.target)
    write_file(path, json.dumps(asdict(size)))
    return size


def _key(kernels: Set, extra: tuple[str, ...], target: Target) -> str:
    support = sorted(path.read_text("utf-8") for path in SUPPORT.iterdir() if path.is_file())
    files = [(source.parent.name, source.name, function, digest(source)) for source, function in kernels]
    try:
        compiler = version("ziglang")
    except PackageNotFoundError:
        compiler = "none"
    facts = [files, extra, target.compiler_flags, target.has_fpu, support, MAIN, compiler]
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def _link(kernels: Set, extra: tuple[str, ...], target: Target) -> CodeSize:
    with tempfile.TemporaryDirectory(prefix="edgesmith-code-") as name:
        folder = Path(name)
        main = folder / "main.c"
        main.write_text(MAIN)
        built = compile_firmware(
            [main, *dict.fromkeys(source for source, _ in kernels)],
            [FOLDER / "include"],
            target,
            folder / "kernels.elf",
            exports=(*(function for _, function in kernels), *extra),
            flash_bytes=ROOM_BYTES,
            ram_bytes=ROOM_BYTES,
        )
        return CodeSize(built.flash_bytes, built.ram_bytes)
