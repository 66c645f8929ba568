"""What post-training methods share: a graph made ready, its weights rounded layer by layer, and lifted again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from edgesmith.compress.quantize.calibrators import CALIBRATORS
from edgesmith.compress.quantize.layers import Solve, Walk, walk
from edgesmith.compress.quantize.placement import Widths, check_bits, first_and_last, with_biases
from edgesmith.compress.quantize.preparation import float_graph
from edgesmith.compress.quantize.ptq import Transform, quantized
from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Graph
from edgesmith.core.task import Task
from edgesmith.lower import Lifted, lift
from edgesmith.training.accelerator import device_of
from edgesmith.training.loop import Run

ENDS = 8  # bits of the first and the last layer, as in `lsq`
Prepare = Callable[[Graph, Task], Graph]  # a float graph to one of the same function


@dataclass(frozen=True)
class Storage:
    """How much a method may use.

    Attributes:
        weights: bits of each, 2 to 8.
        activations: bits of each, 2 to 8, their ranges by least squared error on the calibration split; 0: float.
        group: weights that share a scale: the largest divisor of a row up to that; 0: one scale a channel.
        ends: bits of the first and the last layer's weights; 0: as the others.
        own: bits of single tensors, by their names in the lowered graph; in place of `ends`.
    """

    weights: int = 4
    activations: int = 0
    group: int = 0
    ends: int = ENDS
    own: Mapping[str, int] | None = None

    def check(self, method: str) -> None:
        """Raise BadInput for what there is no form of."""
        check_bits(method, self.weights, *(bits for bits in (self.activations, self.ends) if bits))
        check_bits(method, *(self.own or {}).values())
        if self.group < 0 or (self.group and self.activations):
            raise BadInput(
                f"{method}: groups of {self.group} with {self.activations}-bit activations; need groups of 0 or more, "
                "and float activations beside groups. An integer program has one scale a channel: group=0."
            )

    def widths(self, graph: Graph) -> Widths:
        """Bits of each tensor."""
        if self.own is not None:
            return Widths(self.weights, self.activations or 8, self.own)
        ends = {name: self.ends for name in first_and_last(graph) if name in graph.constants} if self.ends else {}
        return Widths(self.weights, self.activations or 8, ends)


@dataclass(frozen=True)
class Work:
    """How a method works.

    Attributes:
        exact, run: as in `Walk`.
        settings: of the method, which a kept state must agree with.
        prepare: changes the float graph first.
    """

    exact: bool = False
    run: Run | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    prepare: Prepare = lambda graph, task: graph


def rounding(method: str, storage: Storage, solve: Solve, work: Work) -> Transform:
    """The transform that rounds a module's layers by `solve`; the result takes raw sensor values.

    Raises:
        BadInput: bits or groups that have no form.
        Missing: the accelerator is not there.
    """
    storage.check(method)
    run = work.run or Run()
    device_of(run.accelerator)

    def transform(module: nn.Module, task: Task) -> Lifted:
        graph = work.prepare(float_graph(module, task), task)
        widths, samples = storage.widths(graph), task.calibration.inputs
        if storage.activations:
            graph = quantized(graph, samples, CALIBRATORS["mse"], correct_bias=False, widths=widths)
        key = f"{method} {storage} {work.settings}"
        how = Walk(widths, work.exact, run, key)
        return lift(with_biases(walk(graph, samples, solve, how))).eval()

    return transform
