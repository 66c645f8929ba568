"""Run a compiled model on this machine, in this process, through its C interface."""

import ctypes
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Tensor
from edgesmith.core.interface import Interface, Port, encode

Trace = ctypes.CFUNCTYPE(None, ctypes.c_int32)


class Native:
    """A compiled model loaded from a library that this machine built itself.

    The arena and the state block belong to the instance; it is not safe to share between threads.

    Args:
        library: built from the graph, never one that came with an artifact.
        threads: that its kernels share their work among, the caller's included, where they can; outputs are the same
            whatever the number. Instances of one library share its threads: the latest number counts.

    Raises:
        BadInput: threads below 1.
    """

    def __init__(self, library: Path, interface: Interface, threads: int = 1) -> None:
        if threads < 1:
            raise BadInput(f"run: {threads} threads; need at least 1.")
        self.interface = interface
        self._library = ctypes.CDLL(str(library))
        share = getattr(self._library, f"{interface.name}_threads", None)
        self.threads = int(share(threads)) if share else 1
        self._run = getattr(self._library, f"{interface.name}_run")
        self._run.restype = ctypes.c_int
        self._arena = _aligned(interface.arena_bytes, interface.alignment)
        self._state = _aligned(interface.state_bytes, interface.alignment)
        self._blocks = (_pointer(self._state), _pointer(self._arena))
        self._made = (ctypes.c_void_p * len(interface.outputs))()
        self._made_bytes = [port.tensor.nbytes for port in interface.outputs]
        self.reset()

    def reset(self) -> None:
        """Put the states back to their initial values."""
        getattr(self._library, f"{self.interface.name}_init")(_pointer(self._state))

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One inference.

        Args:
            inputs: input name to array; see `core.interface.encode` for what is accepted.

        Returns:
            Output name to stored values, copied out of the arena.

        Raises:
            BadInput: an input is missing or malformed.
        """
        arrays, given = self._given(inputs)
        if self._run(given, self._made, *self._blocks) != 0:
            raise BadInput(f"run: {self.interface.name} refused its arguments.")
        made = zip(self.interface.outputs, self._made, self._made_bytes, strict=True)
        return {port.tensor.name: _copy(port.tensor, address, nbytes) for port, address, nbytes in made}

    def prepared(self, inputs: Mapping[str, np.ndarray]) -> Callable[[], int]:
        """An inference on `inputs` as a bare call of the C function, to be timed; its outputs stay in the arena."""
        arrays, given = self._given(inputs)

        def call(held: object = arrays) -> int:  # C reads the arrays by address, so the function keeps them alive
            return int(self._run(given, self._made, *self._blocks))

        return call

    def _given(self, inputs: Mapping[str, np.ndarray]) -> tuple[list[np.ndarray], object]:
        """The inputs as they are stored, and the struct of their addresses."""
        arrays = [np.ascontiguousarray(encode(port.tensor, _get(inputs, port))) for port in self.interface.inputs]
        addresses = (array.__array_interface__["data"][0] for array in arrays)  # .ctypes takes a microsecond
        return arrays, (ctypes.c_void_p * len(arrays))(*addresses)

    def trace(self, callback: Callable[[int], None] | None) -> None:
        """Call `callback(op index)` after each op, if the library was built with tracing."""
        self._trace = Trace(callback) if callback else Trace()
        ctypes.c_void_p.in_dll(self._library, f"{self.interface.name}_trace").value = ctypes.cast(
            self._trace, ctypes.c_void_p
        ).value

    def peek(self, offset: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """A copy of a tensor in the arena; only meaningful from inside a trace."""
        count = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        return self._arena[offset : offset + count].copy().view(dtype).reshape(shape)


def _get(inputs: Mapping[str, np.ndarray], port: Port) -> np.ndarray:
    if port.tensor.name not in inputs:
        raise BadInput(f"run: input {port.tensor.name!r} is missing; need {port.tensor.dtype} {port.tensor.shape}.")
    return inputs[port.tensor.name]


def _copy(tensor: Tensor, address: int | None, nbytes: int) -> np.ndarray:
    raw = bytearray(ctypes.string_at(address or 0, nbytes))
    return np.frombuffer(raw, tensor.dtype).reshape(tensor.shape)


def _aligned(nbytes: int, alignment: int) -> np.ndarray:
    block = np.zeros(nbytes + alignment, np.uint8)
    start = -block.ctypes.data % alignment
    return block[start : start + nbytes]


def _pointer(block: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(block.ctypes.data)
