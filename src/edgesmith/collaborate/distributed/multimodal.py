"""Two streams' branches, their fusions, and what decides about them, trained together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn

from edgesmith.collaborate.distributed.choosing import (
    Predictor,
    configurations,
    described,
    learned_predictor,
    likeness,
)
from edgesmith.collaborate.distributed.pipeline import Config
from edgesmith.collaborate.distributed.plan import BATCH, Fusion, encoded, seeded
from edgesmith.collaborate.distributed.streams import PARTIAL, WIDTH, StreamNet, units_of
from edgesmith.core.task import Split, Task
from edgesmith.training.loop import Run, train_module
from edgesmith.training.recipe import Recipe

SHRINK = 1.0  # ours: hidden units of a fusion for each feature
GATE_STEPS, GATE_RATE = 400, 3e-3  # ours: all rows at once, until the loss is flat


@dataclass(frozen=True)
class Settings:
    """How a system is trained.

    Attributes:
        branch, fuse: recipes of a branch and of a fusion.
        drop: how often a fusion sees a stream missing while it learns (ours).
    """

    branch: Recipe
    fuse: Recipe
    drop: float
    seed: int


class UnitFeatures:
    """Features of the units of some records, each computed once.

    Args:
        records: (n, length) raw.
    """

    def __init__(self, net: StreamNet, records: np.ndarray) -> None:
        self.net, self.records = net, records
        self.known: dict[tuple[int, int, int], Tensor] = {}

    @torch.no_grad()
    def units(self, stream: int, size: int, count: int) -> Tensor:
        """(n, count, WIDTH) encoded by one branch."""
        key = (stream, size, count)
        if key not in self.known:
            branch = self.net.sizes(stream)[size].eval()
            rows = []
            for at in range(0, len(self.records), BATCH):
                raw = torch.from_numpy(self.records[at : at + BATCH]).float()
                units = branch.sensor.units(raw, count)
                rows.append(branch.encoder(units.flatten(0, 1)).unflatten(0, units.shape[:2]))
            self.known[key] = torch.cat(rows)
        return self.known[key]

    @torch.no_grad()
    def joined(self, config: Config, share: float = 1.0) -> np.ndarray:
        """(n, streams * WIDTH) features side by side, the last stream's of the first `share` of its units."""
        found, last = [], len(config) - 1
        for stream, choice in enumerate(config):
            units = self.units(stream, choice.size, choice.count)
            taken = units[:, : units_of(choice.count, share if stream == last else 1.0)]
            found.append(self.net.sizes(stream)[choice.size].join(taken))
        return torch.cat(found, 1).numpy()


class Gate(nn.Module):
    """How sure it is that the fused answer is right: features of both streams (n, 2 * WIDTH) to (n,) logits."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2 * WIDTH, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, features: Tensor) -> Tensor:
        return self.net(features)[:, 0]


@dataclass(frozen=True)
class System:
    """Everything that answers a request.

    Attributes:
        fusions: by the sizes of the streams' branches.
    """

    net: StreamNet
    fusions: Mapping[tuple[int, ...], Fusion]
    gate: Gate
    predictor: Predictor

    @cached_property
    def configs(self) -> list[Config]:
        """All there are."""
        return configurations(self.net)

    @property
    def largest(self) -> Config:
        """Largest branches, all units."""
        return max(self.configs, key=lambda config: [(choice.size, choice.count) for choice in config])

    def fused(self, units: UnitFeatures, config: Config, share: float = 1.0) -> np.ndarray:
        """(n, classes) scores of records whose later stream may have been cut short."""
        return encoded(self.fusions[sizes_of(config)], units.joined(config, share))

    def sureness(self, units: UnitFeatures, config: Config, share: float) -> np.ndarray:
        """(n,) probability that the answer after that share is right, as the gate sees it."""
        return 1 / (1 + np.exp(-encoded(self.gate, units.joined(config, share))))

    def expected(self, records: np.ndarray) -> np.ndarray:
        """(configurations, n) predicted accuracy."""
        alike = likeness(self.net, records)
        rows = [described(alike, config, self.net.sensors) for config in self.configs]
        return np.stack([self._accuracy(row) for row in rows])

    @torch.no_grad()
    def _accuracy(self, seen: Tensor) -> np.ndarray:
        return self.predictor(seen)[0].numpy()


def sizes_of(config: Config) -> tuple[int, ...]:
    """Of each stream's branch."""
    return tuple(choice.size for choice in config)


def learned_system(net: StreamNet, task: Task, settings: Settings) -> System:
    """Train branches, then fusions on their features, then the gate and the predictor on what was not trained on."""
    for index in range(len(net.streams)):
        for branch in net.sizes(index):
            train_module(branch, task, settings.branch, settings.seed, Run())
    seen = UnitFeatures(net, task.train.inputs)
    pairs = list(product(*(range(len(net.sizes(index))) for index in range(len(net.streams)))))
    fusions = {pair: learned_fusion(seen, task, pair, settings) for pair in pairs}
    held = joined_splits(task.calibration, task.validation)
    with seeded(settings.seed):
        system = System(net, fusions, Gate(), Predictor(classes_of(net), len(net.streams)))
    units = UnitFeatures(net, held.inputs)
    gate = learned_gate(system, units, held.labels, settings.seed)
    alike = likeness(net, held.inputs)
    rows = [described(alike, config, net.sensors) for config in system.configs]
    scores = [system.fused(units, config) for config in system.configs]
    return System(net, fusions, gate, learned_predictor(rows, scores, held.labels, settings.seed))


def learned_fusion(seen: UnitFeatures, task: Task, sizes: tuple[int, ...], settings: Settings) -> Fusion:
    """A fusion of branches of these sizes, for all their configurations, whole and cut short."""
    configs = [config for config in configurations(seen.net) if sizes_of(config) == sizes]
    rows = [seen.joined(config, share) for config in configs for share in (1.0, *PARTIAL)]
    split = Split(np.concatenate(rows), np.tile(task.train.labels, len(rows)))
    with seeded(settings.seed):
        fusion = Fusion([WIDTH] * len(sizes), classes_of(seen.net), SHRINK, settings.drop)
    held = Task(f"{task.name}-fusion", split, split, split, split)
    train_module(fusion, held, settings.fuse, settings.seed, Run())
    return fusion


def classes_of(net: StreamNet) -> int:
    """How many classes the branches tell apart."""
    return net.sizes(0)[0].classify.out_features


def learned_gate(system: System, units: UnitFeatures, labels: np.ndarray, seed: int) -> Gate:
    """A gate that tells right answers from wrong ones, on all configurations cut short."""
    cases = [(config, share) for config in system.configs for share in PARTIAL]
    features = torch.from_numpy(np.concatenate([units.joined(*case) for case in cases]))
    right = np.concatenate([system.fused(units, *case).argmax(1) == labels for case in cases])
    wanted = torch.from_numpy(right).float()
    with seeded(seed):
        gate = Gate()
        optimizer = torch.optim.AdamW(gate.parameters(), GATE_RATE, weight_decay=0.1)
        for _ in range(GATE_STEPS):
            rows = torch.randint(len(features), (512,))
            loss = nn.functional.binary_cross_entropy_with_logits(gate(features[rows]), wanted[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return gate.eval()


def joined_splits(*splits: Split) -> Split:
    """One after the other."""
    return Split(np.concatenate([s.inputs for s in splits]), np.concatenate([s.labels for s in splits]))


def without_largest(net: StreamNet) -> StreamNet | None:
    """The net without the branch of most parameters that has a smaller one beside it; None where none has."""
    sizes: list[Sequence] = [net.sizes(index) for index in range(len(net.streams))]
    able = [index for index, branches in enumerate(sizes) if len(branches) > 1]
    if not able:
        return None
    index = max(able, key=lambda at: sum(parameter.numel() for parameter in sizes[at][-1].parameters()))
    sizes[index] = sizes[index][:-1]
    return StreamNet(sizes)
