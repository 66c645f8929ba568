"""The folder a compiled model lives in. Loading it executes nothing and believes nothing."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from edgesmith import __version__
from edgesmith.core import graph as graphs
from edgesmith.core import ops
from edgesmith.core.atomic import write_file, write_folder
from edgesmith.core.errors import BadInput
from edgesmith.core.graph import STATE_PREFIX, Graph

SCHEMA_VERSION = 1
MAX_FILE_BYTES = 1 << 30


@dataclass(frozen=True)
class Artifact:
    """A compiled model.

    Attributes:
        folder: where it lies; whole, as its manifest lists it.
        manifest: schema version, hashes, task, target, budget, readings, input layout.
        graph: the program, integers and all.
    """

    folder: Path
    manifest: dict[str, Any]
    graph: Graph

    @property
    def name(self) -> str:
        """The model's name, also the prefix of its C symbols."""
        return self.graph.name


def save(folder: Path, graph: Graph, facts: Mapping[str, Any], files: Mapping[str, bytes]) -> Artifact:
    """Write an artifact, whole or not at all.

    Args:
        facts: what the manifest says besides schema version and hashes.
        files: what the target runs, by relative path.

    Raises:
        BadInput: the folder exists and is not an artifact, or cannot be written.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / "manifest.json").is_file():
        raise BadInput(f"artifact: {folder} exists and is not an artifact; name another folder or empty it.")
    contents = {**files, **graph_files(graph)}
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "edgesmith": __version__,
        **facts,
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(contents.items())},
    }
    write_folder(folder, {**contents, "manifest.json": _dump(manifest)})
    return Artifact(folder, manifest, graph)


def graph_files(graph: Graph) -> dict[str, bytes]:
    """A graph as files: its structure in JSON, its arrays in safetensors."""
    arrays = {**graph.constants, **{STATE_PREFIX + s.tensor: s.initial for s in graph.states}}
    return {
        "graph.json": json.dumps(graphs.to_json(graph), indent=1).encode(),
        "weights.safetensors": safetensors.numpy.save({name: np.ascontiguousarray(a) for name, a in arrays.items()}),
    }


def graph_from(contents: Mapping[str, bytes]) -> Graph:
    """Inverse of `graph_files`, every op checked against its spec.

    Raises:
        BadInput: a file is missing, malformed, or does not match the other.
    """
    for name in ("graph.json", "weights.safetensors"):
        if name not in contents:
            raise BadInput(f"artifact: no {name}; the folder is incomplete. Compile it again.")
    try:
        arrays = safetensors.numpy.load(contents["weights.safetensors"])
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise BadInput(f"artifact: weights.safetensors is malformed ({error}). Compile it again.") from error
    graph = graphs.from_json(parse_json(contents["graph.json"], "graph.json"), arrays)
    ops.check(graph)
    return graph


def update(artifact: Artifact, facts: Mapping[str, Any], files: Mapping[str, bytes] | None = None) -> Artifact:
    """Add facts and files to an artifact, such as readings or a certificate."""
    files = files or {}
    for name, data in files.items():
        write_file(artifact.folder / name, data)
    hashes = {**artifact.manifest["files"], **{name: hashlib.sha256(data).hexdigest() for name, data in files.items()}}
    manifest = {**artifact.manifest, **facts, "files": hashes}
    write_file(artifact.folder / "manifest.json", _dump(manifest))
    return Artifact(artifact.folder, manifest, artifact.graph)


def load(folder: Path) -> Artifact:
    """Read an artifact: every file's hash, then the graph against the op specs.

    Raises:
        BadInput: not an artifact, damaged, malformed, or of a newer schema.
    """
    manifest = _manifest(folder)
    contents = {name: _content(folder, name, digest) for name, digest in manifest["files"].items()}
    return Artifact(folder, manifest, graph_from(contents))


def parse_json(data: bytes, name: str) -> Any:
    """Parse JSON from outside.

    Raises:
        BadInput: not JSON, or nested too deep.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"artifact: {name} is not valid JSON ({type(error).__name__}); it is damaged.") from error


def _dump(manifest: Mapping[str, Any]) -> bytes:
    return (json.dumps(manifest, indent=1) + "\n").encode()


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    if not path.is_file():
        raise BadInput(f"artifact: {folder} has no manifest.json; need a folder made by edgesmith compile or fit.")
    manifest = parse_json(_read(path), "manifest.json")
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise BadInput("artifact: manifest.json is not a manifest; it is damaged.")
    if manifest.get("schema_version") != SCHEMA_VERSION:
        raise BadInput(
            f"artifact: schema version {manifest.get('schema_version')!r}; this edgesmith reads {SCHEMA_VERSION}. Compile it again."
        )
    return manifest


def _content(folder: Path, name: str, digest: Any) -> bytes:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or "\\" in name or "\0" in name or not name:
        raise BadInput(f"artifact: file name {name!r} leaves the folder; the manifest is not to be trusted.")
    path = folder / pure
    if path.is_symlink() or not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        raise BadInput(f"artifact: {name} is missing or not a plain file; the folder is incomplete. Compile it again.")
    data = _read(path)
    if hashlib.sha256(data).hexdigest() != digest:
        raise BadInput(
            f"artifact: {name} does not have the sha256 its manifest gives; it is damaged. Compile it again."
        )
    return data


def _read(path: Path) -> bytes:
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise BadInput(f"artifact: {path.name} is {size} bytes; at most {MAX_FILE_BYTES} are read.")
    return path.read_bytes()
