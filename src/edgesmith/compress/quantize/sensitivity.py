"""How much a net suffers from fewer bits in one tensor, by several measures, and why a tensor suffers most."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from edgesmith.compress.quantize.calibrators import CALIBRATORS, Calibration, Histogram
from edgesmith.compress.quantize.hessian import traces
from edgesmith.compress.quantize.observation import histograms, observe
from edgesmith.compress.quantize.placement import WEIGHTED, Widths, annotate, named_inputs, place, sources_to_observe
from edgesmith.compress.quantize.raw_input import raw_formats
from edgesmith.compress.quantize.switch import Switch, Tally
from edgesmith.core.atomic import write_file
from edgesmith.core.errors import BadInput
from edgesmith.core.formats import PerChannel, PerTensor
from edgesmith.core.graph import Graph
from edgesmith.core.task import Split, Task
from edgesmith.lower import Lifted, lift, raw_tensor
from edgesmith.training.evaluate import loss_of

Measure = Literal["kl", "loss", "sqnr", "hessian"]
MEASURES: tuple[Measure, ...] = ("kl", "loss", "sqnr", "hessian")
SAMPLES = 128  # of the calibration split, the first so many
BATCH = 32  # samples run together
WIDTHS = (8, 4, 2)  # those that kernels pack
Given = Mapping[int, Mapping[str, np.ndarray]]  # bits to weights' names to what a method makes of them


@dataclass(frozen=True)
class Spot:
    """A weight, or an activation with all that shares its format.

    Attributes:
        name: of the weight, or of the first of `tensors`.
        tensors: that are rounded: the weight, or what makes the activation's values.
        kind: "weight" or "activation".
        layer: the op that reads the weight or makes the activation.
        size: entries, of one sample.
        formats: bits to the format.
    """

    name: str
    tensors: tuple[str, ...]
    kind: Literal["weight", "activation"]
    layer: str
    size: int
    formats: Mapping[int, PerTensor | PerChannel]


@dataclass(frozen=True)
class Sensitivity:
    """What rounding one tensor to so many bits does, all others left float.

    Attributes:
        tensor, kind, layer, bits: of a `Spot`.
        kl: mean Kullback-Leibler divergence of the outputs from the float net's, in nats; without classes half the
            mean squared change over the outputs' variance (that of two normal distributions).
        loss: rise of the task's loss.
        sqnr_db: signal to rounding noise in the tensor itself, in dB.
        hessian: mean Hessian trace times the squared error (arXiv:1911.03852, equation 10), halved: the loss's
            second-order rise.
        bias: mean of the rounding error over its root mean square: 0 is even, 1 is one-sided.
    """

    tensor: str
    kind: str
    layer: str
    bits: int
    kl: float
    loss: float
    sqnr_db: float
    hessian: float
    bias: float

    def of(self, measure: Measure) -> float:
        """The measure as a figure that adds up and grows with the harm: of the SQNR the noise's share."""
        if measure == "sqnr":
            return 10.0 ** (-self.sqnr_db / 10)
        return max(float(getattr(self, measure)), 0.0)


def spots(
    graph: Graph, samples: np.ndarray, widths: Sequence[int] = WIDTHS, calibration: Calibration = "mse"
) -> tuple[tuple[Spot, ...], Mapping[str, Histogram]]:
    """Every tensor whose bits may be chosen, and histograms of the activations.

    Inputs, outputs, states and formats that an op fixes keep theirs.

    Args:
        graph: float, canonical, with one input.
        samples: (n, ...) raw values of it.
    """
    groups = place(graph, raw_formats(graph, samples))
    ranged = sources_to_observe(graph, groups)
    counted = histograms(graph, samples, observe(graph, samples, ranged, ()))
    formats: dict[str, dict[int, Any]] = {}
    for bits in widths:
        ranges = {name: CALIBRATORS[calibration](seen, bits) for name, seen in counted.items()}
        annotated = annotate(graph, groups, ranges, Widths(bits, bits))
        for name, tensor in annotated.tensors.items():
            formats.setdefault(name, {})[bits] = tensor.format
    found = [*_weights(graph, formats)]
    ends = {*graph.inputs, *graph.outputs, *(state.tensor for state in graph.states)}
    makers = graph.producer()
    for group in groups:
        free = group.fixed is None and not group.cell and not ends.intersection(group.members)
        sources = tuple(name for name in group.sources if name in makers)
        if free and sources:
            layer = graph.ops[makers[sources[0]]].name
            size = sum(graph.tensors[name].size for name in sources)
            found.append(Spot(group.members[0], sources, "activation", layer, size, formats[group.members[0]]))
    return tuple(found), counted


def _weights(graph: Graph, formats: Mapping[str, Mapping[int, Any]]) -> Iterator[Spot]:
    seen: set[str] = set()
    for op in graph.ops:
        for weight, _, _ in WEIGHTED.get(op.kind, ()):
            name = named_inputs(op)[weight]
            rounded = all(isinstance(format_, PerChannel) for format_ in formats[name].values())
            if name in graph.constants and rounded and name not in seen and graph.tensors[name].size:
                seen.add(name)
                yield Spot(name, (name,), "weight", op.name, graph.tensors[name].size, formats[name])


def sensitivities(
    graph: Graph,
    task: Task,
    places: Sequence[Spot],
    widths: Sequence[int] = WIDTHS,
    measures: Sequence[Measure] = MEASURES,
    keep: Path | None = None,
    seed: int = 0,
    given: Given | None = None,
) -> tuple[Sensitivity, ...]:
    """Round one tensor after the other to each width; the net is there once, and the samples in batches.

    Args:
        graph: float, on raw inputs.
        task: its calibration split is used, the first SAMPLES of it.
        measures: the Hessian takes longest; without it its figure is 0.
        keep: a file that holds what is measured, tensor by tensor: the same call goes on there after a kill.
        seed: of the Hessian's random vectors.
        given: weights as a method rounds them, in place of the nearest values; those that it lacks are rounded.

    Raises:
        BadInput: an unknown measure, or a `keep` that is something else.
    """
    if unknown := sorted(set(measures) - set(MEASURES)):
        raise BadInput(f"sensitivity: no measure {unknown[0]!r}; need of: {', '.join(MEASURES)}.")
    split = Split(task.calibration.inputs[:SAMPLES], task.calibration.labels[:SAMPLES])
    switches = {spot.name: Switch() for spot in places}
    module = lift(graph, {name: switches[spot.name] for spot in places for name in spot.tensors}).eval()
    given = given or {}
    key = _key(graph, split, places, [widths, sorted(measures), seed], given)
    known = _read(keep, key) if keep else {}
    done = [row for spot in places for row in known.get(spot.name, ())]
    todo = [spot for spot in places if spot.name not in known]
    if not todo:
        return tuple(done)
    curved = traces(module, split, task, switches, todo, seed) if "hessian" in measures else {}
    before = _outputs(module, split)
    ranks = {spot.name: index for index, spot in enumerate(places)}
    for spot in todo:
        switch, trace = switches[spot.name], curved.get(spot.name, 0.0)
        rows = [_measured(module, split, task, Try(spot, bits, given), switch, before, trace) for bits in widths]
        known[spot.name] = rows
        done += rows
        if keep:
            body = {name: [asdict(row) for row in each] for name, each in known.items()}
            write_file(keep, json.dumps({"key": key, "rows": body}) + "\n")
    return tuple(sorted(done, key=lambda row: ranks[row.tensor]))


@dataclass(frozen=True)
class Try:
    """One tensor at one width."""

    spot: Spot
    bits: int
    given: Given

    def begin(self, switch: Switch) -> Tally:
        """Let the switch put it in place."""
        array = self.given.get(self.bits, {}).get(self.spot.name)
        return switch.begin(self.spot.formats[self.bits], None if array is None else torch.from_numpy(array))


def _measured(
    module: Lifted, split: Split, task: Task, tried: Try, switch: Switch, before: Tensor, trace: float
) -> Sensitivity:
    """What it does."""
    spot, tally = tried.spot, tried.begin(switch)
    after = _outputs(module, split)
    switch.end()
    times = len(split) if spot.kind == "activation" else -(-len(split) // BATCH)  # a weight is rounded once a batch
    rise = _loss(after, split, task) - _loss(before, split, task)
    return Sensitivity(
        spot.name,
        spot.kind,
        spot.layer,
        tried.bits,
        divergence(before, after, task.loss == "cross_entropy"),
        rise,
        tally.sqnr_db(),
        0.5 * max(trace, 0.0) / spot.size * tally.noise / times,
        tally.bias(),
    )


@torch.no_grad()
def _outputs(module: nn.Module, split: Split) -> Tensor:
    """(n, ...) the module's first output on raw inputs."""
    chunks = []
    for start in range(0, len(split), BATCH):
        if isinstance(module, Lifted):
            module.reset()
        found = module(raw_tensor(split.inputs[start : start + BATCH]))
        chunks.append(found[0] if isinstance(found, tuple) else found)
    return torch.cat(chunks)


def divergence(before: Tensor, after: Tensor, classes: bool) -> float:
    """How far outputs moved, in nats.

    Args:
        classes: outputs are logits along the last axis; else real numbers, taken as normal with the outputs' variance.
    """
    if not classes:
        change, spread = (after - before).double(), before.double().var()
        return float(0.5 * change.square().mean() / spread.clamp_min(1e-12))
    p, q = before.double().log_softmax(-1), after.double().log_softmax(-1)
    return float((p.exp() * (p - q)).sum(-1).mean())


def _loss(outputs: Tensor, split: Split, task: Task) -> float:
    x, labels = torch.from_numpy(task.normalize(split.inputs)), torch.from_numpy(split.labels)
    return float(loss_of(outputs, x, labels, task, 0.0))


def _key(graph: Graph, split: Split, places: Sequence[Spot], settings: Sequence[Any], given: Given) -> str:
    digest = hashlib.sha256(split.sha256().encode())
    for weights in (graph.constants, *(given[bits] for bits in sorted(given))):
        for name, array in sorted(weights.items()):
            digest.update(name.encode() + array.tobytes())
    formats = [{str(b): f.to_json() for b, f in spot.formats.items()} for spot in places]
    digest.update(json.dumps([formats, *settings, sorted(given)]).encode())
    return digest.hexdigest()


def _read(keep: Path, key: str) -> dict[str, list[Sensitivity]]:
    """What an earlier call measured of the same; nothing if there is none."""
    if not keep.is_file():
        return {}
    try:
        data = json.loads(keep.read_text(encoding="utf-8"))
        if data["key"] != key:
            return {}
        return {name: [Sensitivity(**row) for row in rows] for name, rows in data["rows"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(
            f"sensitivity: {keep} is damaged ({error}); need what an earlier run wrote. Delete it."
        ) from error
