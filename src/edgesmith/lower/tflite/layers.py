"""Lowerings of layers with weights. TFLite is channels last, as our ops are."""

from edgesmith.core.errors import Unsupported
from edgesmith.core.graph import Attr
from edgesmith.lower.tflite.node import Lowering, Node

SAME = 0


def sides(
    n: Node, x: str, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> tuple[int, ...]:
    """top, bottom, left, right of padding SAME or VALID (setting 0); the odd cell of SAME goes to the end.

    Source: TensorFlow Lite, kernels/padding.h.
    """
    if n.whole(0, "b") != SAME:
        return (0, 0, 0, 0)
    found: list[int] = []
    for size, k, s, d in zip(n.b.shape(x)[1:3], kernel, stride, dilation, strict=True):
        missing = max(((size + s - 1) // s - 1) * s + d * (k - 1) + 1 - size, 0)
        found += [missing // 2, missing - missing // 2]
    return tuple(found)


def strides(n: Node, width: int, height: int) -> tuple[int, int]:
    """(vertical, horizontal) from the numbers of the two settings.

    Raises:
        Unsupported: one is below 1.
    """
    found = n.whole(height), n.whole(width)
    if min(found) < 1:
        raise Unsupported(f"has the stride {found}; need at least 1.")
    return found


def dilations(n: Node, width: int, height: int) -> tuple[int, int]:
    """The same for dilations, which default to 1."""
    found = n.whole(height, "i", 1), n.whole(width, "i", 1)
    if min(found) < 1:
        raise Unsupported(f"has the dilation {found}; need at least 1.")
    return found


def _image(n: Node) -> str:
    x = n.x()
    if len(n.b.shape(x)) != 4 or n.b.shape(x)[0] != 1:
        raise Unsupported(f"reads a tensor of shape {n.b.shape(x)}; need (1, H, W, C).")
    return x


def _window(n: Node, x: str, kernel: tuple[int, int], dilation: tuple[int, int], fused: int) -> dict[str, Attr]:
    stride = strides(n, 1, 2)
    padding = sides(n, x, kernel, stride, dilation)
    return {"stride": stride, "dilation": dilation, "padding": padding, **n.limits(fused)}


def conv_2d(n: Node) -> str:
    """The filter is (O, kh, kw, C) already; C below the input's channels means groups."""
    x, shape = _image(n), n.value(1).shape
    if len(shape) != 4 or not shape[3] or n.b.shape(x)[3] % shape[3]:
        raise Unsupported(f"has a filter of shape {shape} for {n.b.shape(x)[3]} channels; need (O, kh, kw, C).")
    attrs = _window(n, x, (shape[1], shape[2]), dilations(n, 4, 5), 3)
    weight = n.weight(1, lambda w: w, shape[0])
    groups = n.b.shape(x)[3] // shape[3]
    return n.b.op("conv2d", x, weight, n.bias(2, shape[0]), groups=groups, **attrs)


def depthwise_conv_2d(n: Node) -> str:
    """The filter (1, kh, kw, C * multiplier) becomes (C * multiplier, kh, kw, 1)."""
    x, shape = _image(n), n.value(1).shape
    channels = n.b.shape(x)[3]
    if len(shape) != 4 or shape[0] != 1 or shape[3] % channels:
        raise Unsupported(f"has a filter of shape {shape} for {channels} channels; need (1, kh, kw, C * multiplier).")
    attrs = _window(n, x, (shape[1], shape[2]), dilations(n, 5, 6), 4)
    weight = n.weight(1, lambda w: w.transpose(3, 1, 2, 0), shape[3])
    return n.b.op("conv2d", x, weight, n.bias(2, shape[3]), groups=channels, **attrs)


def fully_connected(n: Node) -> str:
    """Rows of x by the weight (O, K) transposed."""
    x, shape = n.x(), n.value(1).shape
    if n.whole(1, "b") or len(shape) != 2:
        raise Unsupported(f"has a weight of shape {shape} in the arrangement {n.whole(1, 'b')}; need (O, K) plain.")
    if not n.flag(2) and len(n.b.shape(x)) != 2 or n.b.shape(x)[-1:] != shape[1:]:
        size = n.b.tensors[x].size
        x = n.b.op("reshape", x, shape=(max(size // max(shape[1], 1), 1), shape[1]))
        n.carry(n.op.inputs[0], x)
    return n.b.op("linear", x, n.weight(1, lambda w: w, shape[0]), n.bias(2, shape[0]), **n.limits(0))


def transpose_conv(n: Node) -> str:
    """Inputs: the output's shape, the filter (O, kh, kw, C), x, the bias."""
    x, shape, wanted = n.x(2), n.value(1).shape, n.ints(0)
    if len(shape) != 4 or len(wanted) != 4 or len(n.b.shape(x)) != 4 or n.b.shape(x)[0] != 1:
        raise Unsupported(f"has a filter of shape {shape} and makes {wanted}; need four axes and a batch of 1.")
    stride = strides(n, 1, 2)
    padding: list[int] = []
    for size, k, s, out in zip(n.b.shape(x)[1:3], shape[1:3], stride, wanted[1:3], strict=True):
        missing = max((size - 1) * s + k - out, 0)
        padding += [missing // 2, missing - missing // 2]
    weight = n.weight(1, lambda w: w, shape[0])
    attrs: dict[str, Attr] = {"stride": stride, "padding": tuple(padding), **n.limits(3)}
    return n.b.op("conv_transpose2d", x, weight, n.bias(3, shape[0]), **attrs)


def batch_matmul(n: Node) -> str:
    """Two activations; the second may be transposed."""
    if n.flag(0):
        raise Unsupported("transposes its first operand; need only the second.")
    return n.b.op("matmul", n.x(0), n.x(1), transpose_b=n.flag(1))


LOWERINGS: dict[str, Lowering] = {
    "CONV_2D": conv_2d,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "FULLY_CONNECTED": fully_connected,
    "TRANSPOSE_CONV": transpose_conv,
    "BATCH_MATMUL": batch_matmul,
}
