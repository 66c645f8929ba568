"""Graph to C: bind kernels, place memory, print."""

from collections.abc import Sequence
from pathlib import Path

from edgesmith.compile.emit.firmware import Vector, cmake, main_source, readme, vectors_header
from edgesmith.compile.emit.model import Printer, Program
from edgesmith.core.target import Target

KERNELS = Path(__file__).parents[2] / "kernels"


def model_files(program: Program) -> dict[str, str]:
    """The model alone: header, source and the kernels it needs, by relative path."""
    printer = Printer(program)
    files = {f"{printer.prefix}.h": printer.header(), f"{printer.prefix}.c": printer.source()}
    for header in sorted((KERNELS / "include").glob("*.h")):
        files[f"kernels/{header.name}"] = header.read_text()
    for source in program.kernel_sources:
        files[f"kernels/{kernel_file(source)}"] = source.read_text()
        for header in sorted(source.parent.glob("*.h")):  # shared by the kernels of that folder
            files[f"kernels/{header.name}"] = header.read_text()
    return files


def kernel_file(source: Path) -> str:
    """The name a kernel file has in an emitted folder: its instruction set and its own name."""
    return f"{source.parent.name}_{source.name}"


def project_files(program: Program, target: Target, vectors: Sequence[Vector], flash: str) -> dict[str, str]:
    """Everything a firmware engineer gets: the model, a main program, test vectors, a CMake file, a README."""
    face = program.interface
    kernel_files = [kernel_file(source) for source in program.kernel_sources]
    return {
        **model_files(program),
        "main.c": main_source(face),
        "test_vectors.h": vectors_header(face, vectors),
        "CMakeLists.txt": cmake(face, kernel_files, program.threaded),
        "README.md": readme(face, target, flash),
    }
