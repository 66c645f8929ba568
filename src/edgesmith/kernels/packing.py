"""Weights of four or two bits as bytes: codes side by side in a byte, the first in its lowest bits.

A weight w of b bits has the code w + 2^(b-1), which is never negative (docs/numbers.md, Packed weights).
"""

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.formats import Format, PerChannel

WIDTHS = (2, 4)  # bits that kernels read


def width_of(format_: Format | None) -> int | None:
    """Bits in which a weight of this format is stored: 2, 4, or None for whole bytes. Three bits take four."""
    bits = format_.bits if isinstance(format_, PerChannel) else 8
    return next((width for width in WIDTHS if bits <= width), None)


def codes(weight: np.ndarray, bits: int) -> np.ndarray:
    """The codes of weights of any shape, as uint8.

    Raises:
        BadInput: a weight does not fit.
    """
    half = 1 << (bits - 1)
    if weight.size and not -half <= weight.min() <= weight.max() < half:
        raise BadInput(
            f"packed weights: values from {weight.min()} to {weight.max()}; need {-half} to {half - 1} for {bits} "
            "bits. Quantize them to the format that the tensor states."
        )
    return (weight.astype(np.int16) + half).astype(np.uint8)


def pack(weight: np.ndarray, bits: int) -> np.ndarray:
    """Rows of weights, each begun on a byte of its own.

    Args:
        weight: (..., n) int8 in [-2^(bits-1), 2^(bits-1) - 1].

    Returns:
        (..., ceil(n * bits / 8)) int8; the codes that fill the last byte up are 0.

    Raises:
        BadInput: a weight does not fit.
    """
    each, n = 8 // bits, weight.shape[-1]
    filled = np.zeros((*weight.shape[:-1], -(-n // each) * each), np.uint8)
    filled[..., :n] = codes(weight, bits)
    parts = filled.reshape(*weight.shape[:-1], -1, each) << (bits * np.arange(each, dtype=np.uint8))
    return np.ascontiguousarray(np.bitwise_or.reduce(parts, axis=-1)).view(np.int8)


def unpack(packed: np.ndarray, bits: int, n: int) -> np.ndarray:
    """Inverse of `pack`: (..., bytes) int8 to (..., n) int8."""
    shifts = bits * np.arange(8 // bits, dtype=np.uint8)
    spread = (packed.view(np.uint8)[..., None] >> shifts) & ((1 << bits) - 1)
    return (spread.reshape(*packed.shape[:-1], -1)[..., :n].astype(np.int8) - np.int8(1 << (bits - 1))).astype(np.int8)


def channels_last(weight: np.ndarray) -> np.ndarray:
    """(O, kh, kw, 1) to (kh, kw, O): neighbouring channels lie side by side."""
    return np.ascontiguousarray(weight[..., 0].transpose(1, 2, 0))


def pack_depthwise(weight: np.ndarray, bits: int) -> np.ndarray:
    """(O, kh, kw, 1) int8 to one row of codes in the order (kh, kw, O)."""
    return pack(channels_last(weight).reshape(-1), bits)
