"""What the importance criteria share: weights seen channel by channel, layers brought to one scale."""

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from edgesmith.compress.prune.channels import LAYERS, Coupled, Part


def makers(module: nn.Module, coupled: Coupled) -> list[Part]:
    """The layers whose outputs the channels of the set are."""
    return [p for p in coupled.parts if p.side == "out" and isinstance(module.get_submodule(p.path), LAYERS)]


def filters(module: nn.Module, part: Part, pick: Callable[[Tensor], Tensor] = Tensor.detach) -> Tensor:
    """A layer's weight, or what `pick` makes of it, as (outputs, everything else)."""
    layer = module.get_submodule(part.path)
    weight = pick(cast(Tensor, layer.weight))
    return (weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight).flatten(1)


def combined(coupled: Coupled, scores: Sequence[Tensor]) -> Tensor:
    """Scores of several layers added up, each divided by its mean, so that layers of any scale count alike.

    Args:
        scores: per layer (outputs,), outputs a multiple of the set's size.

    Returns:
        (size,) float.
    """
    total = torch.zeros(coupled.size)
    for score in scores:
        total += score.reshape(coupled.size, -1).sum(1) / score.mean().clamp_min(1e-12)
    return total
