"""Lowerings of pooling and nearest upsampling, which are NHWC."""

from edgesmith.core.errors import Unsupported
from edgesmith.lower.builder import Builder
from edgesmith.lower.call import Call, Lowering
from edgesmith.lower.conv import from_nhwc, pair, to_nhwc


def _window(b: Builder, call: Call, x: str, axes: int) -> dict[str, tuple[int, ...]]:
    """kernel, stride, dilation and the padding that ceil_mode asks for; x is NHWC."""
    kernel = pair(call["kernel_size"], axes, 1)
    stride = pair(call["stride"] or call["kernel_size"], axes, 1)
    dilation = pair(call.get("dilation", 1), axes, 1)
    padding = pair(call["padding"], axes, 0)
    sides: list[int] = []
    for axis, size in enumerate(b.shape(x)[1:3]):
        reach = dilation[axis] * (kernel[axis] - 1) + 1
        missing = _missing(size, reach, stride[axis], padding[axis]) if call["ceil_mode"] else 0
        sides += [padding[axis], padding[axis] + missing]
    return {"kernel": kernel, "stride": stride, "dilation": dilation, "padding": tuple(sides)}


def _missing(size: int, reach: int, stride: int, padding: int) -> int:
    """Cells behind the padded end that one more window needs; it must start inside the input or before it."""
    spare = (size + 2 * padding - reach) % stride
    starts = (size + 2 * padding - reach) // stride * stride + stride
    return stride - spare if spare and starts < size + padding else 0


def _max_pool(b: Builder, call: Call, axes: int) -> str:
    x = call.tensor("self")
    cells = to_nhwc(b, x, axes)
    return from_nhwc(b, b.op("max_pool2d", cells, **_window(b, call, cells, axes)), axes, len(b.shape(x)))


def max_pool1d(b: Builder, call: Call) -> str:
    """Of height 1."""
    return _max_pool(b, call, 1)


def max_pool2d(b: Builder, call: Call) -> str:
    """Padding never wins."""
    return _max_pool(b, call, 2)


def _avg_pool(b: Builder, call: Call, axes: int) -> str:
    x = call.tensor("self")
    cells = to_nhwc(b, x, axes)
    window = _window(b, call, cells, axes)
    top, bottom, left, right = window["padding"]
    if call.get("divisor_override") is not None:
        raise Unsupported("overrides the divisor; need the number of cells. Multiply the result instead.")
    if call["count_include_pad"] and (top != bottom or left != right):
        raise Unsupported("has ceil_mode with count_include_pad; need one of both off.")
    y = b.op("avg_pool2d", cells, count_include_pad=call["count_include_pad"], **window)
    return from_nhwc(b, y, axes, len(b.shape(x)))


def avg_pool1d(b: Builder, call: Call) -> str:
    """Of height 1."""
    return _avg_pool(b, call, 1)


def avg_pool2d(b: Builder, call: Call) -> str:
    """The mean of each window."""
    return _avg_pool(b, call, 2)


def _adaptive_windows(b: Builder, call: Call, x: str, axes: int) -> tuple[int, int]:
    sizes = b.shape(x)[1:3]
    wanted = pair(call["output_size"], axes, 1)
    wanted = (sizes[0] if wanted[0] is None else wanted[0], sizes[1] if wanted[1] is None else wanted[1])
    if any(size % want for size, want in zip(sizes, wanted, strict=True)):
        raise Unsupported(f"pools {sizes} to {wanted}; need sizes that divide. Choose another output size.")
    return sizes[0] // wanted[0], sizes[1] // wanted[1]


def _adaptive_avg(b: Builder, call: Call, axes: int) -> str:
    x = call.tensor("self")
    rank = len(b.shape(x))
    wanted = call["output_size"]
    if set([wanted] if isinstance(wanted, int) else wanted) == {1}:
        return b.op("reduce_mean", x, axes=tuple(range(rank - axes, rank)), keepdims=True)
    cells = to_nhwc(b, x, axes)
    window = _adaptive_windows(b, call, cells, axes)
    return from_nhwc(b, b.op("avg_pool2d", cells, kernel=window, stride=window), axes, rank)


def adaptive_avg_pool1d(b: Builder, call: Call) -> str:
    """A mean, or equal windows."""
    return _adaptive_avg(b, call, 1)


def adaptive_avg_pool2d(b: Builder, call: Call) -> str:
    """A mean, or equal windows."""
    return _adaptive_avg(b, call, 2)


def _adaptive_max(b: Builder, call: Call, axes: int) -> str:
    x = call.tensor("self")
    cells = to_nhwc(b, x, axes)
    window = _adaptive_windows(b, call, cells, axes)
    return from_nhwc(b, b.op("max_pool2d", cells, kernel=window, stride=window), axes, len(b.shape(x)))


def adaptive_max_pool1d(b: Builder, call: Call) -> list[str]:
    """Equal windows; the indices are refused where they are used."""
    return [_adaptive_max(b, call, 1)]


def adaptive_max_pool2d(b: Builder, call: Call) -> list[str]:
    """Equal windows."""
    return [_adaptive_max(b, call, 2)]


def max_pool2d_with_indices(b: Builder, call: Call) -> list[str]:
    """Only the values exist."""
    return [_max_pool(b, call, 2)]


def _upsample(b: Builder, call: Call, axes: int) -> str:
    x = call.tensor("input" if "input" in call.arguments else "self")
    cells = to_nhwc(b, x, axes)
    sizes = b.shape(cells)[1:3]
    if call["output_size"] is not None:
        wanted = pair(call["output_size"], axes, 1)
    else:
        factors = call["scale_factors"]
        factors = (1.0, factors[0]) if axes == 1 else factors
        wanted = (int(sizes[0] * factors[0]), int(sizes[1] * factors[1]))
    if any(want % size for size, want in zip(sizes, wanted, strict=True)):
        raise Unsupported(f"enlarges {sizes} to {wanted}; need whole factors.")
    factor = (wanted[0] // sizes[0], wanted[1] // sizes[1])
    return from_nhwc(b, b.op("upsample_nearest", cells, factor=factor), axes, len(b.shape(x)))


def upsample_nearest1d(b: Builder, call: Call) -> str:
    """By a whole factor."""
    return _upsample(b, call, 1)


def upsample_nearest2d(b: Builder, call: Call) -> str:
    """By whole factors."""
    return _upsample(b, call, 2)


LOWERINGS: dict[str, Lowering] = {
    "aten.max_pool1d.default": max_pool1d,
    "aten.max_pool2d.default": max_pool2d,
    "aten.max_pool2d_with_indices.default": max_pool2d_with_indices,
    "aten.avg_pool1d.default": avg_pool1d,
    "aten.avg_pool2d.default": avg_pool2d,
    "aten.adaptive_avg_pool1d.default": adaptive_avg_pool1d,
    "aten.adaptive_avg_pool2d.default": adaptive_avg_pool2d,
    "aten.adaptive_max_pool1d.default": adaptive_max_pool1d,
    "aten.adaptive_max_pool2d.default": adaptive_max_pool2d,
    "aten.upsample_nearest1d.default": upsample_nearest1d,
    "aten.upsample_nearest1d.vec": upsample_nearest1d,
    "aten.upsample_nearest2d.default": upsample_nearest2d,
    "aten.upsample_nearest2d.vec": upsample_nearest2d,
}
