"""What the firmware packages share: the model's C in a layout of folders, built from there and checked bit for bit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edgesmith import __version__
from edgesmith.compile.emit import kernel_file, model_files
from edgesmith.compile.emit.firmware import main_source
from edgesmith.compile.emit.model import Program, describe
from edgesmith.compile.emit.text import identifier
from edgesmith.core.errors import Unsupported
from edgesmith.core.interface import random_input
from edgesmith.core.target import Target
from edgesmith.export.source import Source
from edgesmith.pipeline.build import bind_for
from edgesmith.pipeline.verify import Interpreted, Relation, first_difference
from edgesmith.run.emulated import Emulated
from edgesmith.run.native import Native
from edgesmith.toolchain import compile_firmware, compile_library

SAMPLES = 4
FLAGS = ("-O3", "-ffp-contract=off")
HOSTED = ("x86-64", "wasm32")
VERSION = __version__
Inputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Layout:
    """Where a package keeps the model's files.

    Attributes:
        header, source, kernels: folders of NAME.h, of NAME.c, and of the kernels with their headers.
    """

    header: str
    source: str
    kernels: str

    @property
    def includes(self) -> tuple[str, ...]:
        """Folders that a compiler must look in for headers."""
        return tuple(dict.fromkeys((self.header, self.kernels)))


@dataclass(frozen=True)
class Parts:
    """A model's C, ready to be put into a package.

    Attributes:
        name: of the C functions; `macro` in capitals.
        files: path within the package to content.
        sources: those of them that are compiled, in order.
    """

    name: str
    program: Program
    target: Target
    layout: Layout
    files: Mapping[str, str]
    sources: tuple[str, ...]

    @property
    def macro(self) -> str:
        """The prefix of the header's macros."""
        return self.name.upper()

    @property
    def ports(self) -> str:
        """The inputs and outputs in words, one a line."""
        face = self.program.interface
        lines = [f"- in `{p.identifier}`: {describe(p.tensor)}" for p in face.inputs]
        return "\n".join([*lines, *(f"- out `{p.identifier}`: {describe(p.tensor)}" for p in face.outputs)])


def parts(source: Source, layout: Layout) -> Parts:
    """The model's C for its target, in a layout.

    Raises:
        Unsupported: no target is known, or it is no microcontroller.
    """
    if source.compiled is None or source.target is None:
        raise Unsupported(f"export: {source.name} is compiled for no board; need one. Give --target, or an artifact.")
    if source.target.isa in HOSTED:
        raise Unsupported(f"export: {source.target.name} is no microcontroller; need one for a firmware package.")
    program = bind_for(source.compiled, source.target).program
    name = identifier(program.interface.name)
    files, sources = {}, []
    for path, text in model_files(program).items():
        if path.startswith("kernels/"):
            path = _joined(layout.kernels, path.removeprefix("kernels/"))
        else:
            path = _joined(layout.header if path.endswith(".h") else layout.source, path)
        files[path] = text
    sources = [_joined(layout.source, f"{name}.c")]
    sources += [_joined(layout.kernels, kernel_file(kernel)) for kernel in program.kernel_sources]
    return Parts(name, program, source.target, layout, files, tuple(sources))


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def checked(made: Parts, files: Mapping[str, str]) -> Relation:
    """Build the package's own files for this machine and, emulated, for the board; every output must be as in numpy.

    Args:
        files: the whole package.
    """
    graph = made.program.graph
    rng = np.random.default_rng(0)
    samples = [{name: random_input(graph, name, rng) for name in graph.inputs} for _ in range(SAMPLES)]
    wanted = list(map(Interpreted(graph).run, samples))
    with TemporaryDirectory(prefix="edgesmith-package-") as name:
        folder = Path(name)
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        sources = [folder / path for path in made.sources]
        includes = [folder / path for path in made.layout.includes]
        runs: list[tuple[str, list[Inputs]]] = [("this machine", _here(made, sources, includes, samples))]
        if made.target.emulated:
            runs.append((f"the emulated {made.target.name}", _board(made, folder, includes, samples)))
    places = [place for place, outputs in runs if _equal(wanted, outputs)]
    said = f"{len(made.sources)} sources of the package built; " + ", ".join(
        f"{place}: {'as in numpy' if place in places else 'DIFFERENT'}" for place, _ in runs
    )
    return Relation("package = numpy", len(places) == len(runs), sum(a.size for w in wanted for a in w.values()), said)


def _here(made: Parts, sources: list[Path], includes: list[Path], samples: Sequence[Inputs]) -> list[Inputs]:
    runner = Native(compile_library(sources, includes), made.program.interface)
    return [runner.run(sample) for sample in samples]


def _board(made: Parts, folder: Path, includes: list[Path], samples: Sequence[Inputs]) -> list[Inputs]:
    main = folder / "edgesmith_main.c"
    main.write_text(main_source(made.program.interface))
    sources = [*(folder / path for path in made.sources), main]
    linked = compile_firmware(sources, includes, made.target, folder / "package.elf", exports=("infer", "reset"))
    with Emulated(linked, made.program.interface, made.target) as board:
        return [board.run(sample) for sample in samples]


def _equal(wanted: Sequence[Inputs], found: Sequence[Inputs]) -> bool:
    pairs = zip(wanted, found, strict=True)
    return all(first_difference(want[name], got[name]) is None for want, got in pairs for name in want)
