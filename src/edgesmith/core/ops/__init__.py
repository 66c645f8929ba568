"""The specification of every op, and the interpreter that defines what a graph computes."""

from collections.abc import Callable, Mapping

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Graph, Op, Tensor, validate
from edgesmith.core.ops import (
    binary,
    coded,
    conv,
    conv_transpose,
    elementwise,
    elementwise_s8,
    fixed_s16,
    instances,
    linear,
    norm,
    norm_s8,
    pooling,
    quantization,
    recurrent,
    recurrent_s8,
    reduction,
    shape,
    shift,
    shift_add,
    shift_s8,
    spectral,
    trees,
)
from edgesmith.core.ops.spec import OpSpec
from edgesmith.core.ops.values import check_values

THEMES = (
    coded,
    binary,
    conv,
    conv_transpose,
    linear,
    elementwise,
    elementwise_s8,
    pooling,
    reduction,
    shape,
    norm,
    norm_s8,
    shift,
    shift_s8,
    shift_add,
    recurrent,
    recurrent_s8,
    spectral,
    quantization,
    trees,
    instances,
    fixed_s16,
)
SPECS: Mapping[str, OpSpec] = {spec.kind: spec for theme in THEMES for spec in theme.OPS}

Watch = Callable[[Op, list[np.ndarray]], None]


def spec_of(op: Op) -> OpSpec:
    """The spec of an op.

    Raises:
        BadInput: no op of this kind exists.
    """
    if op.kind not in SPECS:
        raise BadInput(f"graph: unknown op {op.kind!r} ({op.name}); the file is damaged or from a newer edgesmith.")
    return SPECS[op.kind]


def attrs_of(op: Op) -> dict[str, object]:
    """The op's attributes with defaults filled in."""
    return spec_of(op).complete(op.attrs)


def infer(op: Op, inputs: tuple[Tensor, ...]) -> list[tuple[tuple[int, ...], str]]:
    """Shape and dtype of each output."""
    spec = spec_of(op)
    spec.check_inputs(inputs)
    return spec.infer(inputs, spec.complete(op.attrs))


def check(graph: Graph) -> None:
    """Check a graph, each of its ops against the specs, and the constants of integer ops.

    Raises:
        BadInput: malformed graph, unknown op, bad attribute, or an output of another shape or dtype than inferred.
    """
    validate(graph)
    for op in graph.ops:
        outputs = infer(op, graph.types(op.inputs))
        found = [(t.shape, t.dtype) for t in graph.types(op.outputs)]
        if found != outputs:
            raise BadInput(f"graph: {op.kind} ({op.name}) makes {outputs}, its tensors say {found}.")
        check_values(graph, op, spec_of(op), attrs_of(op))


def macs(graph: Graph, op: Op) -> int:
    """Multiply-accumulates of one execution of the op."""
    return spec_of(op).macs(graph.types(op.inputs), graph.types(op.outputs), attrs_of(op))


def interpret(
    graph: Graph,
    inputs: Mapping[str, np.ndarray],
    states: dict[str, np.ndarray] | None = None,
    watch: Watch | None = None,
) -> dict[str, np.ndarray]:
    """Run a graph in numpy: the definition of what it computes.

    Args:
        inputs: one array per graph input, of its tensor's shape and dtype.
        states: state tensor name to value, updated in place; None starts from the initial values.
        watch: called after each op with its results.

    Returns:
        Output name to array.

    Raises:
        BadInput: an input is missing or of the wrong shape or dtype.
    """
    states = {s.tensor: s.initial for s in graph.states} if states is None else states
    values = {**graph.constants, **states}
    for name in graph.inputs:
        values[name] = _input(graph.tensors[name], inputs)
    for op in graph.ops:
        results = spec_of(op).run([values[name] for name in op.inputs], attrs_of(op))
        values.update(zip(op.outputs, results, strict=True))
        if watch:
            watch(op, results)
    states.update({s.tensor: values[s.update] for s in graph.states})
    return {name: values[name] for name in graph.outputs}


def _input(tensor: Tensor, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    if tensor.name not in inputs:
        raise BadInput(f"run: input {tensor.name!r} is missing; need {tensor.dtype} {tensor.shape}.")
    array = np.asarray(inputs[tensor.name])
    if array.shape != tensor.shape or str(array.dtype) != tensor.dtype:
        raise BadInput(
            f"run: input {tensor.name!r} is {array.dtype} {array.shape}; need {tensor.dtype} {tensor.shape}."
        )
    return array
