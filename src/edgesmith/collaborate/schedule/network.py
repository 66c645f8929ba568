"""Ways to the cloud: a steady one, one whose latency rises and falls, one whose rate wanders as a drone's does."""

import math
import random
from collections.abc import Callable
from dataclasses import replace

from edgesmith.collaborate.links.link import Link
from edgesmith.collaborate.schedule.site import Cloud

# An assumption: fibre from the edge to a cloud region of the same country.
STEADY = Link("cloud", mbps=100.0, delay_ms=20.0, jitter_ms=3.0, source="An assumption: fibre to a region nearby.")
FLAT_S, RAMP_S = 60.0, 30.0
MOST_EXTRA_MS = 400.0
WALK_SIGMA = 0.3  # of the logarithm of the rate, from one second to the next
WALK_BACK = 0.1  # share of the way back to the middle, each second
SLOWEST_MBPS, FASTEST_MBPS = 1.0, 100.0


def trapezium(at_s: float) -> float:
    """Milliseconds added to a call: none, a rise, a plateau of 400, a fall, none; again each four minutes.

    >>> [trapezium(at_s) for at_s in (0.0, 75.0, 100.0, 165.0, 200.0)]
    [0.0, 200.0, 400.0, 200.0, 0.0]
    """
    within_s = at_s % (2 * FLAT_S + 2 * RAMP_S + FLAT_S)
    rise = (within_s - FLAT_S) / RAMP_S
    fall = (2 * FLAT_S + 2 * RAMP_S - within_s) / RAMP_S
    return MOST_EXTRA_MS * min(1.0, max(0.0, min(rise, fall)))


def wandering(seed: int, seconds: float, middle_mbps: float) -> tuple[tuple[float, float], ...]:
    """A trace by the second whose logarithm walks at random about a middle."""
    draw, level, steps = random.Random(f"{seed} rate"), 0.0, []
    for _ in range(math.ceil(seconds)):
        level += draw.gauss(0.0, WALK_SIGMA) - WALK_BACK * level
        steps.append((1.0, min(FASTEST_MBPS, max(SLOWEST_MBPS, middle_mbps * math.exp(level)))))
    return tuple(steps)


def steady(seed: int = 0, seconds: float = 0.0) -> Cloud:
    """A cloud behind a link that does not change."""
    return Cloud(STEADY)


def rising_latency(seed: int = 0, seconds: float = 0.0) -> Cloud:
    """A cloud whose every call takes up to 400 ms more for a while."""
    return Cloud(STEADY, extra_ms=trapezium)


def wandering_rate(seed: int, seconds: float) -> Cloud:
    """A cloud behind a link whose rate wanders about 10 Mbit/s."""
    return Cloud(replace(STEADY, name="wandering", steps=wandering(seed, seconds, 10.0)))


NETWORKS: dict[str, Callable[[int, float], Cloud]] = {
    "steady": steady,
    "rising latency": rising_latency,
    "wandering rate": wandering_rate,
}
