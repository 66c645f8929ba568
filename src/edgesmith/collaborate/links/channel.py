"""One direction of a link at work: when each message arrives, and what it took on the wire."""

import math
import random
from dataclasses import dataclass

from edgesmith.collaborate.links.link import Link, Rate


@dataclass(frozen=True, slots=True)
class Passage:
    """What happened to one message.

    Attributes:
        start_s: when its first bit left; later than it was given where others were before it.
        arrive_s: when all of it was there; infinite where the link never came back.
        wire_bytes: on the wire, with headers and with what was sent again.
        rounds: 1, and one more for each time that something had to be sent again.
    """

    start_s: float
    arrive_s: float
    wire_bytes: int
    rounds: int


class Channel:
    """Messages leave one after another and arrive in that order, as on one connection.

    It knows no clock: who calls says when. In virtual time and on real sockets the same calls give the same answers.

    Args:
        seed: of losses and jitter.
    """

    def __init__(self, link: Link, seed: int, down: bool = False) -> None:
        self.link, self.rate = link, Rate(link, down)
        self.random = random.Random(f"{seed} {'down' if down else 'up'}")
        self.free_s = self.last_arrival_s = 0.0

    def send(self, now_s: float, nbytes: int) -> Passage:
        """Give it a message; calls come in the order of `now_s`."""
        link = self.link
        start_s = max(now_s, self.free_s)
        packets, nbytes_left = link.packets(nbytes), nbytes
        sent = rounds = 0
        end_s = start_s
        while packets:
            wire = nbytes_left + packets * link.header_bytes
            begin_s = end_s + link.round_trip_ms * 1e-3 if rounds else start_s
            end_s = self.rate.sent_by(begin_s, 8 * wire)
            # Time on air is taken in one piece: others pass while this one waits for what was lost.
            self.free_s = end_s if not rounds else self.rate.sent_by(self.free_s, 8 * wire)
            sent, rounds = sent + wire, rounds + 1
            if end_s == math.inf:
                break
            packets = self._lost(packets)
            nbytes_left = min(nbytes, packets * link.payload_bytes)
        late_s = (link.delay_ms + 2 * link.jitter_ms * self.random.random()) * 1e-3
        self.last_arrival_s = max(self.last_arrival_s, end_s + late_s)
        return Passage(start_s, self.last_arrival_s, sent, rounds)

    def _lost(self, packets: int) -> int:
        """How many of so many packets."""
        loss = self.link.loss
        return sum(self.random.random() < loss for _ in range(packets)) if loss else 0
