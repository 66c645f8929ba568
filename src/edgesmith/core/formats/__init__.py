"""How a tensor is stored: what its stored numbers mean, and what they take (docs/numbers.md)."""

from collections.abc import Callable, Mapping
from typing import Any

from edgesmith.core.errors import BadInput
from edgesmith.core.formats.binary import BinaryBases, read_bases, residual_bases
from edgesmith.core.formats.codebook import NF4, TERNARY, Codebook, nf4, read_codebook, ternary
from edgesmith.core.formats.floats import KINDS, POSITS, FloatFormat, Posit, read_float, read_posit, scaled_float
from edgesmith.core.formats.group import Group, grouped, read_group
from edgesmith.core.formats.integers import (
    BIAS_LIMIT,
    WIDTH,
    PerChannel,
    PerTensor,
    affine,
    read_integers,
    symmetric,
    with_bias_room,
)
from edgesmith.core.formats.outliers import SparseOutliers, with_outliers
from edgesmith.core.formats.signs import Signs, read_signs

__all__ = [
    "BIAS_LIMIT",
    "KINDS",
    "NF4",
    "POSITS",
    "TERNARY",
    "VERSION",
    "WIDTH",
    "BinaryBases",
    "Codebook",
    "FloatFormat",
    "Format",
    "Group",
    "Integers",
    "PerChannel",
    "PerTensor",
    "Posit",
    "Signs",
    "SparseOutliers",
    "affine",
    "from_json",
    "grouped",
    "nf4",
    "residual_bases",
    "scaled_float",
    "symmetric",
    "ternary",
    "with_bias_room",
    "with_outliers",
]

VERSION = 2  # 2: groups, codebooks, binary bases, floats, posits, outliers, signs
Coded = Group | Codebook | BinaryBases | FloatFormat | Posit  # codes and scales
Integers = PerTensor | PerChannel
Format = Integers | Coded | SparseOutliers | Signs
READERS: Mapping[str, Callable[[dict[str, Any]], Format]] = {
    "per_tensor": read_integers,
    "per_channel": read_integers,
    "group": read_group,
    "codebook": read_codebook,
    "binary_bases": read_bases,
    "float": read_float,
    "posit": read_posit,
    "signs": read_signs,
}


def from_json(data: dict[str, Any]) -> Format:
    """Inverse of a format's `to_json`.

    Raises:
        BadInput: unknown format or malformed fields.
    """
    try:
        name = data["format"]
        if name == "sparse_outliers":
            return SparseOutliers(_dense(data["dense"]), tuple(data["indices"]), tuple(map(float, data["values"])))
        reader = READERS.get(name)
        if reader:
            return reader(data)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BadInput(f"format: malformed ({error}); the file is damaged or from another version.") from error
    raise BadInput(f"format: unknown format {name!r}; this edgesmith reads version {VERSION}.")


def _dense(data: dict[str, Any]) -> Coded:
    """What lies beside outliers."""
    dense = from_json(data) if data["format"] != "sparse_outliers" else None
    if not isinstance(dense, Coded):
        raise BadInput("format: outliers lie beside a format of codes and scales alone; the file is damaged.")
    return dense
