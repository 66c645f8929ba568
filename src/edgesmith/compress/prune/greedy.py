"""Shrink a module until its predicted cost fits: whole channels, least importance per saved cost first."""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgesmith.compress.prune.channels import Coupled, coupled_channels, remove
from edgesmith.core.errors import BadInput, DoesNotFit
from edgesmith.core.task import Task
from edgesmith.training.evaluate import loss_of, normalized

MIN_CHANNELS = 4  # of a coupled set; below that accuracy falls off a cliff on every net of the zoo
STEP = 0.2  # largest share of the excess removed before the cost is predicted anew
MAX_STEPS = 60


@dataclass(frozen=True)
class Pressure:
    """Predicted cost of a module against its limits.

    Attributes:
        worst: largest ratio of a predicted figure to its limit; at most 1 fits.
        layers: module path to the layer's share of the figures that press, in the unit of `worst`.
    """

    worst: float
    layers: Mapping[str, float]


class AtTheFloor(DoesNotFit):
    """No channel is left to remove; `worst` is the ratio of the cost to its limit there."""

    def __init__(self, worst: float) -> None:
        super().__init__(f"prune: all sets are at {MIN_CHANNELS} channels, the cost at {worst:.2f} of its limit.")
        self.worst = worst


Cost = Callable[[nn.Module], Pressure]
Importance = Callable[[nn.Module, Coupled], Tensor]
Transform = Callable[[nn.Module, Task], nn.Module]


def prune_to_fit(
    importance: Importance, cost: Cost, multiple: int = 4, needs_gradients: bool = False, until: float = 1.0
) -> Transform:
    """A transform that removes channels until `cost` says that the module fits.

    Each round predicts the cost, divides every channel's importance by what it would save, and removes the
    lowest until the next fifth of the excess is gone.

    Args:
        importance: (module, coupled set) to one number a channel, mean near 1 a layer.
        cost: predicts, without training.
        multiple: sets shrink by so many channels at once; kernels step by four.
        needs_gradients: fill `.grad` from the calibration split before each round.
        until: stop when the worst ratio is at most this.

    Raises:
        AtTheFloor: every set is at its smallest and the cost is still above the limit.
        DoesNotFit: so it is after MAX_STEPS rounds.
    """
    if multiple < 1:
        raise BadInput(f"prune: multiple is {multiple}; need at least 1.")

    def transform(module: nn.Module, task: Task) -> nn.Module:
        example = (normalized(torch.from_numpy(task.calibration.inputs[:1]), task.normalize),)
        pruned = copy.deepcopy(module)
        for _ in range(MAX_STEPS):
            pressure = cost(pruned)
            if pressure.worst <= until:
                return pruned
            if needs_gradients:
                fill_gradients(pruned, task)
            sets = coupled_channels(pruned, example)
            share = max(min(STEP, 1 - until / pressure.worst), 0.02)
            chosen = choose(pruned, sets, pressure, importance, share, multiple)
            if not chosen:
                raise AtTheFloor(pressure.worst)
            pruned = remove(pruned, example, chosen)
        raise DoesNotFit(f"prune: still {cost(pruned).worst:.2f} of the limit after {MAX_STEPS} rounds.")

    return transform


def choose(
    module: nn.Module,
    sets: tuple[Coupled, ...],
    pressure: Pressure,
    importance: Importance,
    share: float,
    multiple: int,
) -> dict[str, list[int]]:
    """The channels to remove next, as root of a set to channel indices.

    Channels go in blocks of `multiple`; a block's price is its summed importance over the cost it saves.

    Args:
        share: of the whole pressure to remove in this round.
    """
    blocks = []
    for coupled in sets:
        scores = importance(module, coupled)
        saved = saving(coupled, pressure)
        order = torch.argsort(scores).tolist()
        spare = max(0, coupled.size - MIN_CHANNELS) // multiple
        for turn in range(spare if saved > 0 else 0):
            block = order[turn * multiple : (turn + 1) * multiple]
            price = float(scores[block].sum()) / (saved * multiple)
            blocks.append((price, turn, coupled.root, block, saved * multiple))
    wanted = share * sum(pressure.layers.values())
    chosen: dict[str, list[int]] = {}
    for _, _, root, block, saved in sorted(blocks, key=lambda b: (b[0], b[1])):
        if wanted <= 0:
            break
        chosen.setdefault(root, []).extend(block)
        wanted -= saved
    return chosen


def saving(coupled: Coupled, pressure: Pressure) -> float:
    """Pressure that one channel of the set takes away: the derivative of costs that are linear in each side."""
    return sum(pressure.layers.get(part.path, 0.0) for part in coupled.parts) / coupled.size


def fill_gradients(module: nn.Module, task: Task) -> None:
    """Mean gradient of the task's loss over the calibration split, into `.grad`."""
    module.zero_grad()
    x = normalized(torch.from_numpy(task.calibration.inputs), task.normalize)
    labels = torch.from_numpy(task.calibration.labels)
    loss = loss_of(module(x), x, labels, task, 0.0)
    if not math.isfinite(float(loss.detach())):
        raise BadInput("prune: the loss on the calibration split is not finite; the weights or the data hold a NaN.")
    loss.backward()
