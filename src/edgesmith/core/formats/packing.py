"""Codes of a few bits, one after the other in bytes (docs/numbers.md, Packed codes)."""

import math

import numpy as np

from edgesmith.core.errors import BadInput

MOST_BITS = 16
TRITS = 5  # of three values each in a byte: 3^5 = 243
POWERS = np.array([3**i for i in range(TRITS)], np.uint8)


def packed_bytes(shape: tuple[int, ...], bits: int) -> int:
    """Bytes of integers of so many bits, one after the other.

    >>> packed_bytes((3, 3), 3)
    4
    """
    return (math.prod(shape) * bits + 7) // 8


def trit_bytes(shape: tuple[int, ...]) -> int:
    """Bytes of codes 0, 1, 2, five to a byte.

    >>> trit_bytes((3, 2))
    2
    """
    return -(-math.prod(shape) // TRITS)


def code_type(bits: int) -> type[np.unsignedinteger]:
    """What holds one code."""
    return np.uint8 if bits <= 8 else np.uint16


def pack_codes(codes: np.ndarray, bits: int) -> np.ndarray:
    """Codes in memory order to bytes: code i takes the bits i * bits and on, lowest first; 0 fills up the last byte.

    >>> pack_codes(np.array([1, 2, 3]), 4).tolist()
    [33, 3]
    """
    flat = np.ascontiguousarray(codes).ravel().astype(np.uint32)
    each = (flat[:, None] >> np.arange(bits, dtype=np.uint32) & 1).astype(np.uint8)
    return np.packbits(each.ravel(), bitorder="little")


def unpack_codes(data: np.ndarray, shape: tuple[int, ...], bits: int) -> np.ndarray:
    """Inverse of `pack_codes`: uint8 up to 8 bits, else uint16.

    Raises:
        BadInput: not the bytes of this shape.
    """
    _need_bytes(data, packed_bytes(shape, bits))
    each = np.unpackbits(data, count=math.prod(shape) * bits, bitorder="little").reshape(-1, bits)
    weights = np.left_shift(1, np.arange(bits), dtype=np.int64)
    return (each @ weights).astype(code_type(bits)).reshape(shape)


def pack_trits(codes: np.ndarray) -> np.ndarray:
    """Codes 0, 1, 2 five to a byte: the sum of code i times 3^i; 0 fills up the last.

    >>> pack_trits(np.array([2, 1, 0, 0, 0, 1])).tolist()
    [5, 1]
    """
    flat = np.ascontiguousarray(codes).ravel()
    room = np.zeros(trit_bytes(flat.shape) * TRITS, np.uint8)
    room[: flat.size] = flat
    return (room.reshape(-1, TRITS) * POWERS).sum(axis=1).astype(np.uint8)


def unpack_trits(data: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Inverse of `pack_trits`; bytes above 242 hold the digits that they have."""
    _need_bytes(data, trit_bytes(shape))
    digits = data[:, None] // POWERS % 3
    return digits.ravel()[: math.prod(shape)].astype(np.uint8).reshape(shape)


def _need_bytes(data: np.ndarray, count: int) -> None:
    if data.dtype != np.uint8 or data.shape != (count,):
        raise BadInput(f"format: {data.dtype} {data.shape} where {count} bytes hold the codes; the file is damaged.")
