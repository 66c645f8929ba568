"""Bits of the weights of a candidate: uniform, or mixed by the solver against what the target's limits leave."""

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from edgesmith.compress.quantize.mixed import Asked, choose, packed_bytes
from edgesmith.compress.quantize.placement import INT8, Widths, first_and_last
from edgesmith.compress.quantize.sensitivity import WIDTHS, Spot
from edgesmith.core.errors import DoesNotFit
from edgesmith.core.graph import Graph
from edgesmith.core.task import Task
from edgesmith.cost import OpCost
from edgesmith.fit.predict import Prediction, Predictor, raw_example
from edgesmith.fit.space import Bits
from edgesmith.lower import lower, with_normalize

ROUNDS = 6  # of solving for what code and scratch leave (our choice)
DRAFT = 4  # bits of all weights that a mix is predicted with


def float_graph_of(module: nn.Module, task: Task) -> Graph:
    """A module on raw inputs."""
    return lower(with_normalize(module, task.normalize), (raw_example(task),))


def draft_widths(module: nn.Module, task: Task, bits: Bits) -> Widths:
    """What a candidate's cost is predicted with before its weights are known."""
    if bits == "8":
        return INT8
    if bits == "mixed":
        return Widths(DRAFT, 8)
    return Widths(int(bits), 8, first_and_last(float_graph_of(module, task)))


def mix(predictor: Predictor, module: nn.Module, task: Task, fill: float, keep: Path) -> Widths:
    """8, 4 or 2 bits for every weight: the least harm whose predicted cost is within `fill` of every limit.

    Flash and latency of layers add up, code and what it needs beside do not: the solver's limits are lowered by what
    the prediction of its answer is over the real ones, until it is not.

    Raises:
        DoesNotFit: no mix is within the limits.
    """
    drafts = {bits: predictor.predict(module, "int8", Widths(bits, 8)) for bits in WIDTHS}
    table = {bits: {op.layer: op for op in draft.ops} for bits, draft in drafts.items()}
    budget = predictor.budget
    graph = float_graph_of(module, task)

    def cost(graph: Graph, spot: Spot, bits: int) -> Mapping[str, float]:
        op = table[bits].get(spot.layer)
        return {
            "flash_bytes": op.constant_bytes if op else packed_bytes(graph, spot, bits)["bytes"],
            "latency_ms": op.cycles / predictor.target.clock_hz * 1e3 if op else 0.0,
        }

    limits = {name: fill * limit for name in ("flash_bytes", "latency_ms") if (limit := getattr(budget, name))}
    room = {name: limit - fixed(drafts[8], name, table[8], graph, predictor) for name, limit in limits.items()}
    for _ in range(ROUNDS):
        found = choose(graph, task, room, cost, Asked(keep=keep))
        widths = found.widths
        ratios = predictor.predict(module, "int8", widths).ratios(budget)
        over = {name: ratios[name] - fill for name in limits if ratios[name] > fill}
        if not over:
            return widths
        for name, excess in over.items():
            room[name] = found.allocation.costs[name] - excess * getattr(budget, name)  # below this very answer
    raise DoesNotFit(f"fit: no mix of {', '.join(map(str, WIDTHS))} bits is within {fill:.0%} of the limits.")


def fixed(draft: Prediction, name: str, layers: Mapping[str, OpCost], graph: Graph, predictor: Predictor) -> float:
    """What of a figure is no layer with a weight to choose: code, start-up, the other ops."""
    chosen = [layers[op.name] for op in graph.ops if op.name in layers and _weighted(graph, op.inputs)]
    if name == "flash_bytes":
        return draft.flash.value - sum(op.constant_bytes for op in chosen)
    return draft.latency.value - sum(op.cycles for op in chosen) / predictor.target.clock_hz * 1e3


def _weighted(graph: Graph, inputs: tuple[str, ...]) -> bool:
    return len(inputs) > 1 and inputs[1] in graph.constants
