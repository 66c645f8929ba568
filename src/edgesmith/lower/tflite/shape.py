"""Lowerings of data movement."""

import math

from edgesmith.core.errors import Unsupported
from edgesmith.lower.tflite.node import Lowering, Node


def reshape(n: Node) -> str:
    """To the shape the file gives the result: RESHAPE, SQUEEZE, EXPAND_DIMS."""
    x, shape = n.x(), n.output().shape
    if math.prod(shape) != n.b.tensors[x].size:
        raise Unsupported(f"makes {shape} of {n.b.shape(x)}; need as many elements.")
    return n.b.op("reshape", x, shape=shape)


def transpose(n: Node) -> str:
    """A constant order of axes."""
    x, axes = n.x(), n.ints(1)
    if sorted(axes) != list(range(len(n.b.shape(x)))):
        raise Unsupported(f"permutes {len(n.b.shape(x))} axes by {axes[:9]}.")
    return n.b.op("permute", x, axes=tuple(axes))


def concatenation(n: Node) -> str:
    """Setting 0 is the axis."""
    parts = [n.x(i) for i in range(len(n.op.inputs))]
    rank = len(n.b.shape(parts[0])) if parts else 0
    axis = n.whole(0)
    if not -rank <= axis < rank:
        raise Unsupported(f"joins along axis {axis} of {rank}.")
    return n.limited(n.b.op("concat", *parts, axis=axis % rank), 1)


def pack(n: Node) -> str:
    """A new axis (setting 1), and parts side by side on it."""
    parts = [n.x(i) for i in range(len(n.op.inputs))]
    shape = n.output().shape
    axis = n.whole(1) % max(len(shape), 1)
    if any(n.b.shape(part) != (*shape[:axis], *shape[axis + 1 :]) for part in parts):
        raise Unsupported(f"packs parts into {shape}; need parts of one shape.")
    wide = [n.b.op("reshape", part, shape=(*shape[:axis], 1, *shape[axis + 1 :])) for part in parts]
    return n.b.op("concat", *wide, axis=axis)


def pad(n: Node) -> str:
    """Real zeros, or the constant of PADV2."""
    x, widths = n.x(), n.ints(1)
    if len(widths) != 2 * len(n.b.shape(x)) or min(widths, default=0) < 0:
        raise Unsupported(f"pads {n.b.shape(x)} by {widths[:9]}; need two sizes an axis, none below 0.")
    value = n.number(2) if n.given(2) else 0.0
    return n.b.op("pad", x, before=tuple(widths[::2]), after=tuple(widths[1::2]), value=value)


def _cut(n: Node, x: str, starts: list[int], ends: list[int], steps: list[int]) -> str:
    shape = n.b.shape(x)
    full = (starts, ends, steps) == ([0] * len(shape), list(shape), [1] * len(shape))
    if any(not 0 <= a < b <= size for a, b, size in zip(starts, ends, shape, strict=True)):
        raise Unsupported(f"cuts {starts} to {ends} out of {shape}; need parts that are there.")
    return x if full else n.b.op("slice", x, starts=tuple(starts), ends=tuple(ends), steps=tuple(steps))


def strided_slice(n: Node) -> str:
    """Settings: masks of begins and ends to ignore, of ellipses, new axes and axes to drop."""
    x, begins, ends, steps = n.x(), n.ints(1), n.ints(2), n.ints(3)
    shape, masks = n.b.shape(x), [n.whole(i) for i in range(5)]
    if masks[2] or masks[3] or not len(begins) == len(ends) == len(steps) <= len(shape) or min(steps, default=1) < 1:
        raise Unsupported("has an ellipsis, a new axis or a step below 1; need plain cuts.")
    starts, stops = [0] * len(shape), list(shape)
    dropped = [bool(masks[4] >> axis & 1) for axis in range(len(begins))]
    for axis, (a, b) in enumerate(zip(begins, ends, strict=True)):
        size = shape[axis]
        if not masks[0] >> axis & 1:
            starts[axis] = min(max(a + size if a < 0 else a, 0), size)
        if dropped[axis]:
            stops[axis] = starts[axis] + 1
        elif not masks[1] >> axis & 1:
            stops[axis] = min(max(b + size if b < 0 else b, 0), size)
    cut = _cut(n, x, starts, stops, [*steps, *[1] * (len(shape) - len(steps))])
    if not any(dropped):
        return cut
    kept = [size for axis, size in enumerate(n.b.shape(cut)) if not (axis < len(dropped) and dropped[axis])]
    return n.b.op("reshape", cut, shape=tuple(kept))


def slice_(n: Node) -> str:
    """Begins and sizes; -1 is all that is left."""
    x, starts, sizes = n.x(), n.ints(1), n.ints(2)
    shape = n.b.shape(x)
    if not len(starts) == len(sizes) == len(shape):
        raise Unsupported(f"cuts {len(starts)} axes of {shape}; need all.")
    ends = [size if length == -1 else a + length for a, length, size in zip(starts, sizes, shape, strict=True)]
    return _cut(n, x, starts, ends, [1] * len(shape))


def _parts(n: Node, x: str, sizes: list[int], axis: int) -> list[str]:
    shape = n.b.shape(x)
    if not -len(shape) <= axis < len(shape) or sum(sizes) != shape[axis] or len(sizes) != len(n.op.outputs):
        raise Unsupported(f"splits {shape} into {sizes[:9]} along axis {axis}.")
    axis, found, at = axis % len(shape), [], 0
    for size in sizes:
        starts, ends = [0] * len(shape), list(shape)
        starts[axis], ends[axis], at = at, at + size, at + size
        found.append(_cut(n, x, starts, ends, [1] * len(shape)))
    return found


def split(n: Node) -> list[str]:
    """Equal parts; the axis comes first."""
    x, (axis,) = n.x(1), n.ints(0)[:1]
    count = max(len(n.op.outputs), 1)
    length = n.b.shape(x)[axis] if -len(n.b.shape(x)) <= axis < len(n.b.shape(x)) else 0
    return _parts(n, x, [length // count] * count, axis)


def split_v(n: Node) -> list[str]:
    """Parts of given sizes; one of -1 is what is left."""
    x, sizes, (axis,) = n.x(0), n.ints(1), n.ints(2)[:1]
    if sizes.count(-1) == 1 and -len(n.b.shape(x)) <= axis < len(n.b.shape(x)):
        sizes[sizes.index(-1)] = n.b.shape(x)[axis] - sum(sizes) - 1
    return _parts(n, x, sizes, axis)


LOWERINGS: dict[str, Lowering] = {
    "RESHAPE": reshape,
    "SQUEEZE": reshape,
    "EXPAND_DIMS": reshape,
    "TRANSPOSE": transpose,
    "CONCATENATION": concatenation,
    "PACK": pack,
    "PAD": pad,
    "PADV2": pad,
    "STRIDED_SLICE": strided_slice,
    "SLICE": slice_,
    "SPLIT": split,
    "SPLIT_V": split_v,
}
