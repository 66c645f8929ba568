"""The log-mel front end as one op, so that an artifact starts at the microphone's samples."""

import math

import torch
from torch import Tensor, nn

from edgesmith.core.errors import BadInput

FLOOR = 2.0**-12  # added to every energy: the least step of the integer op's Q12 weights (docs/numbers.md, log_mel)
WEIGHT_STEPS = 2**12  # the integer op stores mel weights in Q12
WINDOW_STEPS = 2**15  # and the window in Q15


@torch.library.custom_op("edgesmith::log_mel", mutates_args=())
def log_mel(x: Tensor, window: Tensor, mel: Tensor, hop: int, n_fft: int) -> Tensor:
    """log2(mel * |FFT(frame * window)|^2 + 2^-12) of every frame.

    Args:
        x: (n, samples) float, the microphone's own integers.
        window: (length,) float, length <= n_fft.
        mel: (mels, n_fft/2 + 1) float, not below zero.
        hop: samples from one frame's start to the next.

    Returns:
        (n, frames, mels), frames = 1 + (samples - length) // hop.

    Source: docs/numbers.md, section log_mel.
    """
    frames = x.unfold(1, window.numel(), hop) * window
    power = torch.fft.rfft(frames, n_fft).abs().square()
    return torch.log2(power @ mel.T + FLOOR)


@log_mel.register_fake
def log_mel_shape(x: Tensor, window: Tensor, mel: Tensor, hop: int, n_fft: int) -> Tensor:
    """The result's shape, for tracing."""
    return x.new_empty(x.shape[0], 1 + (x.shape[1] - window.numel()) // hop, mel.shape[0])


class LogMel(nn.Module):
    """Waveform to log-mel energies: (n, samples) in the microphone's own integers to (n, frames, mels).

    Window and weights are rounded to the steps of the integer op, so that both compute from the same constants.

    Args:
        rate: samples per second.
        length: of a frame, in samples; 32 ms is usual in speech.
        hop: in samples.
        mels: bands, spread evenly on the mel scale from `low_hz` to half the rate.

    Raises:
        BadInput: a frame longer than 1024 samples, a hop below 1, or more bands than the FFT can tell apart.
    """

    window: Tensor
    mel: Tensor

    def __init__(self, rate: int, length: int, hop: int, mels: int, low_hz: float = 60.0) -> None:
        super().__init__()
        if not 2 <= length <= 1024 or hop < 1:
            raise BadInput(f"log_mel: length is {length}, hop is {hop}; need 2 to 1024 and at least 1 sample.")
        self.hop = hop
        self.n_fft = 1 << (length - 1).bit_length()
        self.register_buffer("window", hann(length))
        self.register_buffer("mel", mel_bands(rate, self.n_fft, mels, low_hz))

    def forward(self, x: Tensor) -> Tensor:
        return log_mel(x, self.window, self.mel, self.hop, self.n_fft)


def hann(length: int) -> Tensor:
    """The periodic Hann window in steps of 2^-15; its peak stays below 1, as int16 must."""
    window = torch.hann_window(length, periodic=True, dtype=torch.float64)
    return ((window * WINDOW_STEPS).round().clamp(max=WINDOW_STEPS - 1) / WINDOW_STEPS).float()


def mel_bands(rate: int, n_fft: int, mels: int, low_hz: float) -> Tensor:
    """Triangles of height 1, evenly spaced on the mel scale: (mels, n_fft/2 + 1), in steps of 2^-12.

    Raises:
        BadInput: a band holds no FFT bin.
    """
    edges = mel_to_hz(torch.linspace(hz_to_mel(low_hz), hz_to_mel(rate / 2), mels + 2, dtype=torch.float64))
    bins = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * rate / n_fft
    low, peak, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bands = torch.minimum((bins - low) / (peak - low), (high - bins) / (high - peak)).clamp(min=0)
    bands = (bands * WEIGHT_STEPS).round() / WEIGHT_STEPS
    if empty := int((bands.sum(1) == 0).sum()):
        raise BadInput(f"log_mel: {empty} of {mels} bands hold no bin of an FFT of {n_fft}. Use fewer bands.")
    return bands.float()


def hz_to_mel(hz: float) -> float:
    """Pitch of a frequency: 2595 log10(1 + f/700), O'Shaughnessy 1987."""
    return 2595 * math.log10(1 + hz / 700)


def mel_to_hz(mel: Tensor) -> Tensor:
    """Inverse of `hz_to_mel`."""
    return 700 * (10 ** (mel / 2595) - 1)
