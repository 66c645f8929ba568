"""Run a compiled model on an emulated board, through the program a user would flash."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

import numpy as np

from edgesmith.core.errors import BadInput, VerificationFailed
from edgesmith.core.interface import Interface, Port, encode
from edgesmith.core.target import Target
from edgesmith.emulate import Call, Emulator
from edgesmith.toolchain import Firmware


class Emulated:
    """A program on an emulated board; a context manager.

    Args:
        firmware: linked from the emitted main.c, which has `arena`, `result`, `reset` and `infer`.
        layers: number of ops whose instructions are counted apart; the firmware must be built with marks.

    Attributes:
        last: counts of the latest inference.
    """

    def __init__(self, firmware: Firmware, interface: Interface, target: Target, layers: int = 0) -> None:
        self.interface, self.target = interface, target
        self.last: Call | None = None
        self._board = Emulator(firmware, target, layers=layers)
        self._arena = firmware.symbol("arena").address if interface.arena_bytes else 0
        self.reset()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._board.close()

    def reset(self) -> None:
        """Put the states back to their initial values."""
        self._board.call("reset")

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One inference; as `run.native.Native.run`.

        Raises:
            BadInput: an input is missing or malformed.
            VerificationFailed: the model refused its arguments.
        """
        for port in self.interface.inputs:
            if port.tensor.name not in inputs:
                raise BadInput(f"run: input {port.tensor.name!r} is missing; need {port.tensor.shape}.")
            stored = np.ascontiguousarray(encode(port.tensor, inputs[port.tensor.name]))
            self._board.write(self._arena + port.offset, stored.tobytes())
        self.last = self._board.call("infer")
        if self.last.result != 0:
            raise VerificationFailed(f"run: {self.interface.name} refused its arguments on the emulated board.")
        return {port.tensor.name: self._output(i, port) for i, port in enumerate(self.interface.outputs)}

    def call(self, name: str) -> Call:
        """Call another of the program's functions, one without arguments."""
        return self._board.call(name)

    def read(self, address: int, count: int) -> bytes:
        """Bytes at an address."""
        return self._board.read(address, count)

    def peek(self, offset: int, count: int) -> bytes:
        """Bytes of the arena as the last inference left them."""
        return self._board.read(self._arena + offset, count)

    def _output(self, index: int, port: Port) -> np.ndarray:
        pointer = int.from_bytes(self._board.read(self._pointer_at(index), self.target.pointer_bytes), "little")
        raw = self._board.read(pointer, port.tensor.nbytes)
        return np.frombuffer(raw, port.tensor.dtype).reshape(port.tensor.shape).copy()

    def _pointer_at(self, index: int) -> int:
        return self._board.firmware.symbol("result").address + self.target.pointer_bytes * index
