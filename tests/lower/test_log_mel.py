"""The log-mel op against sums written out, and as one node of an exported program."""

import math

import numpy as np
import pytest
import torch

from edgesmith.core.errors import BadInput
from edgesmith.core.ops import spectral
from edgesmith.lower.log_mel import LogMel, hann, mel_bands


def test_every_energy_is_the_sum_over_a_plain_fourier_transform(nprng):
    module = LogMel(rate=8000, length=48, hop=20, mels=6)
    x = nprng.integers(-32768, 32768, (1, 130)).astype(np.float64)
    result = module(torch.from_numpy(x).float())
    assert result.shape == (1, 1 + (130 - 48) // 20, 6)
    window, mel = module.window.double().numpy(), module.mel.double().numpy()
    for frame in range(result.shape[1]):
        cut = x[0, frame * 20 : frame * 20 + 48] * window
        k = np.arange(33)[:, None]
        spectrum = (cut * np.exp(-2j * math.pi * k * np.arange(48) / 64)).sum(1)
        expected = np.log2(mel @ np.abs(spectrum) ** 2 + 2.0**-12)
        assert np.allclose(result[0, frame].numpy(), expected, atol=2e-3)


def test_silence_is_the_floor():
    assert (LogMel(8000, 256, 160, 24)(torch.zeros(1, 1000)) == -12).all()


def test_a_tone_is_loudest_in_the_band_around_its_pitch():
    module = LogMel(8000, 256, 160, 24)
    bins_hz = torch.arange(129) * 8000 / 256
    peaks_hz = bins_hz[module.mel.argmax(1)]
    for hz in (440.0, 1000.0, 3000.0):
        tone = 10_000 * torch.sin(2 * math.pi * hz * torch.arange(1024) / 8000)[None]
        loudest = module(tone)[0, 2].argmax()
        assert abs(peaks_hz[loudest] - hz) == (peaks_hz - hz).abs().min()


def test_constants_lie_on_the_integer_op_s_grid():
    window, mel = hann(256) * 2**15, mel_bands(8000, 256, 24, 60.0) * 2**12
    assert (window == window.round()).all() and window.min() == 0 and window.max() == 32767
    assert (mel == mel.round()).all() and mel.min() == 0 and mel.max() <= 4096


def test_export_keeps_it_as_one_node():
    program = torch.export.export(LogMel(8000, 256, 160, 24).eval(), (torch.zeros(1, 8000),))
    calls = [node for node in program.graph.nodes if node.op == "call_function"]
    assert [str(node.target) for node in calls] == ["edgesmith.log_mel.default"]
    assert tuple(calls[0].meta["val"].shape) == (1, 49, 24)


@pytest.mark.parametrize("arguments", [(8000, 2048, 160, 24), (8000, 256, 0, 24), (8000, 256, 160, 200)])
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(BadInput, match="log_mel"):
        LogMel(*arguments)


def test_module_and_graph_op_agree(nprng):
    """The numpy definition in core.ops is written on its own; both follow docs/numbers.md, log_mel."""
    module = LogMel(8000, 256, 160, 24)
    x = nprng.integers(-32768, 32768, (1, 2000)).astype(np.int16)
    (spec,) = (spec for spec in spectral.OPS if spec.kind == "log_mel")
    (expected,) = spec.run([x, module.window.numpy(), module.mel.numpy()], {"hop": 160, "n_fft": 256})
    assert np.allclose(module(torch.from_numpy(x).float()).numpy(), expected, atol=1e-3)
