"""DEMS-A: DEMS that follows what the cloud really takes."""

from collections import deque
from collections.abc import Callable, Iterable
from statistics import fmean
from typing import Literal, get_args

from edgesmith.collaborate.schedule.dems import dems
from edgesmith.collaborate.schedule.strategy import Scheduler
from edgesmith.collaborate.schedule.tasks import Kind, Task
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput

Expect = Literal["mean", "max"]
EXPERIMENT = "benchmarks/claims/collaborate/dems_a.py"
OMITS = (
    "the paper's full text beyond its abstract: algorithms, tables and constants are those of the authors' repository",
    "Jetson and AWS Lambda: edge and cloud are virtual, their times drawn around the authors' figures",
    "the authors' two state-of-the-art baselines, and cold starts of functions",
)


@method(
    Card(
        name="dems_a",
        does="schedules inference tasks with deadlines on one edge and a cloud: inserts, migrates, drops and steals by"
        " utility, and follows the cloud's latency",
        source=Source("Raj et al.", 2025, "arXiv:2412.20860"),
        omits=OMITS,
        claims=(
            Claim(
                "a newcomer pushes tasks off the edge only where their loss is less than its own",
                test="test_migration_needs_the_lesser_loss",
            ),
            Claim(
                "stealing makes no waiting task late, and takes first what the cloud would lose on",
                test="test_stealing_takes_the_best_gain_and_makes_nobody_late",
            ),
            Claim("it comes near the best that any order could do", test="test_most_of_the_optimum_is_reached"),
            Claim(
                "the expected cloud time is the mean of the last ten, once that is 10 ms away",
                test="test_the_expectation_follows_the_mean_of_its_window",
            ),
            Claim("it completes up to 88% of the tasks", experiment=EXPERIMENT),
            Claim("its utility is up to 2.7 times that of the baselines", experiment=EXPERIMENT),
            Claim("adapting brings up to 16% more utility while the network varies", experiment=EXPERIMENT),
        ),
    )
)
def dems_a(
    window: int = 10, threshold_ms: float = 10.0, cooling_ms: float = 10_000.0, expect: Expect = "mean"
) -> Scheduler:
    """DEMS with an expectation of the cloud that adapts.

    Args:
        window: of how many calls of a kind is taken what is expected (bufferCapacity in the authors' Application.java).
        threshold_ms: what is seen replaces what is expected if it is this far from it (THRESHOLD there).
        cooling_ms: after a kind was first refused, until one is tried again (coolingDuration there).
        expect: the mean of the window, as the authors, or its largest, which our experiment finds better: a deferred
            task leaves at the last moment, so half of those that take the mean or longer would be late.

    Raises:
        BadInput: a window below 1, a negative time, or another `expect`.
    """
    if window < 1 or not threshold_ms >= 0 or not cooling_ms >= 0 or expect not in get_args(Expect):
        raise BadInput(
            f"dems_a: window={window}, threshold_ms={threshold_ms:g}, cooling_ms={cooling_ms:g}, expect={expect!r}; "
            f"need a window of at least 1, times of at least 0, and one of {', '.join(get_args(Expect))}."
        )
    return dems(lambda: Sliding(window, threshold_ms, cooling_ms, expect))


class Sliding:
    """The mean, or the largest, of a kind's last calls; where that refuses every task, one is tried now and then.

    Source: PostProcessing.java, TriggerUpdate.java and Scheduler.java of the authors.
    """

    def __init__(
        self, window: int = 10, threshold_ms: float = 10.0, cooling_ms: float = 10_000.0, expect: Expect = "mean"
    ) -> None:
        self.window, self.threshold_ms, self.cooling_ms = window, threshold_ms, cooling_ms
        self.summary: Callable[[Iterable[float]], float] = fmean if expect == "mean" else max
        self.calls_ms: dict[Kind, deque[float]] = {}
        self.expected_ms: dict[Kind, float] = {}
        self.cooling_since_ms: dict[Kind, float] = {}
        self.tried: set[Kind] = set()

    def ms(self, kind: Kind) -> float:
        """Of the window; at first the kind's own figure."""
        return self.expected_ms.get(kind, kind.cloud_ms)

    def refused(self, kind: Kind, now_ms: float) -> float | None:
        """None while the kind cools; after that its own figure, as if nothing had been seen."""
        since_ms = self.cooling_since_ms.setdefault(kind, now_ms)
        if now_ms - since_ms <= self.cooling_ms:
            return None
        del self.cooling_since_ms[kind]
        self.tried.add(kind)
        return kind.cloud_ms

    def observed(self, task: Task, took_ms: float, now_ms: float) -> None:
        """Move the window; a try that went well fills it, for what was seen before no longer holds."""
        kind, in_time = task.kind, now_ms <= task.deadline_ms
        calls = self.calls_ms.setdefault(kind, deque(maxlen=self.window))
        if in_time:
            self.cooling_since_ms.pop(kind, None)
            if kind in self.tried:
                calls.extend([took_ms] * self.window)
        self.tried.discard(kind)
        calls.append(took_ms)
        seen_ms = self.summary(calls)
        if len(calls) == self.window and abs(seen_ms - self.ms(kind)) > self.threshold_ms:
            self.expected_ms[kind] = seen_ms
