"""A net in two parts with entropy-coded integers between them."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from edgesmith.collaborate.coding import Code
from edgesmith.core.task import Normalize, Split
from edgesmith.training.evaluate import predict

LOW, HIGH = -128, 127  # of an int8


def integers(latents: np.ndarray) -> np.ndarray:
    """The nearest int8 of each, halves to even, beyond its ends the end: (...) float to the same shape."""
    return np.clip(np.rint(latents), LOW, HIGH).astype(np.int8)


class Round(nn.Module):
    """What `integers` does, on floats."""

    def forward(self, x: Tensor) -> Tensor:
        return x.round().clamp(LOW, HIGH)


def sent_by(head: nn.Module, split: Split, normalize: Normalize) -> np.ndarray:
    """(n, h', w', channels) int8: what a head sends for each sample."""
    return np.moveaxis(integers(predict(head, split, normalize)), 1, -1)


@dataclass(frozen=True)
class LatentSplit:
    """Head, tail, and the code of the integers that cross.

    Attributes:
        head: normalized inputs (n, c, h, w) to float latents (n, channels, h', w').
        tail: rounded latents to outputs.
        code: of the latents with their channels last.
        normalize: of the head's inputs.
    """

    head: nn.Module
    tail: nn.Module
    code: Code
    normalize: Normalize

    def sent(self, split: Split) -> np.ndarray:
        """(n, h', w', channels) int8: what crosses for each sample."""
        return sent_by(self.head, split, self.normalize)

    def encode(self, sent: np.ndarray) -> bytes:
        """One sample's (h', w', channels) integers as they go on the wire."""
        return self.code.encode(sent)

    def payload_bytes(self, split: Split) -> np.ndarray:
        """(n,) bytes that each sample really takes, coded on its own."""
        return np.array([len(self.encode(one)) for one in self.sent(split)])

    def answers(self, sent: np.ndarray) -> np.ndarray:
        """(n, h', w', channels) integers to the tail's (n, ...) outputs."""
        moved = np.ascontiguousarray(np.moveaxis(sent, -1, 1))
        return predict(self.tail, Split(moved, np.zeros(len(moved))), Normalize())

    def joined(self) -> nn.Module:
        """Both parts and the rounding between them, as one module."""
        return nn.Sequential(self.head, Round(), self.tail).eval()
