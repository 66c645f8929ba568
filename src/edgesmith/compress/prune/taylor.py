"""Taylor pruning: channels whose removal changes the loss least, to first order, go first."""

import torch
from torch import Tensor, nn

from edgesmith.compress.prune.channels import Coupled, Part
from edgesmith.compress.prune.greedy import Cost, Transform, prune_to_fit
from edgesmith.compress.prune.importance import combined, filters, makers
from edgesmith.core.card import Card, Claim, Source, method


@method(
    Card(
        name="taylor",
        does="removes the channels with the smallest (gradient x weight)^2, per predicted cost saved",
        source=Source("Molchanov et al.", 2019, "arXiv:1906.10771"),
        claims=(
            Claim(
                "the score is the squared first-order change of the loss",
                test="test_taylor_is_the_first_order_change_of_the_loss",
            ),
        ),
        omits=("averaging the score over a training epoch: one pass over the calibration split is used",),
    )
)
def taylor(cost: Cost, multiple: int = 4, until: float = 1.0) -> Transform:
    """Prune until the worst ratio of `cost` is at most `until`; see `greedy.prune_to_fit`."""
    return prune_to_fit(taylor_importance, cost, multiple, needs_gradients=True, until=until)


def taylor_importance(module: nn.Module, coupled: Coupled) -> Tensor:
    """(sum of gradient x weight over a channel's filters)^2, over the layer's mean: (size,).

    Needs `.grad`, see `greedy.fill_gradients`. Source: arXiv:1906.10771, equation 8.
    """
    return combined(coupled, [first_order(module, part).square() for part in makers(module, coupled)])


def first_order(module: nn.Module, part: Part) -> Tensor:
    """Sum of gradient x weight over each filter of a layer: (outputs,), in the unit of the loss."""
    gradients = filters(module, part, lambda w: torch.zeros_like(w) if w.grad is None else w.grad)
    return (filters(module, part) * gradients).sum(1)
