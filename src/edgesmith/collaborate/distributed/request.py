"""How long a request takes over a link that all devices share, in virtual time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgesmith.collaborate.links.channel import Channel
from edgesmith.collaborate.links.link import Link


@dataclass(frozen=True)
class Leg:
    """One device's part of a request.

    Attributes:
        compute_ms: on the device.
        reply_bytes: of its features.
    """

    compute_ms: float
    reply_bytes: int


def request_ms(send: Channel, reply: Channel, now_s: float, input_bytes: int, legs: Sequence[Leg]) -> float:
    """From the picture to the last device's features, in milliseconds.

    The picture goes to one device after the other on the same air; features come back in the order they are ready.

    Args:
        input_bytes: of the picture; 0 where the devices see it themselves.
    """
    begins = [send.send(now_s, input_bytes).arrive_s if input_bytes else now_s for _ in legs]
    ready = sorted((begin + leg.compute_ms * 1e-3, leg.reply_bytes) for begin, leg in zip(begins, legs, strict=True))
    arrivals = [reply.send(at_s, nbytes).arrive_s for at_s, nbytes in ready]
    return (max(arrivals) - now_s) * 1e3


def requests_ms(link: Link, seed: int, input_bytes: int, legs: Sequence[Leg], count: int = 200) -> np.ndarray:
    """(count,) milliseconds of requests one after the other on one link."""
    send, reply = Channel(link, seed), Channel(link, seed, down=True)
    found, now_s = [], 0.0
    for _ in range(count):
        found.append(request_ms(send, reply, now_s, input_bytes, legs))
        now_s += found[-1] * 1e-3
    return np.array(found)
