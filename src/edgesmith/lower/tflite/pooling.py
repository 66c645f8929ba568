"""Lowerings of pooling, reductions and nearest resizing."""

from functools import partial

from edgesmith.core.errors import Unsupported
from edgesmith.lower.tflite.layers import sides, strides
from edgesmith.lower.tflite.node import Lowering, Node


def _pool(kind: str, n: Node) -> str:
    x = n.x()
    if len(n.b.shape(x)) != 4 or n.b.shape(x)[0] != 1:
        raise Unsupported(f"reads a tensor of shape {n.b.shape(x)}; need (1, H, W, C).")
    kernel, stride = (n.whole(4), n.whole(3)), strides(n, 1, 2)
    if min(kernel) < 1:
        raise Unsupported(f"has the window {kernel}; need at least 1.")
    padding = sides(n, x, kernel, stride, (1, 1))
    y = n.b.op(kind, x, kernel=kernel, stride=stride, padding=padding)
    if n.whole(5, "b"):  # the pool itself has no bounds; its result is stored once, behind them
        return n.limited(y, 5)
    return y


def axes_of(n: Node, position: int, rank: int) -> tuple[int, ...]:
    """A constant list of axes, counted from the front.

    Raises:
        Unsupported: one is not an axis of the tensor.
    """
    axes = n.ints(position)
    if any(not -rank <= axis < rank for axis in axes):
        raise Unsupported(f"names the axes {axes[:9]} of {rank}.")
    return tuple(sorted({axis % rank for axis in axes}))


def _reduce(kind: str, n: Node) -> str:
    x = n.x()
    return n.b.op(kind, x, axes=axes_of(n, 1, len(n.b.shape(x))), keepdims=n.flag(0))


def resize_nearest(n: Node) -> str:
    """By whole factors, where every rule of rounding takes the same cell."""
    x, wanted = n.x(), n.ints(1)
    sizes = n.b.shape(x)[1:3]
    whole = len(sizes) == len(wanted) == 2 and not any(w < 1 or w % s for w, s in zip(wanted, sizes, strict=True))
    if n.flag(0) or not whole:
        raise Unsupported(f"enlarges {sizes} to {wanted[:4]}; need whole factors, without align_corners.")
    return n.b.op("upsample_nearest", x, factor=(wanted[0] // sizes[0], wanted[1] // sizes[1]))


LOWERINGS: dict[str, Lowering] = {
    "MAX_POOL_2D": partial(_pool, "max_pool2d"),
    "AVERAGE_POOL_2D": partial(_pool, "avg_pool2d"),
    "MEAN": partial(_reduce, "reduce_mean"),
    "SUM": partial(_reduce, "reduce_sum"),
    "REDUCE_MAX": partial(_reduce, "reduce_max"),
    "RESIZE_NEAREST_NEIGHBOR": resize_nearest,
}
