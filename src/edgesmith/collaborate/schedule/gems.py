"""GEMS: DEMS that watches how often each kind of task succeeds, window by window."""

from collections import Counter

from edgesmith.collaborate.schedule.dems import Dems, Fixed, dems
from edgesmith.collaborate.schedule.dems_a import OMITS, Sliding
from edgesmith.collaborate.schedule.strategy import Scheduler
from edgesmith.collaborate.schedule.tasks import Kind, Task
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput

EXPERIMENT = "benchmarks/claims/collaborate/gems.py"


@method(
    Card(
        name="gems",
        does="schedules as DEMS does, and sends kinds of tasks whose share of successes in the running window is too"
        " low from the edge's queue to the cloud",
        source=Source("Raj et al.", 2025, "arXiv:2412.20860"),
        omits=OMITS,
        claims=(
            Claim(
                "only kinds below their rate are sent, where the cloud is in time and at a profit",
                test="test_threatened_kinds_go_to_the_cloud_where_that_pays",
            ),
            Claim("a new window starts with nothing counted", test="test_a_new_window_forgets"),
            Claim("its utility of experience is up to 75% higher", experiment=EXPERIMENT),
            Claim("its total utility is 33% higher than that of the edge alone", experiment=EXPERIMENT),
            Claim("it completes up to 87% of the tasks", experiment=EXPERIMENT),
        ),
    )
)
def gems(window_ms: float = 20_000.0, rate: float = 0.9, adapt: bool = False) -> Scheduler:
    """DEMS with tumbling windows.

    Args:
        window_ms: length of a window (windowDuration in the authors' Application.java).
        rate: share of a kind's tasks that should be in time in each (requiredFrameFractionArray there).
        adapt: expect of the cloud the largest of the last ten calls, as DEMS-A can, so that nothing is sent where it
            would be late; the authors' GEMS does not.

    Raises:
        BadInput: a window of no length, or a rate outside 0 to 1.
    """
    if not window_ms > 0 or not 0 <= rate <= 1:
        raise BadInput(f"gems: window_ms={window_ms:g}, rate={rate:g}; need a window above 0 and a rate in [0, 1].")
    expectation = (lambda: Sliding(expect="max")) if adapt else Fixed
    return dems(expectation, lambda: Windows(window_ms, rate))


class Windows:
    """Successes of the running window, by kind.

    Source: GateKeeper.java of the authors.
    """

    def __init__(self, window_ms: float, rate: float) -> None:
        self.window_ms, self.rate = window_ms, rate
        self.running = 0
        self.ended: Counter[Kind] = Counter()
        self.done: Counter[Kind] = Counter()

    def __call__(self, queues: Dems, task: Task, in_time: bool) -> None:
        """A task ended: count it if it was made in this window, then move what is threatened."""
        self.count(task, in_time, queues.desk.now_ms)
        for waiting in tuple(queues.edge):
            if self.threatened(waiting.kind) and queues.cloud_can(waiting):
                queues.send_from_edge(waiting)

    def count(self, task: Task, in_time: bool, now_ms: float) -> None:
        """Into the running window; tasks of earlier ones no longer matter."""
        if (window := int(now_ms // self.window_ms)) != self.running:
            self.running = window
            self.ended.clear()
            self.done.clear()
        if int(task.at_ms // self.window_ms) == window:
            self.ended[task.kind] += 1
            self.done[task.kind] += in_time

    def threatened(self, kind: Kind) -> bool:
        """Whether so far too few of a kind were in time."""
        return self.done[kind] < self.rate * self.ended[kind]
