"""Cloud-Fog: one classification over device, fog and cloud; the first tier that is sure enough answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from torch import nn

from edgesmith.collaborate.distributed.cascade import Cascade, Outlook, Stage
from edgesmith.collaborate.distributed.ladder import Goal, Rungs, bytes_of, climbed, read_ladder
from edgesmith.collaborate.distributed.plan import Device, Divide, Part, Plan
from edgesmith.collaborate.links.link import Link
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput, DoesNotFit
from edgesmith.core.task import Task
from edgesmith.training.recipe import Recipe

TUNE = Recipe(epochs=3, batch=128, learning_rate=4e-3)  # fashion-resnet20's own
REPLY_BYTES = 32  # a class, its probability and a message's frame (ours)
TIERS = ("device", "fog", "cloud")

Cost = Callable[[nn.Module, str], float]  # a net and the name of a device to milliseconds of one request


@dataclass(frozen=True)
class Traffic:
    """What the tiers are asked for; all of it ours.

    Attributes:
        per_s: requests a second, of all devices together.
        machines: at each tier, which share its requests evenly.
        input_bytes: of a request on its way to the next tier.
    """

    per_s: float = 1.0
    machines: tuple[int, int, int] = (1, 1, 1)
    input_bytes: int = 1024


QUIET = Traffic()
WITHIN_A_POINT = Goal()


@dataclass(frozen=True)
class TierPlan(Plan):
    """A plan whose parts are the tiers, the nearest first, and whose fusion is their cascade.

    Attributes:
        rungs: of the ladder, one a tier.
        expected: of it on the validation samples.
    """

    rungs: tuple[int, ...]
    expected: Outlook


@method(
    Card(
        name="cloud_fog",
        does="one classification over device, fog and cloud: the first tier that is sure enough answers, and what it "
        "is not sure of goes on",
        source=Source("Tran et al.", 2025, "arXiv:2506.18024"),
        claims=(
            Claim("the first sure tier answers, the last if none is", test="test_the_first_sure_tier_answers"),
            Claim(
                "thresholds are the fastest that keep the accuracy",
                test="test_the_choice_is_the_fastest_that_is_accurate_enough",
            ),
            Claim(
                "without the fog node the device asks the cloud, and answers itself by the deadline",
                test="test_without_the_fog_the_device_asks_the_cloud",
            ),
            Claim(
                "three tiers answer sooner than two at the accuracy of two",
                experiment="benchmarks/claims/collaborate/cloud_fog.py",
            ),
        ),
        omits=(
            "collisions of a surface vehicle seen by an inertial sensor, wavelets and the net on them: no such data "
            "were at hand, Fashion-MNIST here",
            "the cloud as a store of events and a place to train: here it answers",
            "real boards and radios: predicted times, links in virtual time",
            "features instead of the input on their way up",
            "contention for the air: each device's link is its own",
            "the paper's text beyond its opening and public summaries was not at hand; what is here of it are the "
            "three layers and what each is for. Confidence, temperatures, thresholds, deadlines and the ways round a "
            "failed node are ours",
        ),
    )
)
def cloud_fog(
    cost: Cost,
    uplink: Link | None = None,
    traffic: Traffic = QUIET,
    goal: Goal = WITHIN_A_POINT,
    tune: Recipe = TUNE,
    seed: int = 0,
) -> Divide:
    """Put a net of a ladder on each of up to three tiers, and choose how sure each must be to answer.

    Args:
        cost: milliseconds of a net on a device.
        uplink: from the second tier to the third; needed where there is a third.
        tune: of all nets of the ladder but the last, which stays as it came.

    Returns:
        (module, task, devices, link) to a TierPlan; `module` is a Ladder, `devices` the tiers, the nearest first, and
        `link` lies between the first two.
    """

    def divide(module: nn.Module, task: Task, devices: Sequence[Device], link: Link) -> TierPlan:
        check_tiers(devices, uplink)
        nets, macs = read_ladder(module, task)
        places = places_on(nets, macs, devices)
        rungs = climbed(nets, macs, task, tune, seed)
        links = [link] if uplink is None else [link, uplink]
        options = {at: stages_of(rungs, at, devices, links, cost, traffic) for at in places}
        at, expected = rungs.choose(options, traffic.per_s, goal)
        return planned(rungs, at, expected, devices, task)

    return divide


def check_tiers(devices: Sequence[Device], uplink: Link | None) -> None:
    """Refuse tiers that are too many, of one name, or without a link between them."""
    names = [device.name for device in devices]
    if not 1 <= len(names) <= len(TIERS) or len(set(names)) < len(names):
        raise BadInput(f"cloud_fog: devices {names}; need one to {len(TIERS)}, each with a name of its own.")
    if len(names) == len(TIERS) and uplink is None:
        raise BadInput("cloud_fog: three tiers and no link between fog and cloud. Give uplink.")


def places_on(nets: Sequence[nn.Module], macs: Sequence[int], devices: Sequence[Device]) -> list[tuple[int, ...]]:
    """All ways to put a net on each tier, larger ones further on, that its memory and its work allow.

    Raises:
        DoesNotFit: there is none.
    """
    nbytes = [bytes_of(net) for net in nets]
    found = [
        at
        for at in combinations(range(len(nets)), len(devices))
        if all(nbytes[r] <= d.memory_bytes and macs[r] <= d.macs for r, d in zip(at, devices, strict=True))
    ]
    if not found:
        raise DoesNotFit(
            f"cloud_fog: nets of {nbytes} bytes and {macs} multiply-accumulates do not go on "
            f"{', '.join(f'{d.name} ({d.memory_bytes:,} bytes, {d.macs:,})' for d in devices)}, each larger than the "
            "last. Give more memory and work, or more and smaller nets."
        )
    return found


def stages_of(
    rungs: Rungs, at: Sequence[int], devices: Sequence[Device], links: Sequence[Link], cost: Cost, traffic: Traffic
) -> list[Stage]:
    """The tiers as the choice sees them: the cost of each net, and the mean trip over the link before it."""
    trips = [0.0, *(trip_ms(link, traffic.input_bytes) for link in links)]
    return [
        Stage(cost(rungs.nets[rung], device.name), trip, machines)
        for rung, device, trip, machines in zip(at, devices, trips, traffic.machines, strict=False)
    ]


def trip_ms(link: Link, input_bytes: int) -> float:
    """Mean milliseconds there and back on an idle link."""
    return link.expected_ms(input_bytes) + link.expected_ms(REPLY_BYTES, down=True)


def planned(rungs: Rungs, at: tuple[int, ...], expected: Outlook, devices: Sequence[Device], task: Task) -> TierPlan:
    """The nets as parts and their cascade as the fusion."""
    classes = rungs.classes
    parts = tuple(
        Part(tier, rungs.nets[rung], device.name, (), rungs.macs[rung], classes)
        for tier, rung, device in zip(TIERS, at, devices, strict=False)
    )
    readers = {part.name: task.normalize for part in parts}
    return TierPlan(parts, Cascade(expected.thresholds, classes), readers, at, expected)
