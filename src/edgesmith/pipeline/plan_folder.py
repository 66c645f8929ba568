"""A plan on disk, run: what the device does before the link, what the server does behind it, what stands in."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgesmith.collaborate.crossing.carry import Carried, from_json
from edgesmith.collaborate.crossing.images import Picture, picture_from_json
from edgesmith.collaborate.links.ledger import Place
from edgesmith.core import artifact as artifacts
from edgesmith.core.artifact import Artifact
from edgesmith.core.errors import BadInput, Missing
from edgesmith.core.graph import Graph
from edgesmith.core.interface import decode
from edgesmith.core.reading import Reading
from edgesmith.pipeline.build import native
from edgesmith.pipeline.realize import arranged

PLAN_FILE = "plan.json"
PARTS = ("device", "server", "fallback")
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class PlanFolder:
    """A plan's programs and what crosses between them.

    Attributes:
        device: the head; None where all of it runs on the server.
        server: the tail.
        fallback: what the device runs alone; None where it has nothing.
        carried: how each tensor crosses.
        picture: the input crosses as such a file; None where it does not.
        energy_uj: of a request that the server answers, and of one that the device answers alone, as planned.
    """

    device: Artifact | None
    server: Artifact
    fallback: Artifact | None
    carried: tuple[Carried, ...]
    picture: Picture | None
    energy_uj: tuple[float, float]

    @property
    def place(self) -> Place:
        """What an answer counts as."""
        return "split" if self.device else "server"

    @property
    def model(self) -> bytes:
        """By which device and server know that they hold halves of one plan: a sha256 of all that both must share."""
        files = self.server.manifest["files"]
        shared = [files["graph.json"], files["weights.safetensors"], [one.to_json() for one in self.carried]]
        return hashlib.sha256(json.dumps([*shared, self.picture and self.picture.name]).encode()).digest()

    def ram(self, artifact: Artifact | None) -> Reading:
        """Memory of one of the device's programs, as its manifest has it.

        Raises:
            BadInput: it does not.
        """
        readings = artifact.manifest.get("readings") if artifact else None
        if not isinstance(readings, dict) or "ram" not in readings:
            raise BadInput("plan: a program does not say how much memory it takes. Plan again.")
        return Reading.from_json(readings["ram"])

    @property
    def outputs(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of what an answer holds."""
        graph = self.server.graph
        return {name: graph.tensors[name].shape for name in graph.outputs}


def load_plan(folder: Path) -> PlanFolder:
    """Read a plan; nothing in it is executed.

    Raises:
        Missing: no plan there.
        BadInput: it is damaged, or says that all runs on the device.
    """
    path = folder / PLAN_FILE
    if not path.is_file():
        raise Missing(f"plan: no {path}. Make one with edgesmith split --out {folder}.")
    facts = artifacts.parse_json(path.read_bytes(), PLAN_FILE)
    parts = facts.get("parts") if isinstance(facts, dict) else None
    if not isinstance(parts, dict) or not isinstance(parts.get("payload"), list):
        raise BadInput(f"plan: {path} names no programs: nothing kept to its limits, or it is damaged. Plan again.")
    if "server" not in parts:
        raise BadInput(f"plan: {path} runs all on the device; there is nothing to serve. Use edgesmith run.")
    found = {name: artifacts.load(folder / name) if name in parts else None for name in PARTS}
    carried = tuple(from_json(one) for one in parts["payload"])
    picture = picture_from_json(parts["picture"]) if parts.get("picture") else None
    energies = planned_uj(facts)
    made = PlanFolder(found["device"], _there(found["server"]), found["fallback"], carried, picture, energies)
    if tuple(one.tensor.name for one in carried) != made.server.graph.inputs:
        raise BadInput(f"plan: {path} and server/ do not belong together. Plan again.")
    return made


def planned_uj(facts: dict[str, Any]) -> tuple[float, float]:
    """Energy of a request that was planned for the server, and of one on the device alone.

    Raises:
        BadInput: the plan does not say them.
    """
    try:
        options = [option for option in facts["options"] if option["link"] == facts["links"][0]["name"]]
        chosen = next(float(option["energy_uj"]) for option in options if option["chosen"])
        alone = [float(option["energy_uj"]) for option in options if option["place"] == "device"]
    except (KeyError, TypeError, ValueError, IndexError, StopIteration) as error:
        raise BadInput(f"plan: its options are damaged ({error}). Plan again.") from error
    return chosen, min(alone, default=float("nan"))


def _there(found: Artifact | None) -> Artifact:
    if found is None:
        raise AssertionError("a part that is named was loaded")
    return found


class Head:
    """A sample to what crosses, as the device computes it."""

    def __init__(self, plan: PlanFolder) -> None:
        self.plan = plan
        self.runner = native(plan.device.graph) if plan.device else None

    def __call__(self, inputs: Arrays) -> dict[str, np.ndarray]:
        """Name "" to a raw sample in the task's layout; gives arrays for the wire."""
        sample, plan = inputs[""], self.plan
        if plan.picture:
            return {plan.carried[0].tensor.name: np.frombuffer(plan.picture.encode(sample), np.uint8)}
        graph = plan.device.graph if plan.device else plan.server.graph
        stored = {graph.inputs[0]: arranged(graph, sample)}
        made = {**stored, **self.runner.run(stored)} if self.runner else stored
        return {one.tensor.name: wired(one, made[one.tensor.name]) for one in plan.carried}


def wired(one: Carried, values: np.ndarray) -> np.ndarray:
    """A tensor as an array for the wire: itself, or a row of bytes."""
    return np.frombuffer(one.pack(values), np.uint8) if one.steps or one.code else values


def unwired(one: Carried, array: np.ndarray) -> np.ndarray:
    """Inverse of `wired`.

    Raises:
        BadInput: not such a row, or its bytes are none of this tensor's.
    """
    if not (one.steps or one.code):
        return array
    if array.dtype != np.uint8 or array.ndim != 1:
        raise BadInput(f"plan: {one.tensor.name} came as {array.dtype} {array.shape}; need a row of bytes.")
    return one.unpack(array.tobytes())


class Tail:
    """What came over the wire to outputs, as the server computes it; for one thread at a time."""

    def __init__(self, plan: PlanFolder) -> None:
        self.plan, self.runner = plan, native(plan.server.graph)

    def __call__(self, arrays: Arrays) -> dict[str, np.ndarray]:
        """Arrays of the wire to stored outputs.

        Raises:
            BadInput: a tensor is missing, of another shape, or damaged.
        """
        plan = self.plan
        if set(arrays) != {one.tensor.name for one in plan.carried}:
            raise BadInput(f"plan: got {', '.join(arrays)}; need {', '.join(one.tensor.name for one in plan.carried)}.")
        if plan.picture:
            name = plan.carried[0].tensor.name
            return self.runner.run({name: arranged(plan.server.graph, opened(plan, arrays[name]))})
        return self.runner.run({one.tensor.name: unwired(one, arrays[one.tensor.name]) for one in plan.carried})


def opened(plan: PlanFolder, array: np.ndarray) -> np.ndarray:
    """A picture's file to its pixels (channels, h, w).

    Raises:
        BadInput: no such file, or one of another size than the model's.
    """
    if plan.picture is None or array.dtype != np.uint8 or array.ndim != 1:
        raise BadInput("plan: the input came otherwise than as a picture's bytes.")
    shape = plan.carried[0].tensor.shape[1:]
    channels = shape[-1] if shape[-1] in (1, 3) else shape[0]
    size = shape[:2] if channels == shape[-1] else shape[1:]
    return plan.picture.decode(array.tobytes(), channels, size)


class Alone:
    """A sample to outputs on the device alone."""

    def __init__(self, artifact: Artifact) -> None:
        self.graph, self.runner = artifact.graph, native(artifact.graph)

    def __call__(self, inputs: Arrays, features: Any = None) -> dict[str, np.ndarray]:
        """As `Head` takes it, to stored outputs."""
        return self.runner.run({self.graph.inputs[0]: arranged(self.graph, inputs[""])})


def real(graph: Graph, outputs: Arrays) -> np.ndarray:
    """The only output of an answer as real numbers, without the leading 1."""
    name = graph.outputs[0]
    stored = decode(graph.tensors[name], outputs[name])
    return stored[0] if stored.shape[0] == 1 else stored
