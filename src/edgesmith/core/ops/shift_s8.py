"""Integer attention and activation without tables or 64-bit division (docs/numbers.md, Shift forms, Single pass)."""

from collections.abc import Sequence

import numpy as np

from edgesmith.core.graph import Tensor
from edgesmith.core.ops.conv import INT8
from edgesmith.core.ops.elementwise_s8 import X_ZERO
from edgesmith.core.ops.fixed import clamp, requant, rshift
from edgesmith.core.ops.linear import REQUANT, Y_ZERO
from edgesmith.core.ops.norm import infer_last_axis, macs_per_element
from edgesmith.core.ops.norm_s8 import LONGEST_ROW
from edgesmith.core.ops.shift import GELU_OCTAVES, infer_shiftmax, octaves_of
from edgesmith.core.ops.spec import Attribute, Attrs, OpSpec, Shapes, need

FRACTION = 10  # bits of an exponent, in octaves
SHARE_BITS = 15  # of a part of a sum
NEWTON_STEPS = 10  # arXiv:2207.01405, section 3.4
DELTA_STEP = 5  # the table of a GELU's distance from ReLU has an entry every 2^-5 (sharc-lab/Edge-MoE, src/gelu.cpp)
DELTA_ENTRIES = 161  # up to 5; beyond it GELU and ReLU differ by less than 2^-17
DELTA_BITS = 16

POSITIVE_SHORT = Attribute(int, low=0, high=(1 << 21) - 1)
EXPONENT = {"exp_multiplier": POSITIVE_SHORT, "exp_shift": Attribute(int, low=0, high=30)}
UNIT_BITS = {"unit_bits": Attribute(int, low=9, high=22)}


def shift_exp_q(u: np.ndarray, octaves: int) -> np.ndarray:
    """2^(10 + octaves) times e^(-u / 1024), about; int64, u >= 0."""
    p = u + ((u + 1) >> 1) - ((u + 15) >> 4)
    p = np.minimum(p, octaves << FRACTION)
    q, f = p >> FRACTION, p & ((1 << FRACTION) - 1)
    return (((2 << FRACTION) - f) << (octaves - q)) >> 1


def share_q15(e: np.ndarray, total: np.ndarray) -> np.ndarray:
    """2^15 * e / total by one 32-bit reciprocal of the sum's upper 16 bits; total in [2^15, 2^32)."""
    bits = np.frexp(total.astype(np.float64))[1].astype(np.int64)
    upper = np.where(bits > 16, total >> np.maximum(bits - 16, 0), total << np.maximum(16 - bits, 0))
    return (e * (((1 << 32) - 1) // upper)) >> (bits + 1)


def _probability(share: np.ndarray) -> np.ndarray:
    return np.minimum(127, ((share + 64) >> 7) - 128).astype(np.int8)


def _run_shiftmax(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x = arrays[0].astype(np.int64)
    u = rshift((x.max(axis=-1, keepdims=True) - x) * attrs["exp_multiplier"], attrs["exp_shift"])
    e = shift_exp_q(u, octaves_of(x.shape[-1]))
    return [_probability(share_q15(e, e.sum(axis=-1, keepdims=True)))]


def _run_shift_gelu(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    z = np.minimum(arrays[0].astype(np.int64), attrs["limit"]) - attrs["x_zero"]
    most = np.maximum(z.max(axis=-1, keepdims=True), 0)
    e, zero = (
        shift_exp_q(rshift((most - v) * attrs["exp_multiplier"], attrs["exp_shift"]), GELU_OCTAVES) for v in (z, 0)
    )
    acc = z * share_q15(e, e + zero)
    y = requant(acc, attrs["multiplier"], attrs["shift"]) + attrs["y_zero"]
    return [clamp(y, attrs["low"], attrs["high"])]


def norm_fraction(n: int) -> int:
    """Fractional bits of the centred values of i_layer_norm_s8: n of their squares stay within 32 bits."""
    return (16 - (n - 1).bit_length()) // 2


def newton_root(v: int) -> int:
    """floor(sqrt(v)) by at most ten steps k <- (k + v / k) / 2 from a power of two above it; v in [0, 2^32)."""
    k = 1 << ((v.bit_length() + 1) // 2) if v else 0
    for _ in range(NEWTON_STEPS if v else 0):
        following = (k + v // k) >> 1
        if following >= k:
            break
        k = following
    return k


def _run_i_layer_norm(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, gamma, beta = (array.astype(np.int64) for array in arrays)
    n = x.shape[-1]
    u = (x + 128) << norm_fraction(n)
    d = u - (2 * u.sum(axis=-1, keepdims=True) + n) // (2 * n)
    v = (d * d).sum(axis=-1, keepdims=True)
    roots = np.array([max(newton_root(int(value)), 1) for value in v.ravel()], np.int64).reshape(v.shape)
    z = rshift((d * (((1 << 31) - 1) // roots)) >> 1, 15)
    y = requant(z * gamma + beta, attrs["multiplier"], attrs["shift"]) + attrs["y_zero"]
    return [clamp(y, attrs["low"], attrs["high"])]


def _run_single_pass_softmax(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, table = arrays[0].astype(np.int64), arrays[1].astype(np.int64)
    most, total = x[..., :1], np.full_like(x[..., :1], 1 << attrs["unit_bits"])
    for i in range(1, x.shape[-1]):
        new = x[..., i : i + 1]
        moved = ((total * table[np.maximum(new - most, 0)]) >> attrs["unit_bits"]) + (1 << attrs["unit_bits"])
        total = np.where(new > most, moved, total + table[np.maximum(most - new, 0)])
        most = np.maximum(most, new)
    return [_probability(share_q15(table[most - x], total))]


def _run_gelu_delta(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, table = arrays[0].astype(np.int64) - attrs["x_zero"], arrays[1].astype(np.int64)
    t = rshift(np.abs(x) * attrs["exp_multiplier"], attrs["exp_shift"])
    i, f = np.minimum(t >> 8, DELTA_ENTRIES - 2), t & 255
    delta = table[i] + (((table[i + 1] - table[i]) * f + 128) >> 8)
    delta = np.where(t >> 8 >= DELTA_ENTRIES - 1, 0, delta)
    acc = rshift(np.maximum(x, 0) * attrs["relu_multiplier"], attrs["relu_shift"]) - delta
    y = requant(acc, attrs["multiplier"], attrs["shift"]) + attrs["y_zero"]
    return [clamp(y, attrs["low"], attrs["high"])]


def _infer_norm(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    shapes = infer_last_axis(inputs, attrs)
    width = inputs[0].shape[-1]
    need(width <= LONGEST_ROW, f"i_layer_norm_s8: rows of {width} entries; need at most {LONGEST_ROW}.")
    return shapes


def _infer_table(entries: int):  # type: ignore[no-untyped-def]
    def infer(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
        x, table = inputs
        need(len(x.shape) >= 1, "integer activation: x has no axis; need at least one.")
        need(table.shape == (entries,), f"integer activation: table is {table.shape}; need ({entries},).")
        return [(x.shape, "int8")]

    return infer


OPS = (
    OpSpec(
        kind="shiftmax_s8",
        does="shiftmax over the last axis to int8 at scale 1/256, zero point -128, without a table",
        inputs=("x",),
        outputs=("y",),
        infer=infer_shiftmax,
        run=_run_shiftmax,
        dtypes=("int8",),
        attrs=EXPONENT,
    ),
    OpSpec(
        kind="shift_gelu_s8",
        does="shift_gelu on int8 rows; values above limit count as limit",
        inputs=("x",),
        outputs=("y",),
        infer=infer_last_axis,
        run=_run_shift_gelu,
        dtypes=("int8",),
        attrs={**X_ZERO, "limit": Attribute(int, 127, -128, 127), **EXPONENT, **REQUANT, **Y_ZERO, **INT8},
    ),
    OpSpec(
        kind="i_layer_norm_s8",
        does="layer_norm on int8 in 32 bits, the root by Newton's steps; no epsilon",
        inputs=("x", "gamma", "beta"),
        outputs=("y",),
        infer=_infer_norm,
        run=_run_i_layer_norm,
        dtypes=("int8", "int16", "int32"),
        attrs={**REQUANT, **Y_ZERO, **INT8},
        macs=macs_per_element(2),
    ),
    OpSpec(
        kind="single_pass_softmax_s8",
        does="softmax_s8 with largest entry and sum found together, in one pass over a row",
        inputs=("x", "table"),
        outputs=("y",),
        infer=_infer_table(256),
        run=_run_single_pass_softmax,
        dtypes=("int8", "uint32"),
        attrs=UNIT_BITS,
    ),
    OpSpec(
        kind="gelu_delta_s8",
        does="relu minus a tabled distance from it, interpolated; one table serves every layer",
        inputs=("x", "table"),
        outputs=("y",),
        infer=_infer_table(DELTA_ENTRIES),
        run=_run_gelu_delta,
        dtypes=("int8", "uint16"),
        attrs={
            **X_ZERO,
            **EXPONENT,
            "relu_multiplier": POSITIVE_SHORT,
            "relu_shift": Attribute(int, low=0, high=30),
            **REQUANT,
            **Y_ZERO,
            **INT8,
        },
    ),
)
