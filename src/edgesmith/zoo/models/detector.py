"""A small detector without anchors, after YOLOv8: a backbone, features of two sizes, a decoupled head with bins for
distances. It gives raw maps; boxes are made of them outside the net (data/detection.py)."""

import torch
from torch import Tensor, nn

from edgesmith.data.detection import BINS
from edgesmith.zoo.models.digits import ConvNorm, Residual


def conv(inside: int, outside: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution, batch norm, ReLU."""
    return nn.Sequential(ConvNorm(inside, outside, kernel, stride), nn.ReLU())


class Head(nn.Module):
    """Distances and classes on branches of their own: (n, inside, h, w) to (n, h * w, 4 * BINS + classes)."""

    def __init__(self, inside: int, width: int, classes: int) -> None:
        super().__init__()
        self.distances = nn.Sequential(conv(inside, width), nn.Conv2d(width, 4 * BINS, 1))
        scores = nn.Conv2d(width, classes, 1)
        nn.init.constant_(scores.bias, -4.0)  # type: ignore[arg-type]  # few cells hold an item: start from a low score
        self.classes = nn.Sequential(conv(inside, width), scores)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.distances(x), self.classes(x)), 1).flatten(2).transpose(1, 2)


class Detector(nn.Module):
    """(n, channels, size, size) to (n, cells, 4 * BINS + classes), the cells of strides 8 and 16.

    Args:
        widths: channels at strides 2, 4, 8 and 16.
        head: channels within the head.
    """

    def __init__(self, channels: int, classes: int, widths: tuple[int, int, int, int], head: int) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth = widths
        self.stem = nn.Sequential(conv(channels, half, 3, 2), conv(half, quarter, 3, 2), Residual(quarter, quarter, 1))
        self.fine = nn.Sequential(conv(quarter, eighth, 3, 2), Residual(eighth, eighth, 1))
        self.coarse = nn.Sequential(conv(eighth, sixteenth, 3, 2), Residual(sixteenth, sixteenth, 1))
        self.narrow = conv(sixteenth, eighth, 1)
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.join = conv(2 * eighth, eighth, 3)
        self.head_fine = Head(eighth, head, classes)
        self.head_coarse = Head(sixteenth, head, classes)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.fine(self.stem(x))
        coarse = self.coarse(fine)
        fine = self.join(torch.cat((fine, self.upsample(self.narrow(coarse))), 1))
        return torch.cat((self.head_fine(fine), self.head_coarse(coarse)), 1)
