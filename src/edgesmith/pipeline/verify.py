"""The parity certificate: Python, C here and C on the board held against each other, each relation on its own."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from edgesmith.compile.integerize import integerize
from edgesmith.compile.integerize.agreement import LIMITS, layer_agreement
from edgesmith.core.formats import PerTensor
from edgesmith.core.graph import Graph
from edgesmith.core.interface import decode
from edgesmith.core.ops import interpret
from edgesmith.core.target import Target
from edgesmith.core.task import Metric
from edgesmith.pipeline.build import bind_for, native, on_target, place, runs
from edgesmith.run.emulated import Emulated
from edgesmith.run.native import Native
from edgesmith.run.wasm import Wasm

Inputs = Mapping[str, np.ndarray]
Run = Callable[[Inputs], dict[str, np.ndarray]]
METRIC_TOLERANCE = 0.005
DECISIONS_TOLERANCE = 0.05  # share of a classical model's decisions that fixed point may change, or one
REGRESSION_TOLERANCE = 0.01  # of the largest prediction
FLOAT_TOLERANCE = (
    1e-4  # of the largest output, or of 1 where that is less; sums of a few thousand floats in another order
)


@dataclass(frozen=True)
class Relation:
    """One statement of the certificate.

    Attributes:
        name: what is held against what.
        holds: None when it could not be checked; `detail` says why.
        checked: number of values compared.
        detail: what was found, in one sentence; on a break the first op and index that differ.
    """

    name: str
    holds: bool | None
    checked: int
    detail: str

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)


def certify(graph: Graph, target: Target, samples: Sequence[Inputs]) -> tuple[Relation, ...]:
    """Check that every implementation of a compiled graph computes the same.

    Args:
        graph: as compiled for the target.
        samples: stored inputs, run in order from the initial state.

    Returns:
        numpy = C on this machine, and numpy = C on the target where it is emulated or WebAssembly.
    """
    expected = _series(Interpreted(graph), samples)
    relations = [_relation(graph, "numpy = C on this machine", native(graph), expected, samples)]
    if not runs(target):
        return (*relations, _unchecked(f"numpy = C on {target.name}", "this target is not emulated"))
    with TemporaryDirectory(prefix="edgesmith-verify-") as folder, _board(graph, target, Path(folder)) as board:
        relations.append(_relation(graph, f"numpy = C {place(target)}", board, expected, samples))
    return tuple(relations)


def against_torch(source: Graph, samples: Sequence[Inputs], stored: Collection[str] = ()) -> Relation:
    """Hold the integer graph against torch's floats with fake quantization, layer by layer on the same inputs.

    Args:
        source: the float graph with formats.
        samples: stored inputs in the source's layout.
        stored: inputs that arrive as int8.
    """
    name = "integers = torch with fake quantization, layer by layer"
    if not any(isinstance(tensor.format, PerTensor) for tensor in source.tensors.values()):
        return _unchecked(name, "nothing is quantized")
    found = layer_agreement(source, integerize(source, stored), samples, _lifted)
    values, differing = sum(a.values for a in found), sum(a.differing for a in found)
    most = max((a.most_steps for a in found), default=0)
    said = (
        f"{differing / max(values, 1):.3%} of {values:,} values in {len(found)} layers differ, by at most {most} steps"
    )
    if wider := sorted({a.kind for a in found} & set(LIMITS)):
        said += f"; the wider limits of docs/numbers.md apply to {', '.join(wider)}"
    broken = [a for a in found if not a.holds]
    if broken:
        worst = broken[0]
        said += f"; first beyond its limit: {worst.kind} {worst.tensor!r}, {worst.differing} of {worst.values} values"
    return Relation(name, not broken, values, said)


def against_float(source: Graph, graph: Graph, samples: Sequence[Inputs] | None) -> Relation:
    """Hold a classical model in fixed point against its float form: the largest score, or a single one's value.

    Args:
        samples: of the model's own data; None where there are none, for ranges come from data.
    """
    name = "fixed point = float, decision by decision"
    if samples is None:
        return _unchecked(name, "random inputs are not what its ranges were taken from; give data")
    if graph.ops == source.ops:
        return _unchecked(name, "the model is float")
    pairs = [
        [decode(g.tensors[g.outputs[0]], interpret(g, s)[g.outputs[0]])[0] for g in (source, graph)] for s in samples
    ]
    wanted, found = (np.stack(side) for side in zip(*pairs, strict=True))
    if wanted.shape[1] > 1:
        other = int((wanted.argmax(axis=1) != found.argmax(axis=1)).sum())
    else:
        other = int((np.abs(wanted - found) > REGRESSION_TOLERANCE * np.abs(wanted).max()).sum())
    holds = other <= max(1, DECISIONS_TOLERANCE * len(pairs))
    return Relation(name, holds, len(pairs), f"{other} of {len(pairs)} differ")


def _lifted(graph: Graph) -> Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]]:
    """A float graph run by torch on arrays."""
    import torch

    from edgesmith.lower import lift

    module = lift(graph).eval()

    def run(arrays: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        with torch.no_grad():
            results = module(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))
        return [r.numpy() for r in (results if isinstance(results, tuple) else (results,))]

    return run


def metric_kept(metric: Metric, in_torch: float, compiled: float, samples: int) -> Relation:
    """Hold the compiled model's metric against that of torch with fake quantization.

    Half a point of a metric that is a fraction, or one sample of few; half a percent of a metric without such a scale.
    """
    scale = 1.0 if metric.direction == "max" else abs(in_torch)
    tolerance = max(METRIC_TOLERANCE, 1 / samples) * scale
    said = f"{metric.name} {compiled:.4g} compiled, {in_torch:.4g} in torch, over {samples} validation samples"
    name = f"{metric.name} end to end, within {tolerance:.2g}"
    return Relation(name, abs(in_torch - compiled) <= tolerance * (1 + 1e-9), samples, said)


class Interpreted:
    """The numpy definition with the states it carries from run to run."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.states = {state.tensor: state.initial for state in graph.states}

    def run(self, inputs: Inputs) -> dict[str, np.ndarray]:
        """One inference."""
        return interpret(self.graph, inputs, self.states)


def _board(graph: Graph, target: Target, folder: Path, roomy: bool = False) -> Emulated | Wasm:
    return on_target(bind_for(graph, target), folder, roomy)


def _series(runner: "Interpreted | Native | Emulated | Wasm", samples: Sequence[Inputs]) -> list[dict[str, np.ndarray]]:
    return [runner.run(sample) for sample in samples]


def _relation(
    graph: Graph,
    name: str,
    runner: "Native | Emulated | Wasm",
    expected: Sequence[Mapping[str, np.ndarray]],
    samples: Sequence[Inputs],
) -> Relation:
    found = _series(runner, samples)
    count = sum(array.size for outputs in expected for array in outputs.values())
    for turn, (want, got) in enumerate(zip(expected, found, strict=True)):
        for tensor in graph.outputs:
            if (index := first_difference(want[tensor], got[tensor])) is not None:
                where = diverging(graph, runner, samples[: turn + 1])
                return Relation(name, False, count, f"sample {turn}, output {tensor!r} at {index} differs; {where}")
    exact = all(graph.tensors[tensor].dtype != "float32" for tensor in graph.outputs)
    said = "every byte equal" if exact else f"within {FLOAT_TOLERANCE:g} of the largest output, or of 1"
    return Relation(name, True, count, f"{said} over {len(samples)} inputs")


def first_difference(want: np.ndarray, got: np.ndarray) -> tuple[int, ...] | None:
    """Index of the first value that differs: integers exactly, floats beyond FLOAT_TOLERANCE of the largest or of 1."""
    if want.dtype.kind == "f":
        scale = float(np.abs(want[np.isfinite(want)]).max(initial=1.0))
        wrong = ~np.isclose(want, got, rtol=0, atol=FLOAT_TOLERANCE * scale, equal_nan=True)
    else:
        wrong = want != got
    return tuple(int(i) for i in np.argwhere(wrong)[0]) if wrong.any() else None


def diverging(graph: Graph, runner: "Native | Emulated | Wasm", samples: Sequence[Inputs]) -> str:
    """Name the first op whose result differs, by running a build that keeps every result.

    Every result is an output of that build, so memory is not shared; if it agrees, the fault lies in the sharing.
    """
    watched = replace(graph, outputs=tuple(name for op in graph.ops for name in op.outputs))
    expected = _series(Interpreted(watched), samples)[-1]
    with TemporaryDirectory(prefix="edgesmith-verify-") as folder:
        found = _rebuilt(watched, runner, Path(folder), samples)[-1]
    for op in graph.ops:
        for name in op.outputs:
            if (index := first_difference(expected[name], found[name])) is not None:
                return f"first diverging op: {op.kind} {op.name!r}, output {name!r} at {index} ({op.source})"
    return "every op alone agrees, so buffers of the memory plan overlap wrongly; please report this graph"


def _rebuilt(
    graph: Graph, runner: "Native | Emulated | Wasm", folder: Path, samples: Sequence[Inputs]
) -> list[dict[str, np.ndarray]]:
    """What another graph gives where `runner` runs."""
    if isinstance(runner, Native):
        return _series(native(graph), samples)
    with _board(graph, runner.target, folder, roomy=True) as board:
        return _series(board, samples)


def _unchecked(name: str, why: str) -> Relation:
    return Relation(name, None, 0, why)
