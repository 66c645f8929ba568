"""Worlds small enough to work out by hand, and worlds drawn for many cases."""

from dataclasses import dataclass

from edgesmith.collaborate.offloading.cluster import Device, Server, Weights, World
from edgesmith.collaborate.offloading.graphs import Job, Shape, Task
from edgesmith.collaborate.offloading.settings import Setting

# Task 0 feeds 1 and 2, which feed 3.
DIAMOND = Job(
    (Task(2.0, in_mbit=4.0, out_mbit=8.0), Task(4.0, out_mbit=2.0), Task(6.0, out_mbit=2.0), Task(2.0, out_mbit=6.0)),
    ((), (0,), (0,), (1, 2)),
)
ONE = Job((Task(4.0, in_mbit=2.0, out_mbit=1.0),), ((),))


def diamond(weights: Weights | None = None) -> World:
    """A device of 1 GHz and 2 W that sends 2 Mbit/s at 0.5 W; servers of 2 GHz at 3 W and 4 GHz at 8 W."""
    device = Device(DIAMOND, ghz=1.0, watts=2.0, send_watts=0.5, mbps=(2.0, 2.0))
    return World((device,), (Server(2.0, 3.0), Server(4.0, 8.0)), backhaul_mbps=4.0, weights=weights or Weights())


def small_setting(devices: int = 2) -> Setting:
    """Worlds that brute force can solve."""
    return Setting(devices=devices, servers=2, shape=Shape(2, 3))


@dataclass(frozen=True)
class Identity:
    """One task a device; one of two servers is good and one is bad, and the device itself is slow.

    A good server computes in a hundredth of the device's time at a hundredth of its energy; each agent sees which.
    """

    devices: int = 2
    servers: int = 2
    rounds: int = 1

    def __call__(self, seed: int) -> World:
        """Which server is good changes with the seed."""
        good, bad = Server(100.0, 1.0), Server(1.0, 1.0)
        device = Device(ONE, ghz=1.0, watts=1.0, send_watts=1e-6, mbps=(1e6, 1e6))
        servers = (good, bad) if seed % 2 else (bad, good)
        return World((device,) * self.devices, servers, 1e6, Weights(latency=0.5, energy=0.5, balance=0.0))
