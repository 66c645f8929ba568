"""Nets of growing size for one task: trained, calibrated, and what each says of the validation samples."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from edgesmith.collaborate.distributed.cascade import (
    Calibrated,
    Outlook,
    Seen,
    Stage,
    at_shares,
    best,
    outlook,
    outlooks,
    softmax,
    temperature_of,
)
from edgesmith.collaborate.distributed.plan import FLOAT_BYTES, encoded
from edgesmith.collaborate.distributed.streams import products
from edgesmith.core.errors import BadInput
from edgesmith.core.task import Task
from edgesmith.training.loop import Run, train_module
from edgesmith.training.recipe import Recipe


class Ladder(nn.Module):
    """Nets for one task, smallest first; as a net it is the largest.

    Args:
        rungs: (n, ...) normalized inputs to (n, classes) scores, each; the last is trained.
    """

    def __init__(self, rungs: Sequence[nn.Module]) -> None:
        super().__init__()
        self.rungs = nn.ModuleList(rungs)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.rungs[-1](x)
        return scores


@dataclass(frozen=True)
class Goal:
    """What thresholds are chosen for.

    Attributes:
        loss: how far the accuracy may fall below the largest net's, on validation samples, for lower latency (ours).
        spare: standard errors kept free of it, for the fastest of many choices is also the luckiest (ours).
        shares: answered by each tier but the last of what reaches it; takes the place of the choice.
    """

    loss: float = 0.01
    spare: float = 1.0
    shares: tuple[float, ...] = ()


@dataclass(frozen=True)
class Rungs:
    """A ladder's nets, trained and calibrated.

    Attributes:
        macs: multiply-accumulates of one request, of each.
        classes: how many they tell apart.
        sureness, right: (n, rungs) of each on the validation samples.
    """

    nets: tuple[Calibrated, ...]
    macs: tuple[int, ...]
    classes: int
    sureness: np.ndarray
    right: np.ndarray

    def choose(
        self, options: Mapping[tuple[int, ...], Sequence[Stage]], per_s: float, goal: Goal
    ) -> tuple[tuple[int, ...], Outlook]:
        """The rungs and thresholds that are fastest at the accuracy wanted, or else the most accurate.

        Args:
            options: a rung for each tier, to the tiers with these nets.
            per_s: requests a second.

        Raises:
            BadInput: with every option some tier falls behind.
        """
        found: dict[Outlook, tuple[int, ...]] = {}
        for at, stages in options.items():
            if each := self.outlooks(at, stages, per_s, goal):
                found.setdefault(best(each, goal.loss, goal.spare), at)
        outcome = best(list(found), goal.loss, goal.spare)
        return found[outcome], outcome

    def outlooks(self, at: tuple[int, ...], stages: Sequence[Stage], per_s: float, goal: Goal) -> list[Outlook]:
        """With these rungs: of all thresholds, or of those of the shares that are asked for."""
        seen = Seen(self.sureness[:, at], self.right[:, at], self.right[:, -1])
        if goal.shares:
            return [outlook(seen, stages, per_s, at_shares(seen.sureness, goal.shares))]
        return outlooks(seen, stages, per_s)


def read_ladder(module: nn.Module, task: Task) -> tuple[list[nn.Module], tuple[int, ...]]:
    """Copies of a ladder's nets, and the multiply-accumulates of each.

    Raises:
        BadInput: it is no ladder, or its nets do not answer alike or do not grow.
    """
    if not isinstance(module, Ladder) or not len(module.rungs):
        raise BadInput(f"cloud_fog: {type(module).__name__} is no Ladder of nets; need one, the smallest net first.")
    nets = [copy.deepcopy(net).eval() for net in module.rungs]
    x = torch.from_numpy(task.normalize(task.calibration.inputs[:1]))
    with torch.no_grad():
        shapes = {tuple(net(x).shape) for net in nets}
    if len(shapes) > 1 or len(next(iter(shapes))) != 2:
        raise BadInput(f"cloud_fog: the nets' scores are {sorted(shapes)}; need (n, classes), the same of all.")
    macs = tuple(products(net, x) for net in nets)
    if list(macs) != sorted(set(macs)):
        raise BadInput(f"cloud_fog: the nets take {macs} multiply-accumulates; need each to take more than the last.")
    return nets, macs


def climbed(nets: Sequence[nn.Module], macs: tuple[int, ...], task: Task, tune: Recipe, seed: int) -> Rungs:
    """A ladder's nets, all but the last trained in place, all calibrated on the calibration samples."""
    trained = [train_module(net, task, tune, seed, Run()) for net in nets[:-1]]
    made = tuple(calibrated(net, task) for net in (*trained, nets[-1]))
    scores = [encoded(net, task.normalize(task.validation.inputs)) for net in made]
    sureness = np.stack([softmax(each).max(1) for each in scores], 1)
    right = np.stack([each.argmax(1) == task.validation.labels for each in scores], 1)
    return Rungs(made, macs, scores[0].shape[1], sureness, right)


def bytes_of(net: nn.Module) -> int:
    """Of its parameters, as float32."""
    return FLOAT_BYTES * sum(parameter.numel() for parameter in net.parameters())


def calibrated(net: nn.Module, task: Task) -> Calibrated:
    """The net with the temperature that suits the calibration samples."""
    scores = encoded(net, task.normalize(task.calibration.inputs))
    return Calibrated(net, temperature_of(scores, task.calibration.labels)).eval()
