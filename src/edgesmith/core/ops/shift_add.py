"""Layers without multiplications: weights are sums of at most two powers of two, scales are powers of two."""

from collections.abc import Sequence

import numpy as np

from edgesmith.core.graph import Tensor
from edgesmith.core.ops import conv
from edgesmith.core.ops.conv import GROUPS, INT8, WINDOW, ZERO_POINTS
from edgesmith.core.ops.fixed import clamp, rshift
from edgesmith.core.ops.linear import OPERAND_ZEROS, Y_ZERO
from edgesmith.core.ops.spec import Attribute, Attrs, OpSpec, Shapes, need

MOST_TERMS = 2
TERM_BITS = 4  # of a code: a sign, and an exponent plus one; 0 for no term
SHIFT = {"shift": Attribute(int, low=-8, high=31)}  # below zero to the left
ADD_SHIFT = {"shift": Attribute(int, low=0, high=30)}
LEFT = Attribute(int, 0, 0, 20)  # (255 << 20) * 2 + 2^29 stays within int32


def k_hot(codes: np.ndarray, terms: int) -> np.ndarray:
    """The nearest integers with at most `terms` ones in their magnitude, no larger than the largest given.

    Of two as near, the smaller magnitude.

    >>> k_hot(np.array([-7, 0, 5, 6, 7]), 1)
    array([-4,  0,  4,  4,  4])
    """
    most = int(np.abs(codes).max(initial=0))
    sums = np.array([m for m in range(most + 1) if m.bit_count() <= terms])
    nearest = np.abs(np.abs(codes)[..., None] - sums).argmin(axis=-1)
    return np.sign(codes) * sums[nearest]


def encode(weights: np.ndarray) -> np.ndarray | None:
    """Integers as one byte each: a nibble a term, the larger in the low one; None where a weight is no such sum.

    A nibble is 0 for no term, else the exponent plus one, 0 to 6, and 8 for a negative one.
    """
    magnitude = np.abs(weights.astype(np.int64))
    codes = np.zeros(weights.shape, np.uint8)
    for place in range(MOST_TERMS):
        exponent = np.frexp(magnitude.astype(np.float64))[1]  # of the largest power not above it, plus one
        codes |= (np.where(magnitude > 0, exponent + 8 * (weights < 0), 0) << (TERM_BITS * place)).astype(np.uint8)
        if (exponent > 7).any():
            return None
        magnitude = np.where(magnitude > 0, magnitude - (1 << np.maximum(exponent - 1, 0)), 0)
    return None if magnitude.any() else codes


def decode(codes: np.ndarray) -> np.ndarray:
    """The integers of `encode`'s bytes, int64."""
    total = np.zeros(codes.shape, np.int64)
    for place in range(MOST_TERMS):
        nibble = (codes.astype(np.int64) >> (TERM_BITS * place)) & 15
        term = np.where(nibble & 7, 1 << np.maximum((nibble & 7) - 1, 0), 0)
        total += np.where(nibble & 8, -term, term)
    return total


def _run_conv(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, codes, b = arrays
    acc = conv._accumulate(x, decode(codes), attrs, attrs["x_zero"]).astype(np.int64) + b
    shift = attrs["shift"]
    scaled = acc << -shift if shift < 0 else rshift(acc, shift)
    return [clamp(scaled + attrs["y_zero"], attrs["low"], attrs["high"])[None]]


def _infer_add(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    a, b = inputs
    need(a.shape == b.shape, f"shift_add_s8: {a.shape} and {b.shape}; need two of one shape.")
    return [(a.shape, "int8")]


def _run_add(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    a = (arrays[0].astype(np.int64) - attrs["a_zero"]) << attrs["a_left"]
    b = (arrays[1].astype(np.int64) - attrs["b_zero"]) << attrs["b_left"]
    return [clamp(rshift(a + b, attrs["shift"]) + attrs["y_zero"], attrs["low"], attrs["high"])]


OPS = (
    OpSpec(
        kind="shift_add_conv2d_s8",
        does="conv2d_s8 whose weights are codes of at most two powers of two, requantized by one shift",
        inputs=("x", "codes", "b"),
        outputs=("y",),
        infer=conv._infer,
        run=_run_conv,
        dtypes=("int8", "uint8", "int32"),
        attrs={**WINDOW, **GROUPS, **ZERO_POINTS, **SHIFT, **INT8},
        macs=conv._macs,
    ),
    OpSpec(
        kind="shift_add_s8",
        does="sum of two int8 tensors, each shifted left, rounded once",
        inputs=("a", "b"),
        outputs=("y",),
        infer=_infer_add,
        run=_run_add,
        dtypes=("int8",) * 2,
        attrs={**OPERAND_ZEROS, "a_left": LEFT, "b_left": LEFT, **ADD_SHIFT, **Y_ZERO, **INT8},
    ),
)
