"""The four nets of MLPerf Tiny (arXiv:2106.07597), layer for layer as its Keras reference has them.

Biases in front of batch norm, padding "same" as TensorFlow pads (the odd cell goes to the end) and the final
softmax are kept, since they are part of what the published figures were measured on.
"""

import math

import torch
from torch import Tensor, nn

KERAS_EPSILON = 1e-3  # Keras' batch norm; PyTorch's own is 1e-5


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Cells TensorFlow adds before and after an axis for padding "same".

    >>> same_padding(32, 3, 2), same_padding(49, 10, 2), same_padding(10, 4, 2)
    ((0, 1), (4, 5), (1, 1))
    """
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv(nn.Sequential):
    """Padding "same" and a convolution: (n, inside, h, w) to (n, outside, ceil(h/stride), ceil(w/stride)).

    Args:
        size: (h, w) of the input.
    """

    def __init__(
        self,
        inside: int,
        outside: int,
        size: tuple[int, int],
        kernel: tuple[int, int] = (3, 3),
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        rows, columns = (same_padding(size[axis], kernel[axis], stride) for axis in (0, 1))
        even = rows[0] == rows[1] and columns[0] == columns[1]
        padding = (rows[0], columns[0]) if even else 0
        convolution = nn.Conv2d(inside, outside, kernel, stride, padding, groups=groups)
        super().__init__(convolution) if even else super().__init__(nn.ZeroPad2d((*columns, *rows)), convolution)


def conv_norm_relu(convolution: nn.Module, channels: int) -> nn.Sequential:
    """A convolution, Keras' batch norm, ReLU."""
    return nn.Sequential(convolution, nn.BatchNorm2d(channels, eps=KERAS_EPSILON), nn.ReLU())


def separable(inside: int, outside: int, size: tuple[int, int], stride: int = 1) -> nn.Sequential:
    """A 3x3 depthwise and a 1x1 convolution, each with batch norm and ReLU."""
    return nn.Sequential(
        conv_norm_relu(SameConv(inside, inside, size, stride=stride, groups=inside), inside),
        conv_norm_relu(nn.Conv2d(inside, outside, 1), outside),
    )


class DsCnn(nn.Module):
    """Keyword spotting: (n, 1, 49, 10) to probabilities (n, 12)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_norm_relu(SameConv(1, 64, (49, 10), (10, 4), 2), 64)
        self.blocks = nn.Sequential(*(separable(64, 64, (25, 5)) for _ in range(4)))
        self.pool = nn.AvgPool2d((25, 5))
        self.classify = nn.Linear(64, 12)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.pool(self.blocks(self.stem(x))).flatten(1)).softmax(-1)


class MobilenetV1(nn.Module):
    """Visual wake words, a quarter of the usual width: (n, 3, 96, 96) to probabilities (n, 2)."""

    # output channels and stride of each separable block
    BLOCKS = ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *((128, 1),) * 5, (256, 2), (256, 1))

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_norm_relu(SameConv(3, 8, (96, 96), stride=2), 8)
        blocks: list[nn.Module] = []
        inside, size = 8, 48
        for outside, stride in self.BLOCKS:
            blocks.append(separable(inside, outside, (size, size), stride))
            inside, size = outside, size // stride
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AvgPool2d(size)
        self.classify = nn.Linear(inside, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.pool(self.blocks(self.stem(x))).flatten(1)).softmax(-1)


class KerasResidual(nn.Module):
    """Two convolutions and a shortcut; where the shape changes, a 1x1 convolution without batch norm."""

    def __init__(self, inside: int, outside: int, size: int, stride: int) -> None:
        super().__init__()
        after = size // stride
        self.first = conv_norm_relu(SameConv(inside, outside, (size, size), stride=stride), outside)
        self.second = nn.Sequential(
            SameConv(outside, outside, (after, after)), nn.BatchNorm2d(outside, eps=KERAS_EPSILON)
        )
        self.shortcut = nn.Identity() if stride == 1 else nn.Conv2d(inside, outside, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.shortcut(x) + self.second(self.first(x)))


class Resnet8(nn.Module):
    """Image classification: (n, 3, 32, 32) to probabilities (n, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv_norm_relu(SameConv(3, 16, (32, 32)), 16)
        self.stacks = nn.Sequential(
            KerasResidual(16, 16, 32, 1), KerasResidual(16, 32, 32, 2), KerasResidual(32, 64, 16, 2)
        )
        self.pool = nn.AvgPool2d(8)
        self.classify = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.classify(self.pool(self.stacks(self.stem(x))).flatten(1)).softmax(-1)


class FcAutoencoder(nn.Module):
    """Anomaly detection: (n, 640) to its reconstruction (n, 640), through 8 values."""

    WIDTHS = (640, 128, 128, 128, 128, 8, 128, 128, 128, 128)

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inside, outside in zip(self.WIDTHS[:-1], self.WIDTHS[1:], strict=True):
            layers += [nn.Linear(inside, outside), nn.BatchNorm1d(outside, eps=KERAS_EPSILON), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(128, 640))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
