"""Integer arithmetic on each element: add, rescale, mul, div (docs/numbers.md)."""

from collections.abc import Sequence

import numpy as np

from edgesmith.core.graph import Tensor
from edgesmith.core.ops.conv import INT8
from edgesmith.core.ops.fixed import clamp, requant, rshift
from edgesmith.core.ops.linear import OPERAND_ZEROS, REQUANT, Y_ZERO, broadcast
from edgesmith.core.ops.spec import Attribute, Attrs, OpSpec, Shapes

SHORT = Attribute(int, low=1 - (1 << 21), high=(1 << 21) - 1)
SHORT_SHIFT = {"shift": Attribute(int, low=0, high=30)}
DIVISION = {"multiplier": Attribute(int, low=0, high=(1 << 31) - 1), "shift": Attribute(int, low=0, high=31)}
X_ZERO = {"x_zero": Attribute(int, 0, -128, 127)}


def _infer_binary(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    return [(broadcast("int8 arithmetic", inputs[0].shape, inputs[1].shape), "int8")]


def _infer_same(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    return [(inputs[0].shape, "int8")]


def _centred(arrays: Sequence[np.ndarray], attrs: Attrs) -> tuple[np.ndarray, np.ndarray]:
    return arrays[0].astype(np.int64) - attrs["a_zero"], arrays[1].astype(np.int64) - attrs["b_zero"]


def _bounded(value: np.ndarray, attrs: Attrs) -> list[np.ndarray]:
    return [clamp(value + attrs["y_zero"], attrs["low"], attrs["high"])]


def _run_add(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    a, b = _centred(arrays, attrs)
    return _bounded(rshift(a * attrs["a_multiplier"] + b * attrs["b_multiplier"], attrs["shift"]), attrs)


def _run_rescale(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x = arrays[0].astype(np.int64) - attrs["x_zero"]
    return _bounded(rshift(x * attrs["multiplier"], attrs["shift"]), attrs)


def _run_mul(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    a, b = _centred(arrays, attrs)
    return _bounded(requant(a * b, attrs["multiplier"], attrs["shift"]), attrs)


def _run_div(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    a, b = _centred(arrays, attrs)
    n, d = np.broadcast_arrays(a * attrs["multiplier"], b << attrs["shift"])
    n, d = np.where(d < 0, -n, n), np.abs(d)
    quotient = (2 * n + d) // np.maximum(2 * d, 1)
    # Dividing by zero saturates toward the sign of the numerator: far beyond any int8.
    return _bounded(np.where(d == 0, np.sign(n) * 512, quotient), attrs)


def _macs_mul(inputs: Sequence[Tensor], outputs: Sequence[Tensor], attrs: Attrs) -> int:
    return outputs[0].size


OPS = (
    OpSpec(
        kind="add_s8",
        does="weighted sum of two int8 tensors with one rounding; subtraction is a negative b_multiplier",
        inputs=("a", "b"),
        outputs=("y",),
        infer=_infer_binary,
        run=_run_add,
        dtypes=("int8",) * 2,
        attrs={**OPERAND_ZEROS, "a_multiplier": SHORT, "b_multiplier": SHORT, **SHORT_SHIFT, **Y_ZERO, **INT8},
    ),
    OpSpec(
        kind="rescale_s8",
        does="the same real values in another int8 format",
        inputs=("x",),
        outputs=("y",),
        infer=_infer_same,
        run=_run_rescale,
        dtypes=("int8",),
        attrs={**X_ZERO, "multiplier": SHORT, **SHORT_SHIFT, **Y_ZERO, **INT8},
    ),
    OpSpec(
        kind="mul_s8",
        does="product of two int8 tensors, requantized",
        inputs=("a", "b"),
        outputs=("y",),
        infer=_infer_binary,
        run=_run_mul,
        dtypes=("int8",) * 2,
        attrs={**OPERAND_ZEROS, **REQUANT, **Y_ZERO, **INT8},
        macs=_macs_mul,
    ),
    OpSpec(
        kind="div_s8",
        does="quotient of two int8 tensors, rounded once; dividing by zero saturates",
        inputs=("a", "b"),
        outputs=("y",),
        infer=_infer_binary,
        run=_run_div,
        dtypes=("int8",) * 2,
        attrs={**OPERAND_ZEROS, **DIVISION, **Y_ZERO, **INT8},
    ),
)
