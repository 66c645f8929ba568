"""A small Segmenter (arXiv:2105.05633): a vision transformer and a mask decoder, without L2 norm, upsampled by
nearest neighbour, as integers need it (arXiv:2509.10334)."""

import torch
from torch import Tensor, nn

from edgesmith.zoo.models.vit import Block


class MaskDecoder(nn.Module):
    """Class tokens join the patches for one block; their products with the patches are the masks.

    (n, patches, width) to (n, patches, classes).
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.tokens = nn.Parameter(0.02 * torch.randn(1, classes, width))
        self.block = Block(width, heads=4)
        self.norm = nn.LayerNorm(width)
        self.project_patches = nn.Linear(width, width)
        self.project_classes = nn.Linear(width, width)
        self.norm_masks = nn.LayerNorm(classes)

    def forward(self, x: Tensor) -> Tensor:
        n, patches, _ = x.shape
        joined = self.norm(self.block(torch.cat((x, self.tokens.expand(n, -1, -1)), 1)))
        of_patches, of_classes = self.project_patches(joined[:, :patches]), self.project_classes(joined[:, patches:])
        return self.norm_masks(of_patches @ of_classes.transpose(1, 2))


class Segmenter(nn.Module):
    """(n, channels, size, size) to scores (n, classes, size, size).

    Args:
        patch: pixels along a patch's side; divides size.
    """

    def __init__(self, channels: int, size: int, patch: int, classes: int, width: int = 48, depth: int = 3) -> None:
        super().__init__()
        self.grid = size // patch
        self.embed = nn.Conv2d(channels, width, patch, patch)
        self.position = nn.Parameter(0.02 * torch.randn(1, self.grid**2, width))
        self.blocks = nn.Sequential(*(Block(width, heads=4) for _ in range(depth)))
        self.decode = MaskDecoder(width, classes)
        self.upsample = nn.Upsample(scale_factor=patch, mode="nearest")

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x).flatten(2).transpose(1, 2) + self.position
        masks = self.decode(self.blocks(tokens))
        return self.upsample(masks.transpose(1, 2).reshape(len(x), -1, self.grid, self.grid))
