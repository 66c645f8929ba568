"""Transposed convolutions, NHWC, float32 and int8."""

from collections.abc import Sequence

import numpy as np

from edgesmith.core.graph import Tensor
from edgesmith.core.ops.conv import CLAMP, FAR, GROUPS, INT8, WINDOW, ZERO_POINTS, check_padded
from edgesmith.core.ops.fixed import clamp, requant
from edgesmith.core.ops.spec import Attribute, Attrs, OpSpec, Shapes, need

OUTPUT = {"output_padding": Attribute(tuple[int, int], (0, 0), 0, FAR)}


def output_sizes(height: int, width: int, kernel: tuple[int, int], attrs: Attrs) -> tuple[int, int]:
    """Output height and width (docs/numbers.md, conv_transpose2d_s8)."""
    top, bottom, left, right = attrs["padding"]
    sizes = []
    for axis, (size, crop) in enumerate(((height, top + bottom), (width, left + right))):
        reach = attrs["dilation"][axis] * (kernel[axis] - 1)
        out = (size - 1) * attrs["stride"][axis] - crop + reach + attrs["output_padding"][axis] + 1
        need(out >= 1, f"conv_transpose2d: padding {attrs['padding']} leaves no output cell; need less padding.")
        sizes.append(out)
    return sizes[0], sizes[1]


def _infer(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, w = inputs[:2]
    need(len(x.shape) == 4 and x.shape[0] == 1, f"conv_transpose2d: x is {x.shape}; need (1, H, W, C).")
    need(len(w.shape) == 4, f"conv_transpose2d: w is {w.shape}; need (O, kh, kw, C/groups).")
    out, kh, kw, per_group = w.shape
    need(
        per_group * attrs["groups"] == x.shape[3] and out % attrs["groups"] == 0,
        f"conv_transpose2d: {x.shape[3]} channels in, w {w.shape}, {attrs['groups']} groups do not match.",
    )
    need(all(t.shape == (out,) for t in inputs[2:]), f"conv_transpose2d: bias is {inputs[2].shape}; need ({out},).")
    height, width = output_sizes(x.shape[1], x.shape[2], (kh, kw), attrs)
    top, bottom, left, right = attrs["padding"]
    check_padded("conv_transpose2d", (height + top + bottom, width + left + right, out))
    return [((1, height, width, out), x.dtype)]


def _taps(x: np.ndarray, w: np.ndarray, groups: int) -> np.ndarray:
    """What each input cell adds through each tap: (H, W, C) and w to (H, W, O, kh, kw), float64."""
    out_per, in_per = w.shape[0] // groups, w.shape[3]
    parts = []
    for group in range(groups):
        cells = x[..., group * in_per : (group + 1) * in_per].astype(np.float64)
        rows = w[group * out_per : (group + 1) * out_per].astype(np.float64)
        parts.append(np.einsum("hwc,oijc->hwoij", cells, rows, optimize=True))
    return np.concatenate(parts, axis=2)


def _accumulate(x: np.ndarray, w: np.ndarray, attrs: Attrs) -> np.ndarray:
    """Scatter every tap onto the uncropped output, then crop: (H', W', O), exact for these integers."""
    taps = _taps(x, w, attrs["groups"])
    (sh, sw), (dh, dw) = attrs["stride"], attrs["dilation"]
    top, _, left, _ = attrs["padding"]
    height, width = output_sizes(x.shape[0], x.shape[1], w.shape[1:3], attrs)
    rows, cols = (x.shape[0] - 1) * sh + 1, (x.shape[1] - 1) * sw + 1
    full_h = max(rows + dh * (w.shape[1] - 1), top + height)
    full_w = max(cols + dw * (w.shape[2] - 1), left + width)
    full = np.zeros((full_h, full_w, w.shape[0]))
    for i in range(w.shape[1]):
        for j in range(w.shape[2]):
            full[i * dh : i * dh + rows : sh, j * dw : j * dw + cols : sw] += taps[..., i, j]
    return full[top : top + height, left : left + width]


def _run(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, w, b = arrays
    y = np.clip(_accumulate(x[0], w, attrs) + b, attrs["low"], attrs["high"])
    return [y.astype(np.float32)[None]]


def _run_s8(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, w, b, multiplier, shift = arrays
    centred = x[0].astype(np.int64) - attrs["x_zero"]
    acc = _accumulate(centred, w, attrs).astype(np.int64) + b
    return [clamp(requant(acc, multiplier, shift) + attrs["y_zero"], attrs["low"], attrs["high"])[None]]


def _macs(inputs: Sequence[Tensor], outputs: Sequence[Tensor], attrs: Attrs) -> int:
    x, w = inputs[:2]
    return x.shape[1] * x.shape[2] * w.size


OPS = (
    OpSpec(
        kind="conv_transpose2d",
        does="each input cell adds its weights around stride * its place; cropped by padding; clamped to [low, high]",
        inputs=("x", "w", "b"),
        outputs=("y",),
        infer=_infer,
        run=_run,
        dtypes=("float32",) * 3,
        attrs={**WINDOW, **GROUPS, **OUTPUT, **CLAMP},
        macs=_macs,
    ),
    OpSpec(
        kind="conv_transpose2d_s8",
        does="conv_transpose2d on int8, the zero point of x subtracted from each cell, requantized per channel",
        inputs=("x", "w", "b", "multiplier", "shift"),
        outputs=("y",),
        infer=_infer,
        run=_run_s8,
        dtypes=("int8", "int8", "int32", "int32", "uint8"),
        attrs={**WINDOW, **GROUPS, **OUTPUT, **ZERO_POINTS, **INT8},
        macs=_macs,
    ),
)
