"""What the reference kernels want prepared, and what of their input they leave; their weights lie as the ops say."""

from collections.abc import Callable, Mapping
from typing import cast

from edgesmith.kernels.kernel import Value, Variant, raster_lead_bytes, rows_lead_bytes


def _times(field: str, nbytes: int, lead: Callable[[Mapping[str, Value]], int | None] = lambda values: None) -> Variant:
    """`nbytes` of scratch for each unit of a field."""

    def scratch_bytes(values: Mapping[str, Value]) -> int:
        return nbytes * cast(int, values[field])

    return Variant(scratch_bytes, lead_bytes=lead)


def frames_lead_bytes(values: Mapping[str, Value]) -> int:
    """Of spectra of overlapping frames: a frame is read whole before its row is written."""
    return rows_lead_bytes(values, names=("frames", "hop", "mels"))


RASTER = Variant(lead_bytes=raster_lead_bytes)  # one output cell after another, none kept
ROWS = Variant(lead_bytes=rows_lead_bytes)

VARIANTS: Mapping[str, Variant] = {
    **dict.fromkeys(("conv2d", "conv2d_s8", "depthwise_conv2d_s8", "shift_add_conv2d_s8"), RASTER),
    **dict.fromkeys(("max_pool2d", "avg_pool2d", "avg_pool2d_s8"), RASTER),
    **dict.fromkeys(("linear", "linear_s8"), ROWS),
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
