"""Head and tail of a cut program, compiled for this machine and joined by the payload as it crosses."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgesmith.collaborate.costs import Form
from edgesmith.collaborate.cuts import Cut, halves
from edgesmith.collaborate.payload import Steps, fit_steps
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
        steps: of each tensor of the payload; none where it crosses as it is stored.
    """

    head: Graph
    tail: Graph
    payload: tuple[str, ...]
    steps: Mapping[str, Steps]
    runners: tuple[Native, Native]

    def run_head(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Stored inputs to the tensors that cross."""
        made = {**inputs, **self.runners[0].run({name: inputs[name] for name in self.head.inputs})}
        return {name: made[name] for name in self.payload}

    def crossed(self, payload: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the tail gets of a payload."""
        found = dict(payload)
        for name, steps in self.steps.items():
            found[name] = steps.unpack(steps.pack(payload[name]), self.tail.tensors[name])
        return found

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Stored inputs to stored outputs of the tail."""
        return self.runners[1].run(self.crossed(self.run_head(inputs)))


def join(graph: Graph, cut: Cut, form: Form, calibration: Split) -> Joined:
    """Compile both halves; the ranges of a narrowed payload come from calibration samples.

    Raises:
        BadInput: one half would be empty.
        Unsupported: the program keeps states, or has several inputs.
    """
    head, tail = halves(graph, cut)
    runners = (native(head), native(tail))
    joined = Joined(head, tail, cut.payload, {}, runners)
    if form.lossless:
        return joined
    seen = [joined.run_head({graph.inputs[0]: arranged(graph, one)}) for one in calibration.inputs[:CALIBRATED_ON]]
    steps = {name: fit_steps(np.stack([payload[name] for payload in seen]), form.bits) for name in cut.payload}
    return Joined(head, tail, cut.payload, steps, runners)


def quality(joined: Joined, graph: Graph, task: Task, split: Split) -> float:
    """The task's metric with the payload as it crosses, compiled C on both sides."""
    result = graph.tensors[graph.outputs[0]]
    rows = []
    for sample in split.inputs:
        stored = joined.run({graph.inputs[0]: arranged(graph, sample)})[result.name]
        rows.append(decode(result, stored).reshape(stored.shape[1:] if stored.shape[0] == 1 else stored.shape))
    return task.metric.compute(np.stack(rows), split.labels)
