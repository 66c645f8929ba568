"""Choose for every request how much to send, from what the link did with those before."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from edgesmith.collaborate.links.channel import Passage
from edgesmith.collaborate.links.link import Link, at_rate

MARGIN = 0.8  # of the deadline (the authors' code of arXiv:2306.12691)
REMEMBERED = (
    2  # passages, of which the slower counts: a rate that fell is believed at once, one that rose a little later
)


@dataclass(frozen=True)
class Choice:
    """One width.

    Attributes:
        nbytes: of its message; the mean, or a high percentile for fewer late answers.
        device_ms: until the message is ready.
        quality: of its answers; more is better.
    """

    nbytes: int
    device_ms: float
    quality: float


class Follower:
    """Knows the link's delays and headers, and learns its rate.

    Args:
        link: its own rate is believed until a message has passed.
        deadline_ms: from the request to the message's arrival.
    """

    def __init__(self, choices: Sequence[Choice], link: Link, deadline_ms: float) -> None:
        self.choices, self.link, self.room_ms = tuple(choices), link, MARGIN * deadline_ms
        self.rates_mbps: deque[float] = deque([link.mean_mbps()], REMEMBERED)
        self.under_way: deque[Passage] = deque()

    def sent(self, passage: Passage) -> None:
        """A message was handed over; when it arrives is not looked at before that time has come."""
        self.under_way.append(passage)

    def choose(self, now_s: float) -> int:
        """Index of the best width that is expected in time, else of the smallest message."""
        self._learn(now_s)
        link = at_rate(self.link, self._rate_mbps(now_s))
        waits_ms = sum(link.expected_ms(one.wire_bytes) for one in self.under_way)
        fits = [
            index
            for index, choice in enumerate(self.choices)
            if waits_ms + choice.device_ms + link.expected_ms(choice.nbytes) <= self.room_ms
        ]
        if fits:
            return max(fits, key=lambda index: self.choices[index].quality)
        return min(range(len(self.choices)), key=lambda index: self.choices[index].nbytes)

    def _learn(self, now_s: float) -> None:
        """Rates of the messages that have arrived by now."""
        while self.under_way and self.under_way[0].arrive_s <= now_s:
            passage = self.under_way.popleft()
            self.rates_mbps.append(self._rate_of(passage, passage.arrive_s))

    def _rate_of(self, passage: Passage, until_s: float) -> float:
        """At most this rate carried it, if it was on its way until then."""
        air_s = until_s - passage.start_s - (self.link.delay_ms + self.link.jitter_ms) * 1e-3
        return passage.wire_bytes * 8e-6 / max(air_s, 1e-4)

    def _rate_mbps(self, now_s: float) -> float:
        """Believed now: a message that is still under way bounds it too."""
        late = [self._rate_of(one, now_s) for one in self.under_way if one.start_s < now_s]
        return min(*self.rates_mbps, *late) if late else min(self.rates_mbps)
