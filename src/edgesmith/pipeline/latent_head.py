"""The device's part of a split net as integers, whose outputs are the latents themselves."""

from dataclasses import replace

from torch import Tensor, nn

from edgesmith.collaborate.split.latents import UNIT
from edgesmith.compile.integerize import integerize
from edgesmith.core.graph import Graph
from edgesmith.core.task import Task
from edgesmith.lower import channels_last_input, raw_tensor
from edgesmith.pipeline.programs import Numbers, int8_inputs, stored_graph


class ChannelsLast(nn.Module):
    """(n, c, h, w) to (n, h, w, c): the order in which latents are coded, and the one that programs compute in."""

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1)


def latent_head(head: nn.Module, task: Task, name: str = "head", numbers: Numbers | None = None) -> Graph:
    """The program of a head: raw input (1, h, w, c) to int8 latents (1, h', w', channels), ready for the coder.

    The output's step is 1 and its zero point 0: what the last convolution rounds to is the latent.

    Args:
        numbers: None takes int8 weights and activations with ranges of the least squared error.

    Raises:
        Unsupported: an op of the head has no lowering.
    """
    example = (raw_tensor(task.calibration.inputs[:1]),)
    moved = nn.Sequential(head, ChannelsLast()).eval()
    source = with_unit_steps(stored_graph(moved, example, task, name, numbers or Numbers()))
    return channels_last_input(integerize(source, int8_inputs(source, example)))


def with_unit_steps(graph: Graph) -> Graph:
    """Its outputs, and what they are only other views of, stored as int8 integers that mean themselves."""
    producer, tensors = graph.producer(), dict(graph.tensors)
    for name in graph.outputs:
        tensors[name] = replace(tensors[name], format=UNIT)
        while graph.ops[producer[name]].kind in ("permute", "reshape"):
            (name,) = graph.ops[producer[name]].inputs
            tensors[name] = replace(tensors[name], format=UNIT)
    return replace(graph, tensors=tensors)
