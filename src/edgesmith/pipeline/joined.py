"""Head and tail of a cut program, compiled for this machine and joined by the payload as it crosses."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgesmith.collaborate.crossing.carry import Carried, carry
from edgesmith.collaborate.plan.costs import STORED, Form
from edgesmith.collaborate.plan.cuts import Cut, halves
from edgesmith.core.graph import Graph
from edgesmith.core.interface import decode
from edgesmith.core.task import Split, Task
from edgesmith.pipeline.build import native
from edgesmith.pipeline.realize import arranged
from edgesmith.run.native import Native

CALIBRATED_ON = 128  # samples whose payloads give the range


@dataclass(frozen=True)
class Joined:
    """A cut program that runs here.

    Attributes:
        carried: how each tensor of the payload crosses, in order.
    """

    head: Graph
    tail: Graph
    carried: tuple[Carried, ...]
    runners: tuple[Native, Native]

    def run_head(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Stored inputs to the tensors that cross."""
        made = {**inputs, **self.runners[0].run({name: inputs[name] for name in self.head.inputs})}
        return {one.tensor.name: made[one.tensor.name] for one in self.carried}

    def crossed(self, payload: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the tail gets of a payload."""
        return {one.tensor.name: one.unpack(one.pack(payload[one.tensor.name])) for one in self.carried}

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Stored inputs to stored outputs of the tail."""
        return self.runners[1].run(self.crossed(self.run_head(inputs)))


def join(graph: Graph, cut: Cut, form: Form, calibration: Split) -> Joined:
    """Compile both halves; the ranges and codes of a payload come from calibration samples.

    Raises:
        BadInput: one half would be empty.
        Unsupported: the program keeps states, or has several inputs.
    """
    head, tail = halves(graph, cut)
    runners = (native(head), native(tail))
    plain = tuple(Carried(graph.tensors[name]) for name in cut.payload)
    joined = Joined(head, tail, plain, runners)
    if form == STORED:
        return joined
    seen = [joined.run_head({graph.inputs[0]: arranged(graph, one)}) for one in calibration.inputs[:CALIBRATED_ON]]
    stacks = {name: np.stack([payload[name] for payload in seen]) for name in cut.payload}
    carried = tuple(carry(graph.tensors[name], form, stacks[name]) for name in cut.payload)
    return replace(joined, carried=carried)


def quality(joined: Joined, graph: Graph, task: Task, split: Split) -> float:
    """The task's metric with the payload as it crosses, compiled C on both sides."""
    result = graph.tensors[graph.outputs[0]]
    rows = []
    for sample in split.inputs:
        stored = joined.run({graph.inputs[0]: arranged(graph, sample)})[result.name]
        rows.append(decode(result, stored).reshape(stored.shape[1:] if stored.shape[0] == 1 else stored.shape))
    return task.metric.compute(np.stack(rows), split.labels)
