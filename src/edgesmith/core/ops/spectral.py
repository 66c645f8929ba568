"""Real FFT and the log-mel front end."""

from collections.abc import Sequence

import numpy as np

from edgesmith.core.graph import Tensor
from edgesmith.core.ops.conv import INT8
from edgesmith.core.ops.fixed import clamp, requant, rshift
from edgesmith.core.ops.linear import REQUANT, Y_ZERO
from edgesmith.core.ops.spec import Attribute, Attrs, OpSpec, Shapes, need

LONGEST_FFT = 1024
FRAMING = {"n_fft": Attribute(int, low=2, high=LONGEST_FFT), "hop": Attribute(int, low=1, high=1 << 16)}
UNIT = 49152  # 12 << 12: log2 in Q12 of the mel weights' 2^12


def frame_count(samples: int, length: int, hop: int) -> int:
    """How many frames of `length` samples start every `hop` samples and end inside."""
    return 1 + (samples - length) // hop


def _infer_rfft(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    x, n = inputs[0], attrs["n"]
    need(n & (n - 1) == 0, f"rfft: n is {n}; need a power of two.")
    need(len(x.shape) >= 1 and x.shape[-1] == n, f"rfft: x is {x.shape}; need (..., {n}).")
    return [((*x.shape[:-1], n // 2 + 1, 2), "float32")]


def _frames(inputs: Sequence[Tensor], attrs: Attrs) -> int:
    x, window, n_fft = inputs[0], inputs[1], attrs["n_fft"]
    need(n_fft & (n_fft - 1) == 0, f"log_mel: n_fft is {n_fft}; need a power of two.")
    need(len(x.shape) == 2 and x.shape[0] == 1, f"log_mel: x is {x.shape}; need (1, samples).")
    need(
        len(window.shape) == 1 and window.shape[0] <= min(n_fft, x.shape[1]),
        f"log_mel: window is {window.shape}; need one axis, at most n_fft {n_fft} and {x.shape[1]} samples.",
    )
    return frame_count(x.shape[1], window.shape[0], attrs["hop"])


def _infer_log_mel(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    mel, bins = inputs[2], attrs["n_fft"] // 2 + 1
    need(len(mel.shape) == 2 and mel.shape[1] == bins, f"log_mel: mel is {mel.shape}; need (mels, {bins}).")
    return [((1, _frames(inputs, attrs), mel.shape[0]), "float32")]


def _infer_log_mel_s8(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    _, _, twiddle, first, count, weights, log_table = inputs
    wanted = (attrs["n_fft"] // 2, 2)
    need(twiddle.shape == wanted, f"log_mel_s8: twiddle is {twiddle.shape}; need {wanted}.")
    need(
        len(first.shape) == 1 and first.shape == count.shape and len(weights.shape) == 1,
        f"log_mel_s8: first {first.shape}, count {count.shape}, weights {weights.shape}; need one axis each.",
    )
    need(log_table.shape == (257,), f"log_mel_s8: log_table is {log_table.shape}; need (257,).")
    return [((1, _frames(inputs, attrs), first.shape[0]), "int8")]


def _run_rfft(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    spectrum = np.fft.rfft(arrays[0].astype(np.float64), axis=-1)
    return [np.stack((spectrum.real, spectrum.imag), axis=-1).astype(np.float32)]


def _cut(x: np.ndarray, length: int, hop: int) -> np.ndarray:
    """(1, samples) to a view (frames, length)."""
    return np.lib.stride_tricks.sliding_window_view(x[0], length)[::hop]


def _run_log_mel(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, window, mel = (array.astype(np.float64) for array in arrays)
    spectrum = np.fft.rfft(_cut(x, len(window), attrs["hop"]) * window, n=attrs["n_fft"], axis=-1)
    power = spectrum.real**2 + spectrum.imag**2
    return [np.log2(power @ mel.T + 2.0**-12).astype(np.float32)[None]]


def bit_reversed(n: int) -> np.ndarray:
    """The indices 0..n-1 with their log2(n) bits reversed; n a power of two."""
    order = np.zeros(1, np.int64)
    while len(order) < n:
        order = np.concatenate((2 * order, 2 * order + 1))
    return order


def fft_q30(real: np.ndarray, twiddle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Decimation-in-time FFT in integers (docs/numbers.md, log_mel).

    Args:
        real: (rows, n) int64.
        twiddle: (n / 2, 2) int32, Q30.

    Returns:
        Real and imaginary parts, (rows, n) int64 each.
    """
    rows, n = real.shape
    re = real[:, bit_reversed(n)]
    im = np.zeros_like(re)
    factors, half = twiddle.astype(np.int64), 1
    while half < n:
        cos, sin = factors[:: n // (2 * half)].T
        re, im = re.reshape(rows, -1, 2, half), im.reshape(rows, -1, 2, half)
        (ar, br), (ai, bi) = (re[:, :, 0], re[:, :, 1]), (im[:, :, 0], im[:, :, 1])
        tr, ti = rshift(br * cos - bi * sin, 30), rshift(br * sin + bi * cos, 30)
        re = np.stack((ar + tr, ar - tr), axis=2).reshape(rows, n)
        im = np.stack((ai + ti, ai - ti), axis=2).reshape(rows, n)
        half *= 2
    return re, im


def log2_q12(energy: np.ndarray, table: np.ndarray) -> np.ndarray:
    """log2 of integers >= 1 below 2^63, in Q12, through a 257-entry table (docs/numbers.md, log_mel)."""
    k = np.zeros(energy.shape, np.int64)
    for step in (32, 16, 8, 4, 2, 1):
        k += np.where(energy >> (k + step) > 0, step, 0)
    f = np.where(k >= 16, energy >> np.maximum(k - 16, 0), energy << np.maximum(16 - k, 0)) & 0xFFFF
    t, i = table.astype(np.int64), f >> 8
    return (k << 12) + t[i] + (((t[i + 1] - t[i]) * (f & 255) + 128) >> 8)


def _run_log_mel_s8(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
    x, window, twiddle, first, count, weights, log_table = arrays
    frames = _cut(x.astype(np.int64), len(window), attrs["hop"])
    padded = np.zeros((len(frames), attrs["n_fft"]), np.int64)
    padded[:, : len(window)] = rshift(frames * window.astype(np.int64), 12)
    re, im = (part[:, : attrs["n_fft"] // 2 + 1] for part in fft_q30(padded, twiddle))
    power = (re * re + im * im) >> 6
    ends = np.cumsum(count, dtype=np.int64)
    rows = [weights[end - n : end].astype(np.int64) for n, end in zip(count.astype(int), ends, strict=True)]
    energy = np.stack([power[:, f : f + len(row)] @ row for f, row in zip(first, rows, strict=True)], axis=1) + 1
    y = requant(log2_q12(energy, log_table) - UNIT, attrs["multiplier"], attrs["shift"]) + attrs["y_zero"]
    return [clamp(y, attrs["low"], attrs["high"])[None]]


def _fft_macs(n: int) -> int:
    """Four real multiplications in each of the n/2 * log2(n) butterflies."""
    return 2 * n * (n.bit_length() - 1)


def _macs_rfft(inputs: Sequence[Tensor], outputs: Sequence[Tensor], attrs: Attrs) -> int:
    return inputs[0].size // attrs["n"] * _fft_macs(attrs["n"])


def _macs_log_mel(inputs: Sequence[Tensor], outputs: Sequence[Tensor], attrs: Attrs) -> int:
    window, mel, n_fft = inputs[1], inputs[5] if len(inputs) > 3 else inputs[2], attrs["n_fft"]
    return outputs[0].shape[1] * (window.size + _fft_macs(n_fft) + n_fft + 2 + mel.size)


OPS = (
    OpSpec(
        kind="rfft",
        does="the n/2 + 1 first bins of the Fourier transform of n real values, as (real, imaginary)",
        inputs=("x",),
        outputs=("y",),
        infer=_infer_rfft,
        run=_run_rfft,
        dtypes=("float32",),
        attrs={"n": Attribute(int, low=2, high=1 << 20)},
        macs=_macs_rfft,
    ),
    OpSpec(
        kind="log_mel",
        does="log2(mel @ |FFT(frame * window)|^2 + 2^-12) of frames every hop samples, x in raw units, mel dense",
        inputs=("x", "window", "mel"),
        outputs=("y",),
        infer=_infer_log_mel,
        run=_run_log_mel,
        dtypes=("float32|int16", "float32", "float32"),
        attrs=FRAMING,
        macs=_macs_log_mel,
    ),
    OpSpec(
        kind="log_mel_s8",
        does="log_mel of int16 samples in integers, to int8; mel weights sparse: first bin and count of each mel",
        inputs=("x", "window", "twiddle", "first", "count", "weights", "log_table"),
        outputs=("y",),
        infer=_infer_log_mel_s8,
        run=_run_log_mel_s8,
        dtypes=("int16", "int16", "int32", "uint16", "uint16", "uint16", "uint16"),
        attrs={**FRAMING, **REQUANT, **Y_ZERO, **INT8},
        macs=_macs_log_mel,
    ),
)
