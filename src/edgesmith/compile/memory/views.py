"""Ops that move nothing: their result is a piece of their input's bytes."""

import math
from typing import cast

import numpy as np

from edgesmith.core.graph import Graph, Op, Tensor

# A piece begins at a multiple of so many bytes, else it is copied. The kernels take an int8 tensor at any address, as
# they must for a caller's input, and one of larger elements at a multiple of an element. A word keeps both true, and
# lets a kernel read whole words with LDM and LDRD, or at all on Cortex-M0+, wherever the rows keep to words.
WORD_BYTES = 4


def view_offset(op: Op, x: Tensor, y: Tensor) -> int | None:
    """Where in the first input x the result y lies, in bytes; None when the op has to move something.

    A reshape is all of x. A slice is a piece of x when its elements lie side by side: on the first axis that keeps more
    than one, its step is 1, and every axis after that is whole.
    """
    if op.kind == "reshape":
        return 0
    if op.kind != "slice":
        return None
    starts, steps = cast(tuple[int, ...], op.attrs["starts"]), cast(tuple[int, ...], op.attrs["steps"])
    first = next((axis for axis, size in enumerate(y.shape) if size > 1), len(y.shape))
    if y.shape[first + 1 :] != x.shape[first + 1 :] or (first < len(steps) and steps[first] != 1):
        return None
    strides = (math.prod(x.shape[axis + 1 :]) for axis in range(len(x.shape)))
    offset = sum(start * stride for start, stride in zip(starts, strides, strict=True)) * np.dtype(x.dtype).itemsize
    return offset if offset % WORD_BYTES == 0 else None


def views(graph: Graph) -> dict[int, int]:
    """Index of each op that moves nothing to the byte offset of its result in its input."""
    found = {}
    for index, op in enumerate(graph.ops):
        offset = view_offset(op, graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]])
        if offset is not None:
            found[index] = offset
    return found


def roots(graph: Graph) -> dict[str, tuple[str, int]]:
    """Tensor name to the tensor that it is a piece of, itself for most, and where in it, in bytes."""
    found = {name: (name, 0) for name in graph.tensors}
    for index, offset in views(graph).items():
        root, start = found[graph.ops[index].inputs[0]]
        found[graph.ops[index].outputs[0]] = (root, start + offset)
    return found
