"""Ops of several operands or of named axes in torch, for one sample or for many along a new first axis."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from edgesmith.core import graph as graphs
from edgesmith.lower.torch_ops import limited

Attrs = Mapping[str, Any]
Types = Sequence[graphs.Tensor]


def extra(x: Tensor, tensor: graphs.Tensor) -> int:
    """1 when x has the axis of samples before those of the graph's tensor, else 0."""
    return x.ndim - len(tensor.shape)


def aligned(xs: Sequence[Tensor], types: Types) -> list[Tensor]:
    """Operands of different rank made ready to broadcast: axes of 1 go between the samples' axis and the others."""
    rank = max(len(tensor.shape) for tensor in types)
    result = []
    for x, tensor in zip(xs, types, strict=True):
        missing = rank - len(tensor.shape)
        if extra(x, tensor) and missing:
            x = x.reshape(x.shape[0], *(1,) * missing, *tensor.shape)
        result.append(x)
    return result


def _binary(function: Callable[[Tensor, Tensor], Tensor], xs: Sequence[Tensor], a: Attrs, types: Types) -> Tensor:
    left, right = aligned(xs, types)
    return limited(function(left, right), a)


def _reduce(function: Callable[..., Tensor], xs: Sequence[Tensor], a: Attrs, types: Types) -> Tensor:
    axes = tuple(axis + extra(xs[0], types[0]) for axis in a["axes"])
    return function(xs[0], dim=axes, keepdim=a["keepdims"])


def reshape(xs: Sequence[Tensor], a: Attrs, types: Types) -> Tensor:
    """The samples' axis stays in front."""
    return xs[0].reshape(*xs[0].shape[: extra(xs[0], types[0])], *a["shape"])


def permute(xs: Sequence[Tensor], a: Attrs, types: Types) -> Tensor:
    """The samples' axis stays in front."""
    lead = extra(xs[0], types[0])
    return xs[0].permute(*range(lead), *(axis + lead for axis in a["axes"]))


def slice_(xs: Sequence[Tensor], a: Attrs, types: Types) -> Tensor:
    """On every axis of the graph's tensor."""
    cuts = [slice(*cut) for cut in zip(a["starts"], a["ends"], a["steps"], strict=True)]
    return xs[0][(...,) + tuple(cuts)] if cuts else xs[0]


def concat(xs: Sequence[Tensor], a: Attrs, types: Types) -> Tensor:
    """Constants are repeated for each sample."""
    batched = [x for x, tensor in zip(xs, types, strict=True) if extra(x, tensor)]
    if not batched:
        return torch.cat(list(xs), a["axis"])
    count = batched[0].shape[0]
    parts = [x if extra(x, t) else x.expand(count, *x.shape) for x, t in zip(xs, types, strict=True)]
    return torch.cat(parts, a["axis"] + 1)


def pad(xs: Sequence[Tensor], a: Attrs, types: Types) -> Tensor:
    """torch counts axes from the last."""
    widths = [width for pair in zip(reversed(a["before"]), reversed(a["after"]), strict=True) for width in pair]
    return F.pad(xs[0], widths, value=a["value"])


def expand(xs: Sequence[Tensor], a: Attrs, types: Types) -> Tensor:
    """New axes go behind the samples' axis."""
    x, shape = xs[0], a["shape"]
    if not extra(x, types[0]):
        return x.expand(shape)
    x = x.reshape(x.shape[0], *(1,) * (len(shape) - len(types[0].shape)), *types[0].shape)
    return x.expand(x.shape[0], *shape)


MOVES: Mapping[str, Callable[[Sequence[Tensor], Attrs, Types], Tensor]] = {
    "add": partial(_binary, torch.add),
    "sub": partial(_binary, torch.sub),
    "mul": partial(_binary, torch.mul),
    "div": partial(_binary, torch.div),
    "reduce_sum": partial(_reduce, torch.sum),
    "reduce_mean": partial(_reduce, torch.mean),
    "reduce_max": partial(_reduce, torch.amax),
    "reshape": reshape,
    "permute": permute,
    "slice": slice_,
    "concat": concat,
    "pad": pad,
    "expand": expand,
}
