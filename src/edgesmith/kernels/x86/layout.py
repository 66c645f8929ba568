"""What the x86 kernels want prepared: packed weights, scratch bytes. The packing is told in x86_tile.h."""

from collections.abc import Mapping
from typing import cast

import numpy as np

from edgesmith.kernels.kernel import Value, Variant

LANES = 16  # output channels of a block
ROWS = 8  # rows worked on together


def pack(rows: np.ndarray) -> np.ndarray:
    """(groups, channels, k) int8 to (groups, blocks, fours, 64) bytes, each w + 128, filled up with w = 0."""
    groups, channels, k = rows.shape
    padded = np.zeros((groups, -(-channels // LANES) * LANES, 4 * fours(k)), np.int8)
    padded[:, :channels, :k] = rows
    blocks = padded.reshape(groups, -1, LANES, fours(k), 4).transpose(0, 1, 3, 2, 4)
    return np.ascontiguousarray(blocks.view(np.uint8) ^ np.uint8(128)).view(np.int8)


def pack_convolution(weight: np.ndarray, values: Mapping[str, Value]) -> np.ndarray:
    """(O, kh, kw, C/groups), group by group."""
    groups = number(values, "groups")
    return pack(weight.reshape(groups, weight.shape[0] // groups, -1))


def pack_linear(weight: np.ndarray, values: Mapping[str, Value]) -> np.ndarray:
    """(O, K)."""
    return pack(weight[None])


def fours(k: int) -> int:
    """Groups of four that k values take."""
    return -(-k // 4)


def number(values: Mapping[str, Value], name: str) -> int:
    """A field that is a number."""
    return cast(int, values[name])


def convolution_scratch_bytes(values: Mapping[str, Value]) -> int:
    """es_conv2d_s8_scratch: windows that cannot be read in place."""
    in_per = number(values, "in_c") // number(values, "groups")
    cells = number(values, "kernel_h") * number(values, "kernel_w")
    inside = all(
        number(values, pad) == 0 and (number(values, f"out_{axis}") - 1) * number(values, f"stride_{axis}") < size
        for axis, pad, size in (
            ("h", "pad_top", number(values, "in_h")),
            ("w", "pad_left", number(values, "in_w")),
        )
    )
    return 0 if cells == 1 and inside and in_per % 4 == 0 else ROWS * 4 * fours(cells * in_per)


def depthwise_scratch_bytes(values: Mapping[str, Value]) -> int:
    """es_depthwise_conv2d_s8_scratch: a pointer a tap, and a cell of padding."""
    return 8 * number(values, "kernel_h") * number(values, "kernel_w") + number(values, "in_c")


def linear_scratch_bytes(values: Mapping[str, Value]) -> int:
    """es_linear_s8_scratch: rows that must be filled up to whole fours."""
    k = number(values, "in_features")
    return 0 if k % 4 == 0 else ROWS * 4 * fours(k)


VARIANTS: Mapping[str, Variant] = {
    "conv2d_s8": Variant(convolution_scratch_bytes, {1: pack_convolution}),
    "linear_s8": Variant(linear_scratch_bytes, {1: pack_linear}),
    "depthwise_conv2d_s8": Variant(depthwise_scratch_bytes),
}
