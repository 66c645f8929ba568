"""What the kernels on vectors of 128 bits want prepared: packed weights, scratch bytes.

NEON and WebAssembly share them but for the step and the size of a pointer; include/simd128_product.h tells the packing.
"""

from collections.abc import Mapping
from typing import cast

import numpy as np

from edgesmith.kernels.kernel import ArrangeFor, Value, Variant

BLOCK = 4  # channels
ROWS = 8  # windows or rows worked on together


def eights(k: int) -> int:
    """k filled up to whole eights."""
    return -(-k // 8) * 8


def pack(rows: np.ndarray, step: int) -> np.ndarray:
    """Rows of weights in blocks of four channels, each in steps along k.

    Args:
        rows: (groups, channels, k) int8.
        step: values along k of one channel that lie side by side, 8 or 16; eight that are left make a step of 8.

    Returns:
        (groups, bytes) int8, both ends filled up with zeros.
    """
    groups, channels, k = rows.shape
    padded = np.zeros((groups, -(-channels // BLOCK) * BLOCK, eights(k)), np.int8)
    padded[:, :channels, :k] = rows
    blocks = padded.reshape(groups, -1, BLOCK, eights(k))
    whole = eights(k) // step * step
    steps = blocks[..., :whole].reshape(*blocks.shape[:3], whole // step, step).swapaxes(2, 3)
    parts = [steps.reshape(*blocks.shape[:2], -1), blocks[..., whole:].reshape(*blocks.shape[:2], -1)]
    return np.ascontiguousarray(np.concatenate(parts, axis=2).reshape(groups, -1))


def variants(step: int, pointer_bytes: int) -> Mapping[str, Variant]:
    """The variants of a folder."""
    return {
        "conv2d_s8": Variant(convolution_scratch_bytes, {1: _convolution(step)}),
        "linear_s8": Variant(linear_scratch_bytes, {1: lambda weight, values: pack(weight[None], step)}),
        "depthwise_conv2d_s8": Variant(lambda values: depthwise_scratch_bytes(values, pointer_bytes)),
    }


def _convolution(step: int) -> ArrangeFor:
    """(O, kh, kw, C/groups), group by group."""

    def arrange(weight: np.ndarray, values: Mapping[str, Value]) -> np.ndarray:
        groups = number(values, "groups")
        return pack(weight.reshape(groups, weight.shape[0] // groups, -1), step)

    return arrange


def number(values: Mapping[str, Value], name: str) -> int:
    """A field that is a number."""
    return cast(int, values[name])


def convolution_scratch_bytes(values: Mapping[str, Value]) -> int:
    """es_conv2d_s8_scratch: windows that cannot be read in place."""
    in_per = number(values, "in_c") // number(values, "groups")
    cells = number(values, "kernel_h") * number(values, "kernel_w")
    inside = all(
        number(values, pad) == 0
        and (number(values, f"out_{axis}") - 1) * number(values, f"stride_{axis}") < number(values, f"in_{axis}")
        for axis, pad in (("h", "pad_top"), ("w", "pad_left"))
    )
    return 0 if cells == 1 and inside and in_per % 8 == 0 else ROWS * eights(cells * in_per)


def depthwise_scratch_bytes(values: Mapping[str, Value], pointer_bytes: int) -> int:
    """es_depthwise_conv2d_s8_scratch: a pointer a tap of each window, and a cell of padding."""
    taps = number(values, "kernel_h") * number(values, "kernel_w")
    return pointer_bytes * ROWS * taps + number(values, "in_c")


def linear_scratch_bytes(values: Mapping[str, Value]) -> int:
    """es_linear_s8_scratch: rows that must be filled up to whole eights."""
    k = number(values, "in_features")
    return 0 if k % 8 == 0 else ROWS * eights(k)
