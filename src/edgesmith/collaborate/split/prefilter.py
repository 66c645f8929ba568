"""Empty frames stay on the device: a small net on a head's outputs says whether anything is there to be found.

Source: the neural filter of arXiv:2007.15818.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from edgesmith.collaborate.split.model import SplitModel
from edgesmith.core.errors import BadInput
from edgesmith.core.task import Split, Task
from edgesmith.training.distillation import Still
from edgesmith.training.evaluate import predict
from edgesmith.training.loop import train_module
from edgesmith.training.recipe import Recipe


class FilterNet(nn.Sequential):
    """(n, channels, h, w) outputs of a head to (n, 2) scores of an empty frame and of one that is not.

    The two convolutions, each halving the picture, and the linear layer of the authors' Ext4ResNet, at this size.
    """

    def __init__(self, channels: int, width: int = 8) -> None:
        layers: list[nn.Module] = []
        for inside in (channels, width):
            layers += [nn.Conv2d(inside, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, 2))


@dataclass(frozen=True)
class Prefilter:
    """Decides on the device whether a frame is sent.

    Attributes:
        net: outputs of the head (n, *shape), before they are rounded, to (n, 2).
        threshold: least probability of an object at which a frame is sent.
    """

    net: nn.Module
    threshold: float

    @torch.no_grad()
    def keeps(self, values: Tensor) -> np.ndarray:
        """(n,) bool for outputs of the head (n, *shape): whether each frame is sent."""
        return self.net(values).softmax(1)[:, 1].numpy() >= self.threshold

    def encode(self, model: SplitModel, values: Tensor) -> bytes | None:
        """What is sent for one frame, of the head's (1, *shape); None where nothing is.

        Raises:
            BadInput: another shape.
        """
        data = model.encode(values)
        return data if self.keeps(values.reshape(1, *model.shape))[0] else None


def prefilter(model: SplitModel, task: Task, recipe: Recipe, recall: float = 0.98, seed: int = 0) -> Prefilter:
    """Train a filter on what a head gives, and set its threshold on the validation split.

    Args:
        model: its head stays as it is.
        task: frames with labels 0, nothing there, and 1.
        recall: share of frames with objects that must be sent.

    Raises:
        BadInput: labels that are not 0 and 1, payloads that are no pictures, or a recall outside 0 to 1.
    """
    if not 0 < recall <= 1:
        raise BadInput(f"prefilter: a recall of {recall:g}; need a share above 0, at most 1.")
    for split in (task.train, task.validation):
        if set(np.unique(split.labels)) != {0, 1}:
            raise BadInput(f"prefilter: labels {np.unique(split.labels)[:5]}; need both 0, empty, and 1.")
    if len(model.shape) != 3:
        raise BadInput(f"prefilter: a payload of {model.shape}; need (channels, h, w).")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = FilterNet(model.shape[0])
    head = Still(model.head)
    try:
        train_module(nn.Sequential(head, net), task, recipe, seed)
    finally:
        head.release()
    chances = sureness(nn.Sequential(model.head, net), task, task.validation)
    return Prefilter(net.eval(), threshold(chances[task.validation.labels == 1], recall))


def sureness(net: nn.Module, task: Task, split: Split) -> np.ndarray:
    """(n,) probability that something is there, frame by frame."""
    scores = torch.from_numpy(predict(net.eval(), split, task.normalize))
    return scores.softmax(1)[:, 1].numpy()


def threshold(chances: np.ndarray, recall: float) -> float:
    """The highest at which at least that share of `chances`, those of frames with objects, is not below it."""
    ordered = np.sort(chances)[::-1]
    return float(ordered[max(0, int(np.ceil(recall * len(ordered) - 1e-9)) - 1)])
