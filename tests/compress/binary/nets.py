"""A small binary net on digits, untrained, with batch norms as training would leave them."""

import torch
from torch import nn

from edgesmith.compress.binary.layers import BinaryConv2d, Sign


def digits_net(first: int = 24, second: int = 40, third: int = 36) -> nn.Sequential:
    """Binary convolutions to signs and to int8, with widths that end within a word."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, first, 3, 1, 1, bias=False),
        nn.BatchNorm2d(first),
        Sign(),
        BinaryConv2d(first, second, stride=2),
        nn.BatchNorm2d(second),
        Sign(),
        BinaryConv2d(second, third),
        nn.BatchNorm2d(third),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(third, 10),
    )
    for norm in (layer for layer in net if isinstance(layer, nn.BatchNorm2d)):
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2)
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    return net.eval()
