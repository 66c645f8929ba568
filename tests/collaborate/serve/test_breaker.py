"""The breaker opens after failures in a row, probes ever less often, and lets one request try before all may."""

import threading
import time

from edgesmith.collaborate.serve.breaker import Breaker, Policy

QUICK = Policy(failures=3, first_s=0.02, most_s=0.08)


def until(condition, seconds=2.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.002)
    assert condition()


def opened(probe):
    breaker = Breaker(probe, QUICK)
    for _ in range(3):
        assert breaker.admits()
        breaker.record(False)
    return breaker


def test_only_failures_in_a_row_open_it():
    breaker = Breaker(lambda _: False, QUICK)
    for well in (False, False, True, False, False, None):
        assert breaker.admits()
        breaker.record(well)
    assert breaker.state == "closed"
    breaker.record(False)
    assert breaker.state == "open" and not breaker.admits()
    breaker.close()


def test_one_request_tries_and_its_answer_closes_it():
    breaker = opened(lambda _: True)
    until(lambda: breaker.state == "trial")
    assert [breaker.admits() for _ in range(3)] == [True, False, False]
    breaker.record(True)
    assert breaker.state == "closed" and breaker.admits() and breaker.wait_s == QUICK.first_s
    breaker.close()


def test_a_trial_that_fails_opens_it_for_longer():
    breaker = opened(lambda _: True)
    until(lambda: breaker.state == "trial")
    before_s = breaker.wait_s
    assert breaker.admits()
    breaker.record(False)
    assert breaker.state == "open"
    until(lambda: breaker.state == "trial")
    assert breaker.wait_s > before_s
    breaker.close()


def test_a_trial_that_never_asked_leaves_the_turn_to_the_next():
    breaker = opened(lambda _: True)
    until(lambda: breaker.state == "trial")
    assert breaker.admits()
    breaker.record(None)
    assert breaker.admits()
    breaker.close()


def test_probes_come_ever_less_often_up_to_the_most():
    moments = []

    def probe(_):
        moments.append(time.monotonic())
        return len(moments) == 6

    breaker = opened(probe)
    until(lambda: breaker.state == "trial")
    waits = [after - before for before, after in zip(moments, moments[1:], strict=False)]
    assert waits[0] >= 0.8 * 0.04 and all(wait >= 0.8 * 0.08 for wait in waits[1:])
    breaker.close()


def test_it_leaves_no_thread_behind():
    before = threading.active_count()
    breaker = opened(lambda _: False)
    assert threading.active_count() == before + 1
    breaker.close()
    until(lambda: threading.active_count() == before)
