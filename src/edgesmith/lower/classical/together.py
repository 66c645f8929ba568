"""Several models of one input as one program."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgesmith.core.graph import Graph, Op, Tensor


def together(graphs: Mapping[str, Graph], name: str = "models") -> Graph:
    """One graph that computes each of `graphs` on the same input "x"; names get the graph's key and a slash before.

    Args:
        graphs: of one input, called "x", of one type.
    """
    first = next(iter(graphs.values()))
    tensors: dict[str, Tensor] = {"x": first.tensors["x"]}
    constants: dict[str, np.ndarray] = {}
    ops: list[Op] = []
    outputs: list[str] = []
    for key, graph in graphs.items():
        names = {tensor: tensor if tensor == "x" else f"{key}/{tensor}" for tensor in graph.tensors}
        tensors |= {names[tensor]: replace(t, name=names[tensor]) for tensor, t in graph.tensors.items()}
        constants |= {names[tensor]: array for tensor, array in graph.constants.items()}
        for index, op in enumerate(graph.ops):
            inputs, results = (tuple(names[tensor] for tensor in part) for part in (op.inputs, op.outputs))
            ops.append(replace(op, name=f"{key}/{index}", inputs=inputs, outputs=results))
        outputs += [names[output] for output in graph.outputs]
    return Graph(name, tensors, tuple(ops), ("x",), tuple(outputs), constants)
