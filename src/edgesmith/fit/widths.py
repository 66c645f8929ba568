"""Bits of the weights of a candidate: uniform, or mixed by the solver against what the target's limits leave."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from torch import nn

from edgesmith.compress.quantize.gptq import gptq
from edgesmith.compress.quantize.mixed import Asked, Mix, packed_bytes, solved
from edgesmith.compress.quantize.placement import INT8, Widths, first_and_last
from edgesmith.compress.quantize.sensitivity import WIDTHS, Given, Sensitivity, Spot, sensitivities, spots
from edgesmith.core.errors import DoesNotFit
from edgesmith.core.graph import Graph
from edgesmith.core.task import Task
from edgesmith.cost import OpCost
from edgesmith.fit.predict import Prediction, Predictor, raw_example
from edgesmith.fit.space import Bits, Quantizer
from edgesmith.lower import graph_of, lower, with_normalize

ROUNDS = 6  # of solving for what code and scratch leave (our choice)
DRAFT = 4  # bits of all weights that a mix is predicted with


def float_graph_of(module: nn.Module, task: Task) -> Graph:
    """A module on raw inputs."""
    return lower(with_normalize(module, task.normalize), (raw_example(task),))


def draft_widths(module: nn.Module, task: Task, bits: Bits) -> Widths:
    """What a candidate's cost is predicted with before its weights are known."""
    if bits in ("8", "own"):
        return INT8
    if bits == "mixed":
        return Widths(DRAFT, 8)
    return Widths(int(bits), 8, first_and_last(float_graph_of(module, task)))


def mix(
    predictor: Predictor, module: nn.Module, task: Task, fill: float, keep: Path, quantizer: Quantizer = "ptq"
) -> Widths:
    """8, 4 or 2 bits for every weight: the least harm whose predicted cost is within `fill` of every limit.

    Every width that is used brings kernels of its own, so each set of widths is solved for itself.

    Args:
        keep: the file that keeps what was measured.
        quantizer: what will round; harm is that of GPTQ for those that make good a layer's error.

    Raises:
        DoesNotFit: no mix is within the limits.
    """
    graph = float_graph_of(module, task)
    places, _ = spots(graph, task.calibration.inputs, WIDTHS, "minmax")
    weights = tuple(spot for spot in places if spot.kind == "weight")
    drafts = {bits: predictor.predict(module, "int8", Widths(bits, 8)) for bits in WIDTHS}
    solver = Solver(predictor, module, graph, weights, drafts)
    solver.check(fill)  # before anything is measured
    given = rounded(module, task) if quantizer in ("gptq", "adaround") else {}
    rows = sensitivities(graph, task, weights, WIDTHS, ("kl",), keep, given=given)
    best: Mix | None = None
    for count in range(len(WIDTHS), 0, -1):
        for widths in combinations(WIDTHS, count):
            found = solver.within(rows, fill, widths, best.allocation.loss if best else math.inf)
            best = found or best
    if best is None:
        raise no_mix(fill)
    return best.widths


def no_mix(fill: float) -> DoesNotFit:
    """What is said when nothing fits."""
    return DoesNotFit(f"fit: no mix of {', '.join(map(str, WIDTHS))} bits is within {fill:.0%} of the limits.")


def rounded(module: nn.Module, task: Task) -> Given:
    """Every weight at every width as GPTQ rounds it where all have that width."""
    return {bits: graph_of(gptq(bits, ends=0)(module, task), (raw_example(task),)).constants for bits in WIDTHS}


@dataclass(frozen=True)
class Solver:
    """What every solution for a net shares.

    Attributes:
        weights: the tensors to choose for.
        drafts: what the net costs with all weights at so many bits.
    """

    predictor: Predictor
    module: nn.Module
    graph: Graph
    weights: tuple[Spot, ...]
    drafts: Mapping[int, Prediction]

    def limits(self, fill: float) -> dict[str, float]:
        """What bits have a say in, by name."""
        budget = self.predictor.budget
        return {name: fill * limit for name in ("flash_bytes", "latency_ms") if (limit := getattr(budget, name))}

    def around(self, bits: int, name: str) -> float:
        """What of a figure no choice of bits changes, where all have so many."""
        return fixed(self.drafts[bits], name, self.table()[bits], self.graph, self.predictor)

    def check(self, fill: float) -> None:
        """Raise DoesNotFit where every layer at its cheapest, in the least code, is too much."""
        for name, limit in self.limits(fill).items():
            cheapest = sum(min(self.cost(self.graph, spot, bits)[name] for bits in WIDTHS) for spot in self.weights)
            if min(self.around(bits, name) for bits in WIDTHS) + cheapest > limit:
                raise no_mix(fill)

    def within(self, rows: Sequence[Sensitivity], fill: float, widths: tuple[int, ...], below: float) -> Mix | None:
        """The least harm of these widths, where there is less than `below` and the limits hold; else None.

        Flash and latency of layers add up, code and what it needs beside do not: the solver's limits are lowered by
        what the prediction of its answer is over the real ones, until it is not.

        Args:
            rows: what fewer bits do to each weight.
        """
        budget, limits = self.predictor.budget, self.limits(fill)
        room = {name: limit - self.around(widths[0], name) for name, limit in limits.items()}
        for _ in range(ROUNDS):
            try:
                found = solved(self.graph, self.weights, rows, room, self.cost, Asked(widths=widths))
            except DoesNotFit:
                return None
            if found.allocation.loss >= below:
                return None
            ratios = self.predictor.predict(self.module, "int8", found.widths).ratios(budget)
            over = {name: ratios[name] - fill for name in limits if ratios[name] > fill}
            if not over:
                return found
            for name, excess in over.items():
                room[name] = found.allocation.costs[name] - excess * getattr(budget, name)  # below this very answer
        return None

    def table(self) -> dict[int, dict[str, OpCost]]:
        """Bits to layers to their cost."""
        return {bits: {op.layer: op for op in draft.ops} for bits, draft in self.drafts.items()}

    def cost(self, graph: Graph, spot: Spot, bits: int) -> Mapping[str, float]:
        """Of a layer with its weights at so many bits."""
        op = self.table()[bits].get(spot.layer)
        return {
            "flash_bytes": op.constant_bytes if op else packed_bytes(graph, spot, bits)["bytes"],
            "latency_ms": op.cycles / self.predictor.target.clock_hz * 1e3 if op else 0.0,
        }


def fixed(draft: Prediction, name: str, layers: Mapping[str, OpCost], graph: Graph, predictor: Predictor) -> float:
    """What of a figure is no layer with a weight to choose: code, start-up, the other ops."""
    chosen = [layers[op.name] for op in graph.ops if op.name in layers and _weighted(graph, op.inputs)]
    if name == "flash_bytes":
        return draft.flash.value - sum(op.constant_bytes for op in chosen)
    return draft.latency.value - sum(op.cycles for op in chosen) / predictor.target.clock_hz * 1e3


def _weighted(graph: Graph, inputs: tuple[str, ...]) -> bool:
    return len(inputs) > 1 and inputs[1] in graph.constants
