"""The Cortex-M kernels equal the numpy definition bit for bit: with DSP instructions, and in plain C without."""

import zlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edgesmith.core import ops
from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Op
from edgesmith.kernels.abi import FOLDER
from edgesmith.kernels.cortex_m.layout import lane_order, pack_rows
from edgesmith.targets import load
from edgesmith.toolchain import check_warnings
from kernels import cases
from kernels.calling import bind, call
from kernels.emulated import Board

WITH_DSP = ("nucleo-l4r5zi", "nrf5340", "stm32h743")
WITHOUT_DSP = ("stm32f103", "rp2040")
OPS = (
    *("conv2d_s8", "linear_s8", "matmul_s8", "add_s8", "avg_pool2d_s8", "max_pool2d", "lookup", "quantize"),
    *("layer_norm_s8", "rms_norm_s8", "i_layer_norm_s8", "shiftmax_s8", "shift_gelu_s8", "gelu_delta_s8"),
    *("binary_conv2d", "binary_conv2d_s8", "mst_conv2d", "mst_conv2d_s8"),
)
Repeats = Callable[[int, int], int]


@pytest.fixture(scope="module", params=WITH_DSP + WITHOUT_DSP)
def board(request, tmp_path_factory) -> Iterator[Board]:
    with Board(request.param, tmp_path_factory.mktemp("cortex_m")) as running:
        yield running


def expected(op: Op, arrays: list[np.ndarray]) -> np.ndarray:
    return ops.spec_of(op).run(arrays, ops.attrs_of(op))[0]


def convolution(rng: np.random.Generator, x: tuple[int, ...], w: tuple[int, ...], **attrs) -> cases.Case:
    """A layer whose outputs spread over all of int8."""
    taps = int(np.prod(w[1:]))
    multiplier, shift = cases.multipliers(rng, 2.0**-7 / taps**0.5, w[0])
    bias = rng.integers(-(1 << 14), 1 << 14, w[0]).astype(np.int32)
    arrays = [cases.s8(rng, *x), cases.s8(rng, *w, low=-127), bias, multiplier, shift]
    zeros = {"x_zero": cases.zero(rng), "y_zero": cases.zero(rng)}
    return cases.case("conv2d_s8", arrays, **{**zeros, **attrs})


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
    "pointwise, strided": ((1, 9, 8, 16), (31, 1, 1, 16), {"stride": (2, 2)}),
    "3x3": ((1, 9, 9, 12), (10, 3, 3, 12), {"padding": (1, 1, 1, 1)}),
    "3x3 on three channels": ((1, 12, 11, 3), (8, 3, 3, 3), {"stride": (2, 2), "padding": (0, 1, 0, 1)}),
    "10x4 on one channel": ((1, 49, 10, 1), (5, 10, 4, 1), {"stride": (2, 2), "padding": (4, 5, 1, 1)}),
    "long columns, two pixels": ((1, 3, 5, 48), (6, 3, 3, 48), {"padding": (1, 1, 1, 1)}),
    "columns of several chunks": ((1, 3, 3, 130), (3, 3, 3, 130), {"padding": (1, 1, 1, 1)}),
    "groups": ((1, 6, 6, 15), (9, 3, 3, 5), {"groups": 3, "padding": (1, 1, 1, 1)}),
    "depthwise": ((1, 13, 7, 10), (10, 3, 3, 1), {"groups": 10, "padding": (1, 1, 1, 1)}),
    "depthwise, wide": ((1, 24, 24, 9), (9, 3, 3, 1), {"groups": 9, "padding": (1, 1, 1, 1)}),
    "depthwise, strided": ((1, 24, 25, 8), (8, 3, 3, 1), {"groups": 8, "stride": (2, 2), "padding": (0, 1, 0, 1)}),
    "depthwise 5x5": ((1, 9, 9, 6), (6, 5, 5, 1), {"groups": 6, "padding": (2, 2, 2, 2)}),
    "depthwise 5x5, even width": ((1, 8, 10, 5), (5, 5, 5, 1), {"groups": 5, "padding": (2, 2, 2, 2)}),
    "depthwise 5x5, strided": ((1, 9, 12, 4), (4, 5, 5, 1), {"groups": 4, "stride": (2, 2), "padding": (2, 2, 2, 2)}),
    "depthwise 7x7, clipped": ((1, 11, 9, 6), (6, 7, 7, 1), {"groups": 6, "padding": (0, 3, 3, 0)}),
    "depthwise, two outputs a channel": ((1, 6, 5, 5), (10, 3, 3, 1), {"groups": 5, "padding": (1, 1, 1, 1)}),
    "depthwise, stride above the window": ((1, 20, 20, 4), (4, 3, 3, 1), {"groups": 4, "stride": (5, 4)}),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_layers_of_small_nets_equal_numpy(board, layer):
    x, w, attrs = LAYERS[layer]
    op, arrays = convolution(np.random.default_rng(zlib.crc32(layer.encode())), x, w, **attrs)
    np.testing.assert_array_equal(board.call(op, arrays), expected(op, arrays))


@pytest.mark.parametrize("columns", [512, 513, 1025, 2000])
def test_the_largest_sums_do_not_run_into_each_other(board, columns):
    """Both channels of a pair at +-128 * 127 a product: the packed sum S wraps, its two halves must not."""
    signs = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]).reshape(-1)
    w = np.repeat(127 * signs[:, None], columns, axis=1).astype(np.int8)
    x = np.repeat(np.array([[-128], [127], [-1]], np.int8), columns, axis=1)
    shift = np.full(8, 31 + 17, np.uint8)
    multiplier = np.full(8, (1 << 31) - 1, np.int32)
    op, arrays = cases.case("linear_s8", [x, w, np.arange(8, dtype=np.int32) * 1000, multiplier, shift])
    np.testing.assert_array_equal(board.call(op, arrays), expected(op, arrays))


@pytest.mark.parametrize("shift", [1, 30, 31, 32, 33, 34, 54, 55, 62])
def test_every_shift_rounds_once(board, shift):
    """33 to 54 take the short way; both sides of each border, beside a channel that does take it."""
    rng = np.random.default_rng(shift)
    shifts = np.array([shift, 40, 40, shift, shift, shift, 39], np.uint8)
    multiplier = rng.integers(1 << 30, 1 << 31, 7).astype(np.int32)
    bias = rng.integers(-(1 << 29), 1 << 29, 7).astype(np.int32)
    bias[0] = min(3 << (max(shift, 31) - 31), 1 << 29)  # an output that is not saturated
    arrays = [cases.s8(rng, 5, 6), cases.s8(rng, 7, 6, low=-127), bias, multiplier, shifts]
    op, arrays = cases.case("linear_s8", arrays, y_zero=-128)
    np.testing.assert_array_equal(board.call(op, arrays), expected(op, arrays))
    op, arrays = convolution(rng, (1, 6, 5, 7), (7, 3, 3, 1), groups=7)
    arrays[4] = shifts
    np.testing.assert_array_equal(board.call(op, arrays), expected(op, arrays))


@pytest.mark.parametrize(("size", "stride"), [((5, 6), 1), ((25, 5), 1), ((40, 48), 1), ((40, 48), 2), ((25, 6), 3)])
def test_depthwise_may_write_over_its_input(board, size, stride):
    """One band or several; with a stride, y is shorter and begins where x does."""
    strides, padding = (stride, stride), (1, 1, 1, 1)
    shape = (1, *size, 6)
    op, arrays = convolution(np.random.default_rng(7), shape, (6, 3, 3, 1), groups=6, stride=strides, padding=padding)
    assert bind(op, arrays, "cortex_m")[0].in_place
    np.testing.assert_array_equal(board.call(op, arrays, in_place=True), expected(op, arrays))


def test_depthwise_that_makes_more_rows_than_it_has_taken_in_may_not():
    """Padding above, so that the first band of the result is longer than what it needs of the input."""
    rng = np.random.default_rng(7)
    op, arrays = convolution(rng, (1, 40, 48, 2), (2, 1, 1, 1), groups=2, padding=(4, 0, 0, 0))
    assert not bind(op, arrays, "cortex_m")[0].in_place


@pytest.mark.parametrize("kind", OPS)
def test_plain_form_has_no_undefined_behaviour(kind):
    """On this machine, built so that signed overflow, a bad shift or a misaligned load traps."""
    rng = np.random.default_rng(zlib.crc32(kind.encode()))
    for _ in range(10):
        op, arrays = cases.INTEGER[kind](rng)
        made = call(op, arrays, "cortex_m", sanitize="undefined")[0]
        np.testing.assert_array_equal(made, expected(op, arrays))


@pytest.mark.parametrize("name", WITH_DSP + WITHOUT_DSP)
def test_compiles_without_warnings(name):
    files = sorted((FOLDER / "cortex_m").glob("*.c"))
    check_warnings(files, [FOLDER / "include"], flags=load(name).compiler_flags)


def test_packed_lanes_hold_two_channels():
    """a + 256 b fits int16 for all a and b in [-127, 127], and the low byte, sign-extended, is a again."""
    a, b = (v.reshape(1, -1) for v in np.meshgrid(np.arange(-127, 128), np.arange(-127, 128)))
    a, b = (np.append(v, v[:, :1], axis=1) for v in (a, b))  # an even number of lanes
    packed = pack_rows(np.stack([a, b], axis=1).astype(np.int8)).view("<i2")[0, 0]
    np.testing.assert_array_equal(packed.astype(int), (a + 256 * b)[0])
    np.testing.assert_array_equal(packed.astype(np.int8), a[0].astype(np.int8))


def test_a_weight_that_does_not_fit_a_lane_is_refused():
    with pytest.raises(BadInput, match="-128"):
        pack_rows(np.full((1, 2, 2), -128, np.int8))


@pytest.mark.parametrize("run", range(1, 20))
def test_every_activation_has_one_lane(run):
    lanes = lane_order(run)
    assert len(lanes) % 2 == 0 and sorted(lane for lane in lanes if lane >= 0) == list(range(run))


@pytest.mark.parametrize("value", [-128, 127])
def test_average_over_more_cells_than_int16_holds(board, value):
    """600 cells of one value average to that value; a plain int16 sum would have wrapped."""
    x = np.full((1, 30, 20, 5), value, np.int8)
    multiplier, shift = np.full(600, round(2**39 / 600), np.int32), np.full(600, 39, np.uint8)
    op, arrays = cases.case("avg_pool2d_s8", [x, multiplier, shift], kernel=(30, 20), x_zero=0, y_zero=0)
    assert (board.call(op, arrays) == value).all()
