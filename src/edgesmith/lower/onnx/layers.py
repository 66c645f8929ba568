"""Lowerings of layers with weights; ONNX is channels first."""

from typing import Any

import numpy as np

from edgesmith.core.errors import Unsupported
from edgesmith.lower.conv import from_nhwc, pair, to_nhwc
from edgesmith.lower.onnx.node import Lowering, Node, Value

Sides = tuple[int, int, int, int]


def image(n: Node, x: str) -> tuple[str, int]:
    """x as (1, H, W, C), and how many of H and W it had."""
    shape = n.b.shape(x)
    if len(shape) not in (3, 4) or shape[0] != 1:
        raise Unsupported(f"reads a tensor of shape {shape}; need a batch of 1, channels, and one or two axes more.")
    cells = to_nhwc(n.b, x, len(shape) - 2)
    return cells, len(shape) - 2


def window(n: Node, cells: str, axes: int, kernel: tuple[int, int]) -> dict[str, Any]:
    """stride, dilation and padding of a sliding window over NHWC cells."""
    stride = pair(n.sizes("strides", axes, 1), axes, 1)
    dilation = pair(n.sizes("dilations", axes, 1), axes, 1)
    if min(*stride, *dilation) < 1:
        raise Unsupported(f"has strides {stride} and dilations {dilation}; need at least 1.")
    return {"stride": stride, "dilation": dilation, "padding": _sides(n, cells, axes, kernel, stride, dilation)}


def _sides(n: Node, cells: str, axes: int, kernel: Any, stride: Any, dilation: Any) -> Sides:
    """top, bottom, left, right, from pads or auto_pad (ONNX, operator Conv)."""
    mode = n.attr("auto_pad", "NOTSET")
    if mode == "VALID":
        return (0, 0, 0, 0)
    if mode == "NOTSET":
        pads = n.sizes("pads", 2 * axes, 0)
        if min(pads) < 0:
            raise Unsupported(f"has pads {pads}; need none below 0.")
        return (pads[0], pads[2], pads[1], pads[3]) if axes == 2 else (0, 0, pads[0], pads[1])
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise Unsupported(f"has auto_pad {mode!r}; need one that ONNX knows.")
    found: list[int] = []
    for size, k, s, d in zip(n.b.shape(cells)[1:3], kernel, stride, dilation, strict=True):
        missing = max((-(-size // s) - 1) * s + d * (k - 1) + 1 - size, 0)
        small, large = missing // 2, missing - missing // 2
        found += [small, large] if mode == "SAME_UPPER" else [large, small]
    return (found[0], found[1], found[2], found[3])


def _ohwi(array: np.ndarray) -> np.ndarray:
    """(O, I, k) or (O, I, kh, kw) to (O, kh, kw, I)."""
    return (array[:, :, None] if array.ndim == 3 else array).transpose(0, 2, 3, 1)


def conv(n: Node) -> Value:
    """Weights go from OIHW to OHWI."""
    cells, axes = image(n, n.x())
    if n.array(1).ndim != axes + 2:
        raise Unsupported(f"has a weight of {n.array(1).ndim} axes for an input of {axes + 2}.")
    weight = n.weight(1, _ohwi, 0)
    out, kh, kw, _ = n.b.shape(weight)
    attrs = window(n, cells, axes, (kh, kw))
    y = n.b.op("conv2d", cells, weight, n.bias(2, out), groups=n.whole("group", 1), **attrs)
    return from_nhwc(n.b, y, axes, axes + 2)


def conv_transpose(n: Node) -> Value:
    """Weights go from (I, O/groups, kh, kw) to (O, kh, kw, I/groups)."""
    cells, axes = image(n, n.x())
    groups = n.whole("group", 1)
    shape = n.array(1).shape
    if len(shape) != axes + 2 or groups < 1 or shape[0] % groups or n.attr("output_shape") is not None:
        raise Unsupported("has a weight of another rank, uneven groups, or a fixed output shape.")

    def arranged(array: np.ndarray) -> np.ndarray:
        wide = array[:, :, None] if array.ndim == 3 else array
        parts = wide.reshape(groups, shape[0] // groups, *wide.shape[1:]).transpose(0, 2, 3, 4, 1)
        return parts.reshape(groups * shape[1], *parts.shape[2:])

    weight = n.weight(1, arranged, 1 if groups == 1 else 0)
    out, kh, kw, _ = n.b.shape(weight)
    extra = pair(n.sizes("output_padding", axes, 0), axes, 0)
    attrs = window(n, cells, axes, (kh, kw))
    y = n.b.op("conv_transpose2d", cells, weight, n.bias(2, out), groups=groups, output_padding=extra, **attrs)
    return from_nhwc(n.b, y, axes, axes + 2)


def gemm(n: Node) -> Value:
    """alpha A B + beta C, with a constant B."""
    if n.real("alpha", 1.0) != 1.0 or n.real("beta", 1.0) != 1.0 or n.whole("transA"):
        raise Unsupported("scales or transposes its parts; need alpha and beta of 1 and A as it is.")
    if n.array(1).ndim != 2:
        raise Unsupported("has a second matrix that is none.")
    turned = bool(n.whole("transB"))
    weight = n.weight(1, (lambda w: w) if turned else np.transpose, 0 if turned else 1)
    return n.b.op("linear", n.x(), weight, n.bias(2, n.b.shape(weight)[0]))


def matmul(n: Node) -> Value:
    """A constant matrix on the right makes a linear layer."""
    if n.constant(1) and n.array(1).ndim == 2:
        weight = n.weight(1, np.transpose, 1)
        return n.b.op("linear", n.x(), weight, n.bias(9, n.b.shape(weight)[0]))
    return n.b.op("matmul", n.x(0), n.x(1))


LOWERINGS: dict[str, Lowering] = {
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Gemm": gemm,
    "MatMul": matmul,
}
