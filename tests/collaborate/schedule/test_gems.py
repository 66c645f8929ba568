"""GEMS' windows against counts made by hand."""

import pytest

from collaborate.schedule.desks import Paper, kind, tasks
from edgesmith.collaborate.schedule import gems
from edgesmith.collaborate.schedule.dems import Dems, Fixed
from edgesmith.collaborate.schedule.gems import Windows
from edgesmith.collaborate.schedule.quality import worth
from edgesmith.collaborate.schedule.site import End, Outcome
from edgesmith.collaborate.schedule.tasks import Task
from edgesmith.core.errors import BadInput


def of(each, *, index=0, at_ms=0.0) -> Task:
    return Task(index, each, at_ms, each.edge_ms, each.cloud_ms)


def test_threatened_kinds_go_to_the_cloud_where_that_pays():
    """Kind a is at 1 of 2, b at 2 of 2; of a's waiting tasks one is too late for the cloud, one would lose there."""
    a, b = kind("a", deadline=2000), kind("b", deadline=2000)
    late, losing = kind("a", deadline=200, cloud=300), kind("loss", cloud_cost=150, deadline=2000)
    windows = Windows(20_000.0, 0.9)
    desk = Paper()
    queues = Dems(desk, Fixed(), windows)
    waiting = tasks(a, b, late, losing)
    for task in waiting:
        queues.edge.add(task)
    for each, went in ((b, True), (b, True), (losing, False), (late, False), (a, True)):
        windows(queues, of(each), went)
    windows(queues, of(a), False)
    desk.pass_time(0.0)
    assert desk.sent == [waiting[0]]
    assert sorted(task.index for task in queues.edge) == [1, 2, 3]


def test_kinds_at_their_rate_are_left_alone():
    each = kind("a", deadline=2000)
    windows = Windows(20_000.0, 0.9)
    for went in (True,) * 9 + (False,):
        windows.count(of(each), went, 0.0)
    assert not windows.threatened(each), "nine of ten are enough"
    windows.count(of(each), False, 0.0)
    assert windows.threatened(each)


def test_a_new_window_forgets():
    """A task made before the window's start does not count in it."""
    each = kind("a")
    windows = Windows(1000.0, 0.9)
    windows.count(of(each), False, 500.0)
    assert windows.threatened(each)
    windows.count(of(each), False, 1100.0)
    assert not windows.threatened(each)
    windows.count(of(each, at_ms=1050.0), False, 1200.0)
    assert windows.threatened(each)


class Dropping(Paper):
    """A desk whose drops are told to the strategy, as the site's are."""

    queues: Dems

    def drop(self, task):
        super().drop(task)
        self.queues.ended(task, "dropped", 0.0)


def test_two_migrated_at_once_of_which_the_first_is_dropped_both_leave_the_queue_once():
    """The first's drop puts its kind below its rate, and so the second, just migrated, in the watch's sight."""
    desk = Dropping()
    queues = desk.queues = Dems(desk, Fixed(), Windows(20_000.0, 0.9))
    small, great = kind("small", deadline=112, edge=50, cloud=100), kind("great", deadline=80, edge=65, benefit=500)
    first, second = of(small, index=0), of(small, index=1, at_ms=30.0)
    desk.edge_free_ms = 40.0
    queues.arrived(first)
    desk.now_ms = 30.0
    queues.arrived(second)
    assert list(queues.edge) == [first, second]
    # It ends at 105; the two would end at 155, due at 112 and 142. Only the second has 100 ms left for the cloud.
    queues.arrived(newcomer := of(great, index=2, at_ms=30.0))
    assert list(queues.edge) == [newcomer] and desk.dropped == [first] and list(queues.deferred.values()) == [second]


def ended(each, at_ms: float, end: End, took_ms: float) -> Outcome:
    return Outcome(of(each, at_ms=at_ms), end, at_ms + took_ms)


def test_worth_by_hand():
    """Benefit 100, edge 1, cloud 20: an edge answer is 99, a late cloud run -20, a drop nothing.

    The first window has 1 of 2 in time, the second 1 of 1: one bonus of 10.
    """
    each = kind("a", deadline=1000)
    outcomes = [ended(each, 0, "edge", 500), ended(each, 500, "cloud", 1500), ended(each, 1100, "cloud", 300)]
    found = worth(outcomes, window_ms=1000.0, rate=0.9)
    assert (found.completed, found.qos, found.qoe) == (pytest.approx(2 / 3), 99 - 20 + 80, 10)
    assert found.total == 169
    assert worth([ended(each, 0, "dropped", 0)]).qos == 0 and worth([]).total == 0


@pytest.mark.parametrize("wrong", [{"window_ms": 0.0}, {"rate": 1.1}, {"rate": -0.1}])
def test_settings_without_meaning_are_refused(wrong):
    with pytest.raises(BadInput, match="gems"):
        gems(**wrong)
