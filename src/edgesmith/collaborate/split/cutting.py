"""The rest of a net after one of its layers, as a module of its own."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.fx import Graph, GraphModule, Node, Tracer

from edgesmith.core.errors import BadInput, Unsupported


class Coarse(Tracer):
    """Traces a net down to the layers that are named, and no further than it must."""

    def __init__(self, points: Sequence[str]) -> None:
        super().__init__()
        self.points = points

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether none of the named layers lies within."""
        return not any(point.startswith(f"{module_qualified_name}.") for point in self.points)


def rest_after(module: nn.Module, layer: str, also: Sequence[str] = ()) -> GraphModule:
    """What a net makes of a layer's output; it shares the net's parameters and the names of its layers.

    Args:
        layer: a layer's name, such as "stages.6"; all that follows depends on the input through its output alone.
        also: names of later layers that must stay findable by name.

    Raises:
        BadInput: no layer of that name, or the net does not call it exactly once.
        Unsupported: the net cannot be traced, or something goes round the layer.
    """
    known = dict(module.named_modules())
    if missing := [name for name in (layer, *also) if name not in known or not name]:
        raise BadInput(f"split: no layer {missing[0]!r}; need one of: {', '.join(name for name in known if name)}.")
    try:
        graph = Coarse((layer, *also)).trace(module)
    except (torch.fx.proxy.TraceError, TypeError) as error:
        raise Unsupported(f"split: {type(module).__name__} cannot be traced ({error}); need a net that is.") from error
    calls = [node for node in graph.nodes if node.op == "call_module" and node.target == layer]
    if len(calls) != 1:
        raise BadInput(f"split: {layer} is called {len(calls)} times; need a layer that is called once.")
    return GraphModule(module, _after(graph, calls[0]))


def _after(graph: Graph, at: Node) -> Graph:
    """The part of a graph that depends on one node, which becomes its input."""
    made, copies = Graph(), {}
    copies[at] = made.placeholder("payload")
    needed = _ancestors(graph, at)
    if any(node.op == "placeholder" for node in needed - {at}):
        raise Unsupported(f"split: something goes round {at.target}; need a layer that everything passes through.")
    for node in graph.nodes:
        if node in needed and node is not at:
            copies[node] = made.node_copy(node, copies.__getitem__)
    return made


def _ancestors(graph: Graph, at: Node) -> set[Node]:
    """What the output is made of, down to one node."""
    found: set[Node] = set()
    ahead: list[Any] = [next(node for node in graph.nodes if node.op == "output")]
    while ahead:
        node = ahead.pop()
        if node not in found:
            found.add(node)
            ahead += [] if node is at else node.all_input_nodes
    return found
