"""How a tensor crosses a link: as it is stored, in fewer bits, entropy coded, or as a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesmith.collaborate.coding import Code, fit
from edgesmith.collaborate.costs import Form
from edgesmith.collaborate.payload import Steps, fit_steps
from edgesmith.collaborate.payload import from_json as steps_from_json
from edgesmith.core.errors import BadInput
from edgesmith.core.graph import MAX_RANK, NAME, Tensor

TABLES = 8  # of a code: channels whose values are alike share one
MOST = 1 << 28  # along one axis
FIELDS = {"name", "shape", "dtype", "steps", "code"}
DTYPES = ("float32", "int8", "uint8", "int16", "int32")


@dataclass(frozen=True)
class Carried:
    """One tensor of a payload.

    Attributes:
        steps: narrow its numbers; None carries them as they are stored.
        code: shortens what is frequent; None packs every number in the same bits.
    """

    tensor: Tensor
    steps: Steps | None = None
    code: Code | None = None

    def pack(self, values: np.ndarray) -> bytes:
        """Stored values, of the tensor's shape, to what goes on the wire."""
        if self.code:
            return self.code.encode(self._symbols(values))
        if self.steps:
            return self.steps.pack(values)
        return np.ascontiguousarray(values).tobytes()

    def unpack(self, data: bytes) -> np.ndarray:
        """Inverse of `pack`, as near as the steps are.

        Raises:
            BadInput: not the bytes of this tensor.
        """
        tensor = self.tensor
        if self.code:
            symbols = self.code.decode(data, tensor.shape, "int32")
            found = self.steps.values(symbols, tensor.dtype) if self.steps else symbols
            return found.astype(tensor.dtype)
        if self.steps:
            return self.steps.unpack(data, tensor)
        if len(data) != tensor.nbytes:
            raise BadInput(f"payload: {len(data)} bytes for {tensor.name}; need {tensor.nbytes}.")
        return np.frombuffer(data, tensor.dtype).reshape(tensor.shape)

    def _symbols(self, values: np.ndarray) -> np.ndarray:
        return (self.steps.codes(values) if self.steps else np.asarray(values)).astype(np.int32)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        tensor = self.tensor
        own = {"name": tensor.name, "shape": list(tensor.shape), "dtype": tensor.dtype}
        steps, code = self.steps and self.steps.to_json(), self.code and self.code.to_json()
        return {**own, "steps": steps, "code": code}


def from_json(data: Any) -> Carried:
    """Inverse of `Carried.to_json`.

    Raises:
        BadInput: a field is missing, unknown or damaged.
    """
    if not isinstance(data, Mapping) or set(data) != FIELDS:
        raise BadInput(f"payload: a tensor needs exactly the fields {', '.join(sorted(FIELDS))}; the file is damaged.")
    name, shape, dtype = data["name"], data["shape"], data["dtype"]
    sound = (
        isinstance(shape, list) and len(shape) <= MAX_RANK and all(type(s) is int and 0 < s < 1 << 28 for s in shape)
    )
    if not (isinstance(name, str) and NAME.fullmatch(name) and sound and dtype in DTYPES):
        raise BadInput("payload: a tensor's name, shape or dtype is none; the file is damaged.")
    steps = None if data["steps"] is None else steps_from_json(data["steps"])
    code = None if data["code"] is None else Code.from_json(data["code"])
    return Carried(Tensor(name, tuple(shape), dtype), steps, code)


def carry(tensor: Tensor, form: Form, seen: np.ndarray) -> Carried:
    """How a form carries a tensor.

    Args:
        seen: (n, *shape) stored values over calibration samples; its range and its code follow from them.
    """
    steps = fit_steps(seen, form.bits) if form.bits else None
    if not form.coded or (steps is None and tensor.dtype == "float32"):
        return Carried(tensor, steps)
    symbols = (steps.codes(seen) if steps else seen).astype(np.int32)
    tables = TABLES if len(tensor.shape) == 4 else 1
    return Carried(tensor, steps, fit(symbols, tables))


def mean_bytes(carried: Carried, seen: Sequence[np.ndarray]) -> int:
    """Of one tensor on the wire, over samples."""
    return round(float(np.mean([len(carried.pack(values)) for values in seen])))
