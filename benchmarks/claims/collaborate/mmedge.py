"""MMEdge's claims (arXiv:2510.25327) on digit-streams: latency falls by up to three quarters at equal accuracy.

A digit is heard for a second (10 or 5 units) and written within 0.6 s (8 or 4 rows); a net of two sizes for each. Times
of every unit, joint, fusion, gate and choice are those of their float32 programs in C, measured on this machine; a slow
device is this machine 200, 400 or 800 times slower (a microcontroller alone, and with other work), in steps of 2 to
10 s drawn by the seed. Each of the 599 test samples is a request, 1.5 s apart, in virtual time on one processor. Beside
the whole system: the largest net that waits for all samples, each stream alone, and the system without aggregation
(the mean over units instead), without the optimizer (always the largest), without skipping, and with units as they come
alone. Seeds 0, 1, 2: of the split, the nets and the load.

Criteria, fixed before the run (after a look at seed 100, which is none of them), of means over requests: the time from
the end of sensing to the answer at most a quarter of waiting for all, the time from its beginning at least 10 percent
less, accuracy at most 1 point below; accuracy at least 3 points above the better stream alone. Without aggregation
accuracy is at least 1 point lower; without the optimizer at least 5 points fewer requests are within 60 ms of the end
of sensing, where neither skips, and at least 1 point fewer where both do; without skipping an answer takes at least 10
percent longer.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgesmith import targets
from edgesmith.collaborate.distributed import Device, mmedge
from edgesmith.collaborate.distributed.choosing import Optimizer, described
from edgesmith.collaborate.distributed.mmedge import CONFIDENT, StreamPlan
from edgesmith.collaborate.distributed.multimodal import System, UnitFeatures
from edgesmith.collaborate.distributed.pipeline import Config, Costs, Load, Skip, alone, pipelined, wait_for_all
from edgesmith.collaborate.distributed.streams import PARTIAL, WIDTH, digit_streams_net
from edgesmith.collaborate.links import link as links
from edgesmith.core.task import Task
from edgesmith.data.digit_streams import digit_streams_task
from edgesmith.pipeline.compiling import profile_model

sys.path.insert(0, str(Path(__file__).parents[1]))
from record import Finding, compared, record
from testbeds import kept

SEEDS = (0, 1, 2)
FACTORS = (200.0, 400.0, 800.0)
APART_S, LAG_S = 1.5, 0.06
ROOM = Device("device", 10**6, 10**8)
ARMS = (
    "all",
    "wait for all",
    "rows alone",
    "sound alone",
    "no aggregation",
    "no optimizer",
    "no skipping",
    "units alone",
)


@dataclass(frozen=True)
class Bench:
    """A system on its test samples: all that requests need, looked up.

    Attributes:
        scores: (n,) whether right, by (index of configuration, share).
        sure: (n,) bool, likewise.
        expected: (configurations, n) predicted accuracy.
        own: (n,) whether a stream alone is right, by stream.
    """

    system: System
    costs: Costs
    right: dict[tuple[int, float], np.ndarray]
    sure: dict[tuple[int, float], np.ndarray]
    expected: np.ndarray
    own: list[np.ndarray]

    @property
    def largest(self) -> int:
        """Index of the largest configuration."""
        return self.system.configs.index(self.system.largest)


def bench_of(task: Task, seed: int, aggregate: bool) -> Bench:
    """Train a system, measure its pieces, and answer every test sample in every way."""
    plan = mmedge(seed=seed)(digit_streams_net(seed, aggregate), task, [ROOM], links.load("wifi"))
    assert isinstance(plan, StreamPlan)
    system, labels = plan.system, task.test.labels
    units = UnitFeatures(system.net, task.test.inputs)
    cases = [(index, share) for index in range(len(system.configs)) for share in (1.0, *PARTIAL)]
    right = {(i, s): system.fused(units, system.configs[i], s).argmax(1) == labels for i, s in cases}
    sure = {(i, s): system.sureness(units, system.configs[i], s) >= CONFIDENT for i, s in cases if s < 1}
    own = [
        own_scores(system, units, stream, choice.size, choice.count).argmax(1) == labels
        for stream, choice in enumerate(system.largest)
    ]
    return Bench(system, measured(system), right, sure, system.expected(task.test.inputs), own)


@torch.no_grad()
def own_scores(system: System, units: UnitFeatures, stream: int, size: int, count: int) -> np.ndarray:
    """(n, classes) of one stream's branch by itself."""
    branch = system.net.sizes(stream)[size]
    return branch.classify(branch.join(units.units(stream, size, count))).numpy()


def measured(system: System) -> Costs:
    """Seconds of each piece as a float32 program in C on this machine."""
    raw = torch.zeros(1, 8064)
    unit, join = {}, {}
    for stream, sensor in enumerate(system.net.sensors):
        for size, branch in enumerate(system.net.sizes(stream)):
            for count in sensor.counts:
                unit[stream, size, count] = seconds(branch.encoder, sensor.units(raw, count)[0][:1])
            join[stream, size] = seconds(branch.join, torch.zeros(1, sensor.counts[0], WIDTH))
    pair = torch.zeros(1, 2 * WIDTH)
    seen = described(np.zeros(1), system.largest, system.net.sensors)
    fusion = next(iter(system.fusions.values()))
    choose = len(system.configs) * seconds(Accuracy(system.predictor), seen)
    return Costs(unit, join, seconds(fusion, pair), choose, seconds(system.gate, pair))


class Accuracy(nn.Module):
    """The predictor's first result alone."""

    def __init__(self, predictor: nn.Module) -> None:
        super().__init__()
        self.predictor = predictor

    def forward(self, x: Tensor) -> Tensor:
        return self.predictor(x)[0]


def seconds(module: nn.Module, x: Tensor) -> float:
    """Of one inference."""
    found = profile_model(module.eval(), (x,), None, targets.load("x86-64"), precision="float32")
    assert found.latency.kind == "measured"
    return found.latency.value * 1e-3


def drawn_load(seed: int) -> Load:
    """Steps of 2 to 10 s over a quarter of an hour."""
    rng = np.random.default_rng(seed)
    return Load(tuple((float(rng.uniform(2, 10)), float(rng.choice(FACTORS))) for _ in range(150)))


def run(bench: Bench, arm: str, load: Load) -> dict[str, float]:
    """All requests of one arm: means, and the share within the budget."""
    count = len(bench.own[0])
    rows = [request(bench, arm, load, index, index * APART_S) for index in range(count)]
    answers, right, shares = (np.array(column) for column in zip(*rows, strict=True))
    after = np.maximum(answers - 1.0, 0.0)
    return {
        "accuracy": float(right.mean()),
        "answer_ms": float(answers.mean() * 1e3),
        "answer_p95_ms": float(np.percentile(answers, 95) * 1e3),
        "after_sensing_ms": float(after.mean() * 1e3),
        "within_budget": float((answers <= 1.0 + LAG_S).mean()),
        "skipped": float((shares < 1).mean()),
    }


def request(bench: Bench, arm: str, load: Load, index: int, start_s: float) -> tuple[float, bool, float]:
    """Seconds to the answer, whether it is right, and the share of the later stream in it."""
    system, sensors = bench.system, bench.system.net.sensors
    if arm in ("rows alone", "sound alone"):
        stream = ("rows alone", "sound alone").index(arm)
        found = alone(sensors[stream], stream, system.largest[stream], bench.costs, load, start_s)
        return found.answer_s, bool(bench.own[stream][index]), 1.0
    chosen = bench.largest
    if arm == "wait for all":
        return (
            wait_for_all(sensors, system.largest, bench.costs, load, start_s).answer_s,
            right_at(bench, chosen, index),
            1.0,
        )
    choosing, skipping = arm not in ("no optimizer", "units alone"), arm not in ("no skipping", "units alone")
    if choosing:
        chosen = chosen_config(bench, load.factor(start_s + sensors[1].ready_s(sensors[1].counts[0])[0]), index)
    says = {share: bool(bench.sure[chosen, share][index]) for share in PARTIAL} if skipping else {}
    found = pipelined(sensors, system.configs[chosen], bench.costs, load, start_s, Skip(says, choosing))
    return found.answer_s, bool(bench.right[chosen, found.share][index]), found.share


def right_at(bench: Bench, config: int, index: int) -> bool:
    """Whether a sample is told right from all units."""
    return bool(bench.right[config, 1.0][index])


def chosen_config(bench: Bench, factor: float, index: int) -> int:
    """What the optimizer takes for a sample at this load; the first look's own time tells the load."""
    optimizer = Optimizer(bench.system.configs, bench.system.net.sensors, bench.costs, LAG_S)
    return optimizer.choose(bench.expected[:, index].tolist(), factor)


def measure(seed: int) -> dict[str, Any]:
    """All arms of one seed."""
    torch.set_num_threads(1)
    task, load = digit_streams_task(seed), drawn_load(seed)
    whole, mean = bench_of(task, seed, True), bench_of(task, seed, False)
    found: dict[str, Any] = {arm: run(mean if arm == "no aggregation" else whole, arm, load) for arm in ARMS}
    found["costs_us"] = costs_table(whole)
    found["chosen"] = chosen_table(whole)
    print(seed, {arm: {k: round(v, 4) for k, v in found[arm].items()} for arm in ARMS}, flush=True)
    return found


def costs_table(bench: Bench) -> dict[str, float]:
    """Microseconds of every piece, by name."""
    names = [sensor.name for sensor in bench.system.net.sensors]
    table = {f"{names[s]}, size {z}, a unit of {c}": v * 1e6 for (s, z, c), v in bench.costs.unit.items()}
    table |= {f"{names[s]}, size {z}, joining": v * 1e6 for (s, z), v in bench.costs.join.items()}
    return table | {
        "fusion": bench.costs.fuse * 1e6,
        "choice": bench.costs.choose * 1e6,
        "gate": bench.costs.gate * 1e6,
    }


def chosen_table(bench: Bench) -> dict[str, dict[str, int]]:
    """How often each configuration is chosen at each load."""
    table: dict[str, dict[str, int]] = {}
    for factor in FACTORS:
        row: dict[str, int] = {}
        for index in range(len(bench.own[0])):
            name = named(bench.system.configs[chosen_config(bench, factor, index)])
            row[name] = row.get(name, 0) + 1
        table[f"{factor:g} times slower"] = row
    return table


def named(config: Config) -> str:
    """Sizes and counts in words."""
    return ", ".join(
        f"{sensor} size {choice.size} of {choice.count}"
        for sensor, choice in zip(("rows", "sound"), config, strict=True)
    )


def main() -> None:
    """Measure and record."""
    begin = time.monotonic()
    found = [kept("mmedge", f"{seed} {FACTORS} {LAG_S}", lambda seed=seed: measure(seed)) for seed in SEEDS]

    def values(arm: str, figure: str) -> list[float]:
        return [row[arm][figure] for row in found]

    findings = latency_findings(values) + ablation_findings(values)
    record("mmedge", 47, findings, mmedge.card.omits, begin, {"by_seed": found})  # type: ignore[attr-defined]


def latency_findings(values: Any) -> list[Finding]:
    """The whole system against waiting for all, and against one stream."""
    better = [
        max(pair) for pair in zip(values("rows alone", "accuracy"), values("sound alone", "accuracy"), strict=True)
    ]
    paper = "up to 75.8 percent less latency at comparable accuracy (the authors' repository)"
    return [
        compared("from the end of sensing to the answer, against waiting for all", paper, "ms, mean", "at most 1/4",
                 values("wait for all", "after_sensing_ms"), values("all", "after_sensing_ms"),
                 lambda base, ours: ours <= base / 4),
        compared("from the first sample to the answer, against waiting for all", paper, "ms, mean",
                 "at least 10 percent less", values("wait for all", "answer_ms"), values("all", "answer_ms"),
                 lambda base, ours: ours <= 0.9 * base),
        compared("accuracy, against waiting for all", paper, "test accuracy", "at most 0.01 below",
                 values("wait for all", "accuracy"), values("all", "accuracy"), lambda base, ours: ours >= base - 0.01,
                 "the gate is sure of some answers that more sound would change"),
        compared("accuracy, against the better stream alone", "both modalities beat one", "test accuracy",
                 "at least 0.03 above", better, values("all", "accuracy"), lambda base, ours: ours >= base + 0.03),
    ]  # fmt: skip


def ablation_findings(values: Any) -> list[Finding]:
    """Without each of the three pieces; the baseline is the system without it."""
    return [
        compared("with aggregation, against the mean over units", "aggregation keeps accuracy", "test accuracy",
                 "at least 0.01 above", values("no aggregation", "accuracy"), values("all", "accuracy"),
                 lambda base, ours: ours >= base + 0.01),
        compared("with the optimizer, no skipping: within 60 ms of the end of sensing, against always the largest",
                 "the optimizer keeps latency limits under changing resources", "share of requests",
                 "at least 0.05 above", values("units alone", "within_budget"), values("no skipping", "within_budget"),
                 lambda base, ours: ours >= base + 0.05),
        compared("with the optimizer and skipping: the same, against always the largest with skipping",
                 "the optimizer keeps latency limits under changing resources", "share of requests",
                 "at least 0.01 above", values("no optimizer", "within_budget"), values("all", "within_budget"),
                 lambda base, ours: ours >= base + 0.01,
                 "skipping alone brings nearly all requests within the budget"),
        compared("with skipping, against without: from the first sample to the answer", "skipping saves waiting",
                 "ms, mean", "at least 10 percent less", values("no skipping", "answer_ms"), values("all", "answer_ms"),
                 lambda base, ours: ours <= 0.9 * base),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
