"""Three tiers in virtual time, as they are described: many devices, one fog node, one cloud, and what lies between."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Literal

from edgesmith.collaborate.links.link import Link
from edgesmith.collaborate.world.faults import Faults
from edgesmith.collaborate.world.spec import MAX_REQUESTS, Breaking, Serving
from edgesmith.core.errors import BadInput

# device, fog, cloud: the answer is that tier's. local: the device was not sure, and nobody else answered in time.
# dropped: there was no answer.
Place = Literal["device", "fog", "cloud", "local", "dropped"]
MAX_DEVICES = 100_000


@dataclass(frozen=True)
class Work:
    """What a request takes at each tier.

    Attributes:
        device_ms, fog_ms, cloud_ms: of the net there; None where there is none. A fog node without a net passes on.
        up_bytes, down_bytes: of the input and of an answer, on any link, without headers of packets.
        deadline_ms: from the request; a device that has a net answers by then, whatever the others do.
    """

    device_ms: float | None
    fog_ms: float | None
    cloud_ms: float | None
    up_bytes: int
    down_bytes: int
    deadline_ms: float


@dataclass(frozen=True)
class Paths:
    """The links; None where there is no such way. Each device has its own `near` and `direct`, all share `back`.

    Attributes:
        near: from a device to the fog node.
        back: from the fog node to the cloud.
        direct: from a device to the cloud; taken where `near` fails, or where there is none.
    """

    near: Link | None = None
    back: Link | None = None
    direct: Link | None = None


@dataclass(frozen=True)
class Request:
    """One input on one device.

    Attributes:
        sure: whether the device's net would be, and the fog's.
    """

    at_s: float
    device: int
    sure: tuple[bool, bool]


@dataclass(frozen=True)
class Fleet:
    """One run: the same fields give the same run, to the last bit.

    Attributes:
        requests: in the order of their times.
        devices: how many; requests name them from 0.
        fog_faults, cloud_faults: when the node is down or slow. Outages belong to the links.
        seed: of losses, jitter and the breakers' waits.
    """

    work: Work
    paths: Paths
    requests: tuple[Request, ...]
    devices: int = 1
    fog: Serving = field(default_factory=Serving)
    cloud: Serving = field(default_factory=Serving)
    fog_faults: Faults = field(default_factory=Faults)
    cloud_faults: Faults = field(default_factory=Faults)
    breaking: Breaking = field(default_factory=Breaking)
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what has no meaning.

        Raises:
            BadInput: which field, and what it needs.
        """
        _check_work(self.work, self.paths)
        _check_requests(self.requests, self.devices)
        for name in ("fog_faults", "cloud_faults"):
            if getattr(self, name).outages or getattr(self, name).garbage:
                raise BadInput(f"fleet: {name} has outages or garbage; need none. Give outages to the links.")

    @cached_property
    def near_ms(self) -> float:
        """What the fog's answer takes a device at most, without queues and losses: the cloud's, where it has no net."""
        near_ms = there_and_back_ms(self.paths.near, self.work)
        if self.work.fog_ms is not None:
            return near_ms + self.work.fog_ms
        return near_ms + there_and_back_ms(self.paths.back, self.work) + (self.work.cloud_ms or 0.0)

    @cached_property
    def back_ms(self) -> float:
        """What the cloud's answer takes the fog node on average, without queues; infinite where there is no way."""
        link, work = self.paths.back, self.work
        if link is None or work.cloud_ms is None:
            return math.inf
        return link.expected_ms(work.up_bytes) + work.cloud_ms + link.expected_ms(work.down_bytes, down=True)

    @cached_property
    def home_ms(self) -> float:
        """What an answer takes at most from the fog node to its device, without losses."""
        return most_ms(self.paths.near, self.work.down_bytes, down=True) if self.paths.near else 0.0

    @cached_property
    def direct_ms(self) -> float:
        """What the cloud's answer takes a device that asks it itself, likewise; 0 where it cannot."""
        return there_and_back_ms(self.paths.direct, self.work) + (self.work.cloud_ms or 0.0 if self.paths.direct else 0)


def there_and_back_ms(link: Link | None, work: Work) -> float:
    """Of a request and its answer, at most, on an idle link without losses; 0 without a link."""
    return 0.0 if link is None else most_ms(link, work.up_bytes) + most_ms(link, work.down_bytes, down=True)


def most_ms(link: Link, nbytes: int, down: bool = False) -> float:
    """Of one message on an idle link, without losses and outages."""
    return link.wire_bytes(nbytes) * 8e-3 / link.mean_mbps(down) + link.delay_ms + 2 * link.jitter_ms


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request.

    Attributes:
        total_ms: to its answer; infinite where there was none.
        near_bytes, back_bytes, direct_bytes: for it on the wires, both ways, also after its end.
    """

    request: Request
    place: Place
    total_ms: float
    near_bytes: int
    back_bytes: int
    direct_bytes: int


def _check_work(work: Work, paths: Paths) -> None:
    for name in ("device_ms", "fog_ms", "cloud_ms", "up_bytes", "down_bytes"):
        value = getattr(work, name)
        if value is not None and not 0 <= value < math.inf:
            raise BadInput(f"fleet: work.{name} is {value}; need at least 0, and finite.")
    if not 0 < work.deadline_ms < math.inf:
        raise BadInput(f"fleet: work.deadline_ms is {work.deadline_ms}; need more than 0, and finite.")
    if work.fog_ms is not None and paths.near is None:
        raise BadInput("fleet: the fog has a net, and no link leads to it. Give paths.near.")
    reached = paths.direct is not None or (paths.near is not None and paths.back is not None)
    if (work.cloud_ms is not None) != reached:
        raise BadInput("fleet: need a net in the cloud and a way to it, or neither. Give cloud_ms and back or direct.")
    if work.device_ms is None and work.fog_ms is None and work.cloud_ms is None:
        raise BadInput("fleet: no tier has a net; need one at least.")


def _check_requests(requests: Sequence[Request], devices: int) -> None:
    if not 1 <= devices <= MAX_DEVICES:
        raise BadInput(f"fleet: {devices} devices; need 1 to {MAX_DEVICES:,}.")
    if len(requests) > MAX_REQUESTS:
        raise BadInput(f"fleet: {len(requests):,} requests; need at most {MAX_REQUESTS:,} in one run.")
    times_s = [request.at_s for request in requests]
    if any(not a <= b for a, b in pairwise((0.0, *times_s))) or times_s[-1:] == [math.inf]:
        raise BadInput("fleet: requests must have finite times, not negative and in order. Sort them.")
    if any(not 0 <= request.device < devices for request in requests):
        raise BadInput(f"fleet: a request of a device that there is not; need 0 to {devices - 1}.")
