"""A chain of nets, each larger than the one before: the first that is sure enough answers.

How sure a net is, is the largest of its softmaxed scores after its temperature was fitted (arXiv:1706.04599). What a
threshold does to accuracy and latency is read off validation samples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn

from edgesmith.core.errors import BadInput

SHARPEST, FLATTEST = 1e-2, 1e2  # temperatures beyond are no longer told apart
HALVINGS = 60  # of the interval: past float64's precision
CANDIDATES = 32  # ours: thresholds tried at each tier, at even shares of the samples
NEVER = 1.1  # a threshold that no probability reaches
FULL = 0.9  # ours: a tier that is busier than this is taken to fall behind


def temperature_of(scores: np.ndarray, labels: np.ndarray) -> float:
    """The temperature of least cross entropy.

    The loss is convex in b = 1 / T, and its slope there is the mean of (expected score - the label's score).

    Args:
        scores: (n, classes) float, before softmax.
        labels: (n,) integers.

    Source: arXiv:1706.04599, section 4.2.
    """
    z = scores.astype(np.float64)
    own = z[np.arange(len(z)), labels]
    low, high = math.log(1 / FLATTEST), math.log(1 / SHARPEST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        slope = float(((softmax(z * math.exp(middle)) * z).sum(1) - own).mean())
        low, high = (low, middle) if slope > 0 else (middle, high)
    return math.exp(-(low + high) / 2)


def softmax(scores: np.ndarray) -> np.ndarray:
    """(n, classes) scores to probabilities."""
    raised = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))


class Calibrated(nn.Module):
    """A net whose scores are divided by its temperature: (n, ...) to (n, classes)."""

    def __init__(self, net: nn.Module, temperature: float) -> None:
        super().__init__()
        self.net, self.temperature = net, temperature

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.net(x) / self.temperature
        return scores


class Cascade(nn.Module):
    """The scores of the first tier that is sure: (n, tiers * classes), side by side, to (n, classes).

    A tier that is missing has zeros and is never sure; the last that is there answers whatever it is.

    Args:
        thresholds: of each tier but the last, the least probability of its answer at which it is sure.
    """

    def __init__(self, thresholds: Sequence[float], classes: int) -> None:
        super().__init__()
        self.thresholds, self.classes = tuple(thresholds), classes

    def forward(self, features: Tensor) -> Tensor:
        scores = features.unflatten(1, (-1, self.classes))
        there = scores.abs().sum(2) > 0
        limits = features.new_tensor([*self.thresholds, 0.0])
        sure = there & (scores.softmax(2).amax(2) >= limits)
        order = torch.arange(scores.shape[1], device=features.device)
        last = torch.where(there, order, -1).amax(1).clamp(min=0)
        chosen = torch.where(sure.any(1), sure.int().argmax(1), last)
        return scores[torch.arange(len(scores), device=features.device), chosen]


@dataclass(frozen=True)
class Stage:
    """One tier as the choice of thresholds sees it.

    Attributes:
        ms: of its net.
        trip_ms: there and back from the tier before, on average.
        machines: that share its requests evenly, each with a queue of its own.
    """

    ms: float
    trip_ms: float = 0.0
    machines: int = 1

    def wait_ms(self, per_s: float) -> float:
        """Mean wait of so many requests a second: load * service / (2 * (1 - load)), Pollaczek 1930.

        Arrivals are taken to be independent; infinite from a load of `FULL` on.
        """
        load = per_s / self.machines * self.ms * 1e-3
        return math.inf if load >= FULL else load * self.ms / (2 * (1 - load))


@dataclass(frozen=True)
class Seen:
    """What the nets of some tiers say of n samples.

    Attributes:
        sureness, right: (n, tiers) how sure each is, and whether it is right.
        whole: (n,) whether the net is right that they are measured by.
    """

    sureness: np.ndarray
    right: np.ndarray
    whole: np.ndarray


@dataclass(frozen=True)
class Outlook:
    """What a choice of thresholds gives on the samples that it was made on.

    Attributes:
        lost: accuracy below that of the net that it is measured by.
        error: standard error of `lost`.
        shares: of all requests, answered at each tier.
    """

    thresholds: tuple[float, ...]
    accuracy: float
    lost: float
    error: float
    latency_ms: float
    shares: tuple[float, ...]


def answered_by(sureness: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """(n,) the tier that answers each of n samples.

    Args:
        sureness: (n, tiers) how sure each is.
        thresholds: of each tier but the last.
    """
    sure = sureness >= np.array([*thresholds, -np.inf])
    return np.asarray(sure.argmax(1))


def outlook(seen: Seen, stages: Sequence[Stage], per_s: float, thresholds: tuple[float, ...]) -> Outlook:
    """Accuracy, and mean latency at a load of `per_s` requests a second."""
    at = answered_by(seen.sureness, thresholds)
    right = seen.right[np.arange(len(at)), at]
    lost = seen.whole.astype(float) - right
    shares = np.bincount(at, minlength=len(stages)) / len(at)
    return Outlook(
        thresholds,
        float(right.mean()),
        float(lost.mean()),
        float(lost.std() / math.sqrt(len(lost))),
        latency_of(shares, stages, per_s),
        tuple(float(share) for share in shares),
    )


def latency_of(shares: np.ndarray, stages: Sequence[Stage], per_s: float) -> float:
    """Mean milliseconds of a request.

    Args:
        shares: (tiers,) of all requests, answered at each.
    """
    reached = [float(shares[tier:].sum()) for tier in range(len(stages))]
    return sum(
        share * (stage.trip_ms + stage.ms + stage.wait_ms(per_s * share))
        for share, stage in zip(reached, stages, strict=True)
        if share > 0
    )


def candidates(sureness: np.ndarray) -> list[float]:
    """Thresholds of one tier: (n,) how sure it is, at even shares of the samples, and never."""
    return sorted({*np.quantile(sureness, np.linspace(0, 1, CANDIDATES)).tolist(), NEVER})


def outlooks(seen: Seen, stages: Sequence[Stage], per_s: float) -> list[Outlook]:
    """Of all candidates at all tiers but the last, those at which no tier falls behind."""
    each = [candidates(seen.sureness[:, tier]) for tier in range(len(stages) - 1)]
    found = [outlook(seen, stages, per_s, thresholds) for thresholds in product(*each)]
    return [one for one in found if one.latency_ms < math.inf]


def best(found: Sequence[Outlook], loss: float, spare: float = 0.0) -> Outlook:
    """The fastest that loses at most so much accuracy, or else the most accurate.

    Args:
        spare: standard errors that must lie between; the fastest of many is also the luckiest on these samples.

    Raises:
        BadInput: there is none to choose from.
    """
    if not found:
        raise BadInput("cascade: at this load every choice makes a tier fall behind. Give fewer requests a second.")
    enough = [one for one in found if one.lost + spare * one.error <= loss]
    if enough:
        return min(enough, key=lambda one: (one.latency_ms, -one.accuracy))
    return max(found, key=lambda one: (one.accuracy, -one.latency_ms))


def at_shares(sureness: np.ndarray, shares: Sequence[float]) -> tuple[float, ...]:
    """Thresholds at which each tier answers a given share of what reaches it.

    Args:
        sureness: (n, tiers).
        shares: of each tier but the last, 0 to 1.
    """
    left, found = np.arange(len(sureness)), []
    for tier, share in enumerate(shares):
        own = sureness[left, tier]
        found.append(float(np.quantile(own, 1 - share)) if len(own) else NEVER)
        left = left[own < found[-1]]
    return tuple(found)
