"""A binary net on Fashion-MNIST, trained here: what the experiments on binary nets share."""

import torch
from torch import nn

from edgesmith.compress.binary.layers import BinaryConv2d, Sign
from edgesmith.core.task import Task
from edgesmith.training.accelerator import fast_bfloat16
from edgesmith.training.loop import train_module
from edgesmith.training.recipe import Recipe

TRAIN = Recipe(epochs=5, batch=64, learning_rate=4e-3, weight_decay=0.0, train_samples=4000, bfloat16=fast_bfloat16())
WIDTHS = (32, 64, 64, 128)
STRIDES = (1, 2, 1)


def binary_net(classes: int = 10) -> nn.Sequential:
    """An int8 stem at half size, three 3x3 binary convolutions, an int8 classifier: (n, 1, 28, 28) to (n, classes)."""
    layers: list[nn.Module] = [nn.Conv2d(1, WIDTHS[0], 3, 2, 1, bias=False), nn.BatchNorm2d(WIDTHS[0])]
    for inside, outside, stride in zip(WIDTHS[:-1], WIDTHS[1:], STRIDES, strict=True):
        layers += [Sign(), BinaryConv2d(inside, outside, stride=stride), nn.BatchNorm2d(outside)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTHS[-1], classes))


def trained(task: Task, seed: int, recipe: Recipe = TRAIN) -> nn.Module:
    """The net after its training with this seed."""
    torch.manual_seed(seed)
    return train_module(binary_net(len(task.classes)), task, recipe, seed)
