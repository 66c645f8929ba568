"""From a net's name to its module."""

from collections.abc import Callable

import torch
from torch import nn

from edgesmith.zoo.models.digits import DigitsCnn, DigitsResnet

BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "digits-cnn": DigitsCnn,
    "digits-resnet": DigitsResnet,
}


def build(name: str, seed: int = 0) -> nn.Module:
    """A net with the weights that `seed` gives; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BUILDERS[name]()
