"""What the reference kernels want prepared: scratch bytes; their weights lie as the ops define them."""

from collections.abc import Mapping
from typing import cast

from edgesmith.kernels.kernel import Value, Variant


def _times(field: str, nbytes: int) -> Variant:
    """`nbytes` of scratch for each unit of a field."""

    def scratch_bytes(values: Mapping[str, Value]) -> int:
        return nbytes * cast(int, values[field])

    return Variant(scratch_bytes)


VARIANTS: Mapping[str, Variant] = {
    "gru_s8": _times("hidden", 1),  # the int8 form of the state
    "log_mel_s8": _times("n_fft", 8),  # (real, imaginary) pairs of int32
    "rfft": _times("n", 12),  # pairs of float, then half as many twiddle pairs
    "log_mel": _times("n_fft", 12),
}
