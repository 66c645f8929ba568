"""Nets for the 8x8 digits: the input is one raw image, scaled to 0..1."""

import torch
from torch import Tensor, nn


class ConvNorm(nn.Sequential):
    """Convolution without bias and its batch norm: (n, inside, h, w) to (n, outside, h/stride, w/stride)."""

    def __init__(self, inside: int, outside: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outside),
        )


class DigitsCnn(nn.Module):
    """Three convolutions and a linear layer: (n, 1, 8, 8) to (n, 10); 14,010 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            ConvNorm(1, 16),
            nn.ReLU(),
            ConvNorm(16, 24),
            nn.ReLU(),
            nn.MaxPool2d(2),
            ConvNorm(24, 40),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
        )
        self.classify = nn.Linear(40 * 4, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.features(x).flatten(1))


class Residual(nn.Module):
    """Two convolutions and a shortcut, projected by a 1x1 convolution where the shape changes."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.first = ConvNorm(inside, outside, 3, stride)
        self.second = ConvNorm(outside, outside)
        same = inside == outside and stride == 1
        self.shortcut = nn.Identity() if same else ConvNorm(inside, outside, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.second(torch.relu(self.first(x)))
        return torch.relu(inner + self.shortcut(x))


class DigitsResnet(nn.Module):
    """A residual net of six blocks on the doubled image: (n, 1, 8, 8) to (n, 10).

    The widths 16, 32, 64 and the block are those of the CIFAR ResNets (arXiv:1512.03385, section 4.2).
    Doubling the image is part of the net, so that an artifact starts at the raw pixels.
    """

    def __init__(self, widths: tuple[int, int, int] = (16, 32, 64), blocks: int = 2) -> None:
        super().__init__()
        self.enlarge = nn.Upsample(scale_factor=2, mode="nearest")
        self.stem = ConvNorm(1, widths[0])
        stages: list[nn.Module] = []
        inside = widths[0]
        for stage, width in enumerate(widths):
            for block in range(blocks):
                stages.append(Residual(inside, width, stride=2 if stage > 0 and block == 0 else 1))
                inside = width
        self.stages = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classify = nn.Linear(inside, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(self.enlarge(x)))
        return self.classify(self.pool(self.stages(x)).flatten(1))
