"""Max and average pooling, NHWC."""

from collections.abc import Sequence

import numpy as np

from edgesmith.core.graph import Tensor
from edgesmith.core.ops.conv import FAR, INT8, WINDOW, ZERO_POINTS, window_sizes, windows
from edgesmith.core.ops.fixed import clamp, requant
from edgesmith.core.ops.spec import Attribute, Attrs, OpSpec, Shapes, need

KERNEL = {"kernel": Attribute(tuple[int, int], low=1, high=FAR)}
MOST_ADDENDS = 1 << 22  # 255 * 2^22 stays within int32
MOST_CELLS = 1 << 24  # of a window, times windows along an axis: what one table of places may hold
COUNT = {"count_include_pad": Attribute(bool, False)}


def _infer(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x = inputs[0]
    need(len(x.shape) == 4 and x.shape[0] == 1, f"pooling: x is {x.shape}; need (1, H, W, C).")
    height, width = window_sizes(x.shape[1], x.shape[2], attrs["kernel"], attrs)
    cells = max(height * attrs["kernel"][0], width * attrs["kernel"][1])
    need(cells <= MOST_CELLS, f"pooling: {cells} cells along an axis; need at most {MOST_CELLS}.")
    need(
        bool(cells_inside(x.shape[1], x.shape[2], attrs).min() >= 1),
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
    counts = []
    for axis, (size, out) in enumerate(
        zip((height, width), window_sizes(height, width, attrs["kernel"], attrs), strict=True)
    ):
        start = np.arange(out) * attrs["stride"][axis] - attrs["padding"][2 * axis]
        cells = start[:, None] + np.arange(attrs["kernel"][axis]) * attrs["dilation"][axis]
        counts.append(((cells >= 0) & (cells < size)).sum(axis=1))
    return np.outer(counts[0], counts[1])


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
