"""MMEdge: units of two streams encoded as they come, each request configured, the later stream cut short if sure."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from edgesmith.collaborate.distributed.multimodal import Settings, System, learned_system, sizes_of, without_largest
from edgesmith.collaborate.distributed.plan import FLOAT_BYTES, Device, Divide, Part, Plan
from edgesmith.collaborate.distributed.streams import WIDTH, Branch, StreamNet, check_streams
from edgesmith.collaborate.links.link import Link
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput, DoesNotFit
from edgesmith.core.task import Task
from edgesmith.training.recipe import Recipe

BRANCH = Recipe(epochs=25, batch=64, learning_rate=4e-3)  # ours
FUSE = Recipe(epochs=4, batch=128, learning_rate=2e-3)  # ours
CONFIDENT = 0.95  # ours: the gate's probability at which the later stream is cut short; the authors' code has 0.5


@dataclass(frozen=True)
class StreamPlan(Plan):
    """A plan whose parts are the streams at their largest; `system` has all configurations, the gate, the predictor."""

    system: System


class Whole(nn.Module):
    """A stream's features from all its units: (n, length) raw records, float, to (n, WIDTH)."""

    def __init__(self, branch: Branch, count: int) -> None:
        super().__init__()
        self.branch, self.count = branch, count

    def forward(self, records: Tensor) -> Tensor:
        return self.branch.features(records, self.count)


@method(
    Card(
        name="mmedge",
        does="two sensors' units are encoded as they come, each request configured for accuracy within a time, and "
        "the later stream is cut short where the gate is sure",
        source=Source("Huang et al.", 2025, "arXiv:2510.25327"),
        claims=(
            Claim(
                "a unit is encoded when it has come and the processor is free, and never before",
                test="test_a_unit_waits_for_its_samples_and_for_the_processor",
            ),
            Claim(
                "shifts take features one and two units back and ahead",
                test="test_a_quarter_of_the_channels_moves_each_way",
            ),
            Claim(
                "the most accurate configuration within the budget, or else the soonest",
                test="test_the_most_accurate_configuration_in_time_is_chosen",
            ),
            Claim(
                "latency falls, by up to 75.8 percent, at equal accuracy",
                experiment="benchmarks/claims/collaborate/mmedge.py",
            ),
        ),
        omits=(
            "lip reading, questions on driving scenes, the drone: digits heard and written here",
            "ResNets and an LSTM over units: small nets, and the aggregation of the authors' video branch for both",
            "channel attention within the aggregation",
            "two processes on a GPU: one processor in virtual time, from times measured on this machine",
            "the paper's text beyond its opening was not at hand: what is here follows the authors' published code",
        ),
    )
)
def mmedge(branch: Recipe = BRANCH, fuse: Recipe = FUSE, drop: float = 0.1, seed: int = 0) -> Divide:
    """Train a two-stream system on one device.

    Args:
        branch: of each stream's net, at each of its sizes.
        fuse: of the fusion of each pair of sizes.
        drop: how often a fusion sees a stream missing while it learns (ours).

    Returns:
        (module, task, devices, link) to a StreamPlan; `module` is a StreamNet, `devices` the one that all runs on, and
        the link is not used.
    """

    def divide(module: nn.Module, task: Task, devices: Sequence[Device], link: Link) -> StreamPlan:
        if len(devices) != 1:
            raise BadInput(f"mmedge: {len(devices)} devices; need one, which both sensors are on.")
        net = fitting(copy.deepcopy(check_streams(module, task.train.inputs[0])), devices[0])
        system = learned_system(net, task, Settings(branch, fuse, drop, seed))
        return planned(system, devices[0])

    return divide


def fitting(net: StreamNet, device: Device) -> StreamNet:
    """The net without the largest branches that the device has no memory for.

    Raises:
        DoesNotFit: the smallest branches alone are too large, or take too much work.
    """
    found: StreamNet | None = net
    while found is not None and not fits(found, device):
        found = without_largest(found)
    if found is None:
        raise DoesNotFit(
            f"mmedge: {device.name} has {device.memory_bytes:,} bytes and {device.macs:,} multiply-accumulates; even "
            "the smallest branches need more. Give more, or smaller branches."
        )
    return found


def fits(net: StreamNet, device: Device) -> bool:
    """Whether all branches lie in the device's memory, and the largest ones' work is not too much."""
    nbytes = FLOAT_BYTES * sum(parameter.numel() for parameter in net.parameters())
    streams = range(len(net.streams))
    return nbytes <= device.memory_bytes and sum(net.sizes(s)[-1].macs for s in streams) <= device.macs


def planned(system: System, device: Device) -> StreamPlan:
    """The streams at their largest as parts."""
    config = system.largest
    parts = []
    for stream, choice in enumerate(config):
        branch = system.net.sizes(stream)[choice.size]
        module = Whole(branch, choice.count).eval()
        parts.append(Part(branch.sensor.name, module, device.name, (), branch.macs, WIDTH))
    readers = {part.name: as_float for part in parts}
    return StreamPlan(tuple(parts), system.fusions[sizes_of(config)], readers, system)


def as_float(raw: np.ndarray) -> np.ndarray:
    """Records as the branches read them."""
    return raw.astype(np.float32)
