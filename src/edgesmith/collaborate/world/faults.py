"""What goes wrong, and when: a schedule given by hand or drawn from a seed."""

import random
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from edgesmith.collaborate.links.link import Outage

KINDS = ("down", "outages", "slow", "garbage")
MOST_OF_A_KIND = 3  # enough for faults that follow and that overlap one another
MOST_SHARE = 0.3  # of the run for one fault: longer ones leave nothing to come back to
SLOWEST = 20.0


@dataclass(frozen=True)
class Slow:
    """From `start_s`, for `seconds`, the server takes `factor` times as long."""

    start_s: float
    seconds: float
    factor: float

    @property
    def end_s(self) -> float:
        """When it is itself again."""
        return self.start_s + self.seconds


Span = TypeVar("Span", Outage, Slow)


@dataclass(frozen=True)
class Faults:
    """A schedule of faults; those of one kind lie in order and apart.

    Attributes:
        down: the server is gone, with what it was computing and what waited.
        outages: of the link, both ways.
        slow: the server takes longer for what begins then.
        garbage: replies sent then are unusable.
    """

    down: tuple[Outage, ...] = ()
    outages: tuple[Outage, ...] = ()
    slow: tuple[Slow, ...] = ()
    garbage: tuple[Outage, ...] = ()

    def factor(self, at_s: float) -> float:
        """How many times as long the server takes for what begins then."""
        found = during(self.slow, at_s)
        return 1.0 if found is None else found.factor


def during(spans: Sequence[Span], at_s: float) -> Span | None:
    """The span that holds a moment: its start does, its end does not."""
    index = bisect_right(spans, at_s, key=lambda span: span.start_s)
    return spans[index - 1] if index and at_s < spans[index - 1].end_s else None


def merged(spans: Iterable[Outage]) -> tuple[Outage, ...]:
    """Spans in order, those that touch as one.

    >>> merged([Outage(3.0, 1.0), Outage(0.0, 2.0), Outage(1.0, 1.5)])
    (Outage(start_s=0.0, seconds=2.5), Outage(start_s=3.0, seconds=1.0))
    """
    found: list[Outage] = []
    for span in sorted(spans, key=lambda span: span.start_s):
        if found and span.start_s <= found[-1].end_s:
            start_s = found[-1].start_s
            found[-1] = Outage(start_s, max(found[-1].end_s, span.end_s) - start_s)
        else:
            found.append(span)
    return tuple(found)


def random_faults(seed: int, seconds: float) -> Faults:
    """A schedule for a run of so many seconds: up to three faults of each kind.

    Args:
        seed: any; the same one gives the same schedule.
    """
    draw = random.Random(f"{seed} faults")
    spans = {kind: merged(_spans(draw, seconds)) for kind in KINDS}
    slow = tuple(Slow(span.start_s, span.seconds, draw.uniform(1.0, SLOWEST)) for span in spans["slow"])
    return Faults(spans["down"], spans["outages"], slow, spans["garbage"])


def _spans(draw: random.Random, seconds: float) -> list[Outage]:
    count = draw.randint(0, MOST_OF_A_KIND)
    return [Outage(draw.uniform(0, seconds), draw.uniform(0, MOST_SHARE) * seconds) for _ in range(count)]
