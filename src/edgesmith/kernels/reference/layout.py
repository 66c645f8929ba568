"""What the reference kernels want prepared, and what of their input they leave; their weights lie as the ops say."""

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np

from edgesmith.kernels.kernel import Value, Variant, raster_lead_bytes, rows_lead_bytes
from edgesmith.kernels.packing import pack, pack_depthwise

ROWS_TOGETHER = 16  # ES_ROWS_TOGETHER in reference_packed.h


def _times(field: str, nbytes: int, lead: Callable[[Mapping[str, Value]], int | None] = lambda values: None) -> Variant:
    """`nbytes` of scratch for each unit of a field."""

    def scratch_bytes(values: Mapping[str, Value]) -> int:
        return nbytes * cast(int, values[field])

    return Variant(scratch_bytes, lead_bytes=lead)


def frames_lead_bytes(values: Mapping[str, Value]) -> int:
    """Of spectra of overlapping frames: a frame is read whole before its row is written."""
    return rows_lead_bytes(values, names=("frames", "hop", "mels"))


def _packed(bits: int) -> Mapping[str, Variant]:
    """The kernels on packed weights: room for a channel's as bytes, for all of a depthwise layer's."""

    def rows(weight: np.ndarray, values: Mapping[str, Value]) -> np.ndarray:
        return pack(weight.reshape(len(weight), -1), bits)

    def depthwise(weight: np.ndarray, values: Mapping[str, Value]) -> np.ndarray:
        return pack_depthwise(weight, bits)

    return {
        f"conv2d_s8_w{bits}": Variant(_taps, {1: rows}, lead_bytes=raster_lead_bytes),
        f"linear_s8_w{bits}": Variant(_features, {1: rows}, lead_bytes=packed_rows_lead_bytes),
        f"depthwise_conv2d_s8_w{bits}": Variant(_depthwise_taps, {1: depthwise}, lead_bytes=raster_lead_bytes),
    }


def _taps(values: Mapping[str, Value]) -> int:
    v = {name: cast(int, value) for name, value in values.items()}
    return v["kernel_h"] * v["kernel_w"] * (v["in_c"] // v["groups"])


def _features(values: Mapping[str, Value]) -> int:
    return cast(int, values["in_features"])


def _depthwise_taps(values: Mapping[str, Value]) -> int:
    v = {name: cast(int, value) for name, value in values.items()}
    return v["kernel_h"] * v["kernel_w"] * v["out_c"]


def packed_rows_lead_bytes(values: Mapping[str, Value]) -> int:
    """Of a linear layer that works on ES_ROWS_TOGETHER rows at a time."""
    return rows_lead_bytes(values, ROWS_TOGETHER)


RASTER = Variant(lead_bytes=raster_lead_bytes)  # one output cell after another, none kept
ROWS = Variant(lead_bytes=rows_lead_bytes)

VARIANTS: Mapping[str, Variant] = {
    **dict.fromkeys(("conv2d", "conv2d_s8", "depthwise_conv2d_s8", "shift_add_conv2d_s8"), RASTER),
    **dict.fromkeys(("max_pool2d", "avg_pool2d", "avg_pool2d_s8"), RASTER),
    **dict.fromkeys(("linear", "linear_s8"), ROWS),
    **_packed(4),
    **_packed(2),
    "quantize": Variant(
        lead_bytes=lambda values: 0
    ),  # a float is read before its byte is written, which is no further on
    "gru_s8": _times("hidden", 1),  # the int8 form of the state
    "log_mel_s8": _times("n_fft", 8, frames_lead_bytes),  # (real, imaginary) pairs of int32
    "neighbours": _times("k", 8),  # the nearest so far and their labels
    "mst_conv2d": Variant(lambda values: 4 * (cast(int, values["depth"]) + 1)),  # a sum a level
    "rfft": _times("n", 12),  # pairs of float, then half as many twiddle pairs
    "log_mel": _times("n_fft", 12, frames_lead_bytes),
}
