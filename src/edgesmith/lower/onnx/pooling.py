"""Lowerings of pooling, reductions and nearest resizing."""

from functools import partial
from typing import Any

import numpy as np

from edgesmith.core.errors import Unsupported
from edgesmith.lower.conv import from_nhwc, pair
from edgesmith.lower.onnx.layers import image, window
from edgesmith.lower.onnx.node import Lowering, Node, Value


def _pool(kind: str, n: Node) -> Value:
    cells, axes = image(n, n.x())
    kernel = pair(n.sizes("kernel_shape", axes, 0), axes, 1)
    if min(kernel) < 1:
        raise Unsupported(f"has the window {kernel}; need at least 1.")
    attrs = window(n, cells, axes, kernel)
    if n.whole("ceil_mode"):
        attrs["padding"] = _with_ceil(n.b.shape(cells)[1:3], kernel, attrs)
    if kind == "avg_pool2d":
        attrs["count_include_pad"] = bool(n.whole("count_include_pad"))
        if attrs["count_include_pad"] and n.whole("ceil_mode"):
            raise Unsupported("has ceil_mode with count_include_pad; need one of both off.")
    return from_nhwc(n.b, n.b.op(kind, cells, kernel=kernel, **attrs), axes, axes + 2)


def _with_ceil(sizes: tuple[int, ...], kernel: tuple[int, int], attrs: dict[str, Any]) -> tuple[int, ...]:
    """The padding, with what one more window needs where it still starts inside."""
    sides = list(attrs["padding"])
    for axis, size in enumerate(sizes):
        before, after = sides[2 * axis : 2 * axis + 2]
        stride, reach = attrs["stride"][axis], attrs["dilation"][axis] * (kernel[axis] - 1) + 1
        spare = (size + before + after - reach) % stride
        starts = (size + before + after - reach) // stride * stride + stride
        if spare and starts < size + before:
            sides[2 * axis + 1] += stride - spare
    return tuple(sides)


def _global(kind: str, n: Node) -> Value:
    x = n.x()
    return n.b.op(kind, x, axes=tuple(range(2, len(n.b.shape(x)))), keepdims=True)


def _reduce(kind: str, n: Node) -> Value:
    x = n.x()
    rank = len(n.b.shape(x))
    axes = n.ints("axes", 1)
    if not axes and n.whole("noop_with_empty_axes"):
        return x
    chosen = tuple(sorted({n.axis(axis, rank) for axis in axes or range(rank)}))
    return n.b.op(kind, x, axes=chosen, keepdims=bool(n.whole("keepdims", 1)))


def resize(n: Node) -> Value:
    """Nearest cell by whole factors, where every rule takes the same cell but for half_pixel with round_prefer_ceil."""
    x = n.x()
    rank = len(n.b.shape(x))
    if n.attr("mode", "nearest") != "nearest" or n.attr("coordinate_transformation_mode") == "align_corners":
        raise Unsupported("interpolates; need mode nearest. Resize by whole factors, or with a transposed convolution.")
    asymmetric = n.attr("coordinate_transformation_mode", "half_pixel") == "asymmetric"
    if asymmetric and n.attr("nearest_mode", "round_prefer_floor") != "floor":
        raise Unsupported("rounds asymmetric places; need nearest_mode floor.")
    factors = _factors(n, rank)
    if rank not in (3, 4) or (factors[:2] != 1).any() or (factors < 1).any() or (factors % 1 != 0).any():
        raise Unsupported(f"enlarges {n.b.shape(x)} by {factors.tolist()}; need whole factors behind the channels.")
    cells, axes = image(n, x)
    factor = pair([int(f) for f in factors[2:]], axes, 1)
    return from_nhwc(n.b, n.b.op("upsample_nearest", cells, factor=factor), axes, rank)


def _factors(n: Node, rank: int) -> np.ndarray:
    """Of every axis, from the sizes or the factors; Upsample has only the latter."""
    sizes = n.ints("sizes", 3)
    if sizes:
        factors = np.asarray(sizes, np.float64) / n.b.shape(n.x()) if len(sizes) == rank else np.zeros(0)
    else:
        factors = n.array(2 if n.step.kind == "Resize" else 1).astype(np.float64).reshape(-1)
    if len(factors) != rank or not np.isfinite(factors).all():
        raise Unsupported("has no factor for every axis.")
    return factors


LOWERINGS: dict[str, Lowering] = {
    "MaxPool": partial(_pool, "max_pool2d"),
    "AveragePool": partial(_pool, "avg_pool2d"),
    "GlobalAveragePool": partial(_global, "reduce_mean"),
    "GlobalMaxPool": partial(_global, "reduce_max"),
    "ReduceMean": partial(_reduce, "reduce_mean"),
    "ReduceSum": partial(_reduce, "reduce_sum"),
    "ReduceMax": partial(_reduce, "reduce_max"),
    "Resize": resize,
    "Upsample": resize,
}
