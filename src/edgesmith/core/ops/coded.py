"""Weights from packed codes to float32, and floats rounded to small ones (docs/numbers.md, Packed codes)."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from edgesmith.core.formats import KINDS, POSITS, BinaryBases, Codebook, Coded, FloatFormat, Group, Posit
from edgesmith.core.formats.floats import FloatKind, rounded_float
from edgesmith.core.formats.packing import packed_bytes, trit_bytes, unpack_codes
from edgesmith.core.formats.scaled import check_runs
from edgesmith.core.graph import Tensor
from edgesmith.core.ops.spec import Attribute, Attrs, OpSpec, Shapes, need

MOST_WEIGHTS = 1 << 28
SHAPE = {"shape": Attribute(tuple[int, ...], low=1, high=MOST_WEIGHTS)}
GROUP_BITS = {"bits": Attribute(int, low=2, high=8)}


def _group(arrays: Sequence[np.ndarray], attrs: Attrs) -> Coded:
    _, scales, *rest = arrays
    zeros = unpack_codes(rest[0], scales.shape, attrs["bits"]) if rest else ()
    size = math.prod(attrs["shape"]) // len(scales)
    return Group(_floats(scales), size, attrs["bits"], tuple(map(int, zeros)))


def _table(arrays: Sequence[np.ndarray], attrs: Attrs) -> Coded:
    return Codebook(_floats(arrays[1]), _floats(arrays[2]), arrays[2].shape[1], attrs["trits"])


def _bases(arrays: Sequence[np.ndarray], attrs: Attrs) -> Coded:
    return BinaryBases(_floats(arrays[1]), len(arrays[1]))


def _float(arrays: Sequence[np.ndarray], attrs: Attrs) -> Coded:
    return FloatFormat(_floats(arrays[1]), attrs["number"])


def _posit(arrays: Sequence[np.ndarray], attrs: Attrs) -> Coded:
    return Posit(_floats(arrays[1]), attrs["n"], attrs["es"])


def _floats(array: np.ndarray) -> tuple[float, ...]:
    return tuple(map(float, array.ravel()))


FORMATS: Mapping[str, Callable[[Sequence[np.ndarray], Attrs], Coded]] = {
    "decode_group": _group,
    "decode_group_zeros": _group,
    "decode_table": _table,
    "decode_bases": _bases,
    "decode_float": _float,
    "decode_posit": _posit,
}


def _run(kind: str, arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    format_ = FORMATS[kind](arrays, attrs)
    return [format_.dequantize(format_.unpack(arrays[0], attrs["shape"]))]


def _run_outliers(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, indices, values = arrays
    y = x.copy()
    y.reshape(-1)[indices] = values.view(np.float16)
    return [y]


def _run_round_float(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    scale = np.float32(attrs["scale"])
    with np.errstate(all="ignore"):
        return [rounded_float(arrays[0] / scale, attrs["number"]) * scale]


def check_coded(kind: str, arrays: Mapping[str, np.ndarray], shape: tuple[int, ...], attrs: Attrs) -> None:
    """Check the constants of a decode: that scales and tables are a format of its weight.

    Raises:
        BadInput: they are not, or one is computed.
    """
    codes, *others = NAMES[kind]
    need(all(name in arrays for name in others), f"an input of {', '.join(others)} is computed; need constants.")
    none = np.zeros(0, np.uint8)  # any codes will do
    FORMATS[kind]([none, *(arrays[name] for name in others)], attrs).fits(attrs["shape"])


def check_outliers(arrays: Mapping[str, np.ndarray], shape: tuple[int, ...], attrs: Attrs) -> None:
    """Check that the places are constants inside, in order, their values finite.

    Raises:
        BadInput: they are not.
    """
    need("indices" in arrays and "values" in arrays, "indices or values are computed; need constants.")
    indices = arrays["indices"].astype(np.int64)
    inside = bool((np.diff(indices) > 0).all()) and int(indices[-1]) < math.prod(shape)
    need(inside, "the places of outliers do not ascend, or one is outside.")
    need(bool(np.isfinite(arrays["values"].view(np.float16)).all()), "an outlier is not finite.")


def _coded(codes: Tensor, attrs: Attrs, bits: int, width: int = 1, trits: bool = False) -> Shapes:
    """The decoded weight, its codes checked to have the right size."""
    shape = attrs["shape"]
    total = math.prod(shape)
    need(0 < len(shape) <= 8 and total <= MOST_WEIGHTS, f"decode: shape is {shape}; need at most {MOST_WEIGHTS}.")
    need(shape[-1] % width == 0, f"decode: shape is {shape}; need a last axis of entries of {width}.")
    wanted = (trit_bytes((total,)) if trits else packed_bytes((total // width,), bits),)
    need(codes.shape == wanted, f"decode: codes are {codes.shape}; need {wanted} for {shape}.")
    return [(shape, "float32")]


def _infer_group(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    codes, scales, *rest = inputs
    need(len(scales.shape) == 1, f"decode_group: scales are {scales.shape}; need one a group.")
    check_runs(attrs["shape"], scales.size)
    wanted = (packed_bytes(scales.shape, attrs["bits"]),)
    need(not rest or rest[0].shape == wanted, f"decode_group_zeros: zeros are not {wanted}, packed.")
    return _coded(codes, attrs, attrs["bits"])


def _infer_table(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    codes, scales, table = inputs
    good = len(scales.shape) == 1 and len(table.shape) == 2 and 2 <= table.shape[0] <= 1 << 16
    need(good, f"decode_table: scales are {scales.shape}, the table {table.shape}; need (runs,), (entries, width).")
    check_runs(attrs["shape"], scales.size)
    entries, width = table.shape
    need(not attrs["trits"] or (entries, width) == (3, 1), f"decode_table: trits of {table.shape}; need (3, 1).")
    run = math.prod(attrs["shape"]) // scales.size
    need(run % width == 0, f"decode_table: a scale for {run} values; need whole entries of {width}.")
    return _coded(codes, attrs, (entries - 1).bit_length(), width, attrs["trits"])


def _infer_bases(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    codes, scales = inputs
    good = len(scales.shape) == 2 and scales.shape[0] <= 8 and scales.shape[1:] == attrs["shape"][:1]
    need(good, f"decode_bases: scales are {scales.shape}; need (1 to 8 bases, channels of {attrs['shape']}).")
    return _coded(codes, attrs, scales.shape[0])


def _infer_float(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    codes, scales = inputs
    need(len(scales.shape) == 1, f"decode_float: scales are {scales.shape}; need one a run.")
    check_runs(attrs["shape"], scales.size)
    return _coded(codes, attrs, _float_kind(attrs).bits)


def _infer_posit(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    codes, scales = inputs
    need((attrs["n"], attrs["es"]) in POSITS, f"decode_posit: ({attrs['n']}, {attrs['es']}); need one of {POSITS}.")
    need(len(scales.shape) == 1, f"decode_posit: scales are {scales.shape}; need one a run.")
    check_runs(attrs["shape"], scales.size)
    return _coded(codes, attrs, attrs["n"])


def _float_kind(attrs: Attrs) -> FloatKind:
    need(attrs["number"] in KINDS, f"number is {attrs['number']!r}; need one of {', '.join(KINDS)}.")
    return KINDS[attrs["number"]]


def _infer_outliers(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, indices, values = inputs
    good = len(indices.shape) == 1 and indices.shape == values.shape
    need(good, f"outliers: indices are {indices.shape}, values {values.shape}; need (n,) of both.")
    return [(x.shape, "float32")]


def _infer_round_float(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    _float_kind(attrs)
    good = np.float32(attrs["scale"]) > 0 and math.isfinite(np.float32(attrs["scale"]))
    need(bool(good), f"round_float: scale is {attrs['scale']}; need a number of float32 above zero.")
    return [(inputs[0].shape, "float32")]


def _decode(
    kind: str, does: str, infer: Callable[..., Shapes], others: tuple[str, ...], attrs: Mapping[str, Attribute]
) -> OpSpec:
    return OpSpec(
        kind=f"decode_{kind}",
        does=does,
        inputs=("codes", "scales", *others),
        outputs=("y",),
        infer=infer,
        run=partial(_run, f"decode_{kind}"),
        dtypes=("uint8", "float32", *("uint8" if name == "zeros" else "float32" for name in others)),
        attrs={**SHAPE, **attrs},
    )


TRITS = {"trits": Attribute(bool, False)}
NUMBER = {"number": Attribute(str)}
OPS = (
    _decode("group", "scale * (code - middle code), a scale a group", _infer_group, (), GROUP_BITS),
    _decode("group_zeros", "scale * (code - zero), both a group's", _infer_group, ("zeros",), GROUP_BITS),
    _decode("table", "scale * entries[code], each of one or more values", _infer_table, ("entries",), TRITS),
    _decode("bases", "sum over bases of scale * sign, a scale for each base and channel", _infer_bases, (), {}),
    _decode("float", "scale * the number of an FP8 or FP4 code", _infer_float, (), NUMBER),
    _decode("posit", "scale * the posit of a code", _infer_posit, (), {"n": Attribute(int), "es": Attribute(int)}),
    OpSpec(
        kind="outliers",
        does="x with float16 values at some places",
        inputs=("x", "indices", "values"),
        outputs=("y",),
        infer=_infer_outliers,
        run=_run_outliers,
        dtypes=("float32", "uint32", "uint16"),
    ),
    OpSpec(
        kind="round_float",
        does="scale * the nearest number of an FP8 or FP4 kind to x / scale, half to even, saturated",
        inputs=("x",),
        outputs=("y",),
        infer=_infer_round_float,
        run=_run_round_float,
        dtypes=("float32",),
        attrs={**NUMBER, "scale": Attribute(float, low=0.0)},
    ),
)
NAMES: Mapping[str, tuple[str, ...]] = {spec.kind: spec.inputs for spec in OPS}
