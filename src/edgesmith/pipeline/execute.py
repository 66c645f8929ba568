"""Use an artifact that exists: run it on this machine, on the emulated board or in numpy; certify it."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edgesmith import targets
from edgesmith.compile.integerize import integerize
from edgesmith.core import artifact as artifacts
from edgesmith.core.artifact import Artifact
from edgesmith.core.atomic import write_file
from edgesmith.core.errors import BadInput, Missing
from edgesmith.core.graph import Graph
from edgesmith.core.interface import decode, encode, random_input
from edgesmith.core.ops import interpret
from edgesmith.core.target import Target
from edgesmith.data import load_task
from edgesmith.data.files import read_array, read_npz
from edgesmith.pipeline.build import bind_for, native, on_target
from edgesmith.pipeline.realize import raw_samples, samples_of
from edgesmith.pipeline.verify import Inputs, Relation, against_float, against_torch, certify

MAX_INPUT_BYTES = 1 << 30


def target_of(artifact: Artifact) -> Target:
    """The target an artifact was compiled for.

    Raises:
        BadInput: its manifest names none that is known here, and it carries no board file.
    """
    name = artifact.manifest.get("target")
    if isinstance(name, str) and artifacts.BOARD_FILE in artifact.manifest["files"]:
        return targets.own(name, artifacts.content(artifact, artifacts.BOARD_FILE).decode("utf-8", "replace"))
    if not isinstance(name, str) or name not in targets.names():
        raise BadInput(f"artifact: target {name!r} is not built in. Compile it again with --target board.toml.")
    return targets.load(name)


def run_artifact(folder: Path, inputs: Inputs, on: str = "host", threads: int = 1) -> dict[str, np.ndarray]:
    """Run a compiled model on one set of inputs.

    Args:
        inputs: input name to array in the layout of the manifest; a single unnamed array goes to the only input.
        on: "host", "target" (on its emulated core, or in wasmtime), also called "board", or "numpy".
        threads: on the host.

    Returns:
        Output name to real values (float32).
    """
    artifact = artifacts.load(folder)
    graph = artifact.graph
    stored = {name: encode(graph.tensors[name], array) for name, array in named(graph, inputs).items()}
    if on == "numpy":
        outputs = interpret(graph, stored)
    elif on == "host":
        outputs = native(graph, threads=threads).run(stored)
    elif on in ("board", "target"):
        outputs = _on_target(graph, target_of(artifact), stored)
    else:
        raise BadInput(f"run: {on!r} is no place to run; need target, host, board or numpy.")
    return {name: decode(graph.tensors[name], array) for name, array in outputs.items()}


def named(graph: Graph, inputs: Inputs) -> Inputs:
    """Inputs by the graph's own names; an array without a name is the only input."""
    if set(inputs) == {""} and len(graph.inputs) == 1:
        return {graph.inputs[0]: inputs[""]}
    if missing := [name for name in graph.inputs if name not in inputs]:
        raise BadInput(f"run: input {missing[0]!r} is missing; need {', '.join(graph.inputs)}.")
    return {name: inputs[name] for name in graph.inputs}


def _on_target(graph: Graph, target: Target, stored: Inputs) -> dict[str, np.ndarray]:
    compiled = bind_for(graph, target)
    with TemporaryDirectory(prefix="edgesmith-run-") as folder, on_target(compiled, Path(folder)) as running:
        return running.run(stored)


def read_inputs(path: Path) -> dict[str, np.ndarray]:
    """Arrays from an .npy (named "") or .npz file; nothing in it is executed.

    Raises:
        Missing: no such file.
        BadInput: not such a file, or damaged, or too large.
    """
    if not path.is_file():
        raise Missing(f"run: no file {path}. Check the path.")
    try:
        size = path.stat().st_size
        if size > MAX_INPUT_BYTES:
            raise BadInput(f"run: {path} is larger than {MAX_INPUT_BYTES} bytes; need less.")
        if zipfile.is_zipfile(path):
            return read_npz(path, str(path), MAX_INPUT_BYTES)
        with path.open("rb") as file:
            return {"": read_array(file, size, f"run: {path}")}
    except OSError as error:
        raise BadInput(f"run: {path} cannot be read ({error.strerror}); need a readable .npy or .npz file.") from error


def save_outputs(path: Path, outputs: Mapping[str, np.ndarray]) -> None:
    """Write arrays to an .npz file, whole or not at all."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:  # numpy.savez takes some names for its own arguments
        for name, array in outputs.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    write_file(path, buffer.getvalue())


def certify_artifact(folder: Path, data: str | None, samples: int, trust: bool) -> tuple[Relation, ...]:
    """Check every implementation of an artifact against every other and keep the certificate in it.

    Args:
        data: where inputs come from; None for seeded random inputs, which exercise the integer relations as well.
    """
    artifact = artifacts.load(folder)
    inputs = stored_inputs(artifact.graph, data, samples, trust)
    relations = (
        *certify(artifact.graph, target_of(artifact), inputs),
        *_against_source(artifact, data, samples, trust),
    )
    artifacts.update(artifact, {"certificate": renewed(artifact, relations)})
    return relations


def _against_source(artifact: Artifact, data: str | None, count: int, trust: bool) -> tuple[Relation, ...]:
    """The integers against torch, where the artifact carries its float graph and torch is installed."""
    names = [f"source/{name}" for name in ("graph.json", "weights.safetensors")]
    classical = artifact.manifest.get("model") == "classical"
    if not set(names) <= set(artifact.manifest["files"]) or (find_spec("torch") is None and not classical):
        return ()
    source = artifacts.graph_from({Path(name).name: artifacts.content(artifact, name) for name in names})
    if classical:
        inputs = None if data is None else samples_of(source, load_task(data, trust).validation, count)
        return (against_float(source, artifact.graph, inputs),)
    stored = [name for name in artifact.graph.inputs if artifact.graph.tensors[name].dtype == "int8"]
    integer = integerize(source, stored)
    if data is None:
        return (against_torch(source, stored_inputs(integer, None, count, trust), stored),)
    return (against_torch(source, raw_samples(source, load_task(data, trust).validation, count)),)


def renewed(artifact: Artifact, relations: Sequence[Relation]) -> list[Any]:
    """The certificate with these relations, and those it had that cannot be checked without torch and the task."""
    old, names = artifact.manifest.get("certificate"), {relation.name for relation in relations}
    known = [one for one in old if isinstance(one, dict)] if isinstance(old, list) else []
    return [*(relation.to_json() for relation in relations), *(one for one in known if one.get("name") not in names)]


def stored_inputs(graph: Graph, data: str | None, count: int, trust: bool) -> list[dict[str, np.ndarray]]:
    """Inputs as the graph stores them: of the data's validation split, or seeded random ones over their whole range."""
    if data is not None:
        return samples_of(graph, load_task(data, trust).validation, count)
    rng = np.random.default_rng(0)
    return [{name: random_input(graph, name, rng) for name in graph.inputs} for _ in range(count)]
