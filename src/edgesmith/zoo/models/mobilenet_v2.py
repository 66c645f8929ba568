"""MobileNetV2 (arXiv:1801.04381) at any width and input size."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgesmith.zoo.shapes import MOBILENET_V2_BLOCKS, Block, mobilenet_v2_channels


def conv_norm_relu6(inside: int, outside: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution without bias, batch norm, ReLU6."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU6(),
    )


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project; added to its input where the shape stays (figure 4 of the paper)."""

    def __init__(self, inside: int, outside: int, stride: int, expansion: int, kernel: int = 3) -> None:
        super().__init__()
        hidden = inside * expansion
        self.adds = stride == 1 and inside == outside
        expand = [] if expansion == 1 else [conv_norm_relu6(inside, hidden, 1)]
        self.body = nn.Sequential(
            *expand,
            conv_norm_relu6(hidden, hidden, kernel, stride, groups=hidden),
            nn.Conv2d(hidden, outside, 1, bias=False),
            nn.BatchNorm2d(outside),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.adds else self.body(x)


class MobilenetV2(nn.Module):
    """(n, channels, size, size) to logits (n, classes); table 2 of the paper, every width times `width`."""

    def __init__(
        self,
        width: float,
        classes: int = 1000,
        blocks: Sequence[Block] = MOBILENET_V2_BLOCKS,
        head: int = 1280,
        stem: tuple[int, int] = (3, 2),
    ) -> None:
        """`stem` is the picture's channels and the first convolution's stride."""
        super().__init__()
        channels, stride = stem
        inside = mobilenet_v2_channels(32, width)
        self.stem = conv_norm_relu6(channels, inside, 3, stride)
        layers: list[nn.Module] = []
        for expansion, channels, repeats, stride, kernel in blocks:
            outside = mobilenet_v2_channels(channels, width)
            for repeat in range(repeats):
                step = stride if repeat == 0 else 1
                layers.append(InvertedResidual(inside, outside, step, expansion, 3 if step == 2 else kernel))
                inside = outside
        self.blocks = nn.Sequential(*layers)
        last = mobilenet_v2_channels(head, max(1.0, width))
        self.head = conv_norm_relu6(inside, last, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classify = nn.Linear(last, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(self.blocks(self.stem(x)))
        return self.classify(torch.flatten(self.pool(x), 1))
