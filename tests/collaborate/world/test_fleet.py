"""Three tiers in virtual time against sums done by hand, queueing theory, and the invariants under random faults."""

from dataclasses import replace
from statistics import fmean

import pytest

from edgesmith.collaborate.links.link import Link, Outage
from edgesmith.collaborate.world.faults import Faults, Slow, random_faults
from edgesmith.collaborate.world.fleet import run_fleet
from edgesmith.collaborate.world.fleet_check import check_fleet
from edgesmith.collaborate.world.spec import Breaking, Serving, periodic, poisson
from edgesmith.collaborate.world.tiers import Fleet, Paths, Request, Work, most_ms
from edgesmith.core.errors import BadInput

# A request of 960 bytes with a header of 40 is 8 ms on a wire of 1 Mbit/s, its answer of 85 and 40 is 1 ms.
NEAR, DIRECT = Link("near", mbps=1.0, delay_ms=3.0), Link("direct", mbps=1.0, delay_ms=30.0)
BACK = Link("back", mbps=10.0, delay_ms=20.0)
PATHS = Paths(NEAR, BACK, DIRECT)
WORK = Work(device_ms=5.0, fog_ms=10.0, cloud_ms=2.0, up_bytes=960, down_bytes=85, deadline_ms=200.0)
TO_FOG, TO_CLOUD, STRAIGHT = 11.0 + 4.0, 20.8 + 20.1, 38.0 + 31.0  # there and back
NOBODY, NEITHER, FOG_ONLY = (False, False), (False, False), (False, True)
GONE = Faults(down=(Outage(0.0, 100.0),))


def fleet(*sure: tuple[bool, bool], work: Work = WORK, paths: Paths = PATHS, every_ms: float = 1000.0, **more) -> Fleet:
    """One device whose requests come one after the other."""
    times_s = periodic(len(sure), every_ms)
    return Fleet(work, paths, tuple(Request(at_s, 0, each) for at_s, each in zip(times_s, sure, strict=True)), **more)


def only(made: Fleet):
    (outcome,) = run_fleet(made).outcomes
    return outcome


def drawn(seed: int) -> Fleet:
    """Random faults everywhere, lossy links, a fog node that is asked for more than it can do."""
    lossy = Link("lossy", 5.0, delay_ms=2.0, jitter_ms=1.0, loss=0.02, outages=random_faults(seed, 5.0).outages)
    far = Link("far", mbps=5.0, delay_ms=10.0, jitter_ms=3.0, loss=0.01)
    times_s = poisson(200, 40.0, seed)
    sure = [(index % 3 == 0, index % 2 == 0) for index in range(200)]
    requests = tuple(Request(at_s, i % 3, each) for i, (at_s, each) in enumerate(zip(times_s, sure, strict=True)))
    down, other = random_faults(seed, 5.0), random_faults(seed + 1, 5.0)
    return Fleet(
        replace(WORK, fog_ms=None if seed % 5 == 0 else 30.0, device_ms=None if seed % 7 == 0 else 25.0),
        Paths(lossy, None if seed % 4 == 1 else far, None if seed % 4 == 3 else far),
        requests,
        devices=3,
        fog=Serving(workers=1, queue_limit=seed % 4),
        fog_faults=Faults(down.down, slow=down.slow),
        cloud_faults=Faults(other.down, slow=other.slow),
        seed=seed,
    )


def test_a_sure_device_answers_alone():
    found = only(fleet((True, False)))
    assert found.place == "device" and found.total_ms == pytest.approx(5.0)
    assert (found.near_bytes, found.back_bytes, found.direct_bytes) == (0, 0, 0)


def test_a_sure_fog_node_answers_after_one_trip():
    found = only(fleet(FOG_ONLY))
    assert found.place == "fog" and found.total_ms == pytest.approx(5.0 + TO_FOG + 10.0)
    assert (found.near_bytes, found.back_bytes, found.direct_bytes) == (1000 + 125, 0, 0)


def test_what_nobody_is_sure_of_goes_through_the_fog_to_the_cloud():
    found = only(fleet(NEITHER))
    assert found.place == "cloud" and found.total_ms == pytest.approx(5.0 + TO_FOG + 10.0 + TO_CLOUD + 2.0)
    assert (found.near_bytes, found.back_bytes, found.direct_bytes) == (1125, 1125, 0)


def test_a_fog_node_without_a_net_passes_on():
    found = only(fleet(NEITHER, work=replace(WORK, fog_ms=None)))
    assert found.place == "cloud" and found.total_ms == pytest.approx(5.0 + TO_FOG + TO_CLOUD + 2.0)


def test_the_last_tier_answers_however_unsure():
    two = fleet(NEITHER, work=replace(WORK, cloud_ms=None), paths=Paths(NEAR))
    assert only(two).place == "fog" and only(two).total_ms == pytest.approx(5.0 + TO_FOG + 10.0)
    one = fleet(NEITHER, work=replace(WORK, fog_ms=None, cloud_ms=None), paths=Paths())
    assert only(one).place == "device" and only(one).total_ms == pytest.approx(5.0)


def test_without_a_fog_the_device_asks_the_cloud_itself():
    straight = fleet(NEITHER, work=replace(WORK, fog_ms=None), paths=Paths(direct=DIRECT))
    assert only(straight).place == "cloud" and only(straight).total_ms == pytest.approx(5.0 + STRAIGHT + 2.0)
    assert only(straight).direct_bytes == 1125


def test_without_the_fog_the_device_asks_the_cloud():
    """The way straight there takes 71 ms; a tenth more is kept free before the deadline of 200, then it is taken."""
    found = only(fleet(FOG_ONLY, fog_faults=GONE))
    assert found.place == "cloud" and found.total_ms == pytest.approx(200.0 - 1.1 * 71.0 + 71.0)
    both = only(fleet(FOG_ONLY, fog_faults=GONE, cloud_faults=GONE))
    assert both.place == "local" and both.total_ms == pytest.approx(200.0)


def test_nobody_is_asked_after_three_failures_until_a_probe_comes_back():
    """Down for 2 s: three requests wait for the fog, the others go straight to the cloud; then the fog is back."""
    made = run_fleet(fleet(*[FOG_ONLY] * 40, every_ms=250.0, fog_faults=Faults(down=(Outage(0.0, 2.0),))))
    places = [outcome.place for outcome in made.outcomes]
    back = places.index("fog")
    assert set(places[:back]) == {"cloud"} and set(places[back:]) == {"fog"} and made.opened == 1
    waits = [outcome.total_ms for outcome in made.outcomes[:back]]
    assert waits[:3] == pytest.approx([192.9] * 3) and waits[3:] == pytest.approx([76.0] * (back - 3))
    # Waits of 0.1 to 1.6 s and probes of 1 s: at the latest 2 + 1 + 1.6 * 1.2 s after the start.
    assert 2.0 <= made.outcomes[back].request.at_s < 5.2


def test_the_fog_answers_itself_where_the_cloud_does_not():
    """It keeps a tenth more than the 4 ms home free before the device stops waiting."""
    found = only(fleet(NEITHER, cloud_faults=GONE))
    assert found.place == "fog" and found.total_ms == pytest.approx(200.0 - 1.1 * 71.0 - 1.1 * 4.0 + 4.0)
    found = only(fleet(NEITHER, cloud_faults=GONE, paths=Paths(NEAR, BACK)))
    assert found.place == "fog" and found.total_ms == pytest.approx(200.0 - 1.1 * 4.0 + 4.0)


def test_the_fog_stops_asking_a_cloud_that_failed_three_times():
    made = run_fleet(fleet(*[NEITHER] * 5, every_ms=250.0, cloud_faults=GONE, paths=Paths(NEAR, BACK)))
    assert [outcome.total_ms for outcome in made.outcomes] == pytest.approx([199.6] * 3 + [30.0] * 2)


def test_a_fog_node_without_a_net_says_that_nobody_answered():
    """Its refusal, a header of 40 bytes, leaves a tenth more than 4 ms before the deadline and takes 3.32 ms."""
    found = only(fleet(NEITHER, work=replace(WORK, fog_ms=None), cloud_faults=GONE, paths=Paths(NEAR, BACK)))
    assert found.place == "local" and found.total_ms == pytest.approx(200.0 - 1.1 * 4.0 + 3.32)


def test_the_most_a_message_takes_has_all_of_the_jitter():
    assert most_ms(Link("l", mbps=8.0, delay_ms=3.0, jitter_ms=2.0), 960) == pytest.approx(1.0 + 3.0 + 4.0)


def test_what_the_fog_waited_for_is_lost_when_it_goes_down():
    """The cloud has it from 46.8 ms on and its answer is back at 68.9; the fog node was away for a moment at 50."""
    found = only(fleet(NEITHER, fog_faults=Faults(down=(Outage(0.050, 0.001),))))
    assert found.place == "cloud" and found.direct_bytes == 1125 and found.total_ms == pytest.approx(192.9)


def test_a_device_without_a_net_has_no_answer_without_the_others():
    found = only(fleet(NEITHER, work=replace(WORK, device_ms=None), fog_faults=GONE, cloud_faults=GONE))
    assert found.place == "dropped" and found.total_ms == float("inf")


def test_with_no_time_for_two_ways_the_nearer_is_taken_to_the_deadline():
    """The way straight to the cloud takes 71 ms and would not be in time either."""
    found = only(fleet(FOG_ONLY, work=replace(WORK, deadline_ms=60.0)))
    assert found.place == "fog" and found.total_ms == pytest.approx(30.0)


def test_the_fog_does_not_wait_for_an_answer_that_would_be_late():
    """At 26 ms the cloud's answer would take 42.9 more, and 60 less the way home is too soon for it."""
    found = only(fleet(NEITHER, work=replace(WORK, deadline_ms=60.0)))
    assert found.place == "fog" and found.back_bytes == 0 and found.total_ms == pytest.approx(30.0)


def test_the_fog_tells_the_device_to_wait_where_the_cloud_takes_longer():
    """The device would wait 120 - 78.1 ms; at 26 ms the fog node says, in 40 bytes, that the answer comes at 72.9."""
    short = replace(WORK, deadline_ms=120.0)
    found = only(fleet(NEITHER, work=short))
    assert found.place == "cloud" and found.total_ms == pytest.approx(5.0 + TO_FOG + 10.0 + TO_CLOUD + 2.0)
    assert (found.near_bytes, found.direct_bytes) == (1125 + 40, 0)
    found = only(fleet(NEITHER, work=short, cloud_faults=GONE))
    assert found.place == "fog" and found.total_ms == pytest.approx(120.0 - 1.1 * 4.0 + 4.0)
    found = only(fleet(NEITHER, work=short, fog_faults=Faults(down=(Outage(0.05, 1.0),))))
    assert found.place == "local" and found.total_ms == pytest.approx(120.0)


def test_the_fog_asks_nobody_for_a_device_that_has_gone_to_the_cloud_itself():
    """Three times as slow the fog node is done at 46 ms; the device waited 120 - 78.1 ms and then took 71 more."""
    slow = Faults(slow=(Slow(0.0, 1.0, 3.0),))
    found = only(fleet(NEITHER, work=replace(WORK, deadline_ms=120.0), fog_faults=slow))
    assert found.place == "cloud" and found.total_ms == pytest.approx(120.0 - 78.1 + 71.0)
    assert (found.back_bytes, found.direct_bytes) == (0, 1125)


def test_devices_wait_for_each_other_at_the_fog():
    requests = tuple(Request(0.0, device, FOG_ONLY) for device in range(2))
    made = run_fleet(Fleet(WORK, PATHS, requests, devices=2))
    assert [outcome.total_ms for outcome in made.outcomes] == pytest.approx([30.0, 40.0])


def test_a_full_fog_node_refuses_and_the_cloud_is_asked():
    requests = tuple(Request(0.0, device, FOG_ONLY) for device in range(2))
    made = run_fleet(Fleet(WORK, PATHS, requests, devices=2, fog=Serving(queue_limit=0)))
    assert [outcome.place for outcome in made.outcomes] == ["fog", "cloud"]
    # A refusal is a header of 40 bytes, 0.32 ms, and 3 ms on its way.
    assert made.outcomes[1].total_ms == pytest.approx(5.0 + 11.0 + 3.32 + STRAIGHT + 2.0)


def test_a_slow_node_takes_its_factor():
    found = only(fleet(FOG_ONLY, fog_faults=Faults(slow=(Slow(0.0, 1.0, 3.0),))))
    assert found.total_ms == pytest.approx(5.0 + TO_FOG + 30.0)


def test_waiting_at_the_fog_is_what_queueing_theory_says():
    """Poisson arrivals of 50 devices, steady service: load * service / (2 * (1 - load)), Pollaczek 1930."""
    fast, work = Link("fast", mbps=1e6), replace(WORK, device_ms=None, up_bytes=0, down_bytes=0, deadline_ms=1e5)
    times_s = poisson(30_000, 70.0, seed=3)
    requests = tuple(Request(at_s, index % 50, FOG_ONLY) for index, at_s in enumerate(times_s))
    made = run_fleet(
        Fleet(replace(work, cloud_ms=None), Paths(fast), requests, devices=50, fog=Serving(queue_limit=100_000))
    )
    expected_ms = 10.0 + 0.7 * 10.0 / (2 * 0.3)
    assert fmean(outcome.total_ms for outcome in made.outcomes) == pytest.approx(expected_ms, rel=0.05)


@pytest.mark.parametrize("seed", range(4))
def test_the_same_fleet_gives_the_same_run(seed):
    first, second = run_fleet(drawn(seed)), run_fleet(drawn(seed))
    assert first == second


def test_another_seed_gives_another_run():
    assert run_fleet(drawn(1)).outcomes != run_fleet(replace(drawn(1), seed=2)).outcomes


@pytest.mark.soak
def test_fleet_invariants_hold_under_random_faults(repeats):
    """`run_fleet` checks them itself: one end each in time, answers of nodes that are up, bytes that add up."""
    places = set()
    for seed in range(repeats(40, 1000)):
        places |= {outcome.place for outcome in run_fleet(drawn(seed)).outcomes}
    assert places == {"device", "fog", "cloud", "local", "dropped"}, "these schedules do not reach all that can happen"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda count: count.ends.append((1, 1.5)), "2 requests, 3 ends"),
        (lambda count: count.ends.reverse(), "after one that ended"),
        (lambda count: count.ends.__setitem__(1, (1, 1.3)), "not by its deadline"),
        (lambda count: count.answers_s["fog"].append(50.0), "left the fog at 50 s, when it was down"),
        (lambda count: count.answers_s["fog"].clear(), "answers left the nodes"),
        (lambda count: count.wire_bytes.__setitem__("near", 1), "1 on the wires"),
    ],
)
def test_a_broken_invariant_of_a_fleet_is_named(change, said):
    world = fleet(FOG_ONLY, FOG_ONLY, fog_faults=Faults(down=(Outage(50.0, 1.0),)))
    made = run_fleet(world)
    change(made.count)
    with pytest.raises(AssertionError) as caught:
        check_fleet(world, made.outcomes, made.count)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"work": replace(WORK, fog_ms=-1.0)}, "work.fog_ms"),
        ({"work": replace(WORK, deadline_ms=float("inf"))}, "work.deadline_ms"),
        ({"work": replace(WORK, cloud_ms=None)}, "a net in the cloud"),
        ({"paths": Paths(NEAR)}, "a net in the cloud"),
        ({"paths": Paths(direct=DIRECT)}, "no link leads to it"),
        ({"work": Work(None, None, None, 0, 0, 1.0), "paths": Paths(NEAR)}, "no tier has a net"),
        ({"requests": (Request(0.0, 1, NOBODY),)}, "need 0 to 0"),
        ({"requests": (Request(1.0, 0, NOBODY), Request(0.5, 0, NOBODY))}, "in order"),
        ({"devices": 0}, "0 devices"),
        ({"fog_faults": Faults(outages=(Outage(0.0, 1.0),))}, "outages to the links"),
    ],
)
def test_a_fleet_without_meaning_is_refused(change, said):
    with pytest.raises(BadInput, match=said):
        Fleet(**({"work": WORK, "paths": PATHS, "requests": ()} | change))


def test_a_breaker_that_never_opens_asks_again_and_again():
    made = run_fleet(fleet(*[FOG_ONLY] * 10, fog_faults=GONE, breaking=Breaking(failures=100)))
    assert made.opened == 0 and all(outcome.near_bytes == 1000 for outcome in made.outcomes)
