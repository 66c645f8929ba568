"""Relation 2 of docs/numbers.md: the integer graph against floats with fake quantization, layer by layer.

Each layer gets the integer graph's own inputs, so an error cannot hide in, or grow from, the layer before.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgesmith.core.formats import PerTensor
from edgesmith.core.graph import Graph, Op
from edgesmith.core.ops import interpret

Run = Callable[[Sequence[np.ndarray]], Sequence[np.ndarray]]  # a graph's inputs to its outputs

INT16_STEPS = 256  # of an int16 tensor count as one: the upper byte is what an int8 tensor would hold


@dataclass(frozen=True)
class Limit:
    """What relation 2 allows (docs/numbers.md, Relations).

    Attributes:
        share: of the values that may differ.
        steps: that a value may differ by.
    """

    share: float
    steps: int


LIMIT = Limit(0.005, 1)
LIMITS: Mapping[str, Limit] = {
    **dict.fromkeys(("layer_norm", "rms_norm", "log_mel", "shiftmax", "shift_gelu"), Limit(0.03, 1)),
    **dict.fromkeys(("lstm", "gru"), Limit(1.0, 4)),
}


@dataclass(frozen=True)
class Agreement:
    """How one layer's integers compare to the float layer's on the same inputs.

    Attributes:
        tensor: the layer's result.
        kind: of the op that makes it in the float graph.
        values: compared, over all samples.
        differing: of them.
        most_steps: largest difference, in steps of the tensor's format; 256 steps of int16 count as one.
    """

    tensor: str
    kind: str
    values: int
    differing: int
    most_steps: int

    @property
    def holds(self) -> bool:
        """Within the limit of its kind."""
        limit = LIMITS.get(self.kind, LIMIT)
        return self.most_steps <= limit.steps and self.differing <= limit.share * self.values


def layer_agreement(
    annotated: Graph, integer: Graph, samples: Iterable[Mapping[str, np.ndarray]], reference: Callable[[Graph], Run]
) -> tuple[Agreement, ...]:
    """Compare every stored result of the integer graph with another implementation of the float one.

    Args:
        annotated: the float graph with formats.
        integer: what `integerize` made of it.
        samples: inputs of the integer graph; each starts from the initial states.
        reference: makes a float graph runnable, rounding every tensor to its format: `lower.lift`, on arrays.

    Returns:
        one entry per stored result, in the graph's order.
    """
    parts = [(part, reference(part)) for part in layers(annotated)]
    found: dict[str, Agreement] = {}
    for sample in samples:
        values = _integer_values(integer, sample)
        for part, run in parts:
            results = run([_real(annotated, values, name) for name in part.inputs])
            for name, result in zip(part.outputs, results, strict=True):
                found[name] = _compared(annotated, part.ops[-1].kind, name, result, values[name], found.get(name))
    return tuple(found.values())


def layers(graph: Graph) -> tuple[Graph, ...]:
    """The graph cut at its stored tensors: one part per op that makes any, with the unstored ops before it."""
    makers = graph.producer()
    return tuple(_layer(graph, op, makers) for op in graph.ops if any(_stored(graph, name) for name in op.outputs))


def _stored(graph: Graph, name: str) -> bool:
    return isinstance(graph.tensors[name].format, PerTensor)


def _layer(graph: Graph, last: Op, makers: Mapping[str, int]) -> Graph:
    """`last` and the ops between it and the stored tensors it depends on."""
    inside, borders, open_ = {makers[last.outputs[0]]}, [], list(last.inputs)
    while open_:
        name = open_.pop(0)
        if name in graph.constants or name in borders:
            continue
        if name in makers and not _stored(graph, name):
            inside.add(makers[name])
            open_ += graph.ops[makers[name]].inputs
        else:
            borders.append(name)
    outputs = tuple(name for name in last.outputs if _stored(graph, name))
    steps = tuple(graph.ops[index] for index in sorted(inside))
    part = Graph(graph.name, graph.tensors, steps, tuple(borders), outputs, graph.constants)
    return part.pruned()


def _integer_values(graph: Graph, sample: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every tensor of one run: inputs, initial states, results."""
    values = {**sample, **{state.tensor: state.initial for state in graph.states}}

    def watch(op: Op, results: list[np.ndarray]) -> None:
        values.update(zip(op.outputs, results, strict=True))

    interpret(graph, sample, watch=watch)
    return values


def _real(annotated: Graph, values: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """The real values of a stored tensor, or what is plain numbers already."""
    format_ = annotated.tensors[name].format
    value = values.get(f"{name}.int8", values[name])
    return format_.dequantize(value) if isinstance(format_, PerTensor) and value.dtype.kind in "iu" else value


def _compared(
    annotated: Graph, kind: str, name: str, real: np.ndarray, stored: np.ndarray, before: Agreement | None
) -> Agreement:
    format_ = annotated.tensors[name].format
    assert isinstance(format_, PerTensor)
    steps = np.abs(format_.quantize(real.reshape(stored.shape)).astype(np.int64) - stored)
    if format_.dtype == "int16":
        steps = -(-steps // INT16_STEPS)
    so_far = before or Agreement(name, kind, 0, 0, 0)
    return Agreement(
        name,
        kind,
        so_far.values + steps.size,
        so_far.differing + int((steps > 0).sum()),
        max(so_far.most_steps, int(steps.max())),
    )
