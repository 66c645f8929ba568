"""Every level of the x86 kernels, AVX-512 VNNI, AVX2 and plain, against numpy on the shapes that steer their paths."""

import platform
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from edgesmith.core import ops
from edgesmith.kernels.abi import FOLDER
from edgesmith.toolchain import compile_library
from kernels.calling import call, sources
from kernels.cases import Case, case, multipliers, s8, zero

pytestmark = pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="x86-64 kernels")

# Compiled for any x86-64, held below a level; the highest is what this machine has.
LEVELS = {"plain": 0, "avx2": 1, "highest": 2}
every_level = pytest.mark.parametrize("level", LEVELS)
# (height, width, channels in, channels out, kernel, stride, dilation, padding)
PRODUCTS = (
    (5, 7, 3, 20, (3, 3), (2, 2), (1, 1), (0, 1, 0, 1)),
    (9, 3, 1, 64, (10, 4), (2, 2), (1, 1), (4, 5, 1, 1)),
    (6, 6, 16, 24, (3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    (6, 5, 6, 65, (1, 1), (1, 1), (1, 1), (0, 0, 0, 0)),
    (5, 5, 40, 128, (1, 1), (2, 2), (1, 1), (0, 0, 0, 0)),
    (1, 3, 200, 80, (1, 1), (1, 1), (1, 1), (0, 0, 0, 0)),
    (7, 9, 5, 33, (3, 2), (1, 3), (2, 3), (2, 0, 3, 1)),
    (40, 40, 24, 8, (5, 5), (1, 2), (1, 1), (2, 2, 2, 2)),
)
# (height, width, channels, kernel, stride, dilation, padding)
DEPTHWISE = tuple(
    (7, 6, channels, kernel, stride, (1, 1), (kernel[0] // 2, 1, kernel[1] // 2, 0))
    for channels, (kernel, stride) in product(
        (2, 8, 24, 37, 48, 64, 100, 144, 336), (((3, 3), (1, 1)), ((3, 3), (2, 2)), ((5, 4), (1, 3)))
    )
) + ((9, 11, 16, (3, 3), (2, 2), (2, 3), (3, 3, 3, 3)), (30, 40, 48, (3, 3), (2, 2), (1, 1), (1, 1, 1, 1)))


def flags_of(level: str) -> tuple[str, ...]:
    return ("-mcpu=x86_64", f"-DES_X86_MOST={LEVELS[level]}")


def same_as_numpy(made: Case, level: str) -> None:
    op, arrays = made
    (got,) = call(op, arrays, "x86", flags=flags_of(level))
    (wanted,) = ops.spec_of(op).run(arrays, ops.attrs_of(op))
    np.testing.assert_array_equal(got, wanted)


def convolution(rng: np.random.Generator, x: tuple[int, ...], w: tuple[int, ...], real: float, **attrs) -> Case:
    m, s = multipliers(rng, real, w[0])
    bias = rng.integers(-(1 << 14), 1 << 14, w[0]).astype(np.int32)
    arrays = [s8(rng, *x), s8(rng, *w, low=-127), bias, m, s]
    return case("conv2d_s8", arrays, x_zero=zero(rng), y_zero=zero(rng), low=-100, high=120, **attrs)


@every_level
@pytest.mark.parametrize("shape", PRODUCTS, ids=str)
def test_a_convolution_is_numpys_whatever_the_level(shape, level, nprng):
    height, width, inputs, outputs, kernel, stride, dilation, padding = shape
    real = 2.0**-8 / (inputs * kernel[0] * kernel[1]) ** 0.5
    attrs = {"stride": stride, "dilation": dilation, "padding": padding}
    same_as_numpy(convolution(nprng, (1, height, width, inputs), (outputs, *kernel, inputs), real, **attrs), level)


@every_level
@pytest.mark.parametrize("shape", DEPTHWISE, ids=str)
def test_a_depthwise_convolution_is_numpys_whatever_the_level(shape, level, nprng):
    height, width, channels, kernel, stride, dilation, padding = shape
    attrs = {"stride": stride, "dilation": dilation, "padding": padding, "groups": channels}
    same_as_numpy(convolution(nprng, (1, height, width, channels), (channels, *kernel, 1), 2.0**-10, **attrs), level)


@every_level
@pytest.mark.parametrize("real", [2.0**-30, 2.0**-21, 2.0**-3, 2.0**-1, 8.0])
@pytest.mark.parametrize("groups", [1, 20])
def test_scales_beyond_the_32_bit_form_are_requantized_one_by_one(groups, real, level, nprng):
    """x86_requant.h: shifts of 33 to 54 only; sums as large as a real layer's on either side of them."""
    made = convolution(nprng, (1, 4, 5, 20), (20, 2, 2, 20 // groups), real, groups=groups)
    same_as_numpy(made, level)


@every_level
def test_extreme_values_do_not_saturate_on_the_way(level, nprng):
    """vpmaddubsw would saturate here: all inputs -128, all weights -127 or 127."""
    for groups in (1, 64):
        op, arrays = convolution(nprng, (1, 3, 3, 64), (64, 3, 3, 64 // groups), 2.0**-16, groups=groups)
        arrays[0][:] = -128
        arrays[1][:] = np.where(np.arange(64) % 2, 127, -127)[:, None, None, None]
        same_as_numpy((op, arrays), level)


VEX, EVEX = (0xC4, 0xC5), (0x62,)  # first bytes of AVX and of AVX-512 instructions, in 64-bit code only of these


def first_bytes(library: Path) -> Iterator[tuple[str, set[int]]]:
    """Every function and the first bytes of its instructions."""
    from capstone import CS_ARCH_X86, CS_MODE_64, Cs
    from elftools.elf.elffile import ELFFile

    with library.open("rb") as file:
        image = ELFFile(file)
        text = image.get_section_by_name(".text")
        for symbol in image.get_section_by_name(".symtab").iter_symbols():
            if symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_size"] and "vnni" not in symbol.name:
                start = symbol["st_value"] - text["sh_addr"]
                code = text.data()[start : start + symbol["st_size"]]
                places = [(start, size) for start, size, *_ in Cs(CS_ARCH_X86, CS_MODE_64).disasm_lite(code, 0)]
                assert sum(size for _, size in places) == len(code), f"{symbol.name} is not understood"
                yield symbol.name, {code[start] for start, _ in places}


@pytest.mark.skipif(sys.platform != "linux", reason="reads ELF")
def test_a_body_for_a_lower_level_has_no_instruction_of_a_higher_one():
    """So that a library made for any x86-64 also runs where there is no AVX-512, or no AVX."""
    functions = dict(first_bytes(compile_library(sources("x86"), [FOLDER / "include"], flags=flags_of("highest"))))
    assert {"es_conv2d_s8", "part_avx2", "add_avx2"} <= set(functions)
    for name, seen in functions.items():
        assert not seen.intersection(EVEX), name
        assert "avx2" in name or not seen.intersection(VEX), name
