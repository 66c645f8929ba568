"""What a server answers with: the tail of a plan, or an artifact as it is."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from edgesmith.collaborate.serve.batches import Infer
from edgesmith.core import artifact as artifacts
from edgesmith.core.errors import Unsupported
from edgesmith.pipeline.build import native
from edgesmith.pipeline.plan_folder import PLAN_FILE, Tail, load_plan


@dataclass(frozen=True)
class Served:
    """A model that answers.

    Attributes:
        model: sha256 by which a client knows it.
        infer: arrays of the wire to stored outputs, for one thread at a time.
    """

    name: str
    model: bytes
    infer: Infer


def load_served(folder: Path) -> Served:
    """A plan's tail, or any artifact; built for this machine from its graph.

    Raises:
        BadInput, Missing: neither, or damaged.
        Unsupported: it keeps states, which requests of several clients would share.
    """
    if (folder / PLAN_FILE).is_file():
        plan = load_plan(folder)
        return Served(plan.server.name, plan.model, Tail(plan))
    artifact = artifacts.load(folder)
    if artifact.graph.states:
        raise Unsupported(f"serve: {artifact.name} keeps states, which all clients would share; need a model without.")
    runner = native(artifact.graph)
    return Served(artifact.name, model_of(artifact), runner.run)


def model_of(artifact: artifacts.Artifact) -> bytes:
    """sha256 by which both sides know an artifact."""
    files = artifact.manifest["files"]
    return hashlib.sha256(json.dumps([files["graph.json"], files["weights.safetensors"]]).encode()).digest()
