"""Graph rewrites without which the printed C would not mean what the graph says."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgesmith.compile.memory.views import roots
from edgesmith.core.graph import Graph, Op, Tensor
from edgesmith.kernels.kernel import Kernel


def keep_old_states(graph: Graph) -> Graph:
    """Copy every state that is still needed, as it was, when the run ends and the states take their new values.

    Outputs that are states, and states that take the value of another state, would otherwise see the new value.
    """
    root = roots(graph)
    changing = {state.tensor for state in graph.states if root[state.update][0] != state.tensor}
    own = {state.update: state.tensor for state in graph.states if root[state.update][0] == state.tensor}
    wanted = [name for name in (*graph.outputs, *(s.update for s in graph.states)) if root[name][0] in changing]
    copies = {name: f"{name}:kept" for name in wanted if own.get(name) is None}
    if not copies:
        return graph
    ops = tuple(_copy(graph.tensors[name], copy) for name, copy in copies.items())
    return replace(
        graph,
        ops=(*graph.ops, *ops),
        tensors={**graph.tensors, **{copy: replace(graph.tensors[name], name=copy) for name, copy in copies.items()}},
        outputs=tuple(copies.get(name, name) for name in graph.outputs),
        states=tuple(replace(state, update=copies.get(state.update, state.update)) for state in graph.states),
    )


def _copy(tensor: Tensor, name: str) -> Op:
    """A permute that changes nothing."""
    return Op("permute", (tensor.name,), (name,), {"axes": tuple(range(len(tensor.shape)))}, name)


def separate_constants(graph: Graph, kernels: Sequence[Kernel | None]) -> tuple[Graph, dict[str, np.ndarray]]:
    """Give each constant to its kernels in the order they want it.

    A constant that two kernels want in different orders becomes two constants.

    Returns:
        The graph, and constant name to the array as stored: of constants that are read or kept.
    """
    arrays = {name: graph.constants[name] for name in roots_kept(graph) if name in graph.constants}
    ops, copies = [], {}
    for index, (op, kernel) in enumerate(zip(graph.ops, kernels, strict=True)):
        names = list(op.inputs)
        for position, name in enumerate(op.inputs):
            if name not in graph.constants:
                continue
            arrange = kernel.arrange.get(position) if kernel else None
            stored = arrange(graph.constants[name]) if arrange else graph.constants[name]
            if not np.array_equal(arrays.setdefault(name, stored), stored):
                names[position] = f"{name}:{index}.{position}"
                copies[names[position]] = name
                arrays[names[position]] = stored
        ops.append(replace(op, inputs=tuple(names)))
    tensors = {copy: replace(graph.tensors[name], name=copy) for copy, name in copies.items()}
    constants = {copy: graph.constants[name] for copy, name in copies.items()}
    return (
        replace(
            graph,
            ops=tuple(ops),
            tensors={**graph.tensors, **tensors},
            constants={**graph.constants, **constants},
        ),
        arrays,
    )


def roots_kept(graph: Graph) -> set[str]:
    """The tensors whose bytes outputs and state updates are."""
    root = roots(graph)
    return {root[name][0] for name in graph.kept()}
