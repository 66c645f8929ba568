"""What holds in every run of a fleet, whatever the faults: checked against the schedule."""

from collections import Counter
from collections.abc import Sequence

from edgesmith.collaborate.world.check import SLACK_S
from edgesmith.collaborate.world.faults import during
from edgesmith.collaborate.world.path import Count
from edgesmith.collaborate.world.tiers import Fleet, Outcome


def check_fleet(fleet: Fleet, outcomes: Sequence[Outcome], count: Count) -> None:
    """Hold a run against the invariants.

    Raises:
        AssertionError: which one is broken, and where.
    """
    _ends(fleet, count)
    _answers(fleet, outcomes, count)
    _bytes(outcomes, count)


def _ends(fleet: Fleet, count: Count) -> None:
    """Every request ends exactly once, between its start and its deadline, and time never goes back."""
    if sorted(index for index, _ in count.ends) != list(range(len(fleet.requests))):
        raise AssertionError(f"fleet: {len(fleet.requests)} requests, {len(count.ends)} ends; need one each")
    now_s = 0.0
    for index, end_s in count.ends:
        start_s = fleet.requests[index].at_s
        if end_s < now_s:
            raise AssertionError(f"fleet: request {index} ended at {end_s:g} s, after one that ended at {now_s:g} s")
        if not start_s <= end_s <= start_s + fleet.work.deadline_ms * 1e-3 + SLACK_S * (1 + start_s):
            raise AssertionError(f"fleet: request {index} of {start_s:g} s ended at {end_s:g} s, not by its deadline")
        now_s = end_s


def _answers(fleet: Fleet, outcomes: Sequence[Outcome], count: Count) -> None:
    """Answers come from tiers that have a net, and from nodes that are up."""
    places = Counter(outcome.place for outcome in outcomes)
    if fleet.work.device_ms is None and places["device"] + places["local"]:
        raise AssertionError("fleet: a device without a net answered")
    for node, faults in (("fog", fleet.fog_faults), ("cloud", fleet.cloud_faults)):
        for at_s in count.answers_s.get(node, ()):
            if during(faults.down, at_s):
                raise AssertionError(f"fleet: an answer left the {node} at {at_s:g} s, when it was down")
    left = {node: len(count.answers_s.get(node, ())) for node in ("fog", "cloud")}
    if places["fog"] > left["fog"] or places["cloud"] > left["cloud"]:
        raise AssertionError(f"fleet: {dict(places)} answered, and {left} answers left the nodes")


def _bytes(outcomes: Sequence[Outcome], count: Count) -> None:
    """What the wires carried is what requests and probes account for."""
    for way, wire in count.wire_bytes.items():
        found = sum(getattr(outcome, f"{way}_bytes") for outcome in outcomes) + count.probe_bytes.get(way, 0)
        if found != wire:
            raise AssertionError(f"fleet: {found:,} bytes accounted for on {way}, {wire:,} on the wires")
