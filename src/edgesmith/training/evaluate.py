"""What a module makes of a task's data: its inputs, its loss, its outputs, its metric."""

import numpy as np
import torch
from torch import Tensor, nn

from edgesmith.core.task import Normalize, Split, Task
from edgesmith.lower.lowering import raw_tensor
from edgesmith.training.accelerator import device_under
from edgesmith.training.detection import detection_loss


def normalized(raw: Tensor, normalize: Normalize) -> Tensor:
    """Raw sensor values to the model's float input."""
    return torch.from_numpy(normalize(raw.numpy()))


def loss_of(outputs: Tensor, x: Tensor, labels: Tensor, task: Task, smoothing: float) -> Tensor:
    """The task's loss on one batch; a text's classes are along the last axis, an image's along the second."""
    if task.loss == "cross_entropy":
        scores = outputs.movedim(-1, 1) if labels.ndim == 2 else outputs
        return nn.functional.cross_entropy(scores, labels, label_smoothing=smoothing)
    if task.loss == "detection":
        return detection_loss(outputs, labels)
    return nn.functional.mse_loss(outputs, x if task.loss == "reconstruction" else labels)


@torch.no_grad()
def predict(module: nn.Module, split: Split, normalize: Normalize, batch: int = 256) -> np.ndarray:
    """The model's float outputs on every sample of a split, in eval mode."""
    module.eval()
    chunks = [split.inputs[start : start + batch] for start in range(0, len(split), batch)]
    device = device_under(module)
    return np.concatenate([module(torch.from_numpy(normalize(chunk)).to(device)).cpu().numpy() for chunk in chunks])


def evaluate(module: nn.Module, task: Task, split: Split) -> float:
    """The task's metric on a split."""
    return task.metric.compute(predict(module, split, task.normalize), split.labels)


@torch.no_grad()
def predict_raw(module: nn.Module, inputs: np.ndarray, batch: int = 256) -> np.ndarray:
    """Float outputs of a module that normalizes by itself, on raw inputs (n, ...)."""
    module.eval()
    chunks = [inputs[start : start + batch] for start in range(0, len(inputs), batch)]
    device = device_under(module)
    return np.concatenate([module(raw_tensor(chunk).to(device)).cpu().numpy() for chunk in chunks])


def evaluate_raw(module: nn.Module, task: Task, split: Split) -> float:
    """The task's metric on a split, for a module that normalizes by itself."""
    return task.metric.compute(predict_raw(module, split.inputs), split.labels)
