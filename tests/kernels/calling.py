"""Kernels built for this machine and called through their C interface, as an emitted program calls them."""

import ctypes
import functools
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from edgesmith.core import ops
from edgesmith.core.formats import PerChannel
from edgesmith.core.graph import Op, Tensor
from edgesmith.kernels.abi import FOLDER, Field, Kernel, select
from edgesmith.toolchain import compile_library

HOST_FOLDERS = ("reference", "x86")
EVERY_FOLDER = (*HOST_FOLDERS, "cortex_m")  # the last in the plain form that any compiler takes
C_TYPES = {"int32_t": ctypes.c_int32, "int64_t": ctypes.c_int64, "uint8_t": ctypes.c_uint8, "float": ctypes.c_float}
Sanitizer = Literal["undefined", "address"] | None
CANARY = 0xA5
MARGIN = 64  # bytes after every block that a kernel must leave alone


def sources(folder: str) -> list[Path]:
    """The files of `folder`, and the reference's for whatever it lacks."""
    files = {path.name: path for path in sorted((FOLDER / "reference").glob("*.c"))}
    files.update({path.name: path for path in sorted((FOLDER / folder).glob("*.c"))})
    return list(files.values())


@functools.cache
def library(folder: str, sanitize: Sanitizer = None, flags: tuple[str, ...] = ()) -> ctypes.CDLL:
    """All kernels as one library, those of `folder` first."""
    compiler = "gcc" if sanitize == "address" else "zig"
    built = compile_library(sources(folder), [FOLDER / "include"], sanitize=sanitize, flags=flags, compiler=compiler)
    return ctypes.CDLL(str(built))


def bind(
    op: Op, arrays: Sequence[np.ndarray], folder: str, bits: int = 8
) -> tuple[Kernel, list[tuple[tuple[int, ...], str]]]:
    """The kernel for an op on these inputs, and the shape and dtype of each output.

    Args:
        bits: that the format of the weight, input 1, states.
    """
    inputs = [Tensor(f"x{i}", array.shape, str(array.dtype)) for i, array in enumerate(arrays)]
    if bits < 8:
        inputs[1] = replace(inputs[1], format=PerChannel((1.0,) * len(arrays[1]), bits=bits))
    made = ops.infer(op, tuple(inputs))
    outputs = [Tensor(f"y{i}", shape, dtype) for i, (shape, dtype) in enumerate(made)]
    kernel = select(op, inputs, outputs, (folder, "reference"))
    assert kernel is not None
    return kernel, made


def call(
    op: Op,
    arrays: Sequence[np.ndarray],
    folder: str = "reference",
    sanitize: Sanitizer = None,
    flags: tuple[str, ...] = (),
    over: int | None = None,
    before: int | None = None,
    bits: int = 8,
) -> list[np.ndarray]:
    """Run one op in C and return its outputs; nothing beyond them or the scratch may have been written.

    Args:
        over: index of the input that the first output is written over.
        before: bytes by which the first output begins before the first input, in one block.
        bits: of the weight, input 1.
    """
    kernel, made = bind(op, arrays, folder, bits)
    stored = [np.ascontiguousarray(kernel.arrange.get(i, np.asarray)(array)) for i, array in enumerate(arrays)]
    sizes = [int(np.prod(shape)) * np.dtype(dtype).itemsize for shape, dtype in made]
    blocks = [_block(size) for size in sizes]
    if before is not None:
        over = 0
    if over is not None:
        blocks[0], stored[over] = _shared(sizes[0], stored[over], before or 0)
    scratch = _block(kernel.scratch_bytes)
    kept = [array.copy() for array in stored]
    parameters = struct_of(kernel.fields)
    function = getattr(library(folder, sanitize, flags), kernel.function)
    function.restype = None
    function(ctypes.byref(parameters), *_arguments(kernel, stored, blocks), ctypes.c_void_p(scratch.ctypes.data))
    for index, (array, copy) in enumerate(zip(stored, kept, strict=True)):
        assert index == over or array.tobytes() == copy.tobytes(), "the kernel wrote into an input"
    for block in (*blocks, scratch):
        assert (block[-MARGIN:] == CANARY).all(), "the kernel wrote beyond its block"
    return [b[:n].view(d).reshape(s) for b, n, (s, d) in zip(blocks, sizes, made, strict=True)]


def scratch_in_c(op: Op, arrays: Sequence[np.ndarray], folder: str, bits: int = 8) -> tuple[int, int]:
    """Scratch bytes by Python's formula and by C's; a kernel without a C function needs none."""
    kernel, _ = bind(op, arrays, folder, bits)
    function = getattr(library(folder), f"{kernel.function}_scratch", None)
    if function is None:
        return kernel.scratch_bytes, 0
    function.restype = ctypes.c_size_t
    return kernel.scratch_bytes, function(ctypes.byref(struct_of(kernel.fields)))


def struct_of(fields: Sequence[Field]) -> ctypes.Structure:
    """The parameter struct with its members laid out as C lays them out."""

    class Parameters(ctypes.Structure):
        _fields_ = [(f.name, C_TYPES[f.ctype] * f.length if f.length else C_TYPES[f.ctype]) for f in fields]

    values = Parameters()
    for f in fields:
        setattr(values, f.name, C_TYPES[f.ctype].__mul__(f.length)(*f.value) if f.length else f.value)
    return values


def _block(nbytes: int) -> np.ndarray:
    whole = np.full(nbytes + MARGIN + 16, CANARY, np.uint8)
    start = -whole.ctypes.data % 16
    return whole[start : start + nbytes + MARGIN]


def _shared(nbytes: int, array: np.ndarray, start: int) -> tuple[np.ndarray, np.ndarray]:
    """A block for an output of `nbytes` in which the input `array` lies from `start` on, and the input there."""
    block = _block(max(nbytes, start + array.nbytes))
    block[start : start + array.nbytes] = array.ravel().view(np.uint8)
    return block, block[start : start + array.nbytes].view(array.dtype).reshape(array.shape)


def _arguments(kernel: Kernel, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> list[object]:
    """The C argument expressions of a call as ctypes values."""
    addresses = {f"in{i}": array.ctypes.data for i, array in enumerate(inputs)}
    addresses.update({f"out{i}": block.ctypes.data for i, block in enumerate(outputs)})
    names = [f"in{i}" for i in range(len(inputs))], [f"out{i}" for i in range(len(outputs))]
    return [_value(text, addresses) for text in kernel.arguments(*names)]


def _value(text: str, addresses: dict[str, int]) -> object:
    if text in addresses:
        return ctypes.c_void_p(addresses[text])
    literal = re.fullmatch(r"\(const (.+)\[\]\)\{(.*)\}", text)
    assert literal, f"unknown argument {text}"
    words = literal[2].split(", ")
    if literal[1] == "void *const":
        return (ctypes.c_void_p * len(words))(*(addresses[word] for word in words))
    return (C_TYPES[literal[1]] * len(words))(*map(int, words))
