"""Network slimming: channels with a small batch-norm scale go first."""

from torch import Tensor, nn

from edgesmith.compress.prune.channels import Coupled
from edgesmith.compress.prune.greedy import Cost, Transform, prune_to_fit
from edgesmith.compress.prune.importance import combined
from edgesmith.compress.prune.l1_norm import l1_importance
from edgesmith.core.card import Card, Claim, Source, method


@method(
    Card(
        name="slimming",
        does="removes the channels whose batch-norm |gamma| is smallest, per predicted cost saved",
        source=Source("Liu et al.", 2017, "arXiv:1708.06519"),
        claims=(
            Claim("a channel scaled to zero is removed first", test="test_slimming_removes_a_silent_channel_first"),
        ),
        omits=(
            "training with an L1 penalty on gamma beforehand",
            "sets without a batch norm use the L1 norm of filters",
        ),
    )
)
def slimming(cost: Cost, multiple: int = 4, until: float = 1.0) -> Transform:
    """Prune until the worst ratio of `cost` is at most `until`; see `greedy.prune_to_fit`."""
    return prune_to_fit(gamma_importance, cost, multiple, until=until)


def gamma_importance(module: nn.Module, coupled: Coupled) -> Tensor:
    """|gamma| of the norms on each channel, over the layer's mean: (size,). Source: arXiv:1708.06519, section 3."""
    layers = [module.get_submodule(part.path) for part in coupled.parts]
    norms = [layer for layer in layers if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    if not norms:
        return l1_importance(module, coupled)
    return combined(coupled, [norm.weight.detach().abs() for norm in norms])
