"""The residual nets for small pictures of arXiv:1512.03385, section 4.2."""

import torch
from torch import Tensor, nn

from edgesmith.zoo.models.digits import ConvNorm


class ThinnedShortcut(nn.Module):
    """Every second row and column, and channels of zeros: (n, c, h, w) to (n, outside, h/2, w/2).

    Shortcut A of the paper, which has no parameters.
    """

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.more = outside - inside

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.more))


class PlainResidual(nn.Module):
    """Two 3x3 convolutions and a shortcut without parameters; the first halves the picture where the width grows."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        grows = inside != outside
        self.first = ConvNorm(inside, outside, 3, 2 if grows else 1)
        self.second = ConvNorm(outside, outside)
        self.shortcut = ThinnedShortcut(inside, outside) if grows else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.second(torch.relu(self.first(x))) + self.shortcut(x))


class CifarResnet(nn.Module):
    """6 * blocks + 2 layers: (n, channels, size, size) to (n, classes); `blocks` of 3 is ResNet-20."""

    def __init__(self, blocks: int, channels: int, classes: int, widths: tuple[int, ...] = (16, 32, 64)) -> None:
        super().__init__()
        self.stem = ConvNorm(channels, widths[0])
        insides = [widths[0], *(width for width in widths for _ in range(blocks))]
        self.stages = nn.Sequential(*map(PlainResidual, insides[:-1], insides[1:]))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classify = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages(torch.relu(self.stem(x)))
        return self.classify(torch.flatten(self.pool(x), 1))
