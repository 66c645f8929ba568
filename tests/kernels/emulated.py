"""Kernels built for an emulated board or for wasmtime, and called as an emitted program calls them."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Self

import numpy as np
import wasmtime

from edgesmith.core.graph import Op
from edgesmith.emulate import Emulator
from edgesmith.kernels.abi import FOLDER
from edgesmith.kernels.variants import VARIANTS
from edgesmith.targets import load
from edgesmith.toolchain import compile_firmware, compile_wasm
from kernels.calling import CANARY, MARGIN, bind, sources, struct_of

WEIGHTED = ("conv2d_s8", "depthwise_conv2d_s8", "linear_s8")
# Kernel function (es_<name>) to the number of its arguments; the last is the scratch.
KINDS = {
    **{f"max_pool2d_{dtype}": 4 for dtype in ("f32", "s8", "u8", "s16", "s32")},
    **{f"{kind}{width}": 8 for kind in WEIGHTED for width in ("", "_w4", "_w2")},
    "matmul_s8": 5,
    "layer_norm_s8": 6,
    "rms_norm_s8": 6,
    "i_layer_norm_s8": 6,
    "shiftmax_s8": 4,
    "shift_gelu_s8": 4,
    "gelu_delta_s8": 5,
    "add_s8": 5,
    "avg_pool2d_s8": 6,
    "lookup": 5,
    "quantize": 6,
    "binary_conv2d": 6,
    "binary_conv2d_s8": 8,
    "mst_conv2d": 7,
    "mst_conv2d_s8": 9,
}
WITH_SCRATCH = (
    *(f"{kind}{width}" for kind in WEIGHTED for width in ("", "_w4", "_w2")),
    "matmul_s8",
    "binary_conv2d",
    "mst_conv2d",
)
RAM_BYTES = 1 << 20
ROOM_BYTES = 1 << 19
CALLS = """
#include "edgesmith_kernels.h"
uint8_t room[%d] __attribute__((aligned(16)));
%s
int main(void) { return 0; }
"""
CALL = "void call_es_{kind}(void *const *a) {{ es_{kind}({arguments}); }}\n"
ASK = "size_t call_es_{kind}_scratch(void *const *a) {{ return es_{kind}_scratch(a[0]); }}\n"


class Module:
    """A WebAssembly module in wasmtime with the calls of an `Emulator`."""

    def __init__(self, path: Path) -> None:
        self.store = wasmtime.Store()
        module = wasmtime.Module.from_file(self.store.engine, str(path))
        self.exports = wasmtime.Instance(self.store, module, []).exports(self.store)

    def call(self, symbol: str, argument: int) -> SimpleNamespace:
        return SimpleNamespace(result=self.exports[symbol](self.store, argument))

    def write(self, address: int, data: bytes) -> None:
        self.exports["memory"].write(self.store, data, address)

    def read(self, address: int, count: int) -> bytes:
        return bytes(self.exports["memory"].read(self.store, address, address + count))

    def close(self) -> None:
        self.store.close()


class Board:
    """A target that runs here, with the kernels of a folder, the reference's where it has none; a context manager.

    Args:
        name: of the target; its RAM is enlarged so that every case fits.
    """

    def __init__(self, name: str, build: Path, kernels: str = "cortex_m") -> None:
        source = build / f"{name}.c"
        self._asked = [kind for kind in WITH_SCRATCH if kind in VARIANTS[kernels]]
        calls = "".join(_calls(kind, count, kind in self._asked) for kind, count in KINDS.items())
        source.write_text(CALLS % (ROOM_BYTES, calls))
        target = load(name)
        files = [source, *sources(kernels)]
        exports = [
            "room",
            *(f"call_es_{kind}" for kind in KINDS),
            *(f"call_es_{kind}_scratch" for kind in self._asked),
        ]
        self._kernels, self._pointer = kernels, f"<u{target.pointer_bytes}"
        if target.isa == "wasm":
            made = compile_wasm(files, [FOLDER / "include"], target, build / f"{name}.wasm", exports)
            self._emulator = Module(made.path)
            self._room = self._emulator.exports["room"].value(self._emulator.store)
            return
        elf = build / f"{name}.elf"
        firmware = compile_firmware(
            files, [FOLDER / "include"], target, elf, exports=exports, ram_bytes=RAM_BYTES, flash_bytes=1 << 19
        )
        self._room = firmware.symbol("room").address
        self._emulator = Emulator(firmware, target)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._emulator.close()

    def call(self, op: Op, arrays: Sequence[np.ndarray], in_place: bool = False, bits: int = 8) -> np.ndarray:
        """The op's output; nothing beyond it or the scratch may have been written, nor more scratch be asked for.

        Args:
            in_place: y is written where x was.
            bits: of the weight, input 1.
        """
        kernel, ((shape, dtype),) = bind(op, arrays, self._kernels, bits)
        stored = [np.ascontiguousarray(kernel.arrange.get(i, np.asarray)(array)) for i, array in enumerate(arrays)]
        margin = bytes([CANARY]) * MARGIN
        count = int(np.prod(shape)) * np.dtype(dtype).itemsize
        parameters = bytes(memoryview(struct_of(kernel.fields)).cast("B"))
        blocks = [parameters, *(array.tobytes() for array in stored), bytes(count) + margin]
        places = self._place([*blocks, bytes(kernel.scratch_bytes) + margin])
        *inputs, y, scratch = places
        if in_place:
            y = places[1]
        pointers = np.array([*inputs, y, scratch], self._pointer)
        self._emulator.write(self._room, pointers.tobytes())
        if kernel.function.removeprefix("es_") in self._asked:
            asked = self._emulator.call(f"call_{kernel.function}_scratch", self._room).result
            assert asked == kernel.scratch_bytes, "Python and C disagree about the scratch"
        self._emulator.call(f"call_{kernel.function}", self._room)
        assert self._emulator.read(scratch + kernel.scratch_bytes, MARGIN) == margin, "wrote beyond the scratch"
        assert self._emulator.read(places[-2] + count, MARGIN) == margin, "wrote beyond the output"
        return np.frombuffer(self._emulator.read(y, count), dtype).reshape(shape)

    def _place(self, blocks: Sequence[bytes]) -> list[int]:
        """Writes each block, 16-byte aligned as the arena is, and returns the addresses."""
        places, end = [], self._room + 128
        for block in blocks:
            self._emulator.write(end, block)
            places.append(end)
            end += (len(block) + 15) & ~15
        return places


def _calls(kind: str, count: int, asked: bool) -> str:
    """C functions of one parameter, the addresses of the arguments."""
    text = CALL.format(kind=kind, arguments=", ".join(f"a[{i}]" for i in range(count)))
    return text + (ASK.format(kind=kind) if asked else "")
