"""Lowerings of convolutions: bracketed by permutes, since ours are NHWC."""

from collections.abc import Sequence

from edgesmith.core.errors import Unsupported
from edgesmith.lower.builder import Builder
from edgesmith.lower.call import Call, Lowering

TO_NHWC = (0, 2, 3, 1)
TO_NCHW = (0, 3, 1, 2)


def pair(values: int | Sequence[int], axes: int, fill: int) -> tuple[int, int]:
    """An argument of one or two axes as (vertical, horizontal); a 1-d op has height 1, where `fill` stands."""
    entries = [values] if isinstance(values, int) else list(values)
    entries = entries * axes if len(entries) == 1 else entries
    return (fill, entries[0]) if axes == 1 else (entries[0], entries[1])


def to_nhwc(b: Builder, x: str, axes: int) -> str:
    """(1, C, L), (1, C, H, W), or either without the batch axis, to (1, H, W, C)."""
    shape = b.shape(x)
    batch, sizes = (shape[:1], shape[1:]) if len(shape) == axes + 2 else ((1,), shape)
    full = (*batch, sizes[0], *(1,) * (2 - axes), *sizes[1:])
    return b.op("permute", x if full == shape else b.op("reshape", x, shape=full), axes=TO_NHWC)


def from_nhwc(b: Builder, y: str, axes: int, rank: int) -> str:
    """(1, H, W, C) back to the layout that `to_nhwc` found, of `rank` axes."""
    y = b.op("permute", y, axes=TO_NCHW)
    batch, channels, height, width = b.shape(y)
    sizes = (channels, width) if axes == 1 else (channels, height, width)
    wanted = sizes if rank == axes + 1 else (batch, *sizes)
    return y if wanted == b.shape(y) else b.op("reshape", y, shape=wanted)


def weight_ohwi(b: Builder, weight: str, axes: int) -> str:
    """(O, I, k) or (O, I, kh, kw) to (O, kh, kw, I)."""
    shape = b.shape(weight)
    if axes == 1:
        weight = b.op("reshape", weight, shape=(shape[0], shape[1], 1, shape[2]))
    return b.op("permute", weight, axes=TO_NHWC)


def bias_or_zeros(b: Builder, bias: str | None, channels: int) -> str:
    """Our layers always have a bias."""
    return bias if bias is not None else b.filled("bias", (channels,), 0.0)


def same_padding(kernel: tuple[int, int], dilation: tuple[int, int]) -> tuple[int, int, int, int]:
    """torch's padding "same": the odd cell goes to the end."""
    top, left = (d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))
    bottom, right = (d * (k - 1) - d * (k - 1) // 2 for k, d in zip(kernel, dilation, strict=True))
    return top, bottom, left, right


def _convolution(b: Builder, call: Call, axes: int) -> str:
    x, w = call.tensor("input"), weight_ohwi(b, call.tensor("weight"), axes)
    dilation = pair(call["dilation"], axes, 1)
    padding = call["padding"]
    if padding == "same":
        sides = same_padding((b.shape(w)[1], b.shape(w)[2]), dilation)
    else:
        v, h = pair(0 if padding == "valid" else padding, axes, 0)
        sides = (v, v, h, h)
    y = b.op(
        "conv2d",
        to_nhwc(b, x, axes),
        w,
        bias_or_zeros(b, call["bias"], b.shape(w)[0]),
        stride=pair(call["stride"], axes, 1),
        padding=sides,
        dilation=dilation,
        groups=call["groups"],
    )
    return from_nhwc(b, y, axes, len(b.shape(x)))


def conv1d(b: Builder, call: Call) -> str:
    """A 1-d convolution is a 2-d one of height 1."""
    return _convolution(b, call, 1)


def conv2d(b: Builder, call: Call) -> str:
    """Weights go from OIHW to OHWI."""
    return _convolution(b, call, 2)


def any_convolution(b: Builder, call: Call) -> str:
    """aten.convolution: either direction, one or two axes."""
    axes = len(b.shape(call.tensor("weight"))) - 2
    if axes > 2:
        raise Unsupported(f"has {axes} axes; need one or two. Use conv1d or conv2d.")
    return _transposed(b, call, axes) if call["transposed"] else _convolution(b, call, axes)


def _grouped_weight(b: Builder, weight: str, groups: int, axes: int) -> str:
    """torch's (I, O/groups, kh, kw) to our (O, kh, kw, I/groups)."""
    shape = b.shape(weight)
    inside, outside, kernel = shape[0] // groups, shape[1], (1, shape[2]) if axes == 1 else shape[2:]
    weight = b.op("reshape", weight, shape=(groups, inside, outside, *kernel))
    weight = b.op("permute", weight, axes=(0, 2, 3, 4, 1))
    return b.op("reshape", weight, shape=(groups * outside, *kernel, inside))


def _transposed(b: Builder, call: Call, axes: int) -> str:
    x, groups = call.tensor("input"), call["groups"]
    w = _grouped_weight(b, call.tensor("weight"), groups, axes)
    v, h = pair(call["padding"], axes, 0)
    y = b.op(
        "conv_transpose2d",
        to_nhwc(b, x, axes),
        w,
        bias_or_zeros(b, call["bias"], b.shape(w)[0]),
        stride=pair(call["stride"], axes, 1),
        padding=(v, v, h, h),
        dilation=pair(call["dilation"], axes, 1),
        groups=groups,
        output_padding=pair(call["output_padding"], axes, 0),
    )
    return from_nhwc(b, y, axes, len(b.shape(x)))


def conv_transpose1d(b: Builder, call: Call) -> str:
    """Of height 1."""
    return _transposed(b, call, 1)


def conv_transpose2d(b: Builder, call: Call) -> str:
    """Each input cell adds its weights around its place."""
    return _transposed(b, call, 2)


LOWERINGS: dict[str, Lowering] = {
    "aten.conv1d.default": conv1d,
    "aten.conv1d.padding": conv1d,
    "aten.conv2d.default": conv2d,
    "aten.conv2d.padding": conv2d,
    "aten.convolution.default": any_convolution,
    "aten.conv_transpose1d.default": conv_transpose1d,
    "aten.conv_transpose2d.input": conv_transpose2d,
}
