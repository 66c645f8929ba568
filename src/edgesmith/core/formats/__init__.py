"""How a tensor is stored: what its stored numbers mean, and what they take."""

from collections.abc import Callable, Mapping
from typing import Any

from edgesmith.core.errors import BadInput
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

__all__ = [
    "BIAS_LIMIT",
    "VERSION",
    "WIDTH",
    "Format",
    "PerChannel",
    "PerTensor",
    "affine",
    "from_json",
    "symmetric",
    "with_bias_room",
]

VERSION = 1
Format = PerTensor | PerChannel
READERS: Mapping[str, Callable[[dict[str, Any]], Format]] = {
    "per_tensor": read_integers,
    "per_channel": read_integers,
}


def from_json(data: dict[str, Any]) -> Format:
    """Inverse of a format's `to_json`.

    Raises:
        BadInput: unknown format or malformed fields.
    """
    try:
        name = data["format"]
        reader = READERS.get(name)
        if reader:
            return reader(data)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BadInput(f"format: malformed ({error}); the file is damaged or from another version.") from error
    raise BadInput(f"format: unknown format {name!r}; this edgesmith reads version {VERSION}.")
