"""What the Cortex-M kernels want prepared: packed weights, scratch bytes. The packing is told in cortex_m_columns.h."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.kernels.kernel import Value, Variant, raster_lead_bytes, rows_lead_bytes
from edgesmith.kernels.packing import codes, pack_depthwise

COLUMN_BYTES = 3072  # as in cortex_m_convolve.h
BAND_BYTES = 3072  # as in cortex_m_depthwise.h
PRODUCT_BYTES = 2048  # as BLOCK_BYTES in matmul_s8.c
LONGEST_SUM = 1 << 17  # products of codes
PAD = -1


def lane_order(run: int) -> list[int]:
    """Where the int16 lanes of a column take their activations from, within a run of `run`; PAD reads as 0.

    >>> lane_order(7)
    [0, 2, 1, 3, 4, 5, 6, -1]
    """
    fours = [4 * four + lane for four in range(run // 4) for lane in (0, 2, 1, 3)]
    rest = list(range(run // 4 * 4, run))
    return fours + rest + [PAD] * (run % 2)


def pack_rows(rows: np.ndarray) -> np.ndarray:
    """Pairs of channels in one stream of int16 lanes, a + 256 b.

    Args:
        rows: (groups, channels, lanes) int8 in [-127, 127]; lanes is even.

    Returns:
        int8 bytes, little endian: (groups, ceil(channels / 2), 2 * lanes).

    Raises:
        BadInput: a weight is -128, whose pair would not fit a lane.
    """
    if rows.size and rows.min() < -127:
        raise BadInput("cortex_m: a weight is -128; need weights in [-127, 127]. Quantize them symmetrically.")
    groups, channels, lanes = rows.shape
    even = np.zeros((groups, channels + channels % 2, lanes), np.int16)
    even[:, :channels] = rows
    pairs = even.reshape(groups, -1, 2, lanes)
    return np.ascontiguousarray(pairs[:, :, 0] + 256 * pairs[:, :, 1]).astype("<i2").view(np.int8)


def pack_codes(rows: np.ndarray, bits: int) -> np.ndarray:
    """Pairs of channels in one stream of codes of 4 or 2 bits: words for 4 lanes of a + 16 b, or for 8 of a + 4 b.

    Args:
        rows: (groups, channels, lanes) int8; lanes fill whole words.

    Returns:
        int8 bytes: (groups, ceil(channels / 2), lanes * bits / 4).

    Raises:
        BadInput: a weight does not fit.
    """
    groups, channels, lanes = rows.shape
    even = np.zeros((groups, channels + channels % 2, lanes), np.int8)
    even[:, :channels] = rows
    pairs = codes(even, bits).reshape(groups, -1, 2, lanes)
    both = pairs[:, :, 0] | pairs[:, :, 1] << bits
    halves = both.reshape(*both.shape[:2], -1, 4 // bits, 2, 2)  # words, halves of bytes, column words, lanes
    places = (
        halves.swapaxes(-1, -2).reshape(*halves.shape[:4], 4) << (4 * np.arange(4 // bits, dtype=np.uint8))[:, None]
    )
    return np.ascontiguousarray(np.bitwise_or.reduce(places, axis=3).reshape(groups, pairs.shape[1], -1)).view(np.int8)


def pack_convolution(weight: np.ndarray, values: Mapping[str, Value], bits: int = 8) -> np.ndarray:
    """(O, kh, kw, C/groups) int8 to the order of cortex_m_convolve.h: (groups, pairs, bytes of two columns)."""
    out, kernel_h, kernel_w, in_per = weight.shape
    run = kernel_w * in_per
    runs = np.zeros((out, kernel_h, run + 1), np.int8)  # the last is what PAD reads
    runs[:, :, :run] = weight.reshape(out, kernel_h, run)
    lanes = kernel_h * 2 * words_of(run)
    rows = runs[:, :, lane_order(run)].reshape(integer(values, "groups"), -1, lanes)
    if bits == 8:
        return pack_rows(rows)
    filled = np.zeros((*rows.shape[:2], 2 * whole_units(lanes // 2, bits)), np.int8)
    filled[:, :, :lanes] = rows
    return pack_codes(filled, bits)


def pack_linear(weight: np.ndarray, values: Mapping[str, Value], bits: int = 8) -> np.ndarray:
    """(O, K) int8 to the order of cortex_m_linear.h."""
    return pack_convolution(weight[:, None, None, :], {"groups": 1}, bits)


def whole_units(words: int, bits: int) -> int:
    """Words of a column filled up to what a word of weights serves."""
    unit = 8 // bits
    return -(-words // unit) * unit


def words_of(run: int) -> int:
    """Words of a column that a run of `run` activations takes."""
    return (run + 1) // 2


def pixels_together(words: int) -> int:
    """Columns that are widened at once."""
    return 4 if 16 * words <= COLUMN_BYTES else 2


def convolution_scratch_bytes(values: Mapping[str, Value], bits: int = 8) -> int:
    """es_conv2d_s8_scratch, and those of packed weights."""
    run = integer(values, "kernel_w") * (integer(values, "in_c") // integer(values, "groups"))
    words = whole_units(integer(values, "kernel_h") * words_of(run), bits)
    return 4 * words * pixels_together(words) + (run + 3) // 4 * 4


def convolution_lead_bytes(values: Mapping[str, Value]) -> int | None:
    """None for groups: the first writes a tile, which may end in the next row, before the last has read its windows."""
    return raster_lead_bytes(values) if integer(values, "groups") == 1 else None


@dataclass(frozen=True)
class Bands:
    """How cortex_m_depthwise.h cuts its rows.

    Attributes:
        window_h: rows that a window reaches over.
        pitch: cells of one row of a plane.
        out_rows: output rows of a band.
    """

    window_h: int
    pitch: int
    out_rows: int


def bands_of(values: Mapping[str, Value]) -> Bands:
    """geometry_of in cortex_m_depthwise.h."""
    kernel_w, dilation_w = integer(values, "kernel_w"), integer(values, "dilation_w")
    window_h = (integer(values, "kernel_h") - 1) * integer(values, "dilation_h") + 1
    out_even = (integer(values, "out_w") + 1) // 2 * 2
    last_tap = kernel_w - 1 if dilation_w == 1 else (kernel_w - 1) | 1
    pitch = (out_even * integer(values, "stride_w") + last_tap * dilation_w + 1) // 2 * 2
    fit = BAND_BYTES // (8 * pitch) - window_h
    out_rows = min(1 if fit < 0 else fit // integer(values, "stride_h") + 1, integer(values, "out_h"))
    return Bands(window_h, pitch, out_rows)


def depthwise_in_place(values: Mapping[str, Value]) -> bool:
    """Whether y may begin where x does: each band of it lies where rows were that have been taken into scratch.

    Channels keep their places in a cell, so only whole cells matter: those written after a band, and those of the rows
    taken in before it was computed. Rows that two bands share stay in scratch.
    """
    if integer(values, "in_c") != integer(values, "out_c"):
        return False
    bands, stride, in_h, out_h = bands_of(values), *(integer(values, n) for n in ("stride_h", "in_h", "out_h"))
    ends = [min(oy + bands.out_rows, out_h) for oy in range(0, out_h, bands.out_rows)]
    taken = [min((end - 1) * stride - integer(values, "pad_top") + bands.window_h, in_h) for end in ends]
    in_w, out_w = integer(values, "in_w"), integer(values, "out_w")
    return all(end * out_w <= rows * in_w for end, rows in zip(ends, taken, strict=True))


def depthwise_scratch_bytes(values: Mapping[str, Value]) -> int:
    """es_depthwise_conv2d_s8_scratch: four planes of a band and the packed weights of one channel."""
    kernel_h, kernel_w = integer(values, "kernel_h"), integer(values, "kernel_w")
    bands = bands_of(values)
    rows = (bands.out_rows - 1) * integer(values, "stride_h") + bands.window_h
    return 8 * rows * bands.pitch + 4 * kernel_h * words_of(kernel_w)


def rows_together(values: Mapping[str, Value], bits: int = 8) -> int:
    """Rows of cortex_m_linear.h that share a pass over the weights."""
    rows, words = integer(values, "rows"), whole_units(words_of(integer(values, "in_features")), bits)
    return 4 if rows >= 4 and 16 * words <= COLUMN_BYTES else 2 if rows >= 2 and 8 * words <= COLUMN_BYTES else 1


def linear_scratch_bytes(values: Mapping[str, Value], bits: int = 8) -> int:
    """es_linear_s8_scratch, and those of packed weights: rows that share a pass; one alone is read as it is."""
    together = rows_together(values, bits)
    return 4 * whole_units(words_of(integer(values, "in_features")), bits) * together if together > 1 else 0


def linear_lead_bytes(values: Mapping[str, Value], bits: int = 8) -> int:
    """A tile of rows is written after it was read."""
    return rows_lead_bytes(values, rows_together(values, bits))


def sums_fit(values: Mapping[str, Value]) -> bool:
    """Whether the sums of packed weights stay exact (cortex_m_columns.h): less than 2^17 products of at most 2^10."""
    if "in_features" in values:
        return integer(values, "in_features") < LONGEST_SUM
    cells = integer(values, "kernel_h") * integer(values, "kernel_w")
    return cells * integer(values, "in_c") // integer(values, "groups") < LONGEST_SUM


def packed(bits: int) -> Mapping[str, Variant]:
    """The kernels whose weights have 4 or 2 bits."""
    convolution = Variant(
        partial(convolution_scratch_bytes, bits=bits),
        {1: partial(pack_convolution, bits=bits)},
        suits=sums_fit,
        lead_bytes=convolution_lead_bytes,
    )
    linear = Variant(
        partial(linear_scratch_bytes, bits=bits),
        {1: partial(pack_linear, bits=bits)},
        suits=sums_fit,
        lead_bytes=partial(linear_lead_bytes, bits=bits),
    )
    depthwise = Variant(
        depthwise_scratch_bytes,
        {1: lambda weight, values: pack_depthwise(weight, bits)},
        in_place=depthwise_in_place,
    )
    named = {"conv2d_s8": convolution, "linear_s8": linear, "depthwise_conv2d_s8": depthwise}
    return {f"{name}_w{bits}": variant for name, variant in named.items()}


def matmul_scratch_bytes(values: Mapping[str, Value]) -> int:
    """es_matmul_s8_scratch: two rows of a and a block of columns of b, as int16."""
    words, columns = words_of(integer(values, "inner")), integer(values, "columns")
    fit = PRODUCT_BYTES // (4 * words) // 2 * 2
    return 4 * words * (min((columns + 1) // 2 * 2, max(fit, 2)) + 2)


def slices_scratch_bytes(values: Mapping[str, Value]) -> int:
    """es_slices_scratch in cortex_m_slices.h."""
    cells = integer(values, "kernel_h") * integer(values, "kernel_w") * integer(values, "in_c")
    sums = (integer(values, "depth") + 1) * ((cells + 1).bit_length() + 1)
    return 4 * (cells + 31 + sums + (integer(values, "out_c") + 31) // 32 * 32)


def pack_tree(tree: np.ndarray, values: Mapping[str, Value]) -> np.ndarray:
    """A tree's entries to the order of mst_conv2d.c: cells that turned to +1 first, then those that turned to -1."""
    entries = tree.astype(np.int64)
    packed, at = [entries[:1]], 1
    while at < len(entries):
        channel, level, count = entries[at : at + 3]
        codes = entries[at + 3 : at + 3 + count]
        cells, more = codes >> 1, (codes & 1).astype(bool)
        packed += [np.array([channel, level, more.sum(), (~more).sum()]), cells[more], cells[~more]]
        at += 3 + int(count)
    return np.concatenate(packed).astype(np.uint16)


def integer(values: Mapping[str, Value], name: str) -> int:
    """A field that is a number."""
    return int(cast(int, values[name]))


VARIANTS: Mapping[str, Variant] = {
    "conv2d_s8": Variant(convolution_scratch_bytes, {1: pack_convolution}, lead_bytes=convolution_lead_bytes),
    "depthwise_conv2d_s8": Variant(depthwise_scratch_bytes, in_place=depthwise_in_place),
    "linear_s8": Variant(linear_scratch_bytes, {1: pack_linear}, lead_bytes=linear_lead_bytes),
    **packed(4),
    **packed(2),
    **dict.fromkeys(("max_pool2d", "avg_pool2d_s8"), Variant(lead_bytes=raster_lead_bytes)),
    "matmul_s8": Variant(matmul_scratch_bytes),
    "binary_conv2d": Variant(slices_scratch_bytes),
    "mst_conv2d": Variant(slices_scratch_bytes, {2: pack_tree}),
}
