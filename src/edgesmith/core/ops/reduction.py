"""Sums, means and maxima over axes."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from edgesmith.core.graph import Tensor
from edgesmith.core.ops.conv import INT8
from edgesmith.core.ops.elementwise_s8 import X_ZERO
from edgesmith.core.ops.fixed import clamp, requant
from edgesmith.core.ops.linear import REQUANT, Y_ZERO
from edgesmith.core.ops.pooling import MOST_ADDENDS
from edgesmith.core.ops.spec import Attribute, Attrs, OpSpec, Shapes, need

MOST_CLASSES = 256  # of an argmax: its index is a byte
AXES = {"axes": Attribute(tuple[int, ...], low=0), "keepdims": Attribute(bool, False)}


def _infer(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    shape, axes = inputs[0].shape, attrs["axes"]
    need(
        len(set(axes)) == len(axes) > 0 and max(axes) < len(shape),
        f"reduction: axes {axes} of a tensor {shape}; need different axes below {len(shape)}, at least one.",
    )
    if attrs["keepdims"]:
        return [(tuple(1 if i in axes else n for i, n in enumerate(shape)), inputs[0].dtype)]
    return [(tuple(n for i, n in enumerate(shape) if i not in axes), inputs[0].dtype)]


def _infer_s8(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    shapes = _infer(inputs, attrs)
    addends = math.prod(inputs[0].shape[axis] for axis in attrs["axes"])
    need(addends <= MOST_ADDENDS, f"reduce_sum_s8: {addends} addends; need at most {MOST_ADDENDS}.")
    return shapes


def _run_sum_s8(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    centred = arrays[0].astype(np.int64) - attrs["x_zero"]
    total = centred.sum(axis=attrs["axes"], keepdims=attrs["keepdims"])
    y = requant(total, attrs["multiplier"], attrs["shift"]) + attrs["y_zero"]
    return [clamp(y, attrs["low"], attrs["high"])]


def _reduction(kind: str, does: str, function: Callable[..., np.ndarray], dtypes: str = "float32") -> OpSpec:
    def run(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
        x = arrays[0]
        wide = x.astype(np.float64) if x.dtype.kind == "f" else x
        return [np.asarray(function(wide, axis=attrs["axes"], keepdims=attrs["keepdims"])).astype(x.dtype)]

    return OpSpec(
        kind=kind,
        does=does,
        inputs=("x",),
        outputs=("y",),
        infer=_infer,
        run=run,
        dtypes=(dtypes,),
        attrs=AXES,
    )


def _infer_argmax(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    shape = inputs[0].shape
    good = len(shape) >= 1 and shape[-1] <= MOST_CLASSES
    need(good, f"argmax: x is {shape}; need a last axis of at most {MOST_CLASSES}.")
    return [(shape[:-1], "uint8")]


def _run_argmax(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    return [np.asarray(arrays[0].argmax(axis=-1)).astype(np.uint8)]


OPS = (
    _reduction("reduce_sum", "the sum over axes", np.sum),
    _reduction("reduce_mean", "the mean over axes", np.mean),
    _reduction("reduce_max", "the largest entry over axes", np.max, "float32|int8|uint8|int16|int32"),
    OpSpec(
        kind="reduce_sum_s8",
        does="the sum over axes of int8 values, requantized; a mean has 1/n in its multiplier",
        inputs=("x",),
        outputs=("y",),
        infer=_infer_s8,
        run=_run_sum_s8,
        dtypes=("int8",),
        attrs={**AXES, **X_ZERO, **REQUANT, **Y_ZERO, **INT8},
    ),
    OpSpec(
        kind="argmax",
        does="index of the largest entry along the last axis, the first of equals, as uint8",
        inputs=("x",),
        outputs=("y",),
        infer=_infer_argmax,
        run=_run_argmax,
        dtypes=("float32|int8",),
    ),
)
