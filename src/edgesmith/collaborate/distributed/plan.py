"""A net in parts, each on a device, and the fusion of what they say; any part may be missing from an answer."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from edgesmith.collaborate.links.link import Link
from edgesmith.core.errors import BadInput
from edgesmith.core.task import Task

FLOAT_BYTES = 4
BATCH = 512

Reader = Callable[[np.ndarray], np.ndarray]  # raw inputs (n, ...) to what a part reads of them, (n, ...) float32


@dataclass(frozen=True)
class Device:
    """What one device gives to a part.

    Attributes:
        memory_bytes: for weights.
        macs: multiply-accumulates that it may spend on one request.
    """

    name: str
    memory_bytes: int
    macs: int

    def __post_init__(self) -> None:
        if self.memory_bytes < 1 or self.macs < 1:
            raise BadInput(
                f"device {self.name}: {self.memory_bytes} bytes and {self.macs} multiply-accumulates; "
                "need at least one of each."
            )


@dataclass(frozen=True)
class Part:
    """A piece of the net that one device runs.

    Attributes:
        module: what it reads of normalized inputs, (n, ...) float, to features (n, width) float.
        device: its name.
        classes: those it answers for; empty where it answers for all.
        macs: multiply-accumulates of one request.
        width: of its features.
    """

    name: str
    module: nn.Module
    device: str
    classes: tuple[int, ...]
    macs: int
    width: int

    @property
    def nbytes(self) -> int:
        """Of its parameters, as float32."""
        return FLOAT_BYTES * sum(parameter.numel() for parameter in self.module.parameters())


class Fusion(nn.Module):
    """One hidden layer over all parts' features, side by side: (n, sum of widths) to (n, classes).

    Args:
        shrink: hidden units for each feature.
        drop: how often, while it is trained, one part's features are zeros, as when its device is lost.
    """

    def __init__(self, widths: Sequence[int], classes: int, shrink: float, drop: float = 0.0) -> None:
        super().__init__()
        self.drop = drop
        part_of = torch.repeat_interleave(torch.arange(len(widths)), torch.tensor(widths))
        self.part_of: Tensor
        self.register_buffer("part_of", part_of, persistent=False)
        hidden = max(1, round(shrink * sum(widths)))
        self.net = nn.Sequential(nn.Linear(sum(widths), hidden), nn.ReLU(), nn.Linear(hidden, classes))

    def forward(self, features: Tensor) -> Tensor:
        if self.training and self.drop and len(features):
            n, parts = len(features), int(self.part_of[-1]) + 1
            gone = torch.where(torch.rand(n) < self.drop, torch.randint(0, parts, (n,)), -1)
            features = features * (self.part_of[None] != gone[:, None])
        return self.net(features)


@dataclass(frozen=True)
class Plan:
    """The parts with their devices, and how their features become an answer.

    Attributes:
        parts: in the order in which the fusion reads their features; names differ.
        fusion: (n, sum of widths) features to (n, classes) scores.
        inputs: a part's name to the function that takes what it reads from raw inputs (n, ...), normalized.
    """

    parts: tuple[Part, ...]
    fusion: nn.Module
    inputs: Mapping[str, Reader]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the parts."""
        return tuple(part.name for part in self.parts)

    def features(self, raw: np.ndarray) -> dict[str, np.ndarray]:
        """What each part makes of raw inputs (n, ...): its name to (n, width) float32."""
        return {part.name: encoded(part.module, self.inputs[part.name](raw)) for part in self.parts}

    def fused(self, features: Mapping[str, np.ndarray]) -> np.ndarray:
        """Scores (n, classes) float32 of the features that came; those of a missing part count as zeros.

        Raises:
            BadInput: features of no part, of another width, or none at all.
        """
        if unknown := set(features) - set(self.names):
            raise BadInput(f"fusion: features of {sorted(unknown)[0]!r}; the parts are {', '.join(self.names)}.")
        if not features:
            raise BadInput("fusion: no part's features came; need at least one. Check the devices.")
        n = len(next(iter(features.values())))
        columns = []
        for part in self.parts:
            found = features.get(part.name, np.zeros((n, part.width), np.float32))
            if found.shape != (n, part.width):
                raise BadInput(f"fusion: features of {part.name} are {found.shape}; need {(n, part.width)}.")
            columns.append(found.astype(np.float32))
        return encoded(self.fusion, np.concatenate(columns, 1))

    def answer(self, raw: np.ndarray, lost: Collection[str] = ()) -> np.ndarray:
        """Scores (n, classes) float32 of raw inputs (n, ...), without the parts that are lost.

        Raises:
            BadInput: a lost part that there is not, or all are lost.
        """
        if unknown := set(lost) - set(self.names):
            raise BadInput(f"fusion: no part {sorted(unknown)[0]!r}; the parts are {', '.join(self.names)}.")
        return self.fused({name: found for name, found in self.features(raw).items() if name not in lost})


Divide = Callable[[nn.Module, Task, Sequence[Device], Link], Plan]  # what every method of the family gives


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's generator at this seed within, and where it was afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@torch.no_grad()
def encoded(module: nn.Module, x: np.ndarray) -> np.ndarray:
    """A module's outputs on normalized inputs (n, ...), in eval mode, in batches."""
    module.eval()
    return np.concatenate([module(torch.from_numpy(x[at : at + BATCH])).numpy() for at in range(0, len(x), BATCH)])
