"""Ops that move stored values: each is one walk over strides, or a copy of rows."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesmith.core.graph import Op, Tensor
from edgesmith.kernels.kernel import Binding, Call, Field, numbers
from edgesmith.kernels.strides import Axis, broadcast_strides, merge, row_major, walk_fields

Attrs = Mapping[str, Any]
Tensors = Sequence[Tensor]


def item_bytes(tensor: Tensor) -> int:
    """Bytes of one element."""
    return np.dtype(tensor.dtype).itemsize


def unit_walk(axes: Sequence[Axis], element_bytes: int) -> tuple[tuple[Axis, ...], int]:
    """Merge a walk of (size, stride in elements); a contiguous last axis becomes one unit.

    Returns:
        The walk with strides in bytes, and the bytes of a unit.
    """
    merged = [(size, stride * element_bytes) for size, stride in merge(axes)]
    if merged and merged[-1][1] == element_bytes:
        return tuple(merged[:-1]), merged[-1][0] * element_bytes
    return tuple(merged), element_bytes


def _copy(kind: str, axes: Sequence[Axis], start: int, tensor: Tensor) -> tuple[Call, ...]:
    item = item_bytes(tensor)
    walk, unit = unit_walk(axes, item)
    fields = (*walk_fields(kind, walk, ("size", "stride")), *numbers(start=start * item, unit_bytes=unit))
    return (Call("strided_copy", "es_strided_copy", "es_strided_copy_params", fields),)


def _permute(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    x = inputs[0]
    strides = row_major(x.shape)
    return _copy(op.kind, [(x.shape[axis], strides[axis]) for axis in attrs["axes"]], 0, x)


def _slice(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    strides = row_major(inputs[0].shape)
    start = sum(s * stride for s, stride in zip(attrs["starts"], strides, strict=True))
    steps = [step * stride for step, stride in zip(attrs["steps"], strides, strict=True)]
    return _copy(op.kind, [*zip(outputs[0].shape, steps, strict=True)], start, inputs[0])


def _expand(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    shape = outputs[0].shape
    return _copy(op.kind, [*zip(shape, broadcast_strides(inputs[0].shape, shape), strict=True)], 0, inputs[0])


def _upsample_nearest(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    _, height, width, channels = inputs[0].shape
    factor_h, factor_w = attrs["factor"]
    rows = [(height, width * channels), (factor_h, 0)]
    return _copy(op.kind, [*rows, (width, channels), (factor_w, 0), (channels, 1)], 0, inputs[0])


def _pad(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    x, y = inputs[0], outputs[0]
    strides = row_major(y.shape)
    start = sum(before * stride for before, stride in zip(attrs["before"], strides, strict=True))
    item = item_bytes(x)
    walk, unit = unit_walk([*zip(x.shape, strides, strict=True)], item)
    value = tuple(np.asarray(attrs["value"]).astype(x.dtype).tobytes())
    fields = (
        *walk_fields(op.kind, walk, ("size", "stride")),
        *numbers(start=start * item, unit_bytes=unit, bytes=y.nbytes, element_bytes=item),
        Field("value", value, "uint8_t", 8),
    )
    return (Call("pad", "es_pad", "es_pad_params", fields),)


def _concat(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    rows = math.prod(outputs[0].shape[: attrs["axis"]])
    row_bytes = ", ".join(str(x.nbytes // rows) for x in inputs)

    def arguments(reads: Sequence[str], writes: Sequence[str]) -> list[str]:
        return [f"(const void *const[]){{{', '.join(reads)}}}", f"(const int32_t[]){{{row_bytes}}}", *writes]

    fields = numbers(rows=rows, count=len(inputs))
    return (Call("concat", "es_concat", "es_concat_params", fields, arguments),)


def _embedding(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    indices, table = inputs
    rows, width = table.shape
    fields = numbers(n=indices.size, table_rows=rows, row_bytes=width * item_bytes(table))
    return (Call("embedding", "es_embedding", "es_embedding_params", fields),)


BINDINGS: Mapping[str, Binding] = {
    "permute": _permute,
    "slice": _slice,
    "expand": _expand,
    "upsample_nearest": _upsample_nearest,
    "pad": _pad,
    "concat": _concat,
    "embedding": _embedding,
}
