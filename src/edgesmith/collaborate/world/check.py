"""What holds in every run, whatever the faults: checked against the schedule, not against what the parts believe."""

from dataclasses import dataclass, field

from edgesmith.collaborate.links.ledger import Ledger
from edgesmith.collaborate.world.faults import during
from edgesmith.collaborate.world.spec import World

SLACK_S = 1e-8  # sums of floats, and what the device allows for them


@dataclass(slots=True)
class Tally:
    """What a run counts beside its ledger.

    Attributes:
        ends: (request, second), in the order they happened.
        answers_s: when each reply that was an answer left the server.
        probe_bytes, late_bytes: up and down on the wire, of probes, and of what was sent for requests that had ended.
        wire_bytes: up and down, all that the wires carried.
    """

    ends: list[tuple[int, float]] = field(default_factory=list)
    answers_s: list[float] = field(default_factory=list)
    probe_bytes: list[int] = field(default_factory=lambda: [0, 0])
    late_bytes: list[int] = field(default_factory=lambda: [0, 0])
    wire_bytes: tuple[int, int] = (0, 0)


def check(world: World, ledger: Ledger, tally: Tally) -> None:
    """Hold a run against the invariants.

    Raises:
        AssertionError: which one is broken, and where.
    """
    _ends(world, tally)
    _answers(world, ledger, tally)
    _bytes(ledger, tally)


def _ends(world: World, tally: Tally) -> None:
    """Every request ends exactly once, between its start and its limit, and time never goes back."""
    if sorted(index for index, _ in tally.ends) != list(range(len(world.times_s))):
        raise AssertionError(f"world: {len(world.times_s)} requests, {len(tally.ends)} ends; need one each")
    now_s = 0.0
    for index, end_s in tally.ends:
        start_s = world.times_s[index]
        if end_s < now_s:
            raise AssertionError(f"world: request {index} ended at {end_s:g} s, after one that ended at {now_s:g} s")
        if not start_s <= end_s + SLACK_S or end_s > start_s + world.plan.limit_ms * 1e-3 + SLACK_S * (1 + start_s):
            raise AssertionError(f"world: request {index} of {start_s:g} s ended at {end_s:g} s, outside its limits")
        now_s = end_s


def _answers(world: World, ledger: Ledger, tally: Tally) -> None:
    """Answers come from a living server, and from nowhere else."""
    for at_s in tally.answers_s:
        if during(world.faults.down, at_s):
            raise AssertionError(f"world: an answer left the server at {at_s:g} s, when it was down")
    answered = sum(entry.place in ("split", "server") for entry in ledger)
    if answered > len(tally.answers_s):
        raise AssertionError(f"world: {answered} requests answered, {len(tally.answers_s)} answers left the server")


def _bytes(ledger: Ledger, tally: Tally) -> None:
    """What the wires carried is what requests, probes and late replies account for."""
    entries = (sum(entry.up_bytes for entry in ledger), sum(entry.down_bytes for entry in ledger))
    for way, *parts, wire in zip(
        ("up", "down"), entries, tally.probe_bytes, tally.late_bytes, tally.wire_bytes, strict=True
    ):
        if sum(parts) != wire:
            raise AssertionError(f"world: {sum(parts):,} bytes accounted for {way}, {wire:,} on the wire")
