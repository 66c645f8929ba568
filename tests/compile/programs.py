"""Graphs put into C in every form the tests need: as files, as one library of many models."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgesmith.compile.emit import model_files
from edgesmith.compile.emit.model import Program, bind
from edgesmith.core.graph import Graph
from edgesmith.core.interface import random_input
from edgesmith.pipeline.verify import Interpreted, first_difference
from edgesmith.run.native import Native
from edgesmith.toolchain import compile_library


def bound(graphs: Sequence[Graph], folders: Sequence[str]) -> list[Program]:
    """Each graph bound to kernels, under a name of its own."""
    return [bind(replace(graph, name=f"net{index}"), folders) for index, graph in enumerate(graphs)]


def write(programs: Sequence[Program], folder: Path) -> list[Path]:
    """All their C files in one folder; returns the sources."""
    files = {name: content for program in programs for name, content in model_files(program).items()}
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return [folder / name for name in files if name.endswith(".c")]


def load(programs: Sequence[Program], folder: Path, **options) -> list[Native]:
    """All of them in one library of this machine; `options` as `compile_library` takes them."""
    library = compile_library(write(programs, folder), [folder, folder / "kernels"], **options)
    return [Native(library, program.interface) for program in programs]


def samples(graph: Graph, rng: np.random.Generator, count: int = 3) -> list[dict[str, np.ndarray]]:
    """Random stored inputs."""
    return [{name: random_input(graph, name, rng) for name in graph.inputs} for _ in range(count)]


def disagreement(graph: Graph, runner, inputs: Sequence[dict[str, np.ndarray]]) -> str:
    """The first output of a series of runs that is not what numpy makes of it; empty when there is none."""
    expected = Interpreted(graph)
    for turn, sample in enumerate(inputs):
        wanted, found = expected.run(sample), runner.run(sample)
        for name, value in wanted.items():
            if (index := first_difference(value, found[name])) is not None:
                return f"run {turn}, {name} at {index}: numpy {value[index]}, C {found[name][index]}"
    return ""
