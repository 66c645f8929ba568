"""Data movement: ops that move or repeat stored values and never change them. Any dtype."""

import math
from collections.abc import Sequence

import numpy as np

from edgesmith.core.graph import Tensor
from edgesmith.core.ops.linear import broadcast
from edgesmith.core.ops.spec import Attribute, Attrs, OpSpec, Shapes, need

SHAPE = {"shape": Attribute(tuple[int, ...], low=1)}
INDICES = Attribute(tuple[int, ...], low=0)


def _infer_reshape(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, shape = inputs[0], attrs["shape"]
    need(math.prod(shape) == x.size, f"reshape: {x.shape} to {shape}: {x.size} elements against {math.prod(shape)}.")
    return [(shape, x.dtype)]


def _infer_permute(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, axes = inputs[0], attrs["axes"]
    need(sorted(axes) == list(range(len(x.shape))), f"permute: axes {axes} of {x.shape}; need each axis once.")
    return [(tuple(x.shape[axis] for axis in axes), x.dtype)]


def _infer_slice(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x = inputs[0]
    starts, ends, steps = (attrs[name] for name in ("starts", "ends", "steps"))
    rank = len(x.shape)
    need(len(starts) == len(ends) == len(steps) == rank, f"slice: {x.shape} needs {rank} starts, ends and steps.")
    inside = all(start < end <= size for start, end, size in zip(starts, ends, x.shape, strict=True))
    need(inside, f"slice: {starts} to {ends} of {x.shape}; need start < end <= size on each axis.")
    return [(tuple(-(-(e - s) // step) for s, e, step in zip(starts, ends, steps, strict=True)), x.dtype)]


def _infer_concat(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    first, axis = inputs[0], attrs["axis"]
    need(axis < len(first.shape), f"concat: axis {axis} of {first.shape}; need one below {len(first.shape)}.")
    for other in inputs[1:]:
        same = len(other.shape) == len(first.shape) and other.dtype == first.dtype
        same = same and all(a == b for i, (a, b) in enumerate(zip(first.shape, other.shape, strict=True)) if i != axis)
        need(same, f"concat: {first.dtype} {first.shape} and {other.dtype} {other.shape} differ beside axis {axis}.")
    total = sum(x.shape[axis] for x in inputs)
    return [((*first.shape[:axis], total, *first.shape[axis + 1 :]), first.dtype)]


def _infer_pad(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, before, after, value = inputs[0], attrs["before"], attrs["after"], attrs["value"]
    need(len(before) == len(after) == len(x.shape), f"pad: {x.shape} needs {len(x.shape)} entries before and after.")
    if x.dtype != "float32":
        need(float(value).is_integer(), f"pad: value {value} is not a whole number; x is {x.dtype}.")
        info = np.iinfo(x.dtype)
        need(info.min <= value <= info.max, f"pad: value {value} is outside {x.dtype}.")
    return [(tuple(b + n + a for b, n, a in zip(before, x.shape, after, strict=True)), x.dtype)]


def _infer_expand(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, shape = inputs[0], attrs["shape"]
    need(broadcast("expand", x.shape, shape) == shape, f"expand: {x.shape} does not broadcast to {shape}.")
    return [(shape, x.dtype)]


def _infer_upsample(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, (fh, fw) = inputs[0], attrs["factor"]
    need(len(x.shape) == 4 and x.shape[0] == 1, f"upsample_nearest: x is {x.shape}; need (1, H, W, C).")
    return [((1, x.shape[1] * fh, x.shape[2] * fw, x.shape[3]), x.dtype)]


def _infer_embedding(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    indices, table = inputs
    need(len(table.shape) == 2, f"embedding: table is {table.shape}; need (rows, width).")
    return [((*indices.shape, table.shape[1]), table.dtype)]


def _run_slice(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    cuts = zip(attrs["starts"], attrs["ends"], attrs["steps"], strict=True)
    return [arrays[0][tuple(slice(*cut) for cut in cuts)].copy()]


def _run_pad(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x = arrays[0]
    widths = list(zip(attrs["before"], attrs["after"], strict=True))
    return [np.pad(x, widths, constant_values=np.asarray(attrs["value"]).astype(x.dtype))]


def _run_upsample(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    fh, fw = attrs["factor"]
    return [arrays[0].repeat(fh, axis=1).repeat(fw, axis=2)]


def _run_embedding(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    indices, table = arrays
    return [table[np.clip(indices, 0, len(table) - 1)]]  # no index ever reads outside the table


OPS = (
    OpSpec(
        kind="reshape",
        does="the same elements in row-major order under another shape",
        inputs=("x",),
        outputs=("y",),
        infer=_infer_reshape,
        run=lambda arrays, attrs: [arrays[0].reshape(attrs["shape"])],
        dtypes=("any",),
        attrs=SHAPE,
    ),
    OpSpec(
        kind="permute",
        does="axis i of y is axis axes[i] of x",
        inputs=("x",),
        outputs=("y",),
        infer=_infer_permute,
        run=lambda arrays, attrs: [np.ascontiguousarray(arrays[0].transpose(attrs["axes"]))],
        dtypes=("any",),
        attrs={"axes": INDICES},
    ),
    OpSpec(
        kind="slice",
        does="elements start, start + step, ... below end, on every axis",
        inputs=("x",),
        outputs=("y",),
        infer=_infer_slice,
        run=_run_slice,
        dtypes=("any",),
        attrs={"starts": INDICES, "ends": INDICES, "steps": Attribute(tuple[int, ...], low=1, high=1 << 30)},
    ),
    OpSpec(
        kind="concat",
        does="inputs one after another along axis",
        inputs=("xs*",),
        outputs=("y",),
        infer=_infer_concat,
        run=lambda arrays, attrs: [np.concatenate(arrays, axis=attrs["axis"])],
        dtypes=("any",),
        attrs={"axis": Attribute(int, low=0)},
    ),
    OpSpec(
        kind="pad",
        does="value written before and after x on every axis",
        inputs=("x",),
        outputs=("y",),
        infer=_infer_pad,
        run=_run_pad,
        dtypes=("float32|int8|uint8|int16|uint16|int32",),
        attrs={"before": INDICES, "after": INDICES, "value": Attribute(float, 0.0)},
    ),
    OpSpec(
        kind="expand",
        does="x repeated along its axes of size one, or new leading axes, to shape",
        inputs=("x",),
        outputs=("y",),
        infer=_infer_expand,
        run=lambda arrays, attrs: [np.broadcast_to(arrays[0], attrs["shape"]).copy()],
        dtypes=("any",),
        attrs=SHAPE,
    ),
    OpSpec(
        kind="upsample_nearest",
        does="each cell repeated factor times along H and W",
        inputs=("x",),
        outputs=("y",),
        infer=_infer_upsample,
        run=_run_upsample,
        dtypes=("any",),
        attrs={"factor": Attribute(tuple[int, int], low=1, high=1 << 16)},
    ),
    OpSpec(
        kind="embedding",
        does="row indices[i] of table; an index outside is taken to the nearest row",
        inputs=("indices", "table"),
        outputs=("y",),
        infer=_infer_embedding,
        run=_run_embedding,
        dtypes=("int32", "any"),
    ),
)
