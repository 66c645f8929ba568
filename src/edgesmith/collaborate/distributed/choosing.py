"""Which configuration of sensing and encoding a request gets: the most accurate one expected that is soon enough.

The predictor sees how alike the first units of both streams are, and a configuration; it learns the accuracy that the
configuration has on the sample's class, and beside it the fused scores (0.7 and 0.3 of the loss: the authors' code).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn

from edgesmith.collaborate.distributed.pipeline import Choice, Config, Costs, Load, pipelined
from edgesmith.collaborate.distributed.plan import seeded
from edgesmith.collaborate.distributed.streams import Sensor, StreamNet

HIDDEN = 64  # the authors' code
STEPS, LEARNING_RATE = 300, 1e-2  # ours: all rows at once, until the loss is flat
ACCURACY_SHARE = 0.7  # of the loss; the rest is for the scores (the authors' code)


def configurations(net: StreamNet) -> list[Config]:
    """All there are: a size and a number of units for each stream."""
    choices = [
        [Choice(size, count) for size in range(len(net.sizes(index))) for count in sensor.counts]
        for index, sensor in enumerate(net.sensors)
    ]
    return list(product(*choices))


class Predictor(nn.Module):
    """(n, 2 + 2 streams) to accuracy (n,) and scores (n, classes): likeness, its complement, sizes, counts."""

    def __init__(self, classes: int, streams: int = 2) -> None:
        super().__init__()
        self.shared = nn.Sequential(nn.Linear(2 + 2 * streams, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU())
        self.scores, self.accuracy = nn.Linear(HIDDEN, classes), nn.Linear(HIDDEN, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shared = self.shared(x)
        return self.accuracy(shared)[:, 0], self.scores(shared)


@torch.no_grad()
def likeness(net: StreamNet, records: np.ndarray) -> np.ndarray:
    """(n,) cosine of the first units' features of both streams, encoded by the smallest branches."""
    raw, features = torch.from_numpy(records).float(), []
    for index, sensor in enumerate(net.sensors):
        branch = net.sizes(index)[0].eval()
        features.append(branch.encoder(sensor.units(raw, sensor.counts[0])[:, 0]))
    return nn.functional.cosine_similarity(*features).numpy()


def described(alike: np.ndarray, config: Config, sensors: Sequence[Sensor]) -> Tensor:
    """(n, 2 + 2 streams) what the predictor sees of n samples with one configuration."""
    facts = [float(choice.size) for choice in config]
    facts += [float(sensor.counts.index(choice.count)) for sensor, choice in zip(sensors, config, strict=True)]
    own = torch.from_numpy(np.stack([alike, 1 - alike], 1)).float()
    return torch.cat([own, torch.tensor(facts).expand(len(alike), -1)], 1)


def learned_predictor(seen: Sequence[Tensor], scores: Sequence[np.ndarray], labels: np.ndarray, seed: int) -> Predictor:
    """A predictor of the accuracy on a sample's class.

    Args:
        seen: what it sees of all samples, for each configuration.
        scores: (n, classes) fused, likewise.
    """
    targets = torch.from_numpy(np.concatenate([class_accuracy(each, labels)[labels] for each in scores])).float()
    x, wanted = torch.cat(list(seen)), torch.from_numpy(np.concatenate(scores)).float()
    with seeded(seed):
        predictor = Predictor(wanted.shape[1])
        optimizer = torch.optim.Adam(predictor.parameters(), LEARNING_RATE)
        for _ in range(STEPS):
            accuracy, logits = predictor(x)
            near, alike = nn.functional.mse_loss(accuracy, targets), nn.functional.mse_loss(logits, wanted)
            optimizer.zero_grad()
            (ACCURACY_SHARE * near + (1 - ACCURACY_SHARE) * alike).backward()
            optimizer.step()
    return predictor.eval()


def class_accuracy(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(classes,) share of each class's samples that are told right; 0 for a class without any."""
    right = scores.argmax(1) == labels
    return np.array(
        [right[labels == index].mean() if (labels == index).any() else 0.0 for index in range(scores.shape[1])]
    )


@dataclass(frozen=True)
class Optimizer:
    """Chooses by table and prediction.

    Attributes:
        lag_s: the budget: from the end of sensing to the answer.
    """

    configs: Sequence[Config]
    sensors: Sequence[Sensor]
    costs: Costs
    lag_s: float

    def choose(self, accuracies: Sequence[float], factor: float) -> int:
        """Index of the configuration of the greatest predicted accuracy within the budget, or else of the least lag.

        Args:
            accuracies: predicted, of each configuration.
            factor: how slow the processor is now.
        """
        lags = self.lags_s(factor)
        within = [index for index, lag in enumerate(lags) if lag <= self.lag_s]
        if not within:
            return min(range(len(lags)), key=lags.__getitem__)
        return max(within, key=lambda index: (accuracies[index], -lags[index]))

    def lags_s(self, factor: float) -> list[float]:
        """From the end of sensing to the answer of each configuration, by the table of costs."""
        steady, end_s = Load(((1.0, factor),)), max(sensor.seconds for sensor in self.sensors)
        runs = (pipelined(self.sensors, config, self.costs, steady, 0.0) for config in self.configs)
        return [run.answer_s - end_s for run in runs]
