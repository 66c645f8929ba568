"""Convolutions, NHWC, float32 and int8."""

import math
from collections.abc import Sequence

import numpy as np

from edgesmith.core.graph import Tensor
from edgesmith.core.ops.fixed import clamp, requant
from edgesmith.core.ops.spec import Attribute, Attrs, OpSpec, Shapes, need

FAR = 1 << 16  # no window of a model on a small device reaches further; kernels count in int32
MOST_PADDED = 1 << 28  # elements of a padded input: what the definition takes in memory for a while
WINDOW = {
    "stride": Attribute(tuple[int, int], (1, 1), 1, FAR),
    "padding": Attribute(tuple[int, int, int, int], (0, 0, 0, 0), 0, FAR),  # top, bottom, left, right
    "dilation": Attribute(tuple[int, int], (1, 1), 1, FAR),
}
GROUPS = {"groups": Attribute(int, 1, 1, FAR)}
CLAMP = {"low": Attribute(float, float("-inf")), "high": Attribute(float, float("inf"))}
INT8 = {"low": Attribute(int, -128, -128, 127), "high": Attribute(int, 127, -128, 127)}
ZERO_POINTS = {"x_zero": Attribute(int, 0, -128, 127), "y_zero": Attribute(int, 0, -128, 127)}


def check_padded(kind: str, sizes: Sequence[int]) -> None:
    """Check that an input with its padding, which no tensor of the graph declares, has a bounded size.

    Raises:
        BadInput: more than MOST_PADDED elements.
    """
    need(math.prod(sizes) <= MOST_PADDED, f"{kind}: {sizes} with padding; need at most {MOST_PADDED} elements.")


def window_sizes(height: int, width: int, kernel: tuple[int, int], attrs: Attrs) -> tuple[int, int]:
    """Output height and width of a sliding window over (height, width)."""
    top, bottom, left, right = attrs["padding"]
    sizes = []
    for size, before, after, k, stride, dilation in zip(
        (height, width), (top, left), (bottom, right), kernel, attrs["stride"], attrs["dilation"], strict=True
    ):
        reach = dilation * (k - 1) + 1
        need(
            size + before + after >= reach,
            f"window: kernel reaches {reach} cells, the padded input has {size + before + after}.",
        )
        sizes.append((size + before + after - reach) // stride + 1)
    return sizes[0], sizes[1]


def windows(x: np.ndarray, kernel: tuple[int, int], attrs: Attrs, fill: float) -> np.ndarray:
    """Every window of x: (1, H, W, C) to a view (H', W', kh, kw, C); cells outside x are `fill`."""
    top, bottom, left, right = attrs["padding"]
    padded = np.pad(x[0], ((top, bottom), (left, right), (0, 0)), constant_values=fill)
    (sh, sw), (dh, dw) = attrs["stride"], attrs["dilation"]
    height, width = window_sizes(x.shape[1], x.shape[2], kernel, attrs)
    step_h, step_w, step_c = padded.strides
    return np.lib.stride_tricks.as_strided(
        padded,
        (height, width, *kernel, x.shape[3]),
        (step_h * sh, step_w * sw, step_h * dh, step_w * dw, step_c),
        writeable=False,
    )


def _infer(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, w, b = inputs[:3]
    need(len(x.shape) == 4 and x.shape[0] == 1, f"conv2d: x is {x.shape}; need (1, H, W, C).")
    need(len(w.shape) == 4, f"conv2d: w is {w.shape}; need (O, kh, kw, C/groups).")
    out, kh, kw, per_group = w.shape
    groups = attrs["groups"]
    need(
        per_group * groups == x.shape[3] and out % groups == 0,
        f"conv2d: {x.shape[3]} channels in, w {w.shape}, {groups} groups do not match.",
    )
    need(all(t.shape == (out,) for t in inputs[2:]), f"conv2d: bias is {b.shape}; need ({out},).")
    top, bottom, left, right = attrs["padding"]
    check_padded("conv2d", (x.shape[1] + top + bottom, x.shape[2] + left + right, x.shape[3]))
    height, width = window_sizes(x.shape[1], x.shape[2], (kh, kw), attrs)
    return [((1, height, width, out), x.dtype)]


def _accumulate(x: np.ndarray, w: np.ndarray, attrs: Attrs, fill: float) -> np.ndarray:
    """Sum over each window, per group: (H', W', O), in float64, which is exact for these integers."""
    groups = attrs["groups"]
    view = windows(x.astype(np.float64), w.shape[1:3], attrs, fill)
    height, width = view.shape[:2]
    out_per, in_per = w.shape[0] // groups, w.shape[3]
    if out_per == in_per == 1:
        return _accumulate_depthwise(view, w[..., 0])
    acc = np.empty((height, width, w.shape[0]))
    for group in range(groups):
        cells = view[..., group * in_per : (group + 1) * in_per].reshape(height * width, -1)
        rows = w[group * out_per : (group + 1) * out_per].reshape(out_per, -1).astype(np.float64)
        acc[..., group * out_per : (group + 1) * out_per] = (cells @ rows.T).reshape(height, width, out_per)
    return acc


def _accumulate_depthwise(view: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The same where each channel has its own window: one pass per tap, many times faster than one per channel."""
    acc = np.zeros((*view.shape[:2], view.shape[4]))
    for i in range(w.shape[1]):
        for j in range(w.shape[2]):
            acc += view[:, :, i, j] * w[:, i, j]
    return acc


def _run(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, w, b = arrays
    y = np.clip(_accumulate(x, w, attrs, 0.0) + b, attrs["low"], attrs["high"])
    return [y.astype(np.float32)[None]]


def _run_s8(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, w, b, multiplier, shift = arrays
    acc = _accumulate(x, w, attrs, attrs["x_zero"]).astype(np.int64) + b
    return [clamp(requant(acc, multiplier, shift) + attrs["y_zero"], attrs["low"], attrs["high"])[None]]


def _macs(inputs: Sequence[Tensor], outputs: Sequence[Tensor], attrs: Attrs) -> int:
    w = inputs[1]
    return outputs[0].size * (w.size // w.shape[0])


OPS = (
    OpSpec(
        kind="conv2d",
        does="sliding window dot products; groups = C is a depthwise convolution; then clamped to [low, high]",
        inputs=("x", "w", "b"),
        outputs=("y",),
        infer=_infer,
        run=_run,
        dtypes=("float32",) * 3,
        attrs={**WINDOW, **GROUPS, **CLAMP},
        macs=_macs,
    ),
    OpSpec(
        kind="conv2d_s8",
        does="conv2d on int8 with the zero point of x folded into the bias, requantized per output channel",
        inputs=("x", "w", "b", "multiplier", "shift"),
        outputs=("y",),
        infer=_infer,
        run=_run_s8,
        dtypes=("int8", "int8", "int32", "int32", "uint8"),
        attrs={**WINDOW, **GROUPS, **ZERO_POINTS, **INT8},
        macs=_macs,
    ),
)
