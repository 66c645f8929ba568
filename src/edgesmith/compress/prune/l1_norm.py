"""Filter pruning by the L1 norm: filters of small weights go first."""

from torch import Tensor, nn

from edgesmith.compress.prune.channels import Coupled
from edgesmith.compress.prune.greedy import Cost, Transform, prune_to_fit
from edgesmith.compress.prune.importance import combined, filters, makers
from edgesmith.core.card import Card, Claim, Source, method


@method(
    Card(
        name="l1_norm",
        does="removes the channels whose filters have the smallest sum of |w|, per predicted cost saved",
        source=Source("Li et al.", 2016, "arXiv:1608.08710"),
        claims=(
            Claim(
                "filters of small L1 norm cost the least accuracy (here by less than the criterion: does not hold)",
                experiment="benchmarks/claims/compress/l1_norm.py",
            ),
        ),
        omits=("the per-layer ratios set by hand from sensitivity curves: the target's predicted cost sets them here",),
    )
)
def l1_norm(cost: Cost, multiple: int = 4, until: float = 1.0) -> Transform:
    """Prune until the worst ratio of `cost` is at most `until`; see `greedy.prune_to_fit`."""
    return prune_to_fit(l1_importance, cost, multiple, until=until)


def l1_importance(module: nn.Module, coupled: Coupled) -> Tensor:
    """Sum of |w| over each channel's filters, over the layer's mean: (size,). Source: arXiv:1608.08710, section 3.1."""
    return combined(coupled, [filters(module, part).abs().sum(1) for part in makers(module, coupled)])
