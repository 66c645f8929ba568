"""How far a transformer's answers move when one channel or head is gone, and the transformer without the least of them.

A unit's importance is the Kullback-Leibler divergence of the answers without it from those of the whole net, on
pictures of the classes that the sub-model will answer for (arXiv:2410.11650, class-wise pruning). Three kinds of units
go one after the other: channels of the residual stream, heads (then queries, keys and values within a head), hidden
units of the two-layer nets.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from edgesmith.collaborate.distributed.narrowing import with_channels, with_head_width, with_heads, with_hidden
from edgesmith.collaborate.distributed.vit import Classifier, Sizes


class Units:
    """A net to take units from, and pictures to see what that does.

    Args:
        net: as it is now; `whole` gave the answers to keep to.
        x: (n, channels, size, size) normalized pictures.
    """

    def __init__(self, net: Classifier, x: Tensor, whole: Classifier) -> None:
        self.net, self.x = net, x
        with torch.no_grad():
            self.wanted = whole.scores(x).log_softmax(-1)

    def moved(self, scores: Tensor) -> float:
        """Mean divergence, in nats, of (n, classes) scores from what is wanted."""
        return float(nn.functional.kl_div(scores.log_softmax(-1), self.wanted, reduction="batchmean", log_target=True))

    def before(self, block: int) -> Tensor:
        """Tokens that enter a block: (n, tokens, width)."""
        vit = self.net.vit
        return vit.blocks[:block](vit.tokens(self.x))

    def after(self, block: int, tokens: Tensor) -> Tensor:
        """Scores from the tokens that enter a block."""
        vit = self.net.vit
        return self.net.classify(vit.pooled(vit.blocks[block:](tokens)))


@torch.no_grad()
def residual_scores(units: Units) -> Tensor:
    """(width,) divergence without each channel of the residual stream, taken out of every layer."""
    width = units.net.vit.sizes.width
    every = torch.arange(width)
    return torch.tensor(
        [units.moved(with_channels(units.net, every[every != channel]).scores(units.x)) for channel in range(width)]
    )


@torch.no_grad()
def head_scores(units: Units, block: int) -> Tensor:
    """(heads,) divergence without each head of one block."""
    sizes, attention = units.net.vit.sizes, units.net.vit.block(block).attention
    groups = torch.arange(sizes.inner).reshape(sizes.heads, sizes.head_width)
    return _silenced(units, block, attention.project, groups)


@torch.no_grad()
def head_width_scores(units: Units, block: int) -> Tensor:
    """(heads, head_width) divergence without one of the queries, keys and values of a head."""
    sizes, attention = units.net.vit.sizes, units.net.vit.block(block).attention
    tokens, found = units.before(block), []
    for unit in range(sizes.inner):
        rows = [unit + part * sizes.inner for part in range(3)]
        with _zeroed(attention.query_key_value, rows=rows):
            found.append(units.moved(units.after(block, tokens)))
    return torch.tensor(found).reshape(sizes.heads, sizes.head_width)


@torch.no_grad()
def hidden_scores(units: Units, block: int) -> Tensor:
    """(hidden,) divergence without each hidden unit of one block."""
    last = units.net.vit.block(block).last
    return _silenced(units, block, last, torch.arange(last.in_features)[:, None])


def _silenced(units: Units, block: int, layer: nn.Linear, groups: Tensor) -> Tensor:
    """Divergence when each group of a layer's inputs, a row of (groups, size), is not read."""
    tokens, found = units.before(block), []
    for group in groups:
        with _zeroed(layer, columns=group.tolist()):
            found.append(units.moved(units.after(block, tokens)))
    return torch.tensor(found)


@contextmanager
def _zeroed(layer: nn.Linear, columns: list[int] | None = None, rows: list[int] | None = None) -> Iterator[None]:
    """A layer with columns of its weight, or rows and their biases, zero; as it was afterwards."""
    weight, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    if columns is not None:
        layer.weight[:, columns] = 0
    if rows is not None:
        layer.weight[rows], layer.bias[rows] = 0, 0
    try:
        yield
    finally:
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)


def by_divergence(whole: Classifier, x: Tensor, goal: Sizes) -> Classifier:
    """The net at the sizes of `goal`: of each kind of units the most important are left.

    Args:
        x: (n, channels, size, size) normalized pictures of the sub-model's classes.
    """
    net = with_channels(whole, most(residual_scores(Units(whole, x, whole)), goal.width))
    units, depth = Units(net, x, whole), range(goal.depth)
    net = with_heads(net, [most(head_scores(units, block), goal.heads) for block in depth])
    if goal.head_width < net.vit.sizes.head_width:
        units = Units(net, x, whole)
        scores = [head_width_scores(units, block) for block in depth]
        net = with_head_width(net, [torch.stack([most(row, goal.head_width) for row in rows]) for rows in scores])
    units = Units(net, x, whole)
    return with_hidden(net, [most(hidden_scores(units, block), goal.hidden) for block in depth])


def evenly(whole: Classifier, goal: Sizes) -> Classifier:
    """The net at the sizes of `goal`, whichever units are important: those left lie at even distances."""
    sizes, depth = whole.vit.sizes, range(goal.depth)
    net = with_channels(whole, spread(sizes.width, goal.width))
    net = with_heads(net, [spread(sizes.heads, goal.heads)] * goal.depth)
    within = spread(sizes.head_width, goal.head_width).expand(goal.heads, -1)
    net = with_head_width(net, [within for _ in depth])
    return with_hidden(net, [spread(sizes.hidden, goal.hidden)] * goal.depth)


def most(scores: Tensor, count: int) -> Tensor:
    """(count,) indices of the greatest of (n,) scores, ascending."""
    return scores.topk(count).indices.sort().values


def spread(size: int, count: int) -> Tensor:
    """(count,) of `size` indices at even distances.

    >>> spread(8, 3).tolist()
    [0, 2, 5]
    """
    return torch.arange(count) * size // count
