"""How a tensor crosses a link: as it is stored, in fewer bits, entropy coded, or as a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesmith.collaborate.coding import Code, fit
from edgesmith.collaborate.crossing.payload import Steps, fit_steps
from edgesmith.collaborate.crossing.payload import from_json as steps_from_json
from edgesmith.collaborate.plan.costs import Form
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
            if self.steps:
                return self.steps.values(symbols + (1 << (self.steps.bits - 1)), tensor.dtype)
            return (symbols + np.iinfo(tensor.dtype).min + 128).astype(tensor.dtype)
        if self.steps:
            return self.steps.unpack(data, tensor)
        if len(data) != tensor.nbytes:
            raise BadInput(f"payload: {len(data)} bytes for {tensor.name}; need {tensor.nbytes}.")
        return np.frombuffer(data, tensor.dtype).reshape(tensor.shape)

    def _symbols(self, values: np.ndarray) -> np.ndarray:
        """Integers around zero, so that each takes one byte."""
        return symbols(self.steps, self.tensor, values)

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
    if not form.coded or not form.carries(tensor):
        return Carried(tensor, steps)
    return Carried(tensor, steps, fit(symbols(steps, tensor, seen), TABLES if len(tensor.shape) == 4 else 1))


def symbols(steps: Steps | None, tensor: Tensor, values: np.ndarray) -> np.ndarray:
    """Stored values to int8, what a code counts: steps, or bytes as they are, less the middle of their range."""
    if steps:
        return (steps.codes(values).astype(np.int32) - (1 << (steps.bits - 1))).astype(np.int8)
    return (np.asarray(values).astype(np.int32) - np.iinfo(tensor.dtype).min - 128).astype(np.int8)


def mean_bytes(carried: Carried, seen: Sequence[np.ndarray]) -> int:
    """Of one tensor on the wire, over samples."""
    return round(float(np.mean([len(carried.pack(values)) for values in seen])))
