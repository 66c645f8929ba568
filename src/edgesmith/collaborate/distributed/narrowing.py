"""A transformer with fewer channels, heads or hidden units: those named stay, all others are cut out of every layer."""

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from edgesmith.collaborate.distributed.vit import Attention, Classifier, Sizes, SubVit


def with_channels(net: Classifier, kept: Tensor) -> Classifier:
    """The net with only these channels (k,) of the residual stream."""
    vit = SubVit(replace(net.vit.sizes, width=len(kept)))
    state = net.vit.state_dict()
    vit.load_state_dict({name: _of_residual(name, value, kept) for name, value in state.items()})
    return Classifier(vit.eval(), columns_of(net.classify, kept))


def _of_residual(name: str, value: Tensor, kept: Tensor) -> Tensor:
    """What stays of a parameter; the first layers of attention and of the two-layer nets write no residual channel."""
    if name.endswith(("query_key_value.bias", "mlp.0.bias")):
        return value
    if name == "position":
        return value[:, :, kept]
    return value[:, kept] if name.endswith(("query_key_value.weight", "mlp.0.weight")) else value[kept]


def with_heads(net: Classifier, kept: Sequence[Tensor]) -> Classifier:
    """The net with only these heads (k,) of each block."""
    sizes = net.vit.sizes
    within = torch.arange(sizes.head_width)
    inner = [(heads[:, None] * sizes.head_width + within).flatten() for heads in kept]
    return _with_inner(net, replace(sizes, heads=len(kept[0])), inner)


def with_head_width(net: Classifier, kept: Sequence[Tensor]) -> Classifier:
    """The net with only these (heads, k) queries, keys and values of each block's heads."""
    sizes = net.vit.sizes
    begin = sizes.head_width * torch.arange(sizes.heads)[:, None]
    return _with_inner(net, replace(sizes, head_width=kept[0].shape[1]), [(begin + units).flatten() for units in kept])


def _with_inner(net: Classifier, sizes: Sizes, kept: Sequence[Tensor]) -> Classifier:
    """The net with only these (k,) channels between each block's query_key_value and project."""
    old, vit = net.vit.sizes, resized(net.vit, sizes)
    # Attention divides by the root of the head's width: the queries make up for another width.
    scale = (sizes.head_width / old.head_width) ** 0.5
    for index, units in enumerate(kept):
        block = vit.block(index)
        before, made = block.attention, Attention(sizes)
        made.query_key_value = rows_of(
            before.query_key_value, torch.cat([units + part * old.inner for part in range(3)])
        )
        made.project = columns_of(before.project, units)
        made.query_key_value.weight.data[: len(units)] *= scale
        made.query_key_value.bias.data[: len(units)] *= scale
        block.attention = made
    return Classifier(vit.eval(), copy.deepcopy(net.classify))


def with_hidden(net: Classifier, kept: Sequence[Tensor]) -> Classifier:
    """The net with only these (k,) hidden units of each block."""
    vit = resized(net.vit, replace(net.vit.sizes, hidden=len(kept[0])))
    for index, units in enumerate(kept):
        block = vit.block(index)
        block.mlp = nn.Sequential(rows_of(block.first, units), nn.GELU(), columns_of(block.last, units))
    return Classifier(vit.eval(), copy.deepcopy(net.classify))


def resized(vit: SubVit, sizes: Sizes) -> SubVit:
    """A copy that says it has these sizes; its layers are still those of the old ones."""
    made = copy.deepcopy(vit)
    made.sizes = sizes
    return made


def rows_of(layer: nn.Linear, kept: Tensor) -> nn.Linear:
    """The layer with only these (k,) outputs."""
    made = nn.Linear(layer.in_features, len(kept))
    made.load_state_dict({"weight": layer.weight.detach()[kept], "bias": layer.bias.detach()[kept]})
    return made


def columns_of(layer: nn.Linear, kept: Tensor) -> nn.Linear:
    """The layer with only these (k,) inputs."""
    made = nn.Linear(len(kept), layer.out_features)
    made.load_state_dict({"weight": layer.weight.detach()[:, kept], "bias": layer.bias.detach()})
    return made
