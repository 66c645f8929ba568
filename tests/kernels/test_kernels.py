"""Every C kernel against the numpy definition of its op, on random shapes, for every folder this machine can run."""

import os
import platform
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgesmith.compile.memory.sharing import OVERWRITES
from edgesmith.core import ops
from edgesmith.kernels.abi import BINDINGS, FOLDER
from edgesmith.toolchain import check_warnings
from kernels.calling import EVERY_FOLDER, HOST_FOLDERS, bind, call, scratch_in_c, sources
from kernels.cases import FLOAT, INTEGER, KINDS, SUMS, Maker

Repeats = Callable[[int, int], int]
# Op kinds with bodies for several levels of x86-64.
X86 = ("conv2d_s8", "linear_s8", "add_s8", "quantize", "avg_pool2d_s8", "reduce_sum_s8", "permute")


def definition(op, arrays):
    return ops.spec_of(op).run(arrays, ops.attrs_of(op))


def generator(kind: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(kind.encode()))


def assert_same(made: list[np.ndarray], wanted: list[np.ndarray]) -> None:
    for got, expected in zip(made, wanted, strict=True):
        assert got.shape == expected.shape and got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)


def test_every_op_has_a_kernel_and_a_test():
    """reshape moves nothing, so it has no kernel."""
    assert set(BINDINGS) == set(KINDS) == set(ops.SPECS) - {"reshape"}


@pytest.mark.parametrize("folder", HOST_FOLDERS)
@pytest.mark.parametrize("kind", INTEGER)
def test_integer_kernel_equals_numpy_bit_for_bit(kind: str, folder: str, repeats: Repeats):
    rng = generator(kind)
    for _ in range(repeats(25, 500)):
        op, arrays = INTEGER[kind](rng)
        assert_same(call(op, arrays, folder), definition(op, arrays))


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="compiles for x86-64 CPUs")
@pytest.mark.parametrize("most", [0, 1], ids=["plain", "avx2"])
@pytest.mark.parametrize("kind", X86)
def test_x86_kernel_is_the_same_at_lower_levels(kind: str, most: int):
    """Plain C, and AVX2 without VNNI: held below what this machine has."""
    rng = generator(kind)
    flags = ("-mcpu=x86_64", f"-DES_X86_MOST={most}")
    for _ in range(25):
        op, arrays = INTEGER[kind](rng)
        assert_same(call(op, arrays, "x86", flags=flags), definition(op, arrays))


@pytest.mark.parametrize("kind", FLOAT)
def test_float_kernel_is_near_numpy(kind: str, repeats: Repeats):
    """float32 sums in index order against float64 sums: a few rounding steps of the largest term."""
    rng = generator(kind)
    for _ in range(repeats(25, 500)):
        op, arrays = FLOAT[kind](rng)
        for got, wanted in zip(call(op, arrays), definition(op, arrays), strict=True):
            assert got.shape == wanted.shape
            scale = max(1.0, float(np.abs(wanted).max()))  # terms are about 1 before a clamp or cancellation
            np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=2e-6 * scale)


@pytest.mark.parametrize("kind", SUMS)
def test_float_sum_is_near_numpy(kind: str, repeats: Repeats):
    """float32 in index order against float64: rounding steps of the sum of magnitudes."""
    rng = generator(kind)
    for _ in range(repeats(25, 500)):
        op, arrays = SUMS[kind](rng)
        (got,), (wanted,) = call(op, arrays), definition(op, arrays)
        (most,) = definition(op, [np.abs(arrays[0])])
        assert (np.abs(got - wanted) <= 2e-6 * most).all()


@pytest.mark.parametrize("folder", HOST_FOLDERS)
@pytest.mark.parametrize("kind", KINDS)
def test_kernel_has_no_undefined_behaviour(kind: str, folder: str):
    """Built so that signed overflow, a bad shift or a misaligned load traps; the results stay the same."""
    rng = generator(kind)
    for _ in range(5):
        op, arrays = KINDS[kind](rng)
        assert_same(call(op, arrays, folder, sanitize="undefined"), call(op, arrays, folder))


@pytest.mark.skipif(shutil.which("gcc") is None, reason="zig ships no ASan runtime; needs gcc")
@pytest.mark.parametrize("folder", HOST_FOLDERS)
def test_kernels_touch_only_their_own_memory(folder: str):
    """Under AddressSanitizer, which must be in the process from its start: every op, reads included."""
    runtime = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    environment = {**os.environ, "LD_PRELOAD": runtime.stdout.strip(), "ASAN_OPTIONS": "detect_leaks=0"}
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    script = Path(__file__).with_name("under_asan.py")
    done = subprocess.run([sys.executable, str(script), folder], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == [*KINDS]


@pytest.mark.parametrize("folder", EVERY_FOLDER)
@pytest.mark.parametrize("kind", OVERWRITES)
def test_kernel_may_write_over_its_input(kind: str, folder: str):
    """The memory plan puts the output of these ops where an input of its shape was."""
    rng = generator(kind)
    for _ in range(20):
        op, arrays = KINDS[kind](rng)
        (apart,) = call(op, arrays, folder)
        for index in range(OVERWRITES[kind]):
            if (arrays[index].shape, arrays[index].nbytes) == (apart.shape, apart.nbytes):
                assert_same(call(op, arrays, folder, over=index), [apart])


@pytest.mark.parametrize("folder", EVERY_FOLDER)
@pytest.mark.parametrize("kind", KINDS)
def test_kernel_may_write_over_its_input_as_far_as_it_says(kind: str, folder: str):
    """By its lead, rounded up as the plan does; where that would not overlap at all nothing is shown."""
    rng = generator(kind)
    for _ in range(20):
        op, arrays = KINDS[kind](rng)
        kernel, _ = bind(op, arrays, folder)
        apart = call(op, arrays, folder)
        if kernel.lead_bytes is not None:
            assert_same(call(op, arrays, folder, before=-(-max(kernel.lead_bytes, 0) // 16) * 16), apart)
        if kernel.in_place and apart[0].nbytes <= arrays[0].nbytes:
            assert_same(call(op, arrays, folder, over=0), apart)


@pytest.mark.parametrize("folder", HOST_FOLDERS)
@pytest.mark.parametrize("kind", KINDS)
def test_scratch_size_in_python_is_the_one_in_c(kind: str, folder: str):
    rng = generator(kind)
    maker: Maker = KINDS[kind]
    for _ in range(10):
        python, c = scratch_in_c(*maker(rng), folder)
        assert python == c


@pytest.mark.parametrize("folder", HOST_FOLDERS)
def test_kernels_compile_without_warnings(folder: str):
    check_warnings(sources(folder), [FOLDER / "include"], flags=["-mcpu=native"])
