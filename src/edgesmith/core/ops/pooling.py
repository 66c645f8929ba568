"""Max and average pooling, NHWC."""

from collections.abc import Sequence

import numpy as np

from edgesmith.core.graph import Tensor
from edgesmith.core.ops.conv import FAR, INT8, WINDOW, ZERO_POINTS, check_padded, window_sizes, windows
from edgesmith.core.ops.fixed import clamp, requant
from edgesmith.core.ops.spec import Attribute, Attrs, OpSpec, Shapes, need

KERNEL = {"kernel": Attribute(tuple[int, int], low=1, high=FAR)}
MOST_ADDENDS = 1 << 22  # 255 * 2^22 stays within int32
COUNT = {"count_include_pad": Attribute(bool, False)}


def _infer(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x = inputs[0]
    need(len(x.shape) == 4 and x.shape[0] == 1, f"pooling: x is {x.shape}; need (1, H, W, C).")
    cells = attrs["kernel"][0] * attrs["kernel"][1]
    need(cells <= MOST_ADDENDS, f"pooling: windows of {cells} cells; need at most {MOST_ADDENDS}.")
    top, bottom, left, right = attrs["padding"]
    check_padded("pooling", (x.shape[1] + top + bottom, x.shape[2] + left + right, x.shape[3]))
    height, width = window_sizes(x.shape[1], x.shape[2], attrs["kernel"], attrs)
    each = _each(x.shape[1], x.shape[2], (height, width))
    need(
        min(_fewest_inside(axis, size, out, attrs) for axis, (size, out) in each) >= 1,
        f"pooling: with padding {attrs['padding']} a window holds no cell of the input; need less padding.",
    )
    return [((1, height, width, x.shape[3]), x.dtype)]


def _infer_avg_s8(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    cells = attrs["kernel"][0] * attrs["kernel"][1]
    need(cells <= MOST_ADDENDS, f"avg_pool2d_s8: {cells} addends; need at most {MOST_ADDENDS}.")
    for tensor in inputs[1:]:
        need(tensor.shape == (cells,), f"avg_pool2d_s8: {tensor.name!r} is {tensor.shape}; need ({cells},).")
    return _infer(inputs, attrs)


def cells_inside(height: int, width: int, attrs: Attrs) -> np.ndarray:
    """How many cells of each window lie inside the input: (H', W') integers."""
    outs = window_sizes(height, width, attrs["kernel"], attrs)
    return np.outer(*(_inside(axis, size, np.arange(out), attrs) for axis, (size, out) in _each(height, width, outs)))


def _each(height: int, width: int, outs: tuple[int, int]) -> list[tuple[int, tuple[int, int]]]:
    """Axis, cells along it, windows along it."""
    return [(0, (height, outs[0])), (1, (width, outs[1]))]


def _inside(axis: int, size: int, index: np.ndarray, attrs: Attrs) -> np.ndarray:
    """How many taps of the windows `index` along an axis lie inside its `size` cells."""
    step, taps = attrs["dilation"][axis], attrs["kernel"][axis]
    start = index * attrs["stride"][axis] - attrs["padding"][2 * axis]
    first = np.maximum(-(start // step), 0)  # the first tap at or after cell 0
    last = np.minimum((size - 1 - start) // step, taps - 1)
    return np.maximum(last - first + 1, 0)


def _fewest_inside(axis: int, size: int, out: int, attrs: Attrs) -> int:
    """The least of `_inside` over all windows; only those that reach outside can have less than all taps."""
    stride, before = attrs["stride"][axis], attrs["padding"][2 * axis]
    reach = attrs["dilation"][axis] * (attrs["kernel"][axis] - 1) + 1
    head = min(out, -(-before // stride))
    tail = min(out, max(head, (size - reach + before) // stride + 1))
    outside = np.concatenate((np.arange(head), np.arange(tail, out)))
    return int(_inside(axis, size, outside, attrs).min(initial=attrs["kernel"][axis]))


def _counted(x: np.ndarray, attrs: Attrs) -> np.ndarray:
    """What each window's sum is divided by: (H', W', 1)."""
    inside = cells_inside(x.shape[1], x.shape[2], attrs)
    every = attrs["kernel"][0] * attrs["kernel"][1]
    return (np.full_like(inside, every) if attrs["count_include_pad"] else inside)[..., None]


def _run_max(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x = arrays[0]
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    return [windows(x, attrs["kernel"], attrs, lowest).max(axis=(2, 3))[None]]


def _run_avg(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    total = windows(arrays[0].astype(np.float64), attrs["kernel"], attrs, 0.0).sum(axis=(2, 3))
    return [(total / _counted(arrays[0], attrs)).astype(np.float32)[None]]


def _run_avg_s8(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, multiplier, shift = arrays
    total = windows(x.astype(np.int64) - attrs["x_zero"], attrs["kernel"], attrs, 0).sum(axis=(2, 3))
    index = _counted(x, attrs) - 1
    y = requant(total, multiplier[index], shift[index]) + attrs["y_zero"]
    return [clamp(y, attrs["low"], attrs["high"])[None]]


OPS = (
    OpSpec(
        kind="max_pool2d",
        does="the largest cell of each window that lies inside x",
        inputs=("x",),
        outputs=("y",),
        infer=_infer,
        run=_run_max,
        dtypes=("float32|int8|uint8|int16|int32",),
        attrs={**KERNEL, **WINDOW},
    ),
    OpSpec(
        kind="avg_pool2d",
        does="the mean of each window's cells inside x, or of all its cells with padding as zeros",
        inputs=("x",),
        outputs=("y",),
        infer=_infer,
        run=_run_avg,
        dtypes=("float32",),
        attrs={**KERNEL, **WINDOW, **COUNT},
    ),
    OpSpec(
        kind="avg_pool2d_s8",
        does="avg_pool2d on int8; multiplier and shift hold one entry per number of counted cells",
        inputs=("x", "multiplier", "shift"),
        outputs=("y",),
        infer=_infer_avg_s8,
        run=_run_avg_s8,
        dtypes=("int8", "int32", "uint8"),
        attrs={**KERNEL, **WINDOW, **COUNT, **ZERO_POINTS, **INT8},
    ),
)
