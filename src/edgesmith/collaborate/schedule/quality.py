"""What a flight was worth: tasks completed, utility of service, utility of experience."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edgesmith.collaborate.schedule.site import Outcome
from edgesmith.collaborate.schedule.tasks import Kind

WINDOW_MS = 20_000.0  # windowDuration in the authors' Application.java
RATE = 0.9  # requiredFrameFractionArray there


@dataclass(frozen=True)
class Worth:
    """A flight in figures.

    Attributes:
        completed: share of the tasks with an answer in time.
        qos: benefits of answers in time less the costs of all runs.
        qoe: bonuses of the windows in which enough of a kind were in time.
    """

    completed: float
    qos: float
    qoe: float

    @property
    def total(self) -> float:
        """Both utilities."""
        return self.qos + self.qoe


def utility(outcome: Outcome) -> float:
    """Benefit if in time, less the cost of the place where it ran; nothing for what never ran."""
    kind = outcome.task.kind
    cost = {"edge": kind.edge_cost, "cloud": kind.cloud_cost, "dropped": 0.0}[outcome.end]
    return (kind.benefit if outcome.in_time else 0.0) - cost


def worth(outcomes: Iterable[Outcome], window_ms: float = WINDOW_MS, rate: float = RATE) -> Worth:
    """Judge a flight; a task counts in the window in which it was made."""
    found = tuple(outcomes)
    in_time = sum(outcome.in_time for outcome in found)
    bonuses = sum(kind.bonus for kind, _ in kept_windows(found, window_ms, rate))
    return Worth(in_time / max(1, len(found)), sum(map(utility, found)), bonuses)


def kept_windows(outcomes: Iterable[Outcome], window_ms: float, rate: float) -> list[tuple[Kind, int]]:
    """Kinds and windows where at least `rate` of the kind's tasks were in time."""
    made: Counter[tuple[Kind, int]] = Counter()
    done: Counter[tuple[Kind, int]] = Counter()
    for outcome in outcomes:
        window = (outcome.task.kind, int(outcome.task.at_ms // window_ms))
        made[window] += 1
        done[window] += outcome.in_time
    return [window for window, count in made.items() if done[window] >= rate * count - 1e-9]


def by_kind(outcomes: Iterable[Outcome]) -> Mapping[str, float]:
    """Share in time of each kind."""
    made: Counter[str] = Counter()
    done: Counter[str] = Counter()
    for outcome in outcomes:
        made[outcome.task.kind.name] += 1
        done[outcome.task.kind.name] += outcome.in_time
    return {name: done[name] / count for name, count in made.items()}
