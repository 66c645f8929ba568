"""A quantizer that is off until asked: it rounds, counts its errors, or offers its tensor to a derivative."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgesmith.core.formats import Format, PerChannel, PerTensor
from edgesmith.lower.fake_quantize import fake_quantize, settings


@dataclass
class Tally:
    """Sums over the values that were rounded."""

    signal: float = 0.0
    noise: float = 0.0
    error: float = 0.0
    count: int = 0

    def add(self, x: Tensor, rounded: Tensor) -> None:
        """Count one tensor."""
        error = (rounded - x).double()
        self.signal += float(x.double().square().sum())
        self.noise += float(error.square().sum())
        self.error += float(error.sum())
        self.count += x.numel()

    def sqnr_db(self) -> float:
        """Signal over noise in dB; 200 where nothing is lost."""
        if self.noise == 0:
            return 200.0
        return 10 * math.log10(max(self.signal, 1e-20) / self.noise)

    def bias(self) -> float:
        """The mean error over the root mean square error, 0 to 1."""
        if self.noise == 0:
            return 0.0
        return abs(self.error / self.count) / math.sqrt(self.noise / self.count)


def nearest(x: Tensor, format_: PerTensor | PerChannel) -> Tensor:
    """x on the grid of a format."""
    scales, *rest = settings(format_)
    return fake_quantize(x, torch.tensor(scales, dtype=torch.float64), *rest)


class Switch(nn.Module):
    """Rounds its tensor while it is on; stands in `lift(graph, quantizers)`.

    Attributes:
        deltas: zeros added to what passed since `probe`, one a call, that a gradient can be taken of.
    """

    def __init__(self) -> None:
        super().__init__()
        self.format_: PerTensor | PerChannel | None = None
        self.given: Tensor | None = None
        self.tally = Tally()
        self.probing = False
        self.deltas: list[Tensor] = []

    def begin(self, format_: PerTensor | PerChannel, given: Tensor | None = None) -> Tally:
        """Round from here on; returns the sums that will be counted.

        Args:
            given: of the tensor's shape, what stands in its place; None rounds to the nearest.
        """
        self.format_, self.given, self.tally = format_, given, Tally()
        return self.tally

    def end(self) -> None:
        """Let everything through."""
        self.format_ = None

    def probe(self, on: bool) -> None:
        """Keep zeros that are added to what passes, or no longer."""
        self.probing, self.deltas = on, []

    def forward(self, x: Tensor) -> Tensor:
        """x, or x rounded."""
        if self.probing:
            self.deltas.append(torch.zeros_like(x, requires_grad=True))
            return x + self.deltas[-1]
        if self.format_ is None:
            return x
        rounded = nearest(x, self.format_) if self.given is None else self.given
        self.tally.add(x, rounded)
        return rounded

    def format(self, values: Tensor | None) -> Format | None:
        """None: nothing was decided."""
        return None
