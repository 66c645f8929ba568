"""Compile C for any target: the C compiler of the ziglang wheel, gcc on request."""

from edgesmith.toolchain.compiler import check_warnings
from edgesmith.toolchain.firmware import Firmware, Symbol, compile_firmware, read_firmware
from edgesmith.toolchain.library import compile_library, cpu_features

__all__ = [
    "Firmware",
    "Symbol",
    "check_warnings",
    "compile_firmware",
    "compile_library",
    "cpu_features",
    "read_firmware",
]
