"""Run a compiled model as WebAssembly in wasmtime, through the module a browser would load."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import numpy as np

from edgesmith.core.errors import BadInput, Missing, VerificationFailed
from edgesmith.core.interface import Interface, Port, encode
from edgesmith.core.target import Target

POINTER_BYTES = 4
FUEL = 1 << 62  # what an inference may burn when it is counted


class Wasm:
    """A model in wasmtime; a context manager like `Emulated`.

    Args:
        module: linked from the emitted main.c, which has `arena`, `result`, `reset` and `infer`.
        count: count executed WebAssembly instructions in `instructions`; the code is then slower.
        traced: called with each op's index after it ran, once `trace` was called; the module must be built for it.

    Raises:
        Missing: wasmtime is not installed.
    """

    def __init__(
        self,
        module: Path,
        interface: Interface,
        target: Target,
        count: bool = False,
        traced: Callable[[int], None] | None = None,
    ) -> None:
        try:
            import wasmtime
        except ImportError as error:
            raise Missing(
                'run: wasmtime is not installed; need it to run WebAssembly. pip install "edgesmith[wasm]"'
            ) from error
        self.interface, self.target = interface, target
        self.instructions: int | None = None
        config = wasmtime.Config()
        config.consume_fuel = count
        engine = wasmtime.Engine(config)
        self._store = wasmtime.Store(engine)
        self._count = count
        if count:
            self._store.set_fuel(FUEL)
        kind = wasmtime.FuncType([wasmtime.ValType.i32()], [])
        imports = [wasmtime.Func(self._store, kind, traced)] if traced else []
        loaded = wasmtime.Module.from_file(engine, str(module))
        # Of any type: what an export is, the module decides.
        self._exports = cast(Any, wasmtime.Instance(self._store, loaded, imports).exports(self._store))
        self._arena: int = self._exports["arena"].value(self._store) if interface.arena_bytes else 0
        self._result: int = self._exports["result"].value(self._store)
        self.reset()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store.close()

    def reset(self) -> None:
        """Put the states back to their initial values."""
        self._exports["reset"](self._store)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """One inference; as `run.native.Native.run`.

        Raises:
            BadInput: an input is missing or malformed.
            VerificationFailed: the model trapped or refused its arguments.
        """
        self._write(inputs)
        before = self._store.get_fuel() if self._count else 0
        if self._call("infer") != 0:
            raise VerificationFailed(f"run: {self.interface.name} refused its arguments in wasmtime.")
        if self._count:
            self.instructions = before - self._store.get_fuel()
        return {port.tensor.name: self._output(i, port) for i, port in enumerate(self.interface.outputs)}

    def prepared(self, inputs: Mapping[str, np.ndarray]) -> Callable[[int], int]:
        """So many inferences on `inputs` in one call, to be timed; the module must be built with tracing."""
        self._write(inputs)
        return lambda times: self._call("infer_times", times)

    def trace(self) -> None:
        """From now on call back after each op."""
        self._exports["edgesmith_tracing"](self._store)

    def _call(self, name: str, *arguments: int) -> int:
        import wasmtime

        try:
            return int(self._exports[name](self._store, *arguments))
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            raise VerificationFailed(f"run: {self.interface.name} trapped in wasmtime: {error}") from error

    def _write(self, inputs: Mapping[str, np.ndarray]) -> None:
        for port in self.interface.inputs:
            if port.tensor.name not in inputs:
                raise BadInput(f"run: input {port.tensor.name!r} is missing; need {port.tensor.shape}.")
            stored = np.ascontiguousarray(encode(port.tensor, inputs[port.tensor.name]))
            self._memory.write(self._store, stored.tobytes(), self._arena + port.offset)

    @property
    def _memory(self) -> Any:
        return self._exports["memory"]

    def _output(self, index: int, port: Port) -> np.ndarray:
        at = self._result + POINTER_BYTES * index
        pointer = int.from_bytes(self._memory.read(self._store, at, at + POINTER_BYTES), "little")
        raw = bytes(self._memory.read(self._store, pointer, pointer + port.tensor.nbytes))
        return np.frombuffer(raw, port.tensor.dtype).reshape(port.tensor.shape).copy()
