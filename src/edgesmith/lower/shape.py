"""Lowerings of data movement: reshape, permute, slice, join, pad, repeat, embed."""

from collections.abc import Sequence
from functools import partial

from edgesmith.core.errors import Unsupported
from edgesmith.lower.builder import Builder
from edgesmith.lower.call import Call, Lowering, axis_of


def reshape(b: Builder, call: Call) -> str:
    """view and reshape; -1 is what remains."""
    x, shape = call.tensor("self"), list(call.get("shape", call.get("size")))
    if -1 in shape:
        known = 1
        for size in shape:
            known *= size if size != -1 else 1
        shape[shape.index(-1)] = b.tensors[x].size // known
    return b.op("reshape", x, shape=tuple(shape))


def flatten(b: Builder, call: Call) -> str:
    """Axes start to end become one."""
    x = call.tensor("self")
    shape = b.shape(x)
    start, end = axis_of(call["start_dim"], len(shape)), axis_of(call["end_dim"], len(shape))
    size = 1
    for entry in shape[start : end + 1]:
        size *= entry
    return b.op("reshape", x, shape=(*shape[:start], size, *shape[end + 1 :]))


def unflatten(b: Builder, call: Call) -> str:
    """One axis becomes several."""
    x = call.tensor("self")
    shape = b.shape(x)
    axis = axis_of(call["dim"], len(shape))
    sizes = list(call["sizes"])
    if -1 in sizes:
        known = 1
        for size in sizes:
            known *= size if size != -1 else 1
        sizes[sizes.index(-1)] = shape[axis] // known
    return b.op("reshape", x, shape=(*shape[:axis], *sizes, *shape[axis + 1 :]))


def unsqueeze(b: Builder, call: Call) -> str:
    """A new axis of size 1."""
    x = call.tensor("self")
    shape = list(b.shape(x))
    shape.insert(axis_of(call["dim"], len(shape) + 1), 1)
    return b.op("reshape", x, shape=tuple(shape))


def squeeze(b: Builder, call: Call) -> str:
    """Axes of size 1 removed: all, or those named."""
    x = call.tensor("self")
    shape = b.shape(x)
    named = call.get("dim", range(len(shape)))
    axes = {axis_of(axis, len(shape)) for axis in ([named] if isinstance(named, int) else named)}
    kept = tuple(size for axis, size in enumerate(shape) if size != 1 or axis not in axes)
    return b.op("reshape", x, shape=kept)


def permute(b: Builder, call: Call) -> str:
    """Axes in another order."""
    x = call.tensor("self")
    rank = len(b.shape(x))
    return b.op("permute", x, axes=tuple(axis_of(axis, rank) for axis in call["dims"]))


def transpose(b: Builder, call: Call) -> str:
    """Two axes swapped; aten.t swaps the only two."""
    x = call.tensor("self")
    axes = list(range(len(b.shape(x))))
    if len(axes) < 2:
        return x
    first, second = (axis_of(call.get(key, default), len(axes)) for key, default in (("dim0", 0), ("dim1", 1)))
    axes[first], axes[second] = axes[second], axes[first]
    return b.op("permute", x, axes=tuple(axes))


def movedim(b: Builder, call: Call) -> str:
    """Some axes taken to other places, the rest in order."""
    x = call.tensor("self")
    rank = len(b.shape(x))
    ends = [[call[key]] if isinstance(call[key], int) else call[key] for key in ("source", "destination")]
    source, destination = ([axis_of(axis, rank) for axis in end] for end in ends)
    rest = (axis for axis in range(rank) if axis not in source)
    axes = tuple(source[destination.index(i)] if i in destination else next(rest) for i in range(rank))
    return b.op("permute", x, axes=axes)


def cut(b: Builder, x: str, axis: int, start: int, end: int, step: int = 1) -> str:
    """start to end of one axis, everything of the others."""
    shape = b.shape(x)
    starts, ends, steps = [0] * len(shape), list(shape), [1] * len(shape)
    starts[axis], ends[axis], steps[axis] = start, end, step
    if (start, end, step) == (0, shape[axis], 1):
        return x
    return b.op("slice", x, starts=tuple(starts), ends=tuple(ends), steps=tuple(steps))


def _inside(index: int | None, size: int, default: int) -> int:
    if index is None:
        return default
    return min(max(index + size if index < 0 else index, 0), size)


def slice_(b: Builder, call: Call) -> str:
    """start : end : step of one axis."""
    x = call.tensor("self")
    axis = axis_of(call["dim"], len(b.shape(x)))
    size = b.shape(x)[axis]
    return cut(b, x, axis, _inside(call["start"], size, 0), _inside(call["end"], size, size), call["step"])


def narrow(b: Builder, call: Call) -> str:
    """`length` entries from `start`."""
    x = call.tensor("self")
    axis = axis_of(call["dim"], len(b.shape(x)))
    start = _inside(call["start"], b.shape(x)[axis], 0)
    return cut(b, x, axis, start, start + call["length"])


def _without(b: Builder, x: str, axis: int) -> str:
    shape = b.shape(x)
    return b.op("reshape", x, shape=(*shape[:axis], *shape[axis + 1 :]))


def select(b: Builder, call: Call) -> str:
    """One entry of an axis, which disappears."""
    x = call.tensor("self")
    axis = axis_of(call["dim"], len(b.shape(x)))
    index = axis_of(call["index"], b.shape(x)[axis])
    return _without(b, cut(b, x, axis, index, index + 1), axis)


def unbind(b: Builder, call: Call) -> list[str]:
    """Every entry of an axis."""
    x = call.tensor("self")
    axis = axis_of(call["dim"], len(b.shape(x)))
    return [_without(b, cut(b, x, axis, i, i + 1), axis) for i in range(b.shape(x)[axis])]


def _parts(b: Builder, x: str, axis: int, sizes: Sequence[int]) -> list[str]:
    parts, start = [], 0
    for size in sizes:
        parts.append(cut(b, x, axis, start, start + size))
        start += size
    return parts


def split(b: Builder, call: Call) -> list[str]:
    """Pieces of one size, or of the sizes listed."""
    x = call.tensor("self")
    axis = axis_of(call["dim"], len(b.shape(x)))
    size = b.shape(x)[axis]
    wanted = call.get("split_sizes", call.get("split_size"))
    if isinstance(wanted, int):
        wanted = [min(wanted, size - start) for start in range(0, size, wanted)]
    return _parts(b, x, axis, wanted)


def chunk(b: Builder, call: Call) -> list[str]:
    """At most `chunks` pieces of one size."""
    x = call.tensor("self")
    axis = axis_of(call["dim"], len(b.shape(x)))
    size = b.shape(x)[axis]
    each = -(-size // call["chunks"])
    return _parts(b, x, axis, [min(each, size - start) for start in range(0, size, each)])


def concat(b: Builder, call: Call) -> str:
    """One after another; empty tensors, as torch allows them, are not."""
    parts = call["tensors"]
    return b.op("concat", *parts, axis=axis_of(call["dim"], len(b.shape(parts[0])))) if len(parts) > 1 else parts[0]


def stack(b: Builder, call: Call) -> str:
    """One after another along a new axis."""
    parts = call["tensors"]
    shape = list(b.shape(parts[0]))
    axis = axis_of(call["dim"], len(shape) + 1)
    shape.insert(axis, 1)
    parts = [b.op("reshape", part, shape=tuple(shape)) for part in parts]
    return b.op("concat", *parts, axis=axis) if len(parts) > 1 else parts[0]


def pad(b: Builder, call: Call) -> str:
    """Constant padding; negative amounts cut."""
    x, amounts = call.tensor("self"), call["pad"]
    if call.get("mode", "constant") != "constant":
        raise Unsupported(f"pads by {call['mode']}; need constant padding.")
    rank = len(b.shape(x))
    before, after = [0] * rank, [0] * rank
    for index in range(len(amounts) // 2):
        before[rank - 1 - index], after[rank - 1 - index] = amounts[2 * index], amounts[2 * index + 1]
    for axis in range(rank):
        x = cut(b, x, axis, max(0, -before[axis]), b.shape(x)[axis] - max(0, -after[axis]))
    value = float(call["value"] or 0.0)
    widths = tuple(max(0, n) for n in before), tuple(max(0, n) for n in after)
    return b.op("pad", x, before=widths[0], after=widths[1], value=value) if any(map(any, widths)) else x


def expand(b: Builder, call: Call) -> str:
    """Axes of size 1 repeated; -1 keeps a size."""
    x, size = call.tensor("self"), list(call["size"])
    shape = (1,) * (len(size) - len(b.shape(x))) + b.shape(x)
    wanted = tuple(old if new == -1 else new for old, new in zip(shape, size, strict=True))
    return x if wanted == b.shape(x) else b.op("expand", x, shape=wanted)


def repeat(b: Builder, call: Call) -> str:
    """Copies along each axis, by concatenation."""
    x, times = call.tensor("self"), call["repeats"]
    shape = (1,) * (len(times) - len(b.shape(x))) + b.shape(x)
    x = b.op("reshape", x, shape=shape) if shape != b.shape(x) else x
    for axis, count in enumerate(times):
        x = b.op("concat", *[x] * count, axis=axis) if count > 1 else x
    return x


def copy(b: Builder, call: Call) -> str:
    """The source in the shape of the target: what an assignment to a buffer becomes."""
    source, shape = call.tensor("src"), b.shape(call.tensor("self"))
    return source if b.shape(source) == shape else b.op("expand", source, shape=shape)


def _spliced(b: Builder, x: str, axis: int, start: int, source: str) -> str:
    """x with `source` written over part of an axis."""
    end, size = start + b.shape(source)[axis], b.shape(x)[axis]
    parts = [cut(b, x, axis, 0, start)] if start else []
    parts.append(source)
    parts += [cut(b, x, axis, end, size)] if end < size else []
    return b.op("concat", *parts, axis=axis) if len(parts) > 1 else source


def slice_scatter(b: Builder, call: Call) -> str:
    """An assignment to a slice."""
    x = call.tensor("self")
    axis = axis_of(call["dim"], len(b.shape(x)))
    if call["step"] != 1:
        raise Unsupported(f"writes every {call['step']}th entry; need a step of 1.")
    return _spliced(b, x, axis, _inside(call["start"], b.shape(x)[axis], 0), call.tensor("src"))


def select_scatter(b: Builder, call: Call) -> str:
    """An assignment to one entry."""
    x, source = call.tensor("self"), call.tensor("src")
    axis = axis_of(call["dim"], len(b.shape(x)))
    shape = b.shape(source)
    source = b.op("reshape", source, shape=(*shape[:axis], 1, *shape[axis:]))
    return _spliced(b, x, axis, axis_of(call["index"], b.shape(x)[axis]), source)


def roll(b: Builder, call: Call) -> str:
    """Entries moved along axes, those pushed out come back at the front."""
    x = call.tensor("self")
    for shift, dim in zip(call["shifts"], call["dims"], strict=True):
        axis = axis_of(dim, len(b.shape(x)))
        size = b.shape(x)[axis]
        if cut_at := -shift % size:
            x = b.op("concat", cut(b, x, axis, cut_at, size), cut(b, x, axis, 0, cut_at), axis=axis)
    return x


def embedding(b: Builder, call: Call) -> str:
    """Rows of a table."""
    return b.op("embedding", call.tensor("indices"), call.tensor("weight"))


def _like(value: float | None, b: Builder, call: Call) -> str:
    """A constant in the shape of a tensor, or in the shape given."""
    shape = call.get("size", b.shape(call.tensor("self")))
    return b.filled("filled", shape, float(call["fill_value"]) if value is None else value)


LOWERINGS: dict[str, Lowering] = {
    **dict.fromkeys(("aten.view.default", "aten.reshape.default", "aten._unsafe_view.default"), reshape),
    "aten.flatten.using_ints": flatten,
    "aten.unflatten.int": unflatten,
    "aten.unsqueeze.default": unsqueeze,
    **dict.fromkeys(("aten.squeeze.default", "aten.squeeze.dim", "aten.squeeze.dims"), squeeze),
    "aten.permute.default": permute,
    **dict.fromkeys(("aten.transpose.int", "aten.t.default", "aten.numpy_T.default"), transpose),
    **dict.fromkeys(("aten.movedim.int", "aten.movedim.intlist"), movedim),
    "aten.slice.Tensor": slice_,
    "aten.narrow.default": narrow,
    "aten.select.int": select,
    "aten.unbind.int": unbind,
    **dict.fromkeys(("aten.split.Tensor", "aten.split_with_sizes.default", "aten.split.sizes"), split),
    "aten.chunk.default": chunk,
    "aten.cat.default": concat,
    "aten.concat.default": concat,
    "aten.stack.default": stack,
    "aten.pad.default": pad,
    "aten.constant_pad_nd.default": pad,
    "aten.expand.default": expand,
    "aten.repeat.default": repeat,
    "aten.copy.default": copy,
    "aten.slice_scatter.default": slice_scatter,
    "aten.select_scatter.default": select_scatter,
    "aten.roll.default": roll,
    "aten.embedding.default": embedding,
    **dict.fromkeys(("aten.zeros_like.default", "aten.new_zeros.default"), partial(_like, 0.0)),
    **dict.fromkeys(("aten.ones_like.default", "aten.new_ones.default"), partial(_like, 1.0)),
    **dict.fromkeys(("aten.full_like.default", "aten.new_full.default"), partial(_like, None)),
}
