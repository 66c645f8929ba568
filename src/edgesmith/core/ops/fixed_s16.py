"""Fixed point on int16 with sums in int32: what classical models compute in (docs/numbers.md, Fixed point)."""

from collections.abc import Sequence

import numpy as np

from edgesmith.core.graph import Tensor
from edgesmith.core.ops.fixed import requant
from edgesmith.core.ops.instances import LIMIT
from edgesmith.core.ops.spec import Attrs, OpSpec, Shapes, need


def _infer_quantize(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, a, b = inputs
    good = a.shape == b.shape == x.shape[-1:]
    need(good, f"quantize_s16: a is {a.shape}, b {b.shape}; need {x.shape[-1:]} of both.")
    return [(x.shape, "int16")]


def _run_quantize(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, a, b = arrays
    low, high = np.float32(-attrs["limit"]), np.float32(attrs["limit"])
    with np.errstate(all="ignore"):
        t = x * a + b
    t = np.where(np.isnan(t), low, np.clip(t, low, high))
    return [((t + np.float32(32768.5)).astype(np.int32) - 32768).astype(np.int16)]


def _infer_affine(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x = inputs[0]
    need(all(t.shape == x.shape[-1:] for t in inputs[1:]), f"affine_s16: need {x.shape[-1:]} of m, b and right.")
    return [(x.shape, "int16")]


def _run_affine(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, m, b, right = (array.astype(np.int64) for array in arrays)
    y = (x * m + b + ((1 << right) >> 1)) >> right
    return [np.clip(y, -attrs["limit"], attrs["limit"]).astype(np.int16)]


def _infer_linear(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, w, b = inputs
    good = len(w.shape) == 2 and len(x.shape) >= 1 and x.shape[-1] == w.shape[1] and b.shape == w.shape[:1]
    need(good, f"linear_s16: x is {x.shape}, w {w.shape}, b {b.shape}; need (..., K), (O, K), (O,).")
    return [((*x.shape[:-1], w.shape[0]), "int32")]


def _run_linear(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, w, b = (array.astype(np.int64) for array in arrays)
    return [(x @ w.T + b).astype(np.int32)]  # wraps


def _infer_requantize(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x = inputs[0]
    good = all(t.shape == x.shape[-1:] for t in inputs[1:])
    need(good, f"requantize_s16: need {x.shape[-1:]} multipliers and shifts.")
    return [(x.shape, "int16")]


def _run_requantize(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    y = requant(*arrays)
    return [np.clip(y, -attrs["limit"], attrs["limit"]).astype(np.int16)]


def _infer_opposites(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x = inputs[0]
    need(len(x.shape) >= 1 and x.shape[-1] == 1, f"opposites: x is {x.shape}; need (..., 1).")
    return [((*x.shape[:-1], 2), x.dtype)]


def _run_opposites(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x = arrays[0]
    most = x if x.dtype.kind == "f" else np.maximum(x, -np.iinfo(np.int32).max)
    return [np.concatenate([-most, most], axis=-1).astype(x.dtype)]


OPS = (
    OpSpec(
        kind="quantize_s16",
        does="x * a + b rounded half up to int16 within [-limit, limit]; a NaN becomes -limit",
        inputs=("x", "a", "b"),
        outputs=("y",),
        infer=_infer_quantize,
        run=_run_quantize,
        dtypes=("float32",) * 3,
        attrs=LIMIT,
    ),
    OpSpec(
        kind="affine_s16",
        does="(x * m + b) shifted right with rounding, within [-limit, limit], per entry of the last axis",
        inputs=("x", "m", "b", "right"),
        outputs=("y",),
        infer=_infer_affine,
        run=_run_affine,
        dtypes=("uint8|int8|int16", "int16", "int32", "uint8"),
        attrs=LIMIT,
    ),
    OpSpec(
        kind="linear_s16",
        does="x by w (O, K) transposed, plus b, in int32, which wraps",
        inputs=("x", "w", "b"),
        outputs=("y",),
        infer=_infer_linear,
        run=_run_linear,
        dtypes=("int16", "int16", "int32"),
        macs=lambda inputs, outputs, attrs: outputs[0].size * inputs[0].shape[-1],
    ),
    OpSpec(
        kind="requantize_s16",
        does="int32 requantized to int16 within [-limit, limit], per entry of the last axis",
        inputs=("x", "multiplier", "shift"),
        outputs=("y",),
        infer=_infer_requantize,
        run=_run_requantize,
        dtypes=("int32", "int32", "uint8"),
        attrs=LIMIT,
    ),
    OpSpec(
        kind="opposites",
        does="(-x, x): the two scores of a decision between two classes",
        inputs=("x",),
        outputs=("y",),
        infer=_infer_opposites,
        run=_run_opposites,
        dtypes=("float32|int32",),
    ),
)
