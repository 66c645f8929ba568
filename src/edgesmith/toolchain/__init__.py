"""Compile C for any target: the C compiler of the ziglang wheel, gcc on request."""

from edgesmith.toolchain.compiler import check_warnings
from edgesmith.toolchain.firmware import Firmware, Symbol, compile_firmware, read_firmware
from edgesmith.toolchain.library import compile_library, cpu_features
from edgesmith.toolchain.wasm import WasmModule, compile_wasm

__all__ = [
    "Firmware",
    "Symbol",
    "WasmModule",
    "check_warnings",
    "compile_firmware",
    "compile_library",
    "compile_wasm",
    "cpu_features",
    "read_firmware",
]
