"""Which channels of a module must go together, and taking them out. The one file that knows torch-pruning."""

import copy
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn

LAYERS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


@dataclass(frozen=True)
class Part:
    """One layer's share in a set of coupled channels.

    Attributes:
        path: of the layer in the module, such as "stages.0.first.0".
        side: whether the channels are the layer's outputs or inputs; a norm's are outputs.
        rows: for each index along that axis of the weight, the channel of the set it belongs to.
    """

    path: str
    side: str  # "out" or "in"
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Coupled:
    """Channels that exist together: the outputs of some layers and the inputs of others.

    Attributes:
        root: path of the layer that names the set.
        size: number of channels.
    """

    root: str
    size: int
    parts: tuple[Part, ...]


def coupled_channels(module: nn.Module, example_inputs: Sequence[Tensor]) -> tuple[Coupled, ...]:
    """Every set of coupled channels that may shrink; sets that reach the module's output are left out.

    Source: DepGraph, arXiv:2301.12900.
    """
    graph = _dependencies(module, example_inputs)
    sets = [_coupled(group) for group in _groups(module, graph)]
    return tuple(s for s in sets if s.size > 1 and _has_reader(s))


def remove(module: nn.Module, example_inputs: Sequence[Tensor], channels: Mapping[str, Sequence[int]]) -> nn.Module:
    """A copy of `module` without some channels.

    Args:
        channels: root of a coupled set to the channel indices to take out of it.
    """
    result = copy.deepcopy(module)
    graph = _dependencies(result, example_inputs)
    for group in list(_groups(result, graph)):
        root = _path(group[0])
        if gone := sorted(channels.get(root, ())):
            graph.get_pruning_group(group[0].dep.target.module, group[0].dep.handler, gone).prune()
    for parameter in result.parameters():
        parameter.grad = None
    return result.eval()


def _dependencies(module: nn.Module, example_inputs: Sequence[Tensor]) -> torch_pruning.DependencyGraph:
    with warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore")  # it warns of every parameter outside a layer it knows
        return torch_pruning.DependencyGraph().build_dependency(module.eval(), tuple(example_inputs))


def _groups(module: nn.Module, graph: torch_pruning.DependencyGraph) -> list[torch_pruning.Group]:
    return list(graph.get_all_groups(root_module_types=list(LAYERS)))


def _coupled(group: torch_pruning.Group) -> Coupled:
    parts = []
    for item in group:
        layer = item.dep.target.module
        if isinstance(layer, (*LAYERS, nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm)):
            side = "in" if "in_channels" in item.dep.handler.__name__ and isinstance(layer, LAYERS) else "out"
            parts.append(Part(_path(item), side, tuple(int(i) for i in item.root_idxs)))
    return Coupled(_path(group[0]), len(group[0].idxs), tuple(parts))


def _path(item: Any) -> str:
    return str(item.dep.target.name).split(" (")[0]


def _has_reader(coupled: Coupled) -> bool:
    """Whether some layer takes these channels in; without one they are the module's output."""
    return any(part.side == "in" for part in coupled.parts)
