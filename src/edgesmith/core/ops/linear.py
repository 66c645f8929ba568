"""Matrix products: a linear layer and a product of two activations, float32 and int8."""

from collections.abc import Sequence

import numpy as np

from edgesmith.core.graph import Tensor
from edgesmith.core.ops.conv import CLAMP, INT8
from edgesmith.core.ops.fixed import clamp, requant
from edgesmith.core.ops.spec import Attribute, Attrs, OpSpec, Shapes, need

TRANSPOSE = {"transpose_b": Attribute(bool, False)}
REQUANT = {"multiplier": Attribute(int, low=0, high=(1 << 31) - 1), "shift": Attribute(int, low=1, high=62)}
Y_ZERO = {"y_zero": Attribute(int, 0, -128, 127)}
OPERAND_ZEROS = {"a_zero": Attribute(int, 0, -128, 127), "b_zero": Attribute(int, 0, -128, 127)}
LONGEST_SUM = 33000  # 255 * 255 * K stays within int32


def _infer_linear(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, w = inputs[:2]
    need(len(w.shape) == 2, f"linear: w is {w.shape}; need (O, K).")
    need(
        len(x.shape) >= 1 and x.shape[-1] == w.shape[1], f"linear: x is {x.shape}, w {w.shape}; need (..., K), (O, K)."
    )
    need(all(t.shape == w.shape[:1] for t in inputs[2:]), f"linear: bias is {inputs[2].shape}; need ({w.shape[0]},).")
    return [((*x.shape[:-1], w.shape[0]), x.dtype)]


def _infer_matmul(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    a, b = inputs
    need(len(a.shape) >= 2 and len(b.shape) >= 2, f"matmul: {a.shape} by {b.shape}; need two axes or more of each.")
    inner, columns = b.shape[-2:][::-1] if attrs["transpose_b"] else b.shape[-2:]
    need(a.shape[-1] == inner, f"matmul: {a.shape} by {b.shape}: {a.shape[-1]} columns against {inner} rows.")
    return [((*broadcast("matmul", a.shape[:-2], b.shape[:-2]), a.shape[-2], columns), a.dtype)]


def _infer_matmul_s8(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    shapes = _infer_matmul(inputs, attrs)
    need(inputs[0].shape[-1] <= LONGEST_SUM, f"matmul_s8: {inputs[0].shape[-1]} addends; need at most {LONGEST_SUM}.")
    return shapes


def broadcast(kind: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that `shapes` broadcast to, as in numpy.

    Raises:
        BadInput: two axes differ and neither is 1.
    """
    rank = max(len(shape) for shape in shapes)
    result = []
    for sizes in zip(*((1,) * (rank - len(shape)) + tuple(shape) for shape in shapes), strict=True):
        wide = {size for size in sizes if size != 1}
        need(len(wide) <= 1, f"{kind}: shapes {', '.join(map(str, shapes))} do not broadcast.")
        result.append(wide.pop() if wide else 1)
    return tuple(result)


def _run_linear(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, w, b = arrays
    y = x.astype(np.float64) @ w.T.astype(np.float64) + b
    return [np.clip(y, attrs["low"], attrs["high"]).astype(np.float32)]


def _run_linear_s8(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, w, b, multiplier, shift = arrays
    acc = (x.astype(np.float64) @ w.T.astype(np.float64)).astype(np.int64) + b
    return [clamp(requant(acc, multiplier, shift) + attrs["y_zero"], attrs["low"], attrs["high"])]


def _product(a: np.ndarray, b: np.ndarray, attrs: Attrs) -> np.ndarray:
    return a.astype(np.float64) @ (b.swapaxes(-1, -2) if attrs["transpose_b"] else b).astype(np.float64)


def _run_matmul(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    a, b = arrays
    return [_product(a, b, attrs).astype(np.float32)]


def _run_matmul_s8(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    a, b = (array.astype(np.int64) - attrs[zero] for array, zero in zip(arrays, OPERAND_ZEROS, strict=True))
    acc = _product(a, b, attrs).astype(np.int64)
    y = requant(acc, attrs["multiplier"], attrs["shift"]) + attrs["y_zero"]
    return [clamp(y, attrs["low"], attrs["high"])]


def _macs(inputs: Sequence[Tensor], outputs: Sequence[Tensor], attrs: Attrs) -> int:
    return outputs[0].size * inputs[0].shape[-1]


OPS = (
    OpSpec(
        kind="linear",
        does="x (..., K) by w (O, K) transposed, plus bias, clamped to [low, high]",
        inputs=("x", "w", "b"),
        outputs=("y",),
        infer=_infer_linear,
        run=_run_linear,
        dtypes=("float32",) * 3,
        attrs=CLAMP,
        macs=_macs,
    ),
    OpSpec(
        kind="linear_s8",
        does="linear on int8 with the zero point of x folded into the bias, requantized per output channel",
        inputs=("x", "w", "b", "multiplier", "shift"),
        outputs=("y",),
        infer=_infer_linear,
        run=_run_linear_s8,
        dtypes=("int8", "int8", "int32", "int32", "uint8"),
        attrs={**Y_ZERO, **INT8},
        macs=_macs,
    ),
    OpSpec(
        kind="matmul",
        does="a (..., M, K) by b (..., K, N), or b (..., N, K) with transpose_b; leading axes broadcast",
        inputs=("a", "b"),
        outputs=("y",),
        infer=_infer_matmul,
        run=_run_matmul,
        dtypes=("float32",) * 2,
        attrs=TRANSPOSE,
        macs=_macs,
    ),
    OpSpec(
        kind="matmul_s8",
        does="matmul of two int8 tensors, both zero points subtracted, requantized",
        inputs=("a", "b"),
        outputs=("y",),
        infer=_infer_matmul_s8,
        run=_run_matmul_s8,
        dtypes=("int8",) * 2,
        attrs={**TRANSPOSE, **OPERAND_ZEROS, **REQUANT, **Y_ZERO, **INT8},
        macs=_macs,
    ),
)
