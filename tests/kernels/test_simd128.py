"""The NEON and WebAssembly kernels equal the numpy definition bit for bit, run on emulated cores and in wasmtime."""

import zlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edgesmith.core import ops
from edgesmith.core.graph import Op
from edgesmith.kernels.abi import FOLDER
from edgesmith.kernels.simd128 import pack
from edgesmith.targets import load
from edgesmith.toolchain import check_warnings
from kernels import cases
from kernels.calling import bind
from kernels.emulated import Board

FOLDERS = {"raspberry-pi-4": "neon", "raspberry-pi-5": "neon", "wasm": "wasm"}
OPS = ("conv2d_s8", "linear_s8", "add_s8", "avg_pool2d_s8", "max_pool2d")
Repeats = Callable[[int, int], int]


@pytest.fixture(scope="module", params=FOLDERS)
def board(request, tmp_path_factory) -> Iterator[Board]:
    folder = FOLDERS[request.param]
    with Board(request.param, tmp_path_factory.mktemp(folder), folder) as running:
        yield running


def expected(op: Op, arrays: list[np.ndarray]) -> np.ndarray:
    return ops.spec_of(op).run(arrays, ops.attrs_of(op))[0]


def convolution(rng: np.random.Generator, x: tuple[int, ...], w: tuple[int, ...], **attrs) -> cases.Case:
    """A layer whose outputs spread over all of int8."""
    multiplier, shift = cases.multipliers(rng, 2.0**-7 / int(np.prod(w[1:])) ** 0.5, w[0])
    bias = rng.integers(-(1 << 14), 1 << 14, w[0]).astype(np.int32)
    arrays = [cases.s8(rng, *x), cases.s8(rng, *w, low=-127), bias, multiplier, shift]
    return cases.case("conv2d_s8", arrays, **{"x_zero": cases.zero(rng), "y_zero": cases.zero(rng), **attrs})


@pytest.mark.parametrize("kind", OPS)
def test_equals_numpy_on_random_shapes(board, kind, repeats: Repeats):
    """Odd channel counts, groups, strides, dilation, padding wider than the input, dead channels, narrow bounds."""
    rng = np.random.default_rng(zlib.crc32(kind.encode()))
    for _ in range(repeats(40, 1000)):
        op, arrays = cases.INTEGER[kind](rng)
        np.testing.assert_array_equal(board.call(op, arrays), expected(op, arrays))


# x, w, attributes: the shapes of small nets, where the fast paths run
LAYERS = {
    "pointwise": ((1, 7, 5, 64), (64, 1, 1, 64), {}),
    "pointwise, strided, half a step left": ((1, 9, 8, 24), (31, 1, 1, 24), {"stride": (2, 2)}),
    "pointwise on eight channels": ((1, 5, 5, 8), (18, 1, 1, 8), {}),
    "3x3": ((1, 9, 9, 12), (10, 3, 3, 12), {"padding": (1, 1, 1, 1)}),
    "3x3 on three channels": ((1, 12, 11, 3), (8, 3, 3, 3), {"stride": (2, 2), "padding": (0, 1, 0, 1)}),
    "10x4 on one channel": ((1, 49, 10, 1), (5, 10, 4, 1), {"stride": (2, 2), "padding": (4, 5, 1, 1)}),
    "groups": ((1, 6, 6, 16), (10, 3, 3, 8), {"groups": 2, "padding": (1, 1, 1, 1)}),
    "depthwise": ((1, 13, 7, 40), (40, 3, 3, 1), {"groups": 40, "padding": (1, 1, 1, 1)}),
    "depthwise, the last channels twice": ((1, 9, 9, 29), (29, 3, 3, 1), {"groups": 29, "padding": (1, 1, 1, 1)}),
    "depthwise, few channels": ((1, 9, 9, 5), (5, 3, 3, 1), {"groups": 5, "padding": (1, 1, 1, 1)}),
    "depthwise 5x5, strided": ((1, 9, 9, 16), (16, 5, 5, 1), {"groups": 16, "padding": (2, 2, 2, 2), "stride": (2, 2)}),
    "depthwise, two outputs a channel": ((1, 6, 5, 9), (18, 3, 3, 1), {"groups": 9, "padding": (1, 1, 1, 1)}),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_layers_of_small_nets_equal_numpy(board, layer):
    x, w, attrs = LAYERS[layer]
    op, arrays = convolution(np.random.default_rng(zlib.crc32(layer.encode())), x, w, **attrs)
    np.testing.assert_array_equal(board.call(op, arrays), expected(op, arrays))


@pytest.mark.parametrize("columns", [16, 24, 513, 2000])
def test_the_largest_products_do_not_wrap(board, columns):
    """-128 * -127 twice is 32,512, just below 2^15: what two products in 16 bits may come to."""
    w = np.repeat(127 * np.array([[1], [-1]]), columns, axis=1).astype(np.int8)
    x = np.repeat(np.array([[-128], [127], [-1]], np.int8), columns, axis=1)
    arrays = [x, w, np.array([7, -7], np.int32), np.full(2, (1 << 31) - 1, np.int32), np.full(2, 48, np.uint8)]
    op, arrays = cases.case("linear_s8", arrays)
    np.testing.assert_array_equal(board.call(op, arrays), expected(op, arrays))
    taps = np.full((16, 3, 3, 1), -127, np.int8)
    scale = [np.zeros(16, np.int32), np.full(16, (1 << 31) - 1, np.int32), np.full(16, 42, np.uint8)]
    op, arrays = cases.case("conv2d_s8", [np.full((1, 4, 4, 16), -128, np.int8), taps, *scale], groups=16, x_zero=127)
    np.testing.assert_array_equal(board.call(op, arrays), expected(op, arrays))


@pytest.mark.parametrize("shift", [1, 30, 31, 32, 33, 34, 35, 54, 62])
def test_every_shift_rounds_once(board, shift):
    """WebAssembly takes the quick way from 34 on; a block of four channels with a smaller shift must not."""
    rng = np.random.default_rng(shift)
    shifts = np.array([shift, 40, 40, shift, shift, shift, 39, 44, 45], np.uint8)
    multiplier = rng.integers(1 << 30, 1 << 31, 9).astype(np.int32)
    bias = rng.integers(-(1 << 29), 1 << 29, 9).astype(np.int32)
    bias[0] = min(3 << (max(shift, 31) - 31), 1 << 29)  # an output that is not saturated
    op, arrays = cases.case("linear_s8", [cases.s8(rng, 5, 6), cases.s8(rng, 9, 6, low=-127), bias, multiplier, shifts])
    np.testing.assert_array_equal(board.call(op, arrays), expected(op, arrays))
    op, arrays = convolution(rng, (1, 6, 5, 9), (9, 3, 3, 1), groups=9)
    arrays[4] = shifts
    np.testing.assert_array_equal(board.call(op, arrays), expected(op, arrays))


@pytest.mark.parametrize("length", [3, 15, 16, 17, 100])
def test_add_may_write_over_its_operand(board, length):
    rng = np.random.default_rng(length)
    scale = {"a_multiplier": 1 << 19, "b_multiplier": -(3 << 18), "shift": 20}
    op, arrays = cases.case(
        "add_s8", [cases.s8(rng, 2, length), cases.s8(rng, 2, length)], a_zero=3, b_zero=-5, **scale
    )
    np.testing.assert_array_equal(board.call(op, arrays, in_place=True), expected(op, arrays))


def test_average_over_more_cells_than_int16_holds(board):
    """600 cells of one value average to that value; a plain int16 sum would have wrapped."""
    multiplier, shift = np.full(600, round(2**39 / 600), np.int32), np.full(600, 39, np.uint8)
    for value in (-128, 127):
        x = np.full((1, 30, 20, 19), value, np.int8)
        op, arrays = cases.case("avg_pool2d_s8", [x, multiplier, shift], kernel=(30, 20), x_zero=0, y_zero=0)
        assert (board.call(op, arrays) == value).all()


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("kind", OPS)
def test_these_kernels_are_chosen(name, kind):
    op, arrays = cases.INTEGER[kind](np.random.default_rng(0))
    kernel, _ = bind(op, arrays, FOLDERS[name])
    assert kernel.source.parent.name == load(name).kernels[0]


@pytest.mark.parametrize("name", FOLDERS)
def test_compiles_without_warnings(name):
    files = sorted((FOLDER / FOLDERS[name]).glob("*.c"))
    check_warnings(files, [FOLDER / "include"], flags=load(name).compiler_flags)


@pytest.mark.parametrize("step", [8, 16])
def test_packed_weights_are_found_where_the_kernels_look(step):
    """Channel o of group g at k: block o // 4; whole steps of four channels side by side, then steps of eight."""
    groups, channels, k = 2, 6, 43
    rows = np.random.default_rng(step).integers(-127, 128, (groups, channels, k)).astype(np.int8)
    packed = pack(rows, step)
    eights = 48
    assert packed.shape == (groups, 8 * eights)
    for g, o, i in np.ndindex(groups, 8, eights):
        width = step if i < eights // step * step else 8
        start = (o // 4 * eights + i // width * width) * 4
        place = start + o % 4 * width + i % width
        assert packed[g, place] == (rows[g, o, i] if o < channels and i < k else 0)
