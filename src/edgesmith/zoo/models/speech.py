"""Spoken digits from the raw waveform."""

from torch import Tensor, nn

from edgesmith.lower.log_mel import LogMel
from edgesmith.zoo.models.digits import ConvNorm


def separable(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    """A 3x3 depthwise and a 1x1 convolution, each with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inside, inside, 3, stride, 1, groups=inside, bias=False),
        nn.BatchNorm2d(inside),
        nn.ReLU(),
        ConvNorm(inside, outside, 1),
        nn.ReLU(),
    )


class SpeechDscnn(nn.Module):
    """One second at 8 kHz, (n, 8000) in the microphone's integers, to (n, 10).

    A log-mel front end, then separable convolutions after arXiv:1711.07128. The first convolution does not pad:
    a zero in the logarithm of an energy is not silence.
    """

    def __init__(self, mels: int = 24, width: int = 48) -> None:
        super().__init__()
        self.front_end = LogMel(rate=8000, length=256, hop=160, mels=mels)
        self.stem = nn.Sequential(nn.Conv2d(1, width, (10, 4), 2, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.blocks = nn.Sequential(
            separable(width, width), separable(width, width, 2), separable(width, width), separable(width, width)
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classify = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(self.front_end(x).unsqueeze(1))
        return self.classify(self.pool(self.blocks(x)).flatten(1))
