"""Weights in formats of codes and scales as packed constants and a decode; activations rounded to small floats."""

import math
from typing import TYPE_CHECKING

import numpy as np

from edgesmith.core.errors import Unsupported
from edgesmith.core.formats import (
    BinaryBases,
    Codebook,
    Coded,
    FloatFormat,
    Format,
    Group,
    PerChannel,
    Posit,
    SparseOutliers,
)
from edgesmith.core.formats.packing import pack_codes
from edgesmith.core.formats.scaled import Scaled
from edgesmith.core.graph import Attr

if TYPE_CHECKING:
    from edgesmith.compile.integerize.builder import Builder


def decoded(builder: "Builder", name: str, array: np.ndarray, format_: Coded | SparseOutliers) -> str:
    """Append the op that makes a weight from its packed constants, and return the weight, under its own name.

    The constants take the format's `nbytes`.

    Raises:
        BadInput: the format does not fit the weight.
    """
    if isinstance(format_, SparseOutliers):
        format_.fits(array.shape)
        dense = _decoded(builder, name, format_.quantize(array), array.shape, format_.dense, f"{name}.dense")
        places = builder.constant(f"{name}.indices", np.asarray(format_.indices, np.uint32))
        halves = np.asarray(format_.values, np.float16).view(np.uint16)
        return builder.emit("outliers", (dense, places, builder.constant(f"{name}.values", halves)), name, None)
    return _decoded(builder, name, format_.quantize(array), array.shape, format_, name)


def one_group_a_row(format_: PerChannel, shape: tuple[int, ...]) -> Group:
    """The same values as codes and a scale for each row of a weight."""
    return Group(format_.scales, math.prod(shape[1:]), format_.bits)


def _decoded(
    builder: "Builder", name: str, codes: np.ndarray, shape: tuple[int, ...], format_: Scaled, output: str
) -> str:
    kind, attrs = "", {"shape": shape}
    scales = np.asarray(format_.scales, np.float32)
    others: dict[str, np.ndarray] = {}
    more: dict[str, Attr] = {}
    if isinstance(format_, Group):
        kind, more = "decode_group", {"bits": format_.bits}
        if format_.zero_points:
            kind = "decode_group_zeros"
            others = {"zeros": pack_codes(np.asarray(format_.zero_points), format_.bits)}
    elif isinstance(format_, Codebook):
        kind, more, others = "decode_table", {"trits": format_.trits}, {"table": format_.rows()}
    elif isinstance(format_, BinaryBases):
        kind, scales = "decode_bases", scales.reshape(format_.bases, -1)
    elif isinstance(format_, FloatFormat):
        kind, more = "decode_float", {"number": format_.kind}
    elif isinstance(format_, Posit):
        kind, more = "decode_posit", {"n": format_.n, "es": format_.es}
    arrays = {"codes": format_.pack(codes), "scales": scales, **others}
    inputs = [builder.constant(f"{name}.{part}", part_array) for part, part_array in arrays.items()]
    return builder.emit(kind, inputs, output, None, {**attrs, **more})


def rounded(builder: "Builder", real: str, output: str, format_: Format) -> str:
    """Append the op that rounds a float tensor to an activation's format.

    Raises:
        Unsupported: the format is none that an activation in floats can have.
    """
    if not isinstance(format_, FloatFormat) or len(format_.scales) > 1:
        raise Unsupported(
            f"integerize: activation {output!r} has the format {type(format_).__name__}; need integers, or a float "
            "kind with one scale."
        )
    return builder.emit("round_float", (real,), output, None, {"number": format_.kind, "scale": format_.scales[0]})
