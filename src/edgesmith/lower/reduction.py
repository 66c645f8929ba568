"""Lowerings of sums, means and maxima."""

from collections.abc import Sequence
from functools import partial

from edgesmith.core.errors import Unsupported
from edgesmith.lower.builder import Builder
from edgesmith.lower.call import Call, Lowering, axis_of


def reduced_axes(dim: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """The axes an argument names; none or an empty list mean all."""
    if dim is None or dim == []:
        return tuple(range(rank))
    return tuple(sorted(axis_of(axis, rank) for axis in ([dim] if isinstance(dim, int) else dim)))


def _reduce(kind: str, b: Builder, call: Call) -> str:
    x = call.tensor("self")
    axes = reduced_axes(call.get("dim"), len(b.shape(x)))
    return b.op(kind, x, axes=axes, keepdims=bool(call.get("keepdim", False))) if axes else x


def max_of_axis(b: Builder, call: Call) -> list[str]:
    """Only the values; the indices are refused where they are used."""
    return [_reduce("reduce_max", b, call)]


def amin(b: Builder, call: Call) -> str:
    """-max(-x)."""
    x = call.tensor("self")
    axes = reduced_axes(call["dim"], len(b.shape(x)))
    return b.op("neg", b.op("reduce_max", b.op("neg", x), axes=axes, keepdims=call["keepdim"]))


def norm(b: Builder, call: Call) -> str:
    """The root of the sum of squares, or the sum of magnitudes."""
    x = call.tensor("self")
    order = call["ord"]
    if order not in (1, 2):
        raise Unsupported(f"has the order {order}; need 1 or 2.")
    inner = b.op("mul", x, x) if order == 2 else b.op("abs", x)
    axes = reduced_axes(call["dim"], len(b.shape(x)))
    total = b.op("reduce_sum", inner, axes=axes, keepdims=call["keepdim"])
    return b.op("sqrt", total) if order == 2 else total


def argmax(b: Builder, call: Call) -> str:
    """Along one axis, as bytes; ours is of the last."""
    x = call.tensor("self")
    if call.get("dim") is None:
        raise Unsupported("is taken over all entries; need one axis. Name it with dim.")
    shape = b.shape(x)
    axis = axis_of(call["dim"], len(shape))
    rest = tuple(i for i in range(len(shape)) if i != axis)
    y = b.op("argmax", x if axis == len(shape) - 1 else b.op("permute", x, axes=(*rest, axis)))
    return b.op("reshape", y, shape=(*shape[:axis], 1, *shape[axis + 1 :])) if call.get("keepdim") else y


LOWERINGS: dict[str, Lowering] = {
    "aten.argmax.default": argmax,
    "aten.sum.default": partial(_reduce, "reduce_sum"),
    "aten.sum.dim_IntList": partial(_reduce, "reduce_sum"),
    "aten.mean.default": partial(_reduce, "reduce_mean"),
    "aten.mean.dim": partial(_reduce, "reduce_mean"),
    "aten.amax.default": partial(_reduce, "reduce_max"),
    "aten.max.default": partial(_reduce, "reduce_max"),
    "aten.max.dim": max_of_axis,
    "aten.amin.default": amin,
    "aten.linalg_vector_norm.default": norm,
}
