"""Random small torch networks, quantized and lowered the way a user's model is."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from edgesmith.compile.integerize import integerize
from edgesmith.core.graph import Graph
from edgesmith.lower import channels_last_input
from edgesmith.pipeline.programs import random_task, source_graph

ACTIVATIONS: tuple[Callable[[], nn.Module], ...] = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.Hardswish, nn.SiLU, nn.GELU, nn.Sigmoid, nn.Tanh, nn.Identity,
)  # fmt: skip


class Residual(nn.Module):
    """x + body(x), or their product."""

    def __init__(self, body: nn.Module, gate: bool) -> None:
        super().__init__()
        self.body, self.gate = body, gate

    def forward(self, x: Tensor) -> Tensor:
        return x * self.body(x) if self.gate else x + self.body(x)


class Sequence(nn.Module):
    """Rows of an image through an LSTM or GRU; the last step goes on."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        return self.cell(x)[0][:, -1]


def convolution(rng: np.random.Generator, channels: int, out: int) -> nn.Sequential:
    """A convolution with its batch norm, now and then, and an activation."""
    kernel, groups = int(rng.integers(1, 4)), channels if out == channels and rng.random() < 0.5 else 1
    stride = int(rng.integers(1, 3)) if out != channels else 1
    # Three strided convolutions without padding would leave a window larger than the image.
    padding = (int(rng.integers(0, 2)) if stride == 1 else kernel // 2) if out != channels else "same"
    layers: list[nn.Module] = [nn.Conv2d(channels, out, kernel, stride, padding, groups=groups)]
    if rng.random() < 0.6:
        norm = nn.BatchNorm2d(out)
        nn.init.uniform_(norm.running_mean, -0.3, 0.3)
        nn.init.uniform_(norm.running_var, 0.5, 2.0)
        layers.append(norm)
    return nn.Sequential(*layers, ACTIVATIONS[int(rng.integers(len(ACTIVATIONS)))]())


def image_network(rng: np.random.Generator) -> tuple[nn.Module, tuple[int, ...]]:
    """Convolutions, residuals and pooling, then a linear head."""
    channels, size = int(rng.integers(1, 4)), int(rng.integers(8, 13))
    layers: list[nn.Module] = []
    shape = (1, channels, size, size)
    for _ in range(int(rng.integers(1, 4))):
        out = int(rng.integers(2, 9))
        layers += [convolution(rng, channels, out)]
        channels = out
        if rng.random() < 0.6:
            layers.append(Residual(convolution(rng, out, out), gate=rng.random() < 0.3))
    pool = (nn.AdaptiveAvgPool2d(1), nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1))[int(rng.integers(3))]
    return nn.Sequential(*layers, pool, nn.Flatten(), nn.Linear(channels, 5)), shape


def sequence_network(rng: np.random.Generator) -> tuple[nn.Module, tuple[int, ...]]:
    """An LSTM or GRU with a linear head."""
    width, hidden = int(rng.integers(2, 7)), int(rng.integers(2, 7))
    cell = (nn.LSTM, nn.GRU)[int(rng.integers(2))](width, hidden, batch_first=True)
    return nn.Sequential(Sequence(cell), nn.Linear(hidden, 3)), (1, int(rng.integers(2, 6)), width)


def module_graph(seed: int) -> Graph:
    """The integer graph of the network of a seed, calibrated on random inputs."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    maker = sequence_network if rng.random() < 0.25 else image_network
    module, shape = maker(rng)
    example = (torch.zeros(shape),)
    task = random_task(example, "net")
    return channels_last_input(integerize(source_graph(module.eval(), example, task, "net", "int8", "minmax")))
