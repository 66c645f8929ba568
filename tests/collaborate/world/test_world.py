"""Runs in virtual time against sums done by hand, queueing theory, and the invariants under random faults."""

from dataclasses import replace
from statistics import fmean

import pytest

from edgesmith.collaborate.links.ledger import Entry
from edgesmith.collaborate.links.link import Link, Outage
from edgesmith.collaborate.world.check import Tally, check
from edgesmith.collaborate.world.faults import Faults, Slow, during, random_faults
from edgesmith.collaborate.world.run import run
from edgesmith.collaborate.world.spec import Breaking, Plan, Serving, World, periodic, poisson
from edgesmith.core.errors import BadInput

# 960 bytes and a header of 40 at 1 Mbit/s are 8 ms on the wire; the reply of 85 and 40 is 1 ms.
LINK = Link("l", mbps=1.0, delay_ms=3.0)
PLAN = Plan(device_ms=5.0, up_bytes=960, server_ms=10.0, down_bytes=85, deadline_ms=100.0, fallback_ms=20.0)
FAST = Link("fast", mbps=1e6)


def drawn(seed: int) -> World:
    """A world with random faults, a lossy link, and more requests than it can serve."""
    link = Link("lossy", mbps=5.0, delay_ms=2.0, jitter_ms=1.0, loss=0.02)
    plan = replace(PLAN, up_bytes=3000, deadline_ms=80.0, fallback_ms=None if seed % 7 == 0 else 15.0)
    serving = Serving(workers=1 + seed % 3, queue_limit=seed % 5, batch=1 + seed % 4, more=0.3)
    return World(plan, link, poisson(200, 40.0, seed), serving, random_faults(seed, 5.0), seed=seed)


def test_an_answer_takes_head_wire_tail_and_wire():
    """5 ms head, 8 + 3 up, 10 tail, 1 + 3 down."""
    (entry,) = run(World(PLAN, LINK, (0.25,))).ledger
    assert (entry.place, entry.in_time) == ("split", True)
    assert entry.total_ms == pytest.approx(30.0)
    times = (entry.device_ms, entry.up_ms, entry.queue_ms, entry.server_ms, entry.down_ms)
    assert times == pytest.approx((5.0, 11.0, 0.0, 10.0, 4.0))
    assert (entry.up_bytes, entry.down_bytes) == (1000, 125)


def test_energy_is_power_times_time():
    link, plan = replace(LINK, tx_mw=800.0, rx_mw=300.0), replace(PLAN, device_mw=50.0)
    (entry,) = run(World(plan, link, (0.0,))).ledger
    assert entry.energy_uj == pytest.approx(5.0 * 50 + 8.0 * 800 + 1.0 * 300)


def test_without_an_answer_the_device_answers_by_the_deadline():
    """It waits until 80 ms, so that the fallback of 20 ms ends at 100."""
    (entry,) = run(World(PLAN, LINK, (0.0,), faults=Faults(down=(Outage(0.0, 1.0),)))).ledger
    assert (entry.place, entry.in_time, entry.device_ms) == ("fallback", True, 25.0)
    assert entry.total_ms == pytest.approx(100.0)


def test_without_a_fallback_the_request_is_dropped_at_its_deadline():
    plan = replace(PLAN, fallback_ms=None)
    made = run(World(plan, LINK, (0.0,), faults=Faults(outages=(Outage(0.0, 9.0),))))
    assert made.ledger.places() == {"dropped": 1} and made.tally.ends[0][1] == pytest.approx(0.1)


def test_a_slow_server_takes_its_factor():
    (entry,) = run(World(PLAN, LINK, (0.0,), faults=Faults(slow=(Slow(0.0, 1.0, 3.0),)))).ledger
    assert entry.server_ms == pytest.approx(30.0) and entry.total_ms == pytest.approx(50.0)


def test_garbage_is_no_answer_and_the_device_answers_at_once():
    (entry,) = run(World(PLAN, LINK, (0.0,), faults=Faults(garbage=(Outage(0.0, 1.0),)))).ledger
    assert entry.place == "fallback" and entry.total_ms == pytest.approx(30.0 + 20.0)


def test_an_outage_delays_what_is_on_the_wire():
    """The message starts at 5 ms; 2 ms of it pass, then nothing for 40."""
    (entry,) = run(World(PLAN, LINK, (0.0,), faults=Faults(outages=(Outage(0.007, 0.04),)))).ledger
    assert entry.place == "split" and entry.total_ms == pytest.approx(70.0)


def test_what_a_server_was_computing_is_lost_when_it_goes_down():
    """It arrives at 16 ms and would be done at 26; the server is down from 20 to 21."""
    made = run(World(PLAN, LINK, (0.0,), faults=Faults(down=(Outage(0.020, 0.001),))))
    assert made.ledger.places() == {"fallback": 1} and not made.tally.answers_s


def test_a_full_queue_refuses_at_once():
    """Three at one instant: one computed, one waiting, one refused and answered by the device."""
    plan = replace(PLAN, device_ms=0.0, up_bytes=0, down_bytes=0, deadline_ms=1000.0)
    made = run(World(plan, FAST, (0.0, 0.0, 0.0), Serving(workers=1, queue_limit=1)))
    assert sorted(entry.place for entry in made.ledger) == ["fallback", "server", "server"]
    assert sorted(entry.total_ms for entry in made.ledger) == pytest.approx([10.0, 20.0, 20.0], abs=0.01)


def test_a_batch_costs_its_share():
    """One begins alone; the three that wait meanwhile go together, 10 * (1 + 2 * 0.5) ms."""
    plan = replace(PLAN, device_ms=0.0, up_bytes=0, down_bytes=0, deadline_ms=1000.0)
    made = run(World(plan, FAST, (0.0, 0.001, 0.002, 0.003), Serving(batch=3, more=0.5)))
    assert [entry.server_ms for entry in made.ledger] == pytest.approx([10.0, 20.0, 20.0, 20.0])


def test_waiting_is_what_queueing_theory_says():
    """One worker, Poisson arrivals, steady service: mean wait is load * service / (2 * (1 - load)), Pollaczek 1930."""
    plan = Plan(0.0, 0, 10.0, 0, deadline_ms=1e5)
    made = run(World(plan, FAST, poisson(40_000, 70.0, seed=3), Serving(queue_limit=100_000)))
    expected_ms = 0.7 * 10.0 / (2 * 0.3)
    assert fmean(entry.queue_ms for entry in made.ledger) == pytest.approx(expected_ms, rel=0.05)


def test_the_breaker_opens_after_three_failures_and_closes_when_the_server_is_back():
    """Down for 2 s: three requests wait for it, the others are answered by the device in 20 ms; then all are split."""
    down = Faults(down=(Outage(0.0, 2.0),))
    made = run(World(PLAN, LINK, periodic(100, 100.0), faults=down))
    entries = sorted(made.ledger, key=lambda entry: entry.start_s)
    assert [round(entry.total_ms) for entry in entries[:4]] == [100, 100, 100, 20]
    back = next(index for index, entry in enumerate(entries) if entry.place == "split")
    assert all(entry.place == "fallback" and entry.total_ms < 21 for entry in entries[3:back])
    assert all(entry.place == "split" for entry in entries[back:])
    # Waits of 0.1 to 1.6 s and probes of 1 s: at the latest 2 + 1 + 1.6 * 1.2 s after the start.
    assert 2.0 <= entries[back].start_s < 5.0


def test_a_device_that_is_busy_drops_what_it_cannot_answer_in_time():
    """Ten at once alone on the device: 20 ms each, none may end past 100 + 20 ms."""
    made = run(World(PLAN, LINK, (0.0,) * 10, faults=Faults(down=(Outage(0.0, 1.0),)), breaking=Breaking(failures=1)))
    assert made.ledger.places() == {"fallback": 2, "dropped": 8}


@pytest.mark.parametrize("seed", range(5))
def test_the_same_world_gives_the_same_run(seed):
    first, second = run(drawn(seed)), run(drawn(seed))
    assert first.ledger.entries == second.ledger.entries and first.tally == second.tally


def test_another_seed_gives_another_run():
    assert run(drawn(1)).ledger.entries != run(replace(drawn(1), seed=2)).ledger.entries


@pytest.mark.soak
def test_invariants_hold_under_random_faults(repeats):
    """`run` checks them itself: one end each, in its limits, answers from a living server only, bytes that add up."""
    places = set()
    for seed in range(repeats(30, 1000)):
        places |= set(run(drawn(seed)).ledger.places())
    assert places == {"split", "fallback", "dropped"}, "these schedules do not reach all that can happen"


def test_faults_of_one_kind_lie_in_order_and_apart():
    for seed in range(200):
        faults = random_faults(seed, 10.0)
        for spans in (faults.down, faults.outages, faults.slow, faults.garbage):
            assert all(a.end_s < b.start_s for a, b in zip(spans, spans[1:], strict=False))
    assert any(during(random_faults(seed, 10.0).down, 5.0) for seed in range(20))


def broken(change) -> str:
    """What `check` says of a good run after `change` to its ledger or tally."""
    world = World(PLAN, LINK, (0.0, 0.5), faults=Faults(down=(Outage(0.9, 0.1),)))
    made = run(world)
    change(made.ledger, made.tally)
    with pytest.raises(AssertionError) as caught:
        check(world, made.ledger, made.tally)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda ledger, tally: tally.ends.append((1, 0.6)), "2 requests, 3 ends"),
        (lambda ledger, tally: tally.ends.pop(), "2 requests, 1 ends"),
        (lambda ledger, tally: tally.ends.reverse(), "after one that ended"),
        (lambda ledger, tally: tally.ends.__setitem__(1, (1, 0.7)), "outside its limits"),
        (lambda ledger, tally: tally.answers_s.append(0.95), "when it was down"),
        (lambda ledger, tally: tally.answers_s.pop(), "2 requests answered"),
        (lambda ledger, tally: setattr(tally, "wire_bytes", (0, 0)), "bytes accounted for up"),
        (lambda ledger, tally: ledger.add(Entry(0.5, "fallback", 1.0, down_bytes=1)), "bytes accounted for down"),
    ],
)
def test_a_broken_invariant_is_named(change, said):
    assert said in broken(change)


def test_an_empty_world_is_an_empty_run():
    made = run(World(PLAN, LINK, ()))
    assert len(made.ledger) == 0 and made.tally == Tally()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"plan": replace(PLAN, server_ms=-1.0)}, "plan.server_ms"),
        ({"plan": replace(PLAN, deadline_ms=float("inf"))}, "plan.deadline_ms"),
        ({"plan": replace(PLAN, deadline_ms=0.0)}, "plan.deadline_ms"),
        ({"plan": replace(PLAN, device_ms=float("nan"))}, "plan.device_ms"),
        ({"serving": Serving(workers=0)}, "serving.workers"),
        ({"times_s": (1.0, 0.5)}, "in order"),
        ({"times_s": (float("nan"),)}, "finite"),
        ({"times_s": (float("inf"),)}, "finite"),
        ({"times_s": (-1.0,)}, "not negative"),
    ],
)
def test_what_has_no_meaning_is_refused(change, said):
    with pytest.raises(BadInput, match=said):
        World(**({"plan": PLAN, "link": LINK, "times_s": (0.0,)} | change))
