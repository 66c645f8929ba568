"""What the x86 kernels want prepared: packed weights and scratch bytes, as their headers tell."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from edgesmith.kernels.kernel import Value, Variant

LANES = 16  # output channels of a block
STRIP, SLACK = 16384, 64  # elements: ES_X86_STRIP, ES_X86_SLACK
VECTOR = 64  # channels of a vector of depthwise outputs
PERIOD = 9  # ES_X86_PERIOD: vectors after which channels repeat, at most, where rows are walked as one line


@dataclass(frozen=True)
class Image:
    """es_x86_image: an image and the windows over it."""

    in_h: int
    in_w: int
    in_c: int
    out_h: int
    out_w: int
    kernel_h: int = 1
    kernel_w: int = 1
    stride_h: int = 1
    stride_w: int = 1
    pad_top: int = 0
    pad_left: int = 0
    dilation_h: int = 1
    dilation_w: int = 1
    planes: int = 1

    def span(self, rows: int) -> int:
        """Input rows that `rows` output rows read."""
        return (rows - 1) * self.stride_h + (self.kernel_h - 1) * self.dilation_h + 1

    def row(self) -> int:
        """Elements of a row of a strip."""
        cells = (self.out_w - 1) * self.stride_w + (self.kernel_w - 1) * self.dilation_w + 1
        return self.planes * -(-cells // self.planes) * self.in_c

    def strip_elements(self) -> int:
        """es_x86_strip_elements."""
        spare = STRIP // self.row() - self.span(1)
        rows = min(self.out_h, 1 if spare < 0 else spare // self.stride_h + 1)
        return self.span(rows) * self.row() + SLACK


def image_of(values: Mapping[str, Value]) -> Image:
    """The image of a convolution; a pointwise one is a column of places."""
    v = {name: cast(int, value) for name, value in values.items()}
    image = Image(**{name: v[name] for name in Image.__dataclass_fields__ if name != "planes"})
    steps = (image.kernel_h, image.kernel_w, image.stride_h, image.stride_w, image.pad_top, image.pad_left)
    if steps == (1, 1, 1, 1, 0, 0) and (image.in_h, image.in_w) == (image.out_h, image.out_w):
        return replace(image, in_h=image.in_h * image.in_w, in_w=1, out_h=image.in_h * image.in_w, out_w=1)
    return image


def pack(runs: np.ndarray) -> np.ndarray:
    """(groups, channels, runs, length) int8 to blocks of 16 channels: -128 * sum(w), then the weights by fours."""
    groups, channels, count, length = runs.shape
    padded = np.zeros((groups, -(-channels // LANES) * LANES, count, -(-length // 4) * 4), np.int8)
    padded[:, :channels, :, :length] = runs
    blocks = padded.reshape(groups, -1, LANES, count * padded.shape[3] // 4, 4)
    excess = (-128 * blocks.sum((3, 4), dtype=np.int64)).astype("<i4").view(np.int8)  # (groups, blocks, 64)
    weights = blocks.transpose(0, 1, 3, 2, 4).reshape(*blocks.shape[:2], -1)
    return np.ascontiguousarray(np.concatenate([excess, weights], 2))


def pack_convolution(weight: np.ndarray, values: Mapping[str, Value]) -> np.ndarray:
    """(O, kh, kw, C/groups): a kernel row is a run where its cells are contiguous, else a cell is."""
    groups = number(values, "groups")
    outputs, height, width, channels = weight.shape
    rows = groups == 1 and number(values, "dilation_w") == 1
    run = (height, width * channels) if rows else (height * width, channels)
    return pack(weight.reshape(groups, outputs // groups, *run))


def pack_linear(weight: np.ndarray, values: Mapping[str, Value]) -> np.ndarray:
    """(O, K)."""
    return pack(weight[None, :, None, :])


def number(values: Mapping[str, Value], name: str) -> int:
    """A field that is a number."""
    return cast(int, values[name])


def convolution_scratch_bytes(values: Mapping[str, Value]) -> int:
    """es_conv2d_s8_scratch: offsets of the runs, a strip."""
    rows = number(values, "groups") == 1 and number(values, "dilation_w") == 1
    runs = number(values, "kernel_h") * (1 if rows else number(values, "kernel_w"))
    return offset_bytes(runs) + 2 * image_of(values).strip_elements()


def offset_bytes(count: int) -> int:
    """Of int32, in whole vectors."""
    return -(-4 * count // 64) * 64


def linear_scratch_bytes(values: Mapping[str, Value]) -> int:
    """es_linear_s8_scratch."""
    rows = number(values, "rows")
    return offset_bytes(1) + 2 * Image(rows, 1, number(values, "in_features"), rows, 1).strip_elements()


def vectors_of(channels: int) -> tuple[int, bool]:
    """Vectors of 64 channels, and whether rows are walked as one line: job_of in depthwise_conv2d_s8.c."""
    period = channels // math.gcd(channels, VECTOR)
    if period <= PERIOD and channels % VECTOR:
        return period, True
    return -(-channels // VECTOR), False


def pack_depthwise(weight: np.ndarray, values: Mapping[str, Value]) -> np.ndarray:
    """(O, kh, kw, 1) to vectors of 64 channels: -128 * sum(w), then the weights by four taps, both as lanes."""
    outputs, height, width, _ = weight.shape
    taps = height * width
    if outputs != number(values, "in_c"):
        return np.ascontiguousarray(weight.reshape(outputs, taps).T)
    count, line = vectors_of(outputs)
    channel = np.arange(count * VECTOR)
    rows = np.zeros((count * VECTOR, -(-taps // 4) * 4), np.int8)
    real = channel % outputs if line else channel[:outputs]
    rows[: len(real), :taps] = weight.reshape(outputs, taps)[real]
    # channel 16 q + 4 j + i of a vector is entry 16 j + 4 q + i
    lanes = rows.reshape(count, 4, 4, 4, -1).transpose(0, 2, 1, 3, 4).reshape(count, VECTOR, -1, 4)
    excess = (-128 * lanes.sum((2, 3), dtype=np.int64)).astype("<i4").view(np.int8)  # (count, 256)
    return np.ascontiguousarray(np.concatenate([excess, lanes.transpose(0, 2, 1, 3).reshape(count, -1)], 1))


def depthwise_scratch_bytes(values: Mapping[str, Value]) -> int:
    """es_depthwise_conv2d_s8_scratch: offsets of the taps, tables, a strip; none with several outputs to a channel."""
    channels = number(values, "in_c")
    if number(values, "out_c") != channels:
        return 0
    v = {name: number(values, name) for name in Image.__dataclass_fields__ if name != "planes"}
    count, line = vectors_of(channels)
    image = Image(**v, planes=v["stride_w"] if line else 1)
    return offset_bytes(v["kernel_h"] * v["kernel_w"]) + 12 * VECTOR * count + image.strip_elements()


VARIANTS: Mapping[str, Variant] = {
    "conv2d_s8": Variant(convolution_scratch_bytes, {1: pack_convolution}),
    "linear_s8": Variant(linear_scratch_bytes, {1: pack_linear}),
    "depthwise_conv2d_s8": Variant(depthwise_scratch_bytes, {1: pack_depthwise}),
}
