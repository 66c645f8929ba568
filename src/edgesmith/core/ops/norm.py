"""Float softmax and normalizations over the last axis."""

from collections.abc import Sequence

import numpy as np

from edgesmith.core.graph import Tensor
from edgesmith.core.ops.spec import Attribute, Attrs, Macs, OpSpec, Shapes, need

# How the integer form is computed; the real function is the same (docs/numbers.md).
SOFTMAX_FORMS = ("table", "single_pass")
NORM_FORMS = ("exact", "i_layer_norm")
EPS = {"eps": Attribute(float, 1e-5, low=0)}  # torch.nn.LayerNorm's default


def infer_last_axis(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    """The shape of x, when every other input has one entry per entry of its last axis."""
    x = inputs[0]
    form = attrs.get("form", "exact")
    need(form in (*SOFTMAX_FORMS, *NORM_FORMS), f"normalization: form is {form!r}; need one of its integer forms.")
    need(len(x.shape) >= 1, "normalization: x has no axis; need at least one.")
    for tensor in inputs[1:]:
        need(tensor.shape == x.shape[-1:], f"normalization: {tensor.name!r} is {tensor.shape}; need {x.shape[-1:]}.")
    return [(x.shape, x.dtype)]


def macs_per_element(count: int) -> Macs:
    """A macs rule: `count` multiplications for each element of x."""

    def macs(inputs: Sequence[Tensor], outputs: Sequence[Tensor], attrs: Attrs) -> int:
        return count * inputs[0].size

    return macs


def _run_softmax(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x = arrays[0].astype(np.float64)
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return [(e / e.sum(axis=-1, keepdims=True)).astype(np.float32)]


def _run_layer_norm(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, gamma, beta = (array.astype(np.float64) for array in arrays)
    d = x - x.mean(axis=-1, keepdims=True)
    z = d / np.sqrt((d * d).mean(axis=-1, keepdims=True) + attrs["eps"])
    return [(z * gamma + beta).astype(np.float32)]


def _run_rms_norm(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, gamma = (array.astype(np.float64) for array in arrays)
    z = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + attrs["eps"])
    return [(z * gamma).astype(np.float32)]


def _run_affine(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, scale, shift = arrays
    return [x * scale + shift]


OPS = (
    OpSpec(
        kind="softmax",
        does="exp(x) over its sum along the last axis",
        inputs=("x",),
        outputs=("y",),
        infer=infer_last_axis,
        run=_run_softmax,
        dtypes=("float32",),
        attrs={"form": Attribute(str, "table")},
    ),
    OpSpec(
        kind="layer_norm",
        does="(x - mean) / sqrt(variance + eps) along the last axis, times gamma plus beta",
        inputs=("x", "gamma", "beta"),
        outputs=("y",),
        infer=infer_last_axis,
        run=_run_layer_norm,
        dtypes=("float32",) * 3,
        attrs={**EPS, "form": Attribute(str, "exact")},
        macs=macs_per_element(2),
    ),
    OpSpec(
        kind="rms_norm",
        does="x / sqrt(mean of squares + eps) along the last axis, times gamma",
        inputs=("x", "gamma"),
        outputs=("y",),
        infer=infer_last_axis,
        run=_run_rms_norm,
        dtypes=("float32",) * 2,
        attrs=EPS,
        macs=macs_per_element(2),
    ),
    OpSpec(
        kind="affine",
        does="x * scale + shift, one of each per entry of the last axis; a batch norm that could not fold",
        inputs=("x", "scale", "shift"),
        outputs=("y",),
        infer=infer_last_axis,
        run=_run_affine,
        dtypes=("float32",) * 3,
        macs=macs_per_element(1),
    ),
)
