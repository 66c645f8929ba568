"""Precisions of a net beside float32 and static int8: float16 and dynamic uint8, as runtimes compute them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgesmith.core.graph import Graph, Op
from edgesmith.core.task import Task
from edgesmith.lower import lift, lower, raw_tensor, with_normalize
from edgesmith.lower.lift import execute

LAYERS = ("conv2d", "conv_transpose2d", "linear")
LEVELS = 255  # of uint8, from 0


class Float16(nn.Module):
    """Rounds to the nearest float16."""

    def forward(self, x: Tensor) -> Tensor:
        """x, float32, of any shape."""
        return x.half().to(x.dtype)


def float16(module: nn.Module, task: Task) -> nn.Module:
    """A copy whose constants and results are rounded to float16; sums within an op are float32.

    It takes raw values; the inputs themselves stay as they are.
    """
    graph = _float_graph(module, task)
    rounding = Float16()
    rounded = [n for n, tensor in graph.tensors.items() if tensor.dtype == "float32" and n not in graph.inputs]
    return lift(graph, dict.fromkeys(rounded, rounding)).eval()


def dynamic_uint8(module: nn.Module, task: Task) -> nn.Module:
    """A copy with uint8 weights whose layers round what they read to uint8, over each sample's own range.

    It takes raw values. As `onnxruntime.quantization.quantize_dynamic` with unsigned weights on a batch of one: weights
    per tensor, everything between the layers in float32.
    """
    return Dynamic(_float_graph(module, task)).eval()


def _float_graph(module: nn.Module, task: Task) -> Graph:
    example = raw_tensor(task.calibration.inputs[:1])
    return lower(with_normalize(module, task.normalize), (example,))


class Dynamic(nn.Module):
    """Executes a float graph of one input and one output, its layers with dynamic uint8."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        weights = {op.inputs[1] for op in graph.ops if op.kind in LAYERS}
        self.constants = {name: torch.from_numpy(array.copy()) for name, array in graph.constants.items()}
        for name in weights & set(self.constants):
            self.constants[name] = rounded_to_uint8(self.constants[name][None])[0]

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """(n, ...) raw values to (n, ...)."""
        values = dict(self.constants)
        values[self.graph.inputs[0]] = x.unsqueeze(1)
        for op in self.graph.ops:
            results = execute(op, self._read(op, values), self.graph, len(x))
            values.update(zip(op.outputs, results, strict=True))
        return values[self.graph.outputs[0]].squeeze(1)

    def _read(self, op: Op, values: dict[str, Tensor]) -> Sequence[Tensor]:
        read = [values[name] for name in op.inputs]
        return [rounded_to_uint8(read[0]), *read[1:]] if op.kind in LAYERS else read


def rounded_to_uint8(x: Tensor) -> Tensor:
    """Each sample of (n, ...) rounded to uint8 over its own range, which zero is part of; half to even.

    Source: ONNX operator DynamicQuantizeLinear, version 11.
    """
    others = tuple(range(1, x.ndim))
    low, high = x.amin(others, keepdim=True).clamp(max=0), x.amax(others, keepdim=True).clamp(min=0)
    scale = (high - low) / LEVELS
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    zero = torch.round((-low / scale).clamp(0, LEVELS))
    return ((torch.round(x / scale) + zero).clamp(0, LEVELS) - zero) * scale
