"""Worlds drawn with a seed: what devices, servers and links may be like."""

import random
from dataclasses import dataclass
from typing import Protocol

from edgesmith.collaborate.offloading.cluster import Device, Server, Weights, World
from edgesmith.collaborate.offloading.graphs import Shape, draw_job
from edgesmith.core.errors import BadInput

J_PER_GCYCLE = 1.0  # of a device at 1 GHz; grows with the square of its speed (10^-27 f^2 a cycle, usual in the field)


class Worlds(Protocol):
    """Where a learner's worlds come from: as many devices, servers and rounds in each as these say."""

    @property
    def devices(self) -> int:
        """In every world."""

    @property
    def servers(self) -> int:
        """In every world."""

    @property
    def rounds(self) -> int:
        """In every world at most."""

    def __call__(self, seed: int) -> World:
        """A world; the same for the same seed."""


@dataclass(frozen=True)
class Setting:
    """Ranges, drawn from evenly; all are assumptions, of the order usual in papers on mobile edge computing.

    Attributes:
        shape: of the jobs.
        device_ghz, server_ghz, server_watts, mbps, send_watts: least and most.
        backhaul_mbps: between servers.
    """

    devices: int = 5
    servers: int = 3
    shape: Shape = Shape()
    device_ghz: tuple[float, float] = (0.8, 1.2)
    server_ghz: tuple[float, float] = (2.0, 5.0)
    server_watts: tuple[float, float] = (2.0, 4.0)
    mbps: tuple[float, float] = (4.0, 16.0)
    send_watts: tuple[float, float] = (0.4, 0.8)
    backhaul_mbps: float = 100.0
    weights: Weights = Weights()

    def __post_init__(self) -> None:
        """Refuse what has no meaning.

        Raises:
            BadInput: which field.
        """
        spans = (self.device_ghz, self.server_ghz, self.server_watts, self.mbps, self.send_watts)
        if self.devices < 1 or self.servers < 1 or any(not 0 < least <= most for least, most in spans):
            raise BadInput(f"setting: {self}; need devices, servers, and spans with 0 < least <= most.")

    @property
    def rounds(self) -> int:
        """At most: as many as a job may have tasks."""
        return self.shape.most

    def __call__(self, seed: int) -> World:
        """Draw a world; the same for the same seed."""
        draw = random.Random(f"{seed} offloading")
        servers = tuple(
            Server(draw.uniform(*self.server_ghz), draw.uniform(*self.server_watts)) for _ in range(self.servers)
        )
        return World(tuple(self._device(draw) for _ in range(self.devices)), servers, self.backhaul_mbps, self.weights)

    def _device(self, draw: random.Random) -> Device:
        ghz = draw.uniform(*self.device_ghz)
        rates = tuple(draw.uniform(*self.mbps) for _ in range(self.servers))
        return Device(draw_job(draw, self.shape), ghz, J_PER_GCYCLE * ghz**3, draw.uniform(*self.send_watts), rates)
