"""What every method begins with: the float graph of a module on raw sensor values, its weights finite float32."""

import copy

import numpy as np
import torch
from torch import nn

from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Graph
from edgesmith.core.task import Task
from edgesmith.lower import lower, raw_tensor, with_normalize

HALVES = (torch.float16, torch.bfloat16)


def float_graph(module: nn.Module, task: Task, fold: bool = True) -> Graph:
    """Lower a module behind its task's normalization; weights of half precision become float32.

    Args:
        fold: whether batch norms go into the layers before them.

    Raises:
        BadInput: a weight that is not a finite number.
    """
    example = raw_tensor(np.ascontiguousarray(task.calibration.inputs[:1]))
    return lower(with_normalize(in_float32(module), task.normalize), (example,), fold=fold)


def in_float32(module: nn.Module) -> nn.Module:
    """The module, or a float32 copy of one whose weights have half precision.

    Raises:
        BadInput: a weight that is not a finite number.
    """
    tensors = (*module.named_parameters(), *module.named_buffers())
    for name, value in tensors:
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise BadInput(
                f"quantize: {name!r} of {type(module).__name__} holds values that are not finite; need finite weights. "
                "Look for NaN in the training."
            )
    if any(value.dtype in HALVES for _, value in tensors):
        return copy.deepcopy(module).float()
    return module
