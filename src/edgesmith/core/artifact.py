"""The folder a compiled model lives in. Loading it executes nothing and believes nothing."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from edgesmith import __version__
from edgesmith.core import graph as graphs
from edgesmith.core import ops
from edgesmith.core.atomic import explained, write_file, write_folder
from edgesmith.core.errors import BadInput
from edgesmith.core.graph import STATE_PREFIX, Graph

SCHEMA_VERSION = 1
BOARD_FILE = "board.toml"  # beside the program when its board is the user's own
MAX_FILE_BYTES = 1 << 30  # of all files together
MAX_JSON_BYTES = 1 << 25  # parsed JSON may take twenty times its size
MAX_JSON_DEPTH = 32  # ours is at most 8 deep
# Paths inside the folder on every system: no "..", drive, backslash, or name that a shell or console would read.
PART = r"(?!\.{1,2}(/|$))[A-Za-z0-9_.+-]{1,100}"
FILE_NAME = re.compile(f"{PART}(/{PART}){{0,7}}")


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
        BadInput: the folder exists and is not an artifact, or cannot be written; a file name leaves the folder.
    """
    with explained(folder):
        taken = folder.exists() and not (folder / "manifest.json").is_file()
        if taken and (not folder.is_dir() or any(folder.iterdir())):
            raise BadInput(f"artifact: {folder} exists and is not an artifact; name another folder or empty it.")
    contents = {**files, **graph_files(graph)}
    _check_names(contents)
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
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise BadInput(f"artifact: weights.safetensors is malformed ({error}). Compile it again.") from error
    graph = graphs.from_json(parse_json(contents["graph.json"], "graph.json"), arrays)
    ops.check(graph)
    return graph


def update(artifact: Artifact, facts: Mapping[str, Any], files: Mapping[str, bytes] | None = None) -> Artifact:
    """Add facts and files to an artifact, such as readings or a certificate.

    Raises:
        BadInput: the folder cannot be written, or a file name leaves it; the artifact is as it was.
    """
    files = files or {}
    _check_names(files)
    known = artifact.manifest["files"]
    hashes = {**known, **{name: hashlib.sha256(data).hexdigest() for name, data in files.items()}}
    manifest = {**artifact.manifest, **facts, "files": hashes}
    if any(known.get(name, hashes[name]) != hashes[name] for name in files):
        # The old manifest would not match a changed file, so all changes at once.
        kept = {name: _content(artifact.folder, name, digest) for name, digest in known.items() if name not in files}
        write_folder(artifact.folder, {**kept, **files, "manifest.json": _dump(manifest)})
    else:
        for name, data in files.items():
            write_file(artifact.folder / name, data)
        write_file(artifact.folder / "manifest.json", _dump(manifest))
    return Artifact(artifact.folder, manifest, artifact.graph)


def load(folder: Path) -> Artifact:
    """Read an artifact: every file's hash, then the graph against the op specs.

    Raises:
        BadInput: not an artifact, damaged, malformed, or of a newer schema.
    """
    manifest = _manifest(folder)
    contents, left = {}, MAX_FILE_BYTES
    for name, digest in manifest["files"].items():
        contents[name] = _content(folder, name, digest, left)
        left -= len(contents[name])
    return Artifact(folder, manifest, graph_from(contents))


def content(artifact: Artifact, name: str) -> bytes:
    """One file that the manifest lists.

    Raises:
        BadInput: it is not listed, or no longer what it was.
    """
    if name not in artifact.manifest["files"]:
        raise BadInput(f"artifact: no {name} in {artifact.folder}; the folder is incomplete. Compile it again.")
    return _content(artifact.folder, name, artifact.manifest["files"][name])


def parse_json(data: bytes, name: str) -> Any:
    """Parse JSON from outside.

    Raises:
        BadInput: not JSON, above MAX_JSON_BYTES, or nested deeper than MAX_JSON_DEPTH.
    """
    if len(data) > MAX_JSON_BYTES:
        raise BadInput(f"artifact: {name} has {len(data)} bytes; at most {MAX_JSON_BYTES} are read.")
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"artifact: {name} is not valid JSON ({type(error).__name__}); it is damaged.") from error
    if not _shallow(parsed, MAX_JSON_DEPTH):
        raise BadInput(f"artifact: {name} is nested deeper than {MAX_JSON_DEPTH}; it is damaged.")
    return parsed


def _shallow(data: Any, levels: int) -> bool:
    if not isinstance(data, dict | list):
        return True
    entries = data.values() if isinstance(data, dict) else data
    return levels > 0 and all(_shallow(entry, levels - 1) for entry in entries)


def _dump(manifest: Mapping[str, Any]) -> bytes:
    return (json.dumps(manifest, indent=1) + "\n").encode()


def _manifest(folder: Path) -> dict[str, Any]:
    manifest = parse_json(_read(folder, "manifest.json", MAX_JSON_BYTES), "manifest.json")
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise BadInput("artifact: manifest.json is not a manifest; it is damaged.")
    if manifest.get("schema_version") != SCHEMA_VERSION:
        raise BadInput(
            f"artifact: schema version {str(manifest.get('schema_version'))[:60]}; this edgesmith reads "
            f"{SCHEMA_VERSION}. Compile it again, or use the edgesmith that made it."
        )
    _check_names(manifest["files"])
    return manifest


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if not FILE_NAME.fullmatch(name):
            raise BadInput(
                f"artifact: file name {name[:60]!r} may leave the folder; need plain relative names. "
                "The manifest is not to be trusted."
            )


def _content(folder: Path, name: str, digest: Any, most_bytes: int = MAX_FILE_BYTES) -> bytes:
    """One file of the artifact, its hash checked."""
    data = _read(folder, name, most_bytes)
    if hashlib.sha256(data).hexdigest() != digest:
        raise BadInput(
            f"artifact: {name} does not have the sha256 its manifest gives; it is damaged. Compile it again."
        )
    return data


def _read(folder: Path, name: str, most_bytes: int) -> bytes:
    """A plain file that lies inside the folder, links followed nowhere."""
    path = folder / name
    try:
        if path.is_symlink() or not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
            raise BadInput(
                f"artifact: {path} is missing or no plain file; need a whole folder made by edgesmith compile or fit."
            )
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        raise BadInput(f"artifact: {path} cannot be read ({error}); need a readable folder.") from error
    if len(data) > most_bytes:
        raise BadInput(f"artifact: {name} is larger than the {most_bytes} bytes that are read.")
    return data
