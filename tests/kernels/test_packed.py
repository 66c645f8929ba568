"""Weights of four and two bits: how they are packed, and that kernels on them equal the int8 op bit for bit."""

import zlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edgesmith.core import ops
from edgesmith.core.errors import BadInput
from edgesmith.core.formats import PerChannel, PerTensor
from edgesmith.core.graph import Op
from edgesmith.kernels.cortex_m.layout import pack_codes
from edgesmith.kernels.packing import pack, unpack, width_of
from kernels import cases
from kernels.calling import bind, call, scratch_in_c
from kernels.drawing import multiplier
from kernels.emulated import Board

KINDS = ("conv2d_s8", "linear_s8")
FOLDERS = ("reference", "cortex_m")  # the second in the plain form that any compiler takes
BITS = (4, 3, 2)
BOARDS = ("nucleo-l4r5zi", "stm32f103", "rp2040")  # with DSP instructions, without, Armv6-M
Repeats = Callable[[int, int], int]


def drawn(rng: np.random.Generator, kind: str, bits: int) -> cases.Case:
    """An op of any shape whose weights use every code of `bits` bits."""
    op, arrays = cases.INTEGER[kind](rng)
    half = 1 << (bits - 1)
    arrays[1] = rng.integers(-half, half, arrays[1].shape).astype(np.int8)
    arrays[2] = rng.integers(-(1 << 9), 1 << 9, arrays[2].shape).astype(np.int32)
    arrays[4] = np.maximum(arrays[4], 7 - bits) - (7 - bits)  # smaller sums
    arrays[4] = np.maximum(arrays[4], 1).astype(np.uint8)
    return op, arrays


def lifted(rng: np.random.Generator, kind: str, bits: int) -> cases.Case:
    """The same with the large scales of trained nets: outputs spread over int8, shifts from 20 to 33."""
    op, arrays = drawn(rng, kind, bits)
    size = float(np.prod(arrays[1].shape[1:]))
    real = [2.0 ** rng.uniform(-4, 1 if rng.random() < 0.2 else -1) / size**0.5 for _ in arrays[1]]
    found = [multiplier(rng, value) for value in real]
    arrays[3], arrays[4] = np.array([m for m, _ in found], np.int32), np.array([s for _, s in found], np.uint8)
    extreme = rng.random(len(real)) < 0.2  # sums that leave int32 when they are lifted
    arrays[2] = np.where(extreme, rng.integers(-(1 << 30), 1 << 30, len(real)), arrays[2] >> 4).astype(np.int32)
    return op, arrays


def generator(*names: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(names).encode()))


def expected(op: Op, arrays: list[np.ndarray]) -> np.ndarray:
    return ops.spec_of(op).run(arrays, ops.attrs_of(op))[0]


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_int8_op(kind: str, bits: int, folder: str, repeats: Repeats):
    """One channel, odd channels and lengths, groups, depthwise, strides, dilation, padding wider than the input."""
    rng = generator(kind, bits)
    for i in range(repeats(40, 1000)):
        op, arrays = (drawn if i % 2 else lifted)(rng, kind, bits)
        kernel, _ = bind(op, arrays, folder, bits)
        assert kernel.source.stem.endswith("_w2" if bits == 2 else "_w4")
        made = call(op, arrays, folder, bits=bits)[0]
        np.testing.assert_array_equal(made, expected(op, arrays))


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("bits", (4, 2))
@pytest.mark.parametrize("kind", KINDS)
def test_has_no_undefined_behaviour_and_asks_for_its_scratch(kind: str, bits: int, folder: str):
    rng = generator(kind, bits, "undefined")
    for i in range(10):
        op, arrays = (drawn if i % 2 else lifted)(rng, kind, bits)
        made = call(op, arrays, folder, bits=bits, sanitize="undefined")[0]
        np.testing.assert_array_equal(made, expected(op, arrays))
        python, c = scratch_in_c(op, arrays, folder, bits)
        assert python == c


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("bits", (4, 2))
@pytest.mark.parametrize("kind", KINDS)
def test_may_write_over_its_input_as_far_as_it_says(kind: str, bits: int, folder: str):
    rng = generator(kind, bits, "over")
    for _ in range(25):
        op, arrays = drawn(rng, kind, bits)
        kernel, _ = bind(op, arrays, folder, bits)
        wanted = expected(op, arrays)
        if kernel.lead_bytes is not None:
            before = -(-max(kernel.lead_bytes, 0) // 16) * 16
            np.testing.assert_array_equal(call(op, arrays, folder, before=before, bits=bits)[0], wanted)
        if kernel.in_place and wanted.nbytes <= arrays[0].nbytes:
            np.testing.assert_array_equal(call(op, arrays, folder, over=0, bits=bits)[0], wanted)


def test_hosts_keep_bytes():
    """Flash is not short there: the fast kernels on bytes serve every format."""
    op, arrays = drawn(generator("host"), "linear_s8", 4)
    for folder in ("x86", "neon", "wasm"):
        assert bind(op, arrays, folder, 4)[0].source.stem == "linear_s8"


def test_first_code_lies_in_the_lowest_bits():
    """By hand: -8 .. 7 are the codes 0 .. 15, -2 .. 1 the codes 0 .. 3."""
    four = pack(np.array([[-8, 7, -7], [0, 1, -1]], np.int8), 4).view(np.uint8)
    np.testing.assert_array_equal(four, [[0xF0, 0x01], [0x98, 0x07]])
    two = pack(np.array([-2, -1, 0, 1, 1], np.int8), 2).view(np.uint8)
    np.testing.assert_array_equal(two, [0b11_10_01_00, 0b11])


@pytest.mark.parametrize("bits", (4, 2))
def test_unpacking_gives_the_weights_back(bits: int, nprng: np.random.Generator):
    half = 1 << (bits - 1)
    for n in range(1, 20):
        weight = nprng.integers(-half, half, (3, n)).astype(np.int8)
        packed = pack(weight, bits)
        assert packed.shape == (3, -(-n * bits // 8))
        np.testing.assert_array_equal(unpack(packed, bits, n), weight)


@pytest.mark.parametrize(("bits", "width"), [(2, 2), (3, 4), (4, 4), (5, None), (8, None)])
def test_three_bits_take_four(bits: int, width: int | None):
    assert width_of(PerChannel((1.0,), bits=bits)) == width
    assert width_of(PerTensor(1.0, bits=bits)) is None and width_of(None) is None


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_beyond_its_format_is_refused(kind: str, folder: str):
    op, arrays = drawn(generator(kind), kind, 4)
    arrays[1].flat[-1] = 8
    with pytest.raises(BadInput, match="need -8 to 7"):
        bind(op, arrays, folder, 4)[0].arrange[1](arrays[1])


@pytest.fixture(scope="module", params=BOARDS)
def board(request, tmp_path_factory) -> Iterator[Board]:
    with Board(request.param, tmp_path_factory.mktemp("packed")) as running:
        yield running


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_int8_op_on_boards(board: Board, kind: str, bits: int, repeats: Repeats):
    rng = generator(kind, bits, "board")
    for i in range(repeats(40, 1000)):
        op, arrays = (drawn if i % 2 else lifted)(rng, kind, bits)
        np.testing.assert_array_equal(board.call(op, arrays, bits=bits), expected(op, arrays))


# x, w, attributes: where the fast paths run
LAYERS = {
    "pointwise": ((1, 7, 5, 64), (64, 1, 1, 64), {}),
    "pointwise, strided": ((1, 9, 8, 16), (31, 1, 1, 16), {"stride": (2, 2)}),
    "3x3": ((1, 9, 9, 12), (10, 3, 3, 12), {"padding": (1, 1, 1, 1)}),
    "3x3 on three channels": ((1, 12, 11, 3), (8, 3, 3, 3), {"stride": (2, 2), "padding": (0, 1, 0, 1)}),
    "long columns, two pixels": ((1, 3, 5, 48), (6, 3, 3, 48), {"padding": (1, 1, 1, 1)}),
    "groups": ((1, 6, 6, 15), (9, 3, 3, 5), {"groups": 3, "padding": (1, 1, 1, 1)}),
    "depthwise": ((1, 13, 7, 10), (10, 3, 3, 1), {"groups": 10, "padding": (1, 1, 1, 1)}),
    "depthwise 5x5": ((1, 9, 9, 6), (6, 5, 5, 1), {"groups": 6, "padding": (2, 2, 2, 2)}),
}


@pytest.mark.parametrize("bits", (4, 2))
@pytest.mark.parametrize("layer", LAYERS)
def test_layers_of_small_nets_equal_numpy(board: Board, layer: str, bits: int):
    x, w, attrs = LAYERS[layer]
    rng, half = generator(layer, bits), 1 << (bits - 1)
    scale = cases.multipliers(rng, 2.0**-7 / np.prod(w[1:]) ** 0.5 * 128 / half, w[0])
    bias = rng.integers(-(1 << 10), 1 << 10, w[0]).astype(np.int32)
    weight = rng.integers(-half, half, w).astype(np.int8)
    zeros = {"x_zero": cases.zero(rng), "y_zero": cases.zero(rng)}
    op, arrays = cases.case("conv2d_s8", [cases.s8(rng, *x), weight, bias, *scale], **{**zeros, **attrs})
    np.testing.assert_array_equal(board.call(op, arrays, bits=bits), expected(op, arrays))


@pytest.mark.parametrize("bits", (4, 2))
@pytest.mark.parametrize("shift", (20, 26, 28, 29, 30, 31, 32, 33))
def test_a_lifted_sum_never_leaves_its_32_bits(board: Board, shift: int, bits: int):
    """Biases on both sides of where a channel may still go the short way, by the bound in cortex_m_lift.h."""
    half, columns = 1 << (bits - 1), 8
    edge = ((1 << 31) - 1 >> max(33 - shift, 0)) - columns * 128 * half
    bias = np.array([edge - 1, edge, edge + 1, -edge - 1, -edge, 1 - edge, 1, -1], np.int64).clip(-(1 << 30), 1 << 30)
    w = np.repeat(np.array([half - 1, -half] * 4, np.int8)[:, None], columns, axis=1)
    x = np.repeat(np.array([-128, 127, 0, 1], np.int8)[:, None], columns, axis=1)
    scale = np.full(8, (1 << 30) + 12345, np.int32), np.full(8, shift, np.uint8)
    op, arrays = cases.case("linear_s8", [x, w, bias.astype(np.int32), *scale])
    np.testing.assert_array_equal(board.call(op, arrays, bits=bits), expected(op, arrays))


@pytest.mark.parametrize("rows", (1, 2, 5))
@pytest.mark.parametrize(("bits", "columns"), [(4, 2000), (4, 2003), (2, 2000), (2, 2007)])
def test_the_largest_sums_do_not_run_into_each_other(board: Board, bits: int, columns: int, rows: int):
    """Both channels of a pair at the ends of their codes, over inputs at the ends of int8."""
    half = 1 << (bits - 1)
    ends = np.array([[-half, -half], [-half, half - 1], [half - 1, -half], [half - 1, half - 1]]).reshape(-1)
    w = np.repeat(ends[:, None], columns, axis=1).astype(np.int8)
    x = np.repeat(np.array([-128, 127, -1, -128, 127], np.int8)[:rows, None], columns, axis=1)
    shift, multiplier = np.full(8, 31 + 14, np.uint8), np.full(8, (1 << 31) - 1, np.int32)
    op, arrays = cases.case("linear_s8", [x, w, np.arange(8, dtype=np.int32) * 1000, multiplier, shift])
    np.testing.assert_array_equal(board.call(op, arrays, bits=bits), expected(op, arrays))


@pytest.mark.parametrize("bits", (4, 2))
def test_a_word_has_the_lanes_where_the_header_says(bits: int, nprng: np.random.Generator):
    """Bytes 0 and 2, then 1 and 3; with two bits the low halves first: each lane looked up by hand."""
    half, lanes = 1 << (bits - 1), 2 * 8 // bits * 3
    rows = nprng.integers(-half, half, (1, 2, lanes)).astype(np.int8)
    stored = pack_codes(rows, bits).view(np.uint8)[0, 0]
    for lane in range(lanes):
        word, place = divmod(lane // 2, 8 // bits)
        byte = int(stored[4 * word + place % 2 + 2 * (lane % 2)]) >> (4 * (place // 2))
        a, b = byte & (2 * half - 1), byte >> bits & (2 * half - 1)
        assert (a - half, b - half) == tuple(rows[0, :, lane])
