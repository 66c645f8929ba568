"""Softmax and GELU whose exponential is a shift and a straight line (arXiv:2207.01405), in real numbers."""

from collections.abc import Sequence

import numpy as np

from edgesmith.core.graph import Tensor
from edgesmith.core.ops.norm import infer_last_axis
from edgesmith.core.ops.spec import Attribute, Attrs, OpSpec, Shapes, need

LOG2_E = 1 + 1 / 2 - 1 / 16  # binary 1.0111: log2(e) is 1.4427
SIGMOID = 1.702  # gelu(x) is about x * sigmoid(1.702 x) (arXiv:1606.08415, section 2)
MOST_OCTAVES = 15  # of a Shiftmax; below 2^-15 of the largest entry everything counts as that
LONGEST_SHIFTMAX = 4095  # entries; ten octaves are left
GELU_OCTAVES = 20  # of a ShiftGELU
LIMIT = {"limit": Attribute(float, float("inf"), low=0)}


def shift_exp(x: np.ndarray, octaves: int) -> np.ndarray:
    """e^x for x <= 0, about: 2^-(q + r) with q whole and 2^-r taken as 1 - r / 2. At least 2^-octaves."""
    p = np.minimum(-np.asarray(x, np.float64) * LOG2_E, octaves)
    q = np.floor(p)
    return np.exp2(-q) * (1 - (p - q) / 2)


def octaves_of(n: int) -> int:
    """Octaves of a Shiftmax over n entries: its sum of n * 2^(10 + octaves) stays within 32 bits."""
    return min(MOST_OCTAVES, 22 - n.bit_length())


def _run_shiftmax(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x = arrays[0].astype(np.float64)
    e = shift_exp(x - x.max(axis=-1, keepdims=True), octaves_of(x.shape[-1]))
    return [(e / e.sum(axis=-1, keepdims=True)).astype(np.float32)]


def _run_shift_gelu(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    z = np.minimum(arrays[0].astype(np.float64), attrs["limit"])
    most = np.maximum(z.max(axis=-1, keepdims=True), 0)
    e, zero = (shift_exp(SIGMOID * (v - most), GELU_OCTAVES) for v in (z, np.zeros_like(most)))
    return [(z * (e / (e + zero))).astype(np.float32)]


def infer_shiftmax(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    """The shape of x, whose rows are short enough that octaves are left."""
    shapes = infer_last_axis(inputs, attrs)
    width = inputs[0].shape[-1]
    need(width <= LONGEST_SHIFTMAX, f"shiftmax: rows of {width} entries; need at most {LONGEST_SHIFTMAX}.")
    return shapes


OPS = (
    OpSpec(
        kind="shiftmax",
        does="softmax over the last axis with the shift exponential of I-ViT",
        inputs=("x",),
        outputs=("y",),
        infer=infer_shiftmax,
        run=_run_shiftmax,
        dtypes=("float32",),
    ),
    OpSpec(
        kind="shift_gelu",
        does="min(x, limit) times its sigmoid by the shift exponential of I-ViT, shared by a row",
        inputs=("x",),
        outputs=("y",),
        infer=infer_last_axis,
        run=_run_shift_gelu,
        dtypes=("float32",),
        attrs=LIMIT,
    ),
)
