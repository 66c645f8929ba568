"""Cutting a module in two after one of its layers, and reading what its layers give."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import fx, nn

from edgesmith.core.errors import BadInput


class _Whole(fx.Tracer):
    """Follows a module's forward, but not into the layers that someone wants whole."""

    def __init__(self, layers: Sequence[str]) -> None:
        super().__init__()
        self.layers = frozenset(layers)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return module_qualified_name in self.layers or super().is_leaf_module(m, module_qualified_name)


@dataclass(frozen=True)
class Traced:
    """A module as a graph of calls, with the node of each layer that was asked for."""

    module: fx.GraphModule
    nodes: dict[str, fx.Node]


def traced(module: nn.Module, layers: Sequence[str]) -> Traced:
    """Follow a module's forward; the weights stay the module's own.

    Args:
        layers: dotted names of modules within it, each called once.

    Raises:
        BadInput: no such layer, one that is not called exactly once, or a forward that depends on values.
    """
    known = {name for name, _ in module.named_modules()}
    if missing := [name for name in layers if name not in known or not name]:
        raise BadInput(f"split: the module has no layer {missing[0]!r}; need dotted names as in named_modules().")
    try:
        graph = _Whole(layers).trace(module)
    except (fx.proxy.TraceError, TypeError, RuntimeError) as error:
        raise BadInput(f"split: {type(module).__name__} cannot be followed ({error}); need a fixed forward.") from error
    calls = {name: [n for n in graph.nodes if n.op == "call_module" and n.target == name] for name in layers}
    if bad := [name for name, found in calls.items() if len(found) != 1]:
        raise BadInput(f"split: {bad[0]!r} is called {len(calls[bad[0]])} times; need a layer that is called once.")
    return Traced(fx.GraphModule(module, graph), {name: found[0] for name, found in calls.items()})


def before(whole: Traced, layer: str) -> fx.GraphModule:
    """The part that leads to a layer's output, that layer included."""
    return _giving(whole.module, [whole.nodes[layer]], flat=False)


def after(whole: Traced, layer: str) -> fx.GraphModule:
    """The part that goes on from a layer's output: one tensor in, the module's outputs out.

    Raises:
        BadInput: it needs another tensor of the first part too, as where a shortcut crosses the cut.
    """
    cut, graph = whole.nodes[layer], fx.Graph()
    copies = {cut: graph.placeholder("received")}
    inputs = _reached([n for n in whole.module.graph.nodes if n.op == "placeholder"])
    beyond = _reached([cut]) - {cut}
    for node in whole.module.graph.nodes:
        if node not in beyond and node in inputs:
            continue
        if crossing := [n.name for n in node.all_input_nodes if n not in copies]:
            raise BadInput(
                f"split: {crossing[0]!r} crosses the cut after {layer!r} too; need a layer all passes through."
            )
        copies[node] = graph.node_copy(node, lambda n: copies[n])
    return _cleaned(fx.GraphModule(whole.module, graph))


def outputs_of(whole: Traced, layers: Sequence[str]) -> fx.GraphModule:
    """A net that gives its layers' outputs, each flattened, side by side: to (n, values)."""
    return _giving(whole.module, [whole.nodes[layer] for layer in layers], flat=True)


def input_and_outputs(part: fx.GraphModule, layers: Sequence[str]) -> fx.GraphModule:
    """As `outputs_of`, of a part that `after` gave, with what it receives first."""
    nodes = {str(n.target): n for n in part.graph.nodes if n.op in ("call_module", "placeholder")}
    return _giving(part, [nodes[name] for name in ("received", *layers)], flat=True)


def _reached(starts: Sequence[fx.Node]) -> set[fx.Node]:
    """Nodes and all that depend on them."""
    found, left = set(starts), list(starts)
    while left:
        new = [user for user in left.pop().users if user not in found]
        found.update(new)
        left += new
    return found


def _giving(module: fx.GraphModule, nodes: Sequence[fx.Node], flat: bool) -> fx.GraphModule:
    """The module with other outputs."""
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    graph.graph_copy(module.graph, copies)
    given = [copies[node] for node in nodes]
    if flat:
        rows = [graph.call_function(torch.flatten, (node, 1)) for node in given]
        given = [graph.call_function(torch.cat, (rows, 1))]
    graph.output(given[0])
    return _cleaned(fx.GraphModule(module, graph))


def _cleaned(module: fx.GraphModule) -> fx.GraphModule:
    module.graph.eliminate_dead_code()
    module.delete_all_unused_submodules()
    module.recompile()
    return module.train(module.training)
