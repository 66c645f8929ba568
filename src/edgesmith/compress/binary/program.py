"""A binary net's stored form: a float graph whose formats say what is signs, what int8."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from torch import nn

from edgesmith.compress.quantize.calibrators import CALIBRATORS, Calibration
from edgesmith.compress.quantize.ptq import quantized
from edgesmith.core.errors import BadInput
from edgesmith.core.formats import Format, Signs
from edgesmith.core.graph import Graph, Op
from edgesmith.core.task import Task
from edgesmith.lower import lower, raw_tensor, with_normalize

Parents = Callable[[np.ndarray], tuple[int, ...]]  # (O, kh, kw, C) bool to the parent of every channel; () for none
LEAST_SCALE = 1e-12  # of a channel whose batch norm multiplies by zero


def plainly(bits: np.ndarray) -> tuple[int, ...]:
    """Every channel's weights on their own."""
    return ()


def stored(module: nn.Module, task: Task, parents: Parents = plainly, calibration: Calibration = "mse") -> Graph:
    """The net on raw values, batch norms in its weights, with a format for everything that is stored.

    What a `Sign` makes, and the weights of the convolutions that read it, are signs; all else is int8, ranges from the
    calibration split.

    Raises:
        BadInput: a convolution reads signs whose weights are none, or none reads signs.
    """
    samples = task.calibration.inputs
    graph = lower(with_normalize(module, task.normalize), (raw_tensor(samples[:1]),))
    return quantized(
        with_signs(graph, parents), samples, CALIBRATORS[calibration], calibration != "minmax", correct_bias=False
    )


def with_signs(graph: Graph, parents: Parents) -> Graph:
    """The formats of padded signs and of the weights that multiply signs."""
    tensors = dict(graph.tensors)
    found = 0
    for op in graph.ops:
        if not isinstance(tensors[op.inputs[0]].format, Signs):
            continue
        if op.kind == "pad":
            tensors[op.outputs[0]] = replace(tensors[op.outputs[0]], format=tensors[op.inputs[0]].format)
        elif op.kind == "conv2d":
            name = op.inputs[1]
            tensors[name] = replace(tensors[name], format=signs_of(op, graph.constants[name], parents))
            found += 1
    if not found:
        raise BadInput("binary: no convolution reads signs; need a net of BinaryConv2d behind Sign.")
    return replace(graph, tensors=tensors)


def signs_of(op: Op, weight: np.ndarray, parents: Parents) -> Format:
    """The format of a weight whose channels hold one magnitude each.

    Args:
        weight: (O, kh, kw, C) float.
    """
    rows = np.abs(weight.reshape(len(weight), -1))
    if not np.allclose(rows, rows[:, :1], rtol=1e-5):
        raise BadInput(f"binary: the weights of {op.name} are no signs, and multiply signs; need a BinaryConv2d.")
    scales = np.maximum(rows[:, 0].astype(np.float64), LEAST_SCALE)
    return Signs(tuple(map(float, scales)), 0, parents(weight >= 0))
