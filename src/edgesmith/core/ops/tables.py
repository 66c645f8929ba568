"""The constant tables of docs/numbers.md, made in float64: what quantization puts into a graph beside the weights."""

import math
from collections.abc import Callable

import numpy as np

from edgesmith.core.errors import BadInput
from edgesmith.core.formats import PerTensor
from edgesmith.core.ops.elementwise import apply
from edgesmith.core.ops.spectral import LONGEST_FFT


def lookup_table(
    function: Callable[[np.ndarray], np.ndarray], x: PerTensor, y: PerTensor, low: int = -128, high: int = 127
) -> np.ndarray:
    """The 256 int8 entries of a `lookup`, indexed by the stored value as uint8.

    Args:
        function: float64 to float64; a NaN becomes real zero.
        x: format of the input, int8 or uint8.
        y: int8 format of the output.
        low, high: bounds of a fused activation.
    """
    stored = np.arange(256, dtype=np.uint8).view(x.dtype).astype(np.int64)
    with np.errstate(all="ignore"):
        real = np.nan_to_num(function(x.scale * (stored - x.zero_point)), nan=0.0, posinf=np.inf, neginf=-np.inf)
        steps = np.rint(real / y.scale) + y.zero_point
    return np.clip(steps, low, high).astype(np.int8)


def softmax_table(scale: float, n: int) -> np.ndarray:
    """exp(-scale * d) for d = 0..255 as uint32, with head room for a sum over n entries.

    Args:
        scale: of the int8 input.
        n: length of the softmax axis, at most 2^22.
    """
    if not 1 <= n <= 1 << 22:
        raise BadInput(f"softmax: rows of {n} entries; the integer form needs 1 to {1 << 22}.")
    top = 1 << (31 - max(9, n.bit_length()))  # n * top < 2^31
    return np.rint(top * np.exp(-scale * np.arange(256.0))).astype(np.uint32)


def gelu_delta_table() -> np.ndarray:
    """relu(x) - gelu(x) at x = i / 32, i = 0..160, in Q16: (161,) uint16 (docs/numbers.md, gelu_delta_s8)."""
    x = np.arange(161) / 32
    return np.rint(65536 * (x - apply("gelu", x, {"approximate": "none"}))).astype(np.uint16)


def gate_table(function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """513 int16 entries of a function into [-1, 1], over Q3.12 gates."""
    points = (np.arange(513.0) - 256) / 32
    return np.minimum(32767, np.rint(32768 * function(points))).astype(np.int16)


def sigmoid_table() -> np.ndarray:
    """The sigmoid of the recurrent ops: (513,) int16."""
    return gate_table(lambda x: 1 / (1 + np.exp(-x)))


def tanh_table() -> np.ndarray:
    """The tanh of the recurrent ops: (513,) int16."""
    return gate_table(np.tanh)


def log2_table() -> np.ndarray:
    """log2(1 + i / 256) in Q12: (257,) uint16."""
    return np.rint(4096 * np.log2(1 + np.arange(257) / 256)).astype(np.uint16)


def twiddles(n_fft: int) -> np.ndarray:
    """cos and -sin of 2 * pi * k / n_fft in Q30: (n_fft / 2, 2) int32."""
    if not (2 <= n_fft <= LONGEST_FFT and n_fft & (n_fft - 1) == 0):
        raise BadInput(f"log_mel: n_fft is {n_fft}; need a power of two up to {LONGEST_FFT}.")
    angles = [2 * math.pi * k / n_fft for k in range(n_fft // 2)]
    return np.array([(round(math.cos(a) * 2**30), round(-math.sin(a) * 2**30)) for a in angles], np.int32)


def window_q15(window: np.ndarray) -> np.ndarray:
    """A window of real values in [-1, 1] as int16 Q15."""
    return np.clip(np.rint(np.asarray(window, np.float64) * 32768), -32768, 32767).astype(np.int16)


def sparse_mel(mel: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A dense mel matrix as the first bin, the count and the Q12 weights of each mel.

    Args:
        mel: (mels, bins), weights in [0, 1].

    Returns:
        first (mels,), count (mels,) and the concatenated weights, all uint16; a mel without weights keeps one zero.

    Raises:
        BadInput: a weight is negative, not finite, or above 1.
    """
    steps = np.rint(np.asarray(mel, np.float64) * 4096)
    if not ((steps >= 0) & (steps <= 4096)).all():
        raise BadInput("log_mel: a mel weight is outside [0, 1]; scale the filters down.")
    first, count, weights = [], [], []
    for row in steps.astype(np.uint16):
        used = np.flatnonzero(row)
        start, end = (used[0], used[-1] + 1) if len(used) else (0, 1)
        first.append(start)
        count.append(end - start)
        weights.append(row[start:end])
    return np.array(first, np.uint16), np.array(count, np.uint16), np.concatenate(weights)
