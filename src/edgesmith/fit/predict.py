"""What a candidate will cost on the target, from its graph alone, before anything is trained."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from edgesmith.compile.integerize import integerize
from edgesmith.compress.prune.greedy import Pressure
from edgesmith.compress.quantize.placement import INT8, Widths, annotate, place
from edgesmith.compress.quantize.raw_input import raw_formats
from edgesmith.core.budget import LIMITS, Budget
from edgesmith.core.graph import Graph
from edgesmith.core.reading import Reading
from edgesmith.core.target import Target
from edgesmith.core.task import Task
from edgesmith.cost import OpCost, op_costs, totals
from edgesmith.lower import channels_last_input, lower, raw_tensor, with_normalize
from edgesmith.pipeline.build import Compiled, bind_for
from edgesmith.pipeline.patching import Patching, patched
from edgesmith.pipeline.profile import profile
from edgesmith.targets.machine import is_here


@dataclass(frozen=True)
class Prediction:
    """Cost of one inference before training: estimated, arena and weights exactly; on this machine measured.

    Attributes:
        ops: cost of each op, for tables and for pruning.
        split: how the first stage is split so that RAM suffices, in words; empty where it is not.
    """

    flash: Reading
    ram: Reading
    latency: Reading
    energy: Reading
    ops: tuple[OpCost, ...]
    split: str = ""

    def readings(self) -> dict[str, Reading]:
        """The four figures a budget limits."""
        return {figure: getattr(self, figure) for figure in LIMITS.values()}

    def ratios(self, budget: Budget) -> dict[str, float]:
        """Each limit that is set to the predicted figure over it."""
        return budget.ratios(self.readings())

    def to_json(self) -> dict[str, Any]:
        """The four readings."""
        return {name: reading.to_json() for name, reading in self.readings().items()}


class Predictor:
    """Predicts for one target, task and budget."""

    def __init__(self, target: Target, task: Task, budget: Budget, name: str) -> None:
        self.target, self.task, self.budget, self.name = target, task, budget, name

    def compiled(self, module: nn.Module, precision: str, widths: Widths = INT8) -> Compiled:
        """The module bound to the target's kernels, with placeholder ranges when it is to be int8."""
        return bind_for(draft_graph(module, self.task, self.name, precision, widths), self.target)

    def predict(self, module: nn.Module, precision: str, widths: Widths = INT8) -> Prediction:
        """Cost of a module as it is, its first stage split where only RAM is too small otherwise."""
        return self.of(draft_graph(module, self.task, self.name, precision, widths))

    def of(self, graph: Graph) -> Prediction:
        """Cost of a program, as `predict`."""
        found = predict(bind_for(graph, self.target), self.target)
        if not only_ram(found.ratios(self.budget)):
            return found
        chosen = patched(graph, self.target, Patching(ram_bytes=self.budget.ram_bytes))
        if chosen.schedule is None or not chosen.meets:
            return found
        return replace(predict(bind_for(chosen.graph, self.target), self.target), split=chosen.schedule.words())

    def without_ram(self) -> "Predictor":
        """The same without the limit on RAM: what a net must meet that is to be split."""
        return Predictor(self.target, self.task, replace(self.budget, ram_bytes=None), self.name)

    def pressure(self, module: nn.Module, precision: str, widths: Widths = INT8) -> Pressure:
        """Cost against the limits, shared out to the layers that cause it."""
        compiled = self.compiled(module, precision, widths)
        prediction = predict(compiled, self.target)
        ratios = prediction.ratios(self.budget)
        worst = max(ratios.values(), default=0.0)
        pressing = {limit: ratio for limit, ratio in ratios.items() if ratio > 0.9 * worst}
        layers: dict[str, float] = {}
        for op in prediction.ops:
            share = sum(_share(op, limit, prediction) * ratio for limit, ratio in pressing.items())
            path = op.layer.rpartition(".")[0]  # an op is named after its module and its node
            layers[path] = layers.get(path, 0.0) + share
        return Pressure(worst, layers)


def only_ram(ratios: Mapping[str, float]) -> bool:
    """Whether RAM is the one limit that is broken."""
    return [limit for limit, ratio in ratios.items() if ratio > 1] == ["ram_bytes"]


def draft_graph(module: nn.Module, task: Task, name: str, precision: str, widths: Widths = INT8) -> Graph:
    """The program a module would become, its ranges placeholders: shapes, memory and work are those of the real one."""
    graph = lower(with_normalize(module, task.normalize), (raw_example(task),), name)
    if precision == "int8":
        groups = place(graph, raw_formats(graph, task.calibration.inputs))
        graph = annotate(graph, groups, dict.fromkeys(graph.tensors, (-1.0, 1.0)), widths)
    return channels_last_input(integerize(graph))


def raw_example(task: Task) -> torch.Tensor:
    """One raw input as the module with its normalization takes it: (1, ...) float."""
    return raw_tensor(task.calibration.inputs[:1])


def predict(compiled: Compiled, target: Target) -> Prediction:
    """Cost of a program bound to the target's kernels; on this machine it is measured, since that is as quick."""
    ops = op_costs(compiled.program, target)
    if not is_here(target):
        return Prediction(*totals(compiled.program, ops, target), ops)
    found = profile(compiled.program, target)
    timed = tuple(replace(op, cycles=layer.cycles) for op, layer in zip(ops, found.layers, strict=True))
    return Prediction(found.flash, found.ram, found.latency, found.energy, timed)


def _share(op: OpCost, limit: str, prediction: Prediction) -> float:
    """The op's part of one figure, as a fraction of the whole."""
    if limit == "flash_bytes":
        return op.constant_bytes / max(prediction.flash.value, 1)
    if limit == "ram_bytes":
        return op.peak_bytes / max(prediction.ram.value, 1)
    return op.cycles / max(sum(o.cycles for o in prediction.ops), 1)
