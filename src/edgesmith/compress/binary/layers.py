"""Layers of binary nets: what a user builds one of."""

import torch
from torch import Tensor, nn

from edgesmith.lower.fake_sign import fake_sign

PAD = -1.0  # what a cell outside counts as (docs/numbers.md, Signs)


class Sign(nn.Module):
    """1 where x >= 0, else -1; gradients pass where |x| <= 1 (arXiv:1602.02830, equation 4)."""

    one: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("one", torch.ones(1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x, of any shape, as signs."""
        return fake_sign(x, self.one)


class BinaryConv2d(nn.Module):
    """A convolution of signs by signs, padded with -1; every output channel times its mean |w|.

    The batch norm that should follow becomes thresholds where signs follow it. Source: arXiv:1603.05279, section 3.1.

    Args:
        inside, outside: channels of input and output.
        padding: cells on every side; None for as many as keep the size at stride 1.
    """

    one: Tensor

    def __init__(self, inside: int, outside: int, kernel: int = 3, stride: int = 1, padding: int | None = None) -> None:
        super().__init__()
        self.stride, self.padding = stride, kernel // 2 if padding is None else padding
        self.weight = nn.Parameter(torch.empty(outside, inside, kernel, kernel))
        nn.init.uniform_(self.weight, -0.1, 0.1)  # close to zero, so that signs turn early (our measurement)
        self.register_buffer("one", torch.ones(1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Signs (n, inside, h, w) to sums (n, outside, h', w')."""
        scale = self.weight.abs().mean((1, 2, 3), keepdim=True)
        x = nn.functional.pad(x, (self.padding,) * 4, value=PAD)
        return nn.functional.conv2d(x, fake_sign(self.weight, self.one) * scale, stride=self.stride)
