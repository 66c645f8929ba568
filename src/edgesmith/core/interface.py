"""How a compiled model is called: sizes of its blocks, and where its inputs and outputs lie."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.formats import PerTensor
from edgesmith.core.graph import Graph, Tensor


@dataclass(frozen=True)
class Port:
    """One input or output.

    Attributes:
        tensor: shape, dtype and format of what is passed.
        offset: its byte offset in the arena; -1 where it lies elsewhere (an output that is a state or a constant).
        identifier: the field's name in the C struct.
    """

    tensor: Tensor
    offset: int
    identifier: str


@dataclass(frozen=True)
class Interface:
    """Everything a caller needs to run the compiled model `name`.

    Attributes:
        arena_bytes, state_bytes: blocks the caller owns, aligned to `alignment`; a size may be 0.
    """

    name: str
    arena_bytes: int
    state_bytes: int
    alignment: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


def encode(tensor: Tensor, values: np.ndarray) -> np.ndarray:
    """Real or raw values to what an input stores.

    Args:
        values: already of the tensor's dtype, or float to be quantized by the tensor's format (values beyond its
            range saturate); of the tensor's shape, with or without the leading 1.

    Raises:
        BadInput: wrong shape, no numbers, floats for a tensor without a format, or NaN for one with a format.
    """
    array = np.asarray(values)
    if array.shape != tensor.shape and (1, *array.shape) != tensor.shape:
        raise BadInput(f"run: input {tensor.name!r} has shape {array.shape}; need {tensor.shape}.")
    array = array.reshape(tensor.shape)
    if array.dtype == np.dtype(tensor.dtype):
        return array
    if tensor.dtype == "float32" and array.dtype.kind in "fiub":
        with np.errstate(over="ignore"):  # beyond float32 is infinite there too
            return array.astype(np.float32)
    if isinstance(tensor.format, PerTensor) and array.dtype.kind == "f":
        if np.isnan(array).any():
            raise BadInput(f"run: input {tensor.name!r} holds NaN, which {tensor.dtype} cannot; need numbers.")
        return tensor.format.quantize(array)
    raise BadInput(f"run: input {tensor.name!r} is {array.dtype}; need {tensor.dtype}.")


def decode(tensor: Tensor, stored: np.ndarray) -> np.ndarray:
    """What an output stores to float32; integers without a format stay as they are."""
    return tensor.format.dequantize(stored) if tensor.format and stored.dtype.kind in "iu" else stored


def random_input(graph: Graph, name: str, rng: np.random.Generator) -> np.ndarray:
    """Stored values over the whole range of an input's type; floats are standard normal."""
    tensor = graph.tensors[name]
    if tensor.dtype == "float32":
        return rng.standard_normal(tensor.shape).astype(np.float32)
    if tensor.dtype == "bool":
        return rng.integers(0, 2, tensor.shape).astype(bool)
    info = np.iinfo(tensor.dtype)
    return rng.integers(info.min, info.max, tensor.shape, np.dtype(tensor.dtype), endpoint=True)


def layout(graph: Graph) -> Mapping[str, Any]:
    """The inputs and outputs as the manifest describes them to a user."""

    def describe(name: str) -> dict[str, Any]:
        tensor = graph.tensors[name]
        facts = {"name": name, "shape": list(tensor.shape), "dtype": tensor.dtype}
        return {**facts, "quantization": tensor.format.to_json()} if tensor.format else facts

    return {"inputs": [describe(n) for n in graph.inputs], "outputs": [describe(n) for n in graph.outputs]}
