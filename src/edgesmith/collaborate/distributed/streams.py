"""Streams that a sensor fills unit by unit, and the nets that encode each unit as soon as it is there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from edgesmith.collaborate.distributed.aggregation import Aggregation, MeanOverUnits
from edgesmith.collaborate.distributed.plan import seeded
from edgesmith.core.errors import BadInput
from edgesmith.lower.log_mel import LogMel

WIDTH = 32  # of a stream's features
PARTIAL = (0.5, 0.7, 0.9)  # of a stream's units, after which it may be cut short (the authors' code)
RATE, FRAME, HOP, MELS = 8000, 256, 128, 24  # Hz and samples: 32 ms, half of it new
MEL_MIDDLE, MEL_SPREAD = 28.0, 4.0  # of log2 energies on the training split of digit-streams (our measurement)


@dataclass(frozen=True)
class Sensor:
    """A part of a record, and how it comes over time.

    Attributes:
        begin, length: its samples within a record.
        seconds: it takes to come; units are even in time.
        counts: of units there may be, the most first: the sensing configurations.
        frame: samples of a unit of which fewer may be taken (every second row, say); 0 where units share all samples.
    """

    name: str
    begin: int
    length: int
    seconds: float
    counts: tuple[int, ...]
    frame: int = 0

    def units(self, records: Tensor, count: int) -> Tensor:
        """(n, samples of a record) to (n, count, samples of a unit)."""
        own = records[:, self.begin : self.begin + self.length]
        if not self.frame:
            return own.reshape(len(own), count, self.length // count)
        frames = own.reshape(len(own), self.length // self.frame, self.frame)
        return frames[:, torch.linspace(0, frames.shape[1] - 1, count).long()]

    def ready_s(self, count: int) -> list[float]:
        """When each unit is there, from the beginning of the record."""
        return [self.seconds * (index + 1) / count for index in range(count)]


SOUND = Sensor("sound", 0, 8000, 1.0, (10, 5))
ROWS = Sensor("rows", 8000, 64, 0.6, (8, 4), frame=8)  # 0.6 s to write a digit: our assumption


class SoundUnit(nn.Module):
    """(n, samples) of sound to (n, WIDTH): log-mel energies, convolutions in time, their mean."""

    def __init__(self, hidden: int, layers: int) -> None:
        super().__init__()
        self.front = LogMel(RATE, FRAME, HOP, MELS)
        widths = [MELS, *([hidden] * layers)]
        self.net = nn.Sequential(
            *(m for a, b in zip(widths, widths[1:], strict=False) for m in (nn.Conv1d(a, b, 3, padding=1), nn.ReLU()))
        )
        self.out = nn.Linear(hidden, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        energies = (self.front(x) - MEL_MIDDLE) / MEL_SPREAD
        return self.out(self.net(energies.transpose(1, 2)).mean(2))


class RowUnit(nn.Module):
    """(n, 8) pixels of 0 to 16 to (n, WIDTH)."""

    def __init__(self, hidden: int, layers: int) -> None:
        super().__init__()
        widths = [ROWS.frame, *([hidden] * layers)]
        self.net = nn.Sequential(
            *(m for a, b in zip(widths, widths[1:], strict=False) for m in (nn.Linear(a, b), nn.ReLU()))
        )
        self.out = nn.Linear(hidden, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.net(x / 16))


class Branch(nn.Module):
    """One size of one stream's net: encode units, join them. Raw records (n, length) to scores (n, classes).

    While it is trained each batch takes another number of units, and every second one only a part of them: any of
    them may be asked for later.
    """

    def __init__(self, sensor: Sensor, encoder: nn.Module, classes: int, aggregate: bool = True) -> None:
        super().__init__()
        self.sensor, self.encoder = sensor, encoder
        self.join = Aggregation(WIDTH) if aggregate else MeanOverUnits()
        self.classify = nn.Linear(WIDTH, classes)

    def forward(self, records: Tensor) -> Tensor:
        count, share = self.sensor.counts[0], 1.0
        if self.training:
            count = self.sensor.counts[int(torch.randint(len(self.sensor.counts), ()))]
            share = (1.0, *PARTIAL, 1.0, 1.0)[int(torch.randint(6, ()))]
        return self.classify(self.features(records, count, share))

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one record with all units."""
        count = self.sensor.counts[0]
        units = self.sensor.units(torch.zeros(1, self.sensor.begin + self.sensor.length), count)[0]
        return products(self.encoder, units) + products(self.join, torch.zeros(1, count, WIDTH))

    def features(self, records: Tensor, count: int, share: float = 1.0) -> Tensor:
        """(n, WIDTH) of the first units of so many."""
        units = self.sensor.units(records, count)[:, : units_of(count, share)]
        encoded = self.encoder(units.flatten(0, 1))
        return self.join(encoded.unflatten(0, units.shape[:2]))


def products(module: nn.Module, x: Tensor) -> int:
    """Multiply-accumulates of linear layers and convolutions on an input; the spectra of `LogMel` are not counted."""
    found: list[int] = []

    def count(layer: nn.Module, args: tuple[Tensor, ...], result: Tensor) -> None:
        assert isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d)
        found.append(result.numel() * layer.weight[0].numel())

    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        module(x)
    for hook in hooks:
        hook.remove()
    return sum(found)


def units_of(count: int, share: float) -> int:
    """How many of `count` units a share is; at least one.

    >>> units_of(10, 0.7), units_of(4, 0.9), units_of(4, 1.0)
    (7, 3, 4)
    """
    return max(1, int(share * count + 1e-9))


class StreamNet(nn.Module):
    """Branches of one or more sizes, small to large, for each of two streams, the sooner one first."""

    def __init__(self, streams: Sequence[Sequence[Branch]]) -> None:
        super().__init__()
        self.streams = nn.ModuleList(nn.ModuleList(sizes) for sizes in streams)

    def sizes(self, stream: int) -> list[Branch]:
        """The branches of one stream."""
        return list(self.streams[stream].children())  # type: ignore[arg-type]

    @property
    def sensors(self) -> tuple[Sensor, ...]:
        """Of the streams."""
        return tuple(self.sizes(index)[0].sensor for index in range(len(self.streams)))

    def forward(self, records: Tensor) -> Tensor:
        return torch.stack([self.sizes(index)[-1](records) for index in range(len(self.streams))]).sum(0)


def digit_streams_net(seed: int = 0, aggregate: bool = True) -> StreamNet:
    """For the task digit-streams: rows of a picture, then sound, two sizes each."""
    with seeded(seed):
        rows = [Branch(ROWS, RowUnit(*size), 10, aggregate) for size in ((16, 1), (96, 2))]
        sound = [Branch(SOUND, SoundUnit(*size), 10, aggregate) for size in ((16, 1), (96, 2))]
    return StreamNet([rows, sound])


def check_streams(module: nn.Module, record: np.ndarray) -> StreamNet:
    """The module as what it must be.

    Raises:
        BadInput: another kind of module, not two streams, the later one first, or records too short for them.
    """
    if not isinstance(module, StreamNet) or len(module.streams) != 2:
        raise BadInput(
            f"mmedge: {type(module).__name__} is no StreamNet of two streams; need one. Build it of Branches."
        )
    first, second = module.sensors
    if first.seconds > second.seconds:
        raise BadInput(f"mmedge: {first.name} ends after {second.name}; need the stream that ends sooner first.")
    needed = max(sensor.begin + sensor.length for sensor in module.sensors)
    if record.ndim != 1 or len(record) < needed:
        raise BadInput(f"mmedge: a record is {record.shape}; need one axis of at least {needed} samples.")
    return module
