"""Between stored integers and real values: lookup tables, quantize, dequantize."""

from collections.abc import Sequence

import numpy as np

from edgesmith.core.graph import Tensor
from edgesmith.core.ops.spec import Attribute, Attrs, OpSpec, Shapes, need


def _infer_lookup(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, table = inputs
    per_entry = (*x.shape[-1:], 256)
    need(table.shape in ((256,), per_entry), f"lookup: table is {table.shape}; need (256,) or {per_entry}.")
    return [(x.shape, "int8")]


def _infer_quantize(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, a, b = inputs
    good = a.shape == b.shape and a.shape in ((1,), x.shape[-1:])
    need(good, f"quantize: a is {a.shape}, b {b.shape}; need (1,) or {x.shape[-1:]} of both.")
    return [(x.shape, "int8")]


def _infer_dequantize(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    need(attrs["scale"] > 0, f"dequantize: scale is {attrs['scale']}; need a number above zero.")
    return [(inputs[0].shape, "float32")]


def _run_lookup(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, table = arrays
    index = x.view(np.uint8)
    if table.ndim == 1:
        return [table[index]]
    return [table[np.arange(x.shape[-1]), index]]


def _run_quantize(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, a, b = arrays
    with np.errstate(all="ignore"):
        t = x * a + b
    t = np.where(np.isnan(t), np.float32(-128), np.clip(t, np.float32(-128), np.float32(127)))
    return [((t + np.float32(128.5)).astype(np.int32) - 128).astype(np.int8)]


def _run_dequantize(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    centred = arrays[0].astype(np.int64) - attrs["zero"]
    return [centred.astype(np.float32) * np.float32(attrs["scale"])]


OPS = (
    OpSpec(
        kind="lookup",
        does="table[x as uint8]: any function of one 8-bit value; one table, or one per entry of the last axis",
        inputs=("x", "table"),
        outputs=("y",),
        infer=_infer_lookup,
        run=_run_lookup,
        dtypes=("int8|uint8", "int8"),
    ),
    OpSpec(
        kind="quantize",
        does="x * a + b rounded half up to int8, saturated; a NaN becomes -128",
        inputs=("x", "a", "b"),
        outputs=("y",),
        infer=_infer_quantize,
        run=_run_quantize,
        dtypes=("float32",) * 3,
    ),
    OpSpec(
        kind="dequantize",
        does="(x - zero) * scale in float32",
        inputs=("x",),
        outputs=("y",),
        infer=_infer_dequantize,
        run=_run_dequantize,
        dtypes=("int8|uint8|int16|int32",),
        attrs={"zero": Attribute(int, 0, -32768, 32767), "scale": Attribute(float, low=0.0)},
    ),
)
