"""Com-DDPG (arXiv:2012.05105) against itself without messages or memory, rules and the optimum; three seeds.

Worlds: `Setting()` as it stands: five devices, three servers, jobs of four to eight tasks. All learners play as many
worlds and take as many steps with the same critic; what is taken away is taken from the actor. Rules see the servers'
queues, agents do not. Measured on 200 worlds that no learner met, the same for all, by the mean of each world's: cost
(0.4 latency + 0.4 energy, each over that of the device alone, + 0.2 imbalance; minus the return), mean latency of its
jobs, energy of all jobs, standard deviation of the servers' busy times. Figures of training were chosen on seeds 1000
and 1001, and on other worlds. The optimum is over all placements in the order of priorities, on 40 worlds of two
devices with three to five tasks, whose like no learner met.

The paper's abstract says no more than "better than other baselines in terms of energy consumption, load status and
latency"; its figures were not at hand.

Criteria, fixed before the run, on medians over the seeds: with messages and memory the cost is at most 0.99 of that
without messages, and of that without memory; energy, latency and imbalance are each at most those of the better of
these two; each is at most HEFT's; the cost is at most that of the best of all local, all edge, random, least energy
and least loaded; it is at most HEFT's; it is at most that of "least cost", the greedy rule for the cost itself, which
like HEFT sees every queue; on the small worlds it is at most 1.1 times the optimum.
"""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import torch

from edgesmith.collaborate.offloading.cluster import Policy, World, play
from edgesmith.collaborate.offloading.com_ddpg import OMITS, com_ddpg
from edgesmith.collaborate.offloading.exact import optimum
from edgesmith.collaborate.offloading.graphs import Shape
from edgesmith.collaborate.offloading.heuristics import RULES
from edgesmith.collaborate.offloading.settings import Setting

sys.path.insert(0, str(Path(__file__).parents[1]))
from record import Finding, compared, record

SEEDS = (1, 2, 3)
UNSEEN = range(1 << 41, (1 << 41) + 200)  # learners draw theirs below 2^40
SMALL = range(1 << 42, (1 << 42) + 40)
OURS, SILENT, FORGETFUL = "Com-DDPG", "without messages", "without LSTM"
LEARNERS: dict[str, dict[str, bool]] = {OURS: {}, SILENT: {"communicate": False}, FORGETFUL: {"remember": False}}
SIMPLE = ("all local", "all edge", "random", "least energy", "least loaded")

# Why claims do not hold: found with other seeds and worlds, one run of seed 1000 each; of queues with
# 1,500 worlds and batches of 32.
QUEUES = (
    "agents do not see the servers' queues, HEFT and the greedy rule do. That is part of it: agents that see them cost"
    " 0.630 after half the training, where these cost 0.642, and their servers' busy times deviate by 0.8 s instead of"
    " 1.0; the rest was not found"
)
REASONS = {
    "costs less than without LSTM": "an agent sees its own last waits and work in every round, and the LSTM adds"
    " nothing to them; where these are hidden it does not win them back in so much training (0.654; without it 0.651)",
    "energy against the better without messages or LSTM": "the three lie within 1% of one another, and the least of two"
    " is taken for every seed",
    "latency against HEFT, which sees every queue": "HEFT minimises nothing else and takes 14% more energy; " + QUEUES,
    "imbalance against HEFT, which sees every queue": QUEUES,
    "costs less than HEFT": QUEUES,
    "costs less than the rule that minimises the cost itself": QUEUES,
}


@dataclass(frozen=True)
class Figures:
    """Means over worlds."""

    cost: float
    latency_s: float
    energy_j: float
    imbalance_s: float


SETTING, TINY = Setting(), Setting(devices=2, shape=Shape(3, 5))
WORKERS = 2  # processes side by side, each with one thread

Found = dict[str, list[Figures]]  # of every policy, one a seed


def measured(worlds: Sequence[World], policy: Policy) -> Figures:
    """A policy on all worlds."""
    runs = [play(world, policy) for world in worlds]
    return Figures(
        statistics.fmean(run.cost for run in runs),
        statistics.fmean(statistics.fmean(run.latency_s) for run in runs),
        statistics.fmean(sum(run.energy_j) for run in runs),
        statistics.fmean(run.imbalance_s for run in runs),
    )


def learned(name: str, seed: int) -> tuple[Figures, Figures]:
    """Train one learner; its figures on the unseen worlds and on the small ones."""
    torch.set_num_threads(1)
    policy = com_ddpg(seed=seed, **LEARNERS[name])(SETTING)
    return measured([SETTING(s) for s in UNSEEN], policy), measured([TINY(s) for s in SMALL], policy)


def least(found: Found, names: Sequence[str], figure: Callable[[Figures], float]) -> list[float]:
    """One value a seed: the least of these policies."""
    return [min(figure(found[name][index]) for name in names) for index in range(len(SEEDS))]


def against(found: Found, names: Sequence[str], of: str, claim: str, unit: str, factor: float = 1.0) -> Finding:
    """One figure of Com-DDPG at most so many times the least of others'."""

    def figure(figures: Figures) -> float:
        return float(getattr(figures, of))

    words = f"at most {factor:g} times" if factor != 1 else "at most that"
    ours = [figure(each) for each in found[OURS]]
    paper = "better" if of != "cost" else "not in the abstract"
    return compared(claim, paper, unit, words, least(found, names, figure), ours,
                    lambda base, mine: mine <= factor * base, REASONS.get(claim, ""))  # fmt: skip


def findings(found: Found, small: Found) -> list[Finding]:
    """Everything the docstring fixes."""
    units = {"energy_j": "J, all jobs", "latency_s": "s, mean of the jobs", "imbalance_s": "s, deviation of busy times"}
    made = [
        against(found, [SILENT], "cost", "costs less than without messages", "cost", 0.99),
        against(found, [FORGETFUL], "cost", "costs less than without LSTM", "cost", 0.99),
    ]
    for of, unit in units.items():
        word = of.split("_")[0]
        made += [
            against(found, [SILENT, FORGETFUL], of, f"{word} against the better without messages or LSTM", unit),
            against(found, ["HEFT"], of, f"{word} against HEFT, which sees every queue", unit),
        ]
    return [
        *made,
        against(found, SIMPLE, "cost", "costs less than the best simple rule", "cost"),
        against(found, ["HEFT"], "cost", "costs less than HEFT", "cost"),
        against(found, ["least cost"], "cost", "costs less than the rule that minimises the cost itself", "cost"),
        against(small, ["optimum"], "cost", "cost against the optimum on small graphs", "cost", 1.1),
    ]


def medians(found: Found) -> dict[str, dict[str, float]]:
    """Of every policy and figure, over the seeds."""
    return {
        name: {of: round(statistics.median(asdict(each)[of] for each in figures), 4) for of in asdict(figures[0])}
        for name, figures in found.items()
    }


def main() -> None:
    """Measure and record."""
    begin = time.monotonic()
    worlds, smalls = [SETTING(seed) for seed in UNSEEN], [TINY(seed) for seed in SMALL]
    found: Found = {name: [measured(worlds, rule())] * len(SEEDS) for name, rule in RULES.items()}
    small: Found = {name: [measured(smalls, rule())] * len(SEEDS) for name, rule in RULES.items()}
    costs = Figures(statistics.fmean(optimum(world).cost for world in smalls), 0.0, 0.0, 0.0)
    small["optimum"] = [costs] * len(SEEDS)
    with ProcessPoolExecutor(WORKERS, get_context("spawn")) as pool:
        jobs = {name: [pool.submit(learned, name, seed) for seed in SEEDS] for name in LEARNERS}
        for name, each in jobs.items():
            pairs = [job.result() for job in each]
            found[name], small[name] = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
            print(name, [round(one.cost, 4) for one in found[name]], f"{time.monotonic() - begin:.0f} s", flush=True)
    tables = {
        "unseen worlds": medians(found),
        "small worlds, cost": {name: figures["cost"] for name, figures in medians(small).items()},
        "cost by seed": {name: [round(each.cost, 4) for each in found[name]] for name in LEARNERS},
    }
    record("com_ddpg", 77, findings(found, small), OMITS, begin, tables)


if __name__ == "__main__":
    main()
