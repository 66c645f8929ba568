"""Lowerings of data movement."""

import math

from edgesmith.core.errors import Unsupported
from edgesmith.lower.onnx.node import Lowering, Node, Value

FAR = 1 << 62


def reshape(n: Node) -> Value:
    """0 keeps a size, -1 is what is left."""
    x, wanted = n.x(), n.ints("shape", 1) or []
    shape, keep = n.b.shape(x), not n.whole("allowzero")
    sizes = [shape[i] if size == 0 and keep and i < len(shape) else size for i, size in enumerate(wanted)]
    if sizes.count(-1) == 1:
        rest = math.prod(size for size in sizes if size != -1)
        sizes[sizes.index(-1)] = math.prod(shape) // rest if rest > 0 else 0
    if min(sizes, default=1) < 1 or math.prod(sizes) != math.prod(shape):
        raise Unsupported(f"makes {wanted[:9]} of {shape}; need as many elements.")
    return n.b.op("reshape", x, shape=tuple(sizes))


def flatten(n: Node) -> Value:
    """Two axes: those before `axis`, and the others."""
    x = n.x()
    shape = n.b.shape(x)
    axis = n.whole("axis", 1)
    axis = axis if axis == len(shape) else n.axis(axis, len(shape))
    return n.b.op("reshape", x, shape=(math.prod(shape[:axis]), math.prod(shape[axis:])))


def squeeze(n: Node) -> Value:
    """Axes of 1 go."""
    x = n.x()
    shape, axes = n.b.shape(x), n.ints("axes", 1)
    gone = {n.axis(a, len(shape)) for a in axes} if axes else {i for i, size in enumerate(shape) if size == 1}
    if any(shape[axis] != 1 for axis in gone):
        raise Unsupported(f"drops axes {sorted(gone)} of {shape}; need sizes of 1.")
    return n.b.op("reshape", x, shape=tuple(size for i, size in enumerate(shape) if i not in gone))


def unsqueeze(n: Node) -> Value:
    """Axes of 1 come."""
    x, axes = n.x(), n.ints("axes", 1) or []
    rank = len(n.b.shape(x)) + len(axes)
    new, sizes = {n.axis(axis, rank) for axis in axes}, list(n.b.shape(x))
    if len(new) != len(axes) or rank > 8:
        raise Unsupported(f"adds the axes {axes[:9]} to {n.b.shape(x)}.")
    return n.b.op("reshape", x, shape=tuple(1 if i in new else sizes.pop(0) for i in range(rank)))


def transpose(n: Node) -> Value:
    """By default the axes are reversed."""
    x = n.x()
    rank = len(n.b.shape(x))
    axes = n.attr("perm", list(range(rank))[::-1])
    if sorted(axes) != list(range(rank)):
        raise Unsupported(f"permutes {rank} axes by {axes[:9]}.")
    return n.b.op("permute", x, axes=tuple(axes))


def concat(n: Node) -> Value:
    """Along one axis."""
    parts = [n.x(i) for i in range(len(n.inputs))]
    axis = n.axis(n.whole("axis"), len(n.b.shape(parts[0]))) if parts else 0
    return n.b.op("concat", *parts, axis=axis)


def cut(n: Node, x: str, axis: int, start: int, end: int, step: int = 1) -> str:
    """Part of an axis."""
    shape = n.b.shape(x)
    if not 0 <= start < end <= shape[axis] or step < 1:
        raise Unsupported(f"cuts {start} to {end} by {step} out of axis {axis} of {shape}; need a part that is there.")
    starts, ends, steps = [0] * len(shape), list(shape), [1] * len(shape)
    starts[axis], ends[axis], steps[axis] = start, end, step
    whole = starts == [0] * len(shape) and ends == list(shape) and step == 1
    return x if whole else n.b.op("slice", x, starts=tuple(starts), ends=tuple(ends), steps=tuple(steps))


def slice_(n: Node) -> Value:
    """Constant starts, ends, axes and steps."""
    x = n.x()
    starts, ends = n.ints("starts", 1) or [], n.ints("ends", 2) or []
    axes, steps = n.ints("axes", 3) or list(range(len(starts))), n.ints("steps", 4) or [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise Unsupported("has lists of different length.")
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = n.axis(axis, len(n.b.shape(x)))
        size = n.b.shape(x)[axis]
        bounds = [min(max(at + size if at < 0 else at, 0), size) for at in (start, end)]
        x = n.carry(x, cut(n, x, axis, bounds[0], bounds[1], step))
    return x


def split(n: Node) -> list[Value]:
    """Given sizes, or equal parts."""
    x = n.x()
    axis, count = n.axis(n.whole("axis"), len(n.b.shape(x))), max(len(n.step.outputs), 1)
    size = n.b.shape(x)[axis]
    each = -(-size // count)
    sizes = n.ints("split", 1) or [each] * (count - 1) + [size - each * (count - 1)]
    if len(sizes) != count or sum(sizes) != size:
        raise Unsupported(f"splits {size} into {sizes[:9]}.")
    ends = [sum(sizes[: i + 1]) for i in range(count)]
    return [cut(n, x, axis, end - length, end) for end, length in zip(ends, sizes, strict=True)]


def gather(n: Node) -> Value:
    """One constant index, a constant run of them, or rows of a constant table."""
    if n.constant(0) and not n.constant(1) and n.whole("axis") == 0:
        return n.b.op("embedding", n.x(1), n.x(0))
    x = n.x()
    axis = n.axis(n.whole("axis"), len(n.b.shape(x)))
    indices = n.array(1)
    size = n.b.shape(x)[axis]
    listed = [int(i) + size if i < 0 else int(i) for i in indices.reshape(-1).tolist()[:FAR]]
    if not listed or indices.ndim > 1 or listed != list(range(listed[0], listed[0] + len(listed))):
        raise Unsupported("picks entries out of order; need one constant index or a run of them.")
    part = cut(n, x, axis, listed[0], listed[-1] + 1)
    if indices.ndim == 1:
        return part
    shape = n.b.shape(part)
    return n.b.op("reshape", n.carry(x, part), shape=(*shape[:axis], *shape[axis + 1 :]))


def pad(n: Node) -> Value:
    """Constant values around."""
    x = n.x()
    rank = len(n.b.shape(x))
    if n.attr("mode", "constant") != "constant":
        raise Unsupported(f"pads by mode {n.attr('mode')!r}; need constant.")
    widths, axes = n.ints("pads", 1) or [], n.ints("axes", 3) or list(range(rank))
    if len(widths) != 2 * len(axes) or min(widths, default=0) < 0:
        raise Unsupported(f"pads {n.b.shape(x)} by {widths[:9]}; need two sizes an axis, none below 0.")
    before, after = [0] * rank, [0] * rank
    for i, axis in enumerate(axes):
        before[n.axis(axis, rank)], after[n.axis(axis, rank)] = widths[i], widths[i + len(axes)]
    return n.b.op("pad", x, before=tuple(before), after=tuple(after), value=n.number("value", 2, 0.0))


def expand(n: Node) -> Value:
    """As numpy broadcasts."""
    x, wanted = n.x(), n.ints("shape", 1) or []
    shape = (*(1,) * (len(wanted) - len(n.b.shape(x))), *n.b.shape(x))
    wanted = [1] * (len(shape) - len(wanted)) + wanted
    sizes = tuple(max(a, b) for a, b in zip(shape, wanted, strict=True))
    return x if sizes == n.b.shape(x) else n.b.op("expand", x, shape=sizes)


LOWERINGS: dict[str, Lowering] = {
    "Reshape": reshape,
    "Flatten": flatten,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Transpose": transpose,
    "Concat": concat,
    "Slice": slice_,
    "Split": split,
    "Gather": gather,
    "Pad": pad,
    "Expand": expand,
}
