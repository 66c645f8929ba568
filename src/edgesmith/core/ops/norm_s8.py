"""Integer softmax and normalizations over the last axis (docs/numbers.md)."""

import math
from collections.abc import Sequence

import numpy as np

from edgesmith.core.graph import Tensor
from edgesmith.core.ops.conv import INT8
from edgesmith.core.ops.elementwise_s8 import X_ZERO
from edgesmith.core.ops.fixed import clamp, requant
from edgesmith.core.ops.linear import REQUANT, Y_ZERO
from edgesmith.core.ops.norm import infer_last_axis, macs_per_element
from edgesmith.core.ops.spec import Attribute, Attrs, OpSpec, Shapes, need

EPS_Q = {"eps_q": Attribute(int, low=0, high=1 << 62)}
LONGEST_ROW = 2048  # n * 255 squared, summed over n, shifted by 14, stays within 64 bits
ROOT_BITS = 14
Z_BITS = 10


def _infer_softmax(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, table = inputs
    need(len(x.shape) >= 1, "softmax_s8: x has no axis; need at least one.")
    need(table.shape == (256,), f"softmax_s8: table is {table.shape}; need (256,).")
    return [(x.shape, "int8")]


def _infer_norm(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    shapes = infer_last_axis(inputs, attrs)
    width = inputs[0].shape[-1]
    need(width <= LONGEST_ROW, f"integer normalization: rows of {width} entries; need at most {LONGEST_ROW}.")
    return shapes


def _run_softmax(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, table = arrays[0].astype(np.int64), arrays[1].astype(np.int64)
    e = table[x.max(axis=-1, keepdims=True) - x]
    total = e.sum(axis=-1, keepdims=True)
    return [np.minimum(127, (512 * e + total) // (2 * total) - 128).astype(np.int8)]


def normalize_q10(d: np.ndarray, eps_q: int) -> np.ndarray:
    """d over its root mean square, times 1024: (..., n) int64 to int64 (docs/numbers.md, layer_norm_s8)."""
    squares = (d * d).sum(axis=-1, keepdims=True).astype(np.uint64)
    v = (squares << np.uint64(ROOT_BITS)) // np.uint64(d.shape[-1]) + np.uint64(max(eps_q, 1))
    roots = [math.isqrt(int(value)) for value in v.ravel()]
    bits = np.array([root.bit_length() for root in roots], np.int64).reshape(v.shape)
    inverse = np.array([(1 << (30 + r.bit_length())) // r for r in roots], np.int64).reshape(v.shape)
    return (d * inverse + (np.int64(1) << (12 + bits))) >> (13 + bits)


def _scaled(z: np.ndarray, gamma: np.ndarray, beta: np.ndarray, attrs: Attrs) -> list[np.ndarray]:
    acc = z * gamma.astype(np.int64) + beta
    y = requant(acc, attrs["multiplier"], attrs["shift"]) + attrs["y_zero"]
    return [clamp(y, attrs["low"], attrs["high"])]


def _run_layer_norm(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x = arrays[0].astype(np.int64)
    d = x * x.shape[-1] - x.sum(axis=-1, keepdims=True)
    return _scaled(normalize_q10(d, attrs["eps_q"]), arrays[1], arrays[2], attrs)


def _run_rms_norm(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    d = arrays[0].astype(np.int64) - attrs["x_zero"]
    return _scaled(normalize_q10(d, attrs["eps_q"]), arrays[1], arrays[2], attrs)


OPS = (
    OpSpec(
        kind="softmax_s8",
        does="softmax over the last axis to int8 at scale 1/256, zero point -128; exp is a table of 256",
        inputs=("x", "table"),
        outputs=("y",),
        infer=_infer_softmax,
        run=_run_softmax,
        dtypes=("int8", "uint32"),
    ),
    OpSpec(
        kind="layer_norm_s8",
        does="layer_norm on int8 through a Q10 normalized value",
        inputs=("x", "gamma", "beta"),
        outputs=("y",),
        infer=_infer_norm,
        run=_run_layer_norm,
        dtypes=("int8", "int16", "int32"),
        attrs={**EPS_Q, **REQUANT, **Y_ZERO, **INT8},
        macs=macs_per_element(2),
    ),
    OpSpec(
        kind="rms_norm_s8",
        does="rms_norm on int8 through a Q10 normalized value; beta is usually zero",
        inputs=("x", "gamma", "beta"),
        outputs=("y",),
        infer=_infer_norm,
        run=_run_rms_norm,
        dtypes=("int8", "int16", "int32"),
        attrs={**X_ZERO, **EPS_Q, **REQUANT, **Y_ZERO, **INT8},
        macs=macs_per_element(2),
    ),
)
