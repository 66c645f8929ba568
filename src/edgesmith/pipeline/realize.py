"""Turn a candidate into an artifact and read its figures off the linked program and the emulated board."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np

from edgesmith.compile.emit import browser, project_files
from edgesmith.compile.emit.text import identifier
from edgesmith.core import artifact as artifacts
from edgesmith.core.artifact import Artifact
from edgesmith.core.budget import Budget
from edgesmith.core.graph import Graph
from edgesmith.core.interface import decode, encode, layout, random_input
from edgesmith.core.reading import Reading
from edgesmith.core.target import Target
from edgesmith.core.task import Split, Task
from edgesmith.pipeline.build import Compiled, bind_for, native, on_target, place, wasm_module
from edgesmith.pipeline.profile import Profile, profile
from edgesmith.run.emulated import Emulated
from edgesmith.run.native import Native
from edgesmith.run.wasm import Wasm

VECTORS = 4  # test vectors that go with an artifact
SAMPLES = 10  # to try on the page of an image classifier
EMULATED_INSTRUCTIONS = 4_000_000_000  # spent at most on the accuracy on the board, about ten seconds


@dataclass(frozen=True)
class Realized:
    """A compiled candidate with its figures.

    Attributes:
        readings: "flash", "ram", "latency", "energy" by name.
    """

    compiled: Compiled
    profile: Profile
    readings: Mapping[str, Reading]

    @property
    def graph(self) -> Graph:
        """The program."""
        return self.compiled.graph

    def ratios(self, budget: Budget) -> dict[str, float]:
        """Each limit that is set to the figure over it."""
        return budget.ratios(self.readings)


def realize(graph: Graph, target: Target) -> Realized:
    """Compile a graph for the target and read its figures; what is too large for the board is counted all the same."""
    compiled = bind_for(graph, target)
    report = profile(compiled.program, target)
    return Realized(compiled, report, report.readings())


def accuracy_of(runner: "Native | Emulated | Wasm", graph: Graph, task: Task, split: Split) -> float:
    """The task's metric of a compiled model on a split of raw inputs."""
    return task.metric.compute(outputs_of(runner, graph, split.inputs), split.labels)


def outputs_of(runner: "Native | Emulated | Wasm", graph: Graph, inputs: np.ndarray) -> np.ndarray:
    """Real outputs (n, ...) of a compiled model with one input and one output, each sample from the initial state."""
    tensor, result = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    rows = []
    for sample in inputs:
        if graph.states:
            runner.reset()
        stored = runner.run({tensor.name: arranged(graph, sample)})[result.name]
        rows.append(decode(result, stored).reshape(stored.shape[1:] if stored.shape[0] == 1 else stored.shape))
    return np.stack(rows)


def arranged(graph: Graph, sample: np.ndarray) -> np.ndarray:
    """A sample in the task's layout (C, H, W) as the graph's input stores it (1, H, W, C)."""
    tensor = graph.tensors[graph.inputs[0]]
    if (
        sample.ndim == 3
        and tensor.shape != (1, *sample.shape)
        and tensor.shape == (1, *np.moveaxis(sample, 0, -1).shape)
    ):
        sample = np.moveaxis(sample, 0, -1)
    return encode(tensor, sample.reshape(tensor.shape))


def samples_of(graph: Graph, split: Split, count: int) -> list[dict[str, np.ndarray]]:
    """The first `count` inputs of a split, as the graph stores them."""
    return [{graph.inputs[0]: arranged(graph, sample)} for sample in split.inputs[:count]]


def raw_samples(source: Graph, split: Split, count: int) -> list[dict[str, np.ndarray]]:
    """The first `count` inputs of a split as the integer graph made of `source` stores them, in the task's layout."""
    shape = source.tensors[source.inputs[0]].shape
    return [{source.inputs[0]: sample.reshape(shape)} for sample in split.inputs[:count]]


def board_accuracy(realized: Realized, task: Task) -> Reading:
    """The task's metric on the target, on as many test samples as the instruction allowance pays for."""
    target = realized.compiled.target
    per_run = max(realized.profile.instructions or 1, 1)
    count = int(min(len(task.test), max(1, EMULATED_INSTRUCTIONS // per_run)))
    split = Split(task.test.inputs[:count], task.test.labels[:count])
    with TemporaryDirectory(prefix="edgesmith-board-") as folder, on_target(realized.compiled, Path(folder)) as running:
        value = accuracy_of(running, realized.graph, task, split)
    how = f"{count} of {len(task.test)} test samples {place(target)}"
    return Reading(value, task.metric.unit, "emulated" if target.emulated else "measured", how)


def host_accuracy(graph: Graph, task: Task, part: Literal["validation", "test"] = "test") -> tuple[Reading, np.ndarray]:
    """The task's metric of the compiled C on a whole split, on this machine, and the outputs."""
    split: Split = getattr(task, part)
    outputs = outputs_of(native(graph), graph, split.inputs)
    how = f"compiled C on this machine, all {len(split)} {part} samples"
    return Reading(task.metric.compute(outputs, split.labels), task.metric.unit, "measured", how), outputs


def write_artifact(
    folder: Path, realized: Realized, source: Graph | None, task: Task | None, facts: Mapping[str, Any]
) -> Artifact:
    """Write the folder that a user takes away.

    Args:
        source: the float graph with its formats, from which the program was made; kept under source/. None for a part
            of a program, which is held against numpy alone.
    """
    graph, target = realized.graph, realized.compiled.target
    vectors = test_vectors(graph, task)
    flash = f"{realized.readings['flash'].value:,.0f} bytes with start-up code"
    files = {n: text.encode() for n, text in project_files(realized.compiled.program, target, vectors, flash).items()}
    if source:
        files |= {f"source/{name}": data for name, data in artifacts.graph_files(source).items()}
    if target.isa == "wasm":
        files |= browser_files(realized.compiled, task)
    if target.toml:
        files[artifacts.BOARD_FILE] = target.toml.encode()
    face = realized.compiled.program.interface
    described = {
        "name": graph.name,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "target": target.name,
        "task": task.describe() if task else None,
        "memory": {**realized.compiled.program.plan.facts(), "state_bytes": face.state_bytes},
        "layout": layout(graph),
        "readings": {name: reading.to_json() for name, reading in realized.readings.items()},
        **facts,
    }
    return artifacts.save(folder, graph, described, files)


def browser_files(compiled: Compiled, task: Task | None) -> dict[str, bytes]:
    """The module, the script that loads it, and for an image classifier a page to try it on."""
    face = compiled.program.interface
    name = identifier(face.name)
    with TemporaryDirectory(prefix="edgesmith-wasm-") as folder:
        module = wasm_module(compiled, Path(folder)).path.read_bytes()
    files = {f"{name}.wasm": module, f"{name}.js": browser.script(face).encode()}
    if task and browser.is_classifier_of_images(face):
        samples = [arranged(compiled.graph, sample) for sample in of_each_class(task.validation)]
        white = float(task.calibration.inputs.max())
        files[f"{name}.html"] = browser.page(face, module, task.classes, white, samples).encode()
    return files


def of_each_class(split: Split) -> np.ndarray:
    """The first sample of every class, SAMPLES at most."""
    first = [int(np.flatnonzero(split.labels == label)[0]) for label in np.unique(split.labels)[:SAMPLES]]
    return split.inputs[first]


def test_vectors(graph: Graph, task: Task | None) -> Sequence[tuple[dict[str, np.ndarray], dict[str, np.ndarray]]]:
    """Stored inputs with the outputs they give here, in order from the initial state.

    The inputs are those of the validation split; without a task they are random.
    """
    runner = native(graph)
    if task:
        samples = samples_of(graph, task.validation, VECTORS)
    else:
        rng = np.random.default_rng(0)
        samples = [{name: random_input(graph, name, rng) for name in graph.inputs} for _ in range(VECTORS)]
    return [(sample, runner.run(sample)) for sample in samples]
