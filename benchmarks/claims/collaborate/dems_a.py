"""DEMS-A (arXiv:2412.20860) against its baselines: six fleets of five minutes, on three networks, five seeds.

Deadlines, expected times and utilities are the authors' (their repository, MEDIUM and HEAVY); edge and cloud are
virtual. Assumed, for the paper's full text was not at hand: the edge takes 0.85 to 1 of what is expected; a function's
time is log-normal, its 95th percentile what is expected, sigma 0.05; a segment is 40 kB; the network is steady
(100 Mbit/s, 20 ms one way), or its latency rises by up to 400 ms and falls again, or its rate wanders about 10 Mbit/s
from second to second. Per seed: starts and order of the tasks, their times, jitter and rate.

The assumptions were settled on flights of another seed, 1, where sigma 0.15 made DEMS-A worth less than DEMS on the
steady network; the tables have that sigma too.

Criteria, fixed before the run, on medians over the seeds: the most that DEMS-A completes in a flight on the steady
network is at least 85%; its utility there is at least 2.7 times that of some baseline in some flight; in every flight
there it is at least the best baseline's; over the flights on the two networks that vary its utility is at least 1.16
times that of DEMS, which does not adapt; in every flight there too it is at least the best baseline's; on 40 small
cases a seed whose best is solved exactly it reaches at least 0.85 of it, and more than the best baseline; expecting
the largest of the window instead of the mean brings at least as much over all flights.
"""

import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from edgesmith.collaborate.links.link import Link
from edgesmith.collaborate.schedule.baselines import BASELINES
from edgesmith.collaborate.schedule.dems import dems
from edgesmith.collaborate.schedule.dems_a import OMITS, dems_a
from edgesmith.collaborate.schedule.network import NETWORKS
from edgesmith.collaborate.schedule.optimum import optimum
from edgesmith.collaborate.schedule.quality import worth
from edgesmith.collaborate.schedule.site import Cloud, fly
from edgesmith.collaborate.schedule.strategy import Scheduler
from edgesmith.collaborate.schedule.tasks import ACTIVE, exact

sys.path.insert(0, str(Path(__file__).parents[1]))
from flights import SEEDS, Flights, Row, best, flown, medians, per_seed
from record import Finding, compared, record

LARGEST = "DEMS-A, largest"


def largest() -> Scheduler:
    """Our variation: the largest of the window is expected."""
    return dems_a(expect="max")


STRATEGIES = {**BASELINES, "DEMS": dems, "DEMS-A": dems_a, LARGEST: largest}
OURS = {name: STRATEGIES[name] for name in ("DEMS", "DEMS-A", LARGEST)}
VARYING = tuple(name for name in NETWORKS if name != "steady")
ONES = [1.0] * len(SEEDS)
CASES, TASKS, SPAN_MS = 40, 12, 1500.0
# Found after the first run, for what does not hold.
LATE = (
    "a deferred task leaves at the last moment that the mean allows: of four drones' calls with six kinds 3.3% are"
    " late, 0.2% with the largest expected"
)
LATE_VARYING = (
    "the same: with a wandering rate 12% of four drones' calls with four kinds are late, 4% with the largest expected"
    " or where EDF sends at once"
)


def ratio(name: str) -> Callable[[Row], float]:
    """Of a strategy's utility to the best baseline's, in one flight."""
    return lambda row: row[name].qos / best(row, BASELINES, "qos")


def most_times(row: Row) -> float:
    """How many times the utility of the worst baseline that has any."""
    return row["DEMS-A"].qos / min(row[name].qos for name in BASELINES if row[name].qos > 0)


def summed(found: dict[str, Flights], name: str, networks: tuple[str, ...]) -> list[float]:
    """A strategy's utility over all flights of some networks, one value a seed."""
    each = [per_seed(found[network], lambda row: row[name].qos, sum) for network in networks]
    return [sum(values) for values in zip(*each, strict=True)]


def over(a: list[float], b: list[float]) -> list[float]:
    """Seed by seed, a over b."""
    return [x / y for x, y in zip(a, b, strict=True)]


def shares(seed: int) -> dict[str, float]:
    """Mean share of the exact best that each strategy reaches on small cases."""
    cloud, draw = Cloud(Link("instant", mbps=1e6)), random.Random(seed)
    found: dict[str, list[float]] = {name: [] for name in STRATEGIES}
    for _ in range(CASES):
        kinds = draw.choices(ACTIVE, k=TASKS)
        case = exact(kinds, [draw.uniform(0, SPAN_MS) for _ in kinds], cloud.link_ms)
        most = optimum(case)
        for name, strategy in STRATEGIES.items():
            found[name].append(worth(fly(case, strategy(), cloud).outcomes).qos / most)
    return {name: statistics.mean(values) for name, values in found.items()}


def on_steady(steady: Flights) -> list[Finding]:
    """What the paper says of a network that does not vary."""
    return [
        compared("the most completed in a flight", "up to 88% of the tasks", "share of the tasks", "at least 0.85",
                 per_seed(steady, lambda row: best(row, BASELINES, "completed"), max),
                 per_seed(steady, lambda row: row["DEMS-A"].completed, max), lambda _, ours: ours >= 0.85),
        compared("utility against the worst baseline", "up to 2.7 times", "times", "at least 2.7 in some flight",
                 ONES, per_seed(steady, most_times, max), lambda _, ours: ours >= 2.7),
        compared("utility against the best baseline in every flight", "higher than all baselines",
                 "times, least of the flights", "at least 1", ONES, per_seed(steady, ratio("DEMS-A"), min),
                 lambda _, ours: ours >= 1.0, LATE),
        compared("the same with the largest of the window expected", "not in the paper", "times, least of the flights",
                 "at least 1", ONES, per_seed(steady, ratio(LARGEST), min), lambda _, ours: ours >= 1.0),
    ]  # fmt: skip


def on_varying(found: dict[str, Flights]) -> list[Finding]:
    """What the paper says of adapting."""
    plain, adapting = summed(found, "DEMS", VARYING), summed(found, "DEMS-A", VARYING)
    everywhere = tuple(NETWORKS)
    least = [min(values) for values in zip(*(per_seed(found[n], ratio("DEMS-A"), min) for n in VARYING), strict=True)]
    return [
        compared("adapting, over the flights on networks that vary", "16% higher utility than without",
                 "times the utility of DEMS", "at least 1.16", ONES, over(adapting, plain),
                 lambda _, ours: ours >= 1.16),
        compared("while the network varies, against the best baseline in every flight", "higher than all baselines",
                 "times, least of the flights", "at least 1", ONES, least, lambda _, ours: ours >= 1.0, LATE_VARYING),
        compared("expecting the largest of the window, over all flights", "not in the paper",
                 "times the utility with the mean", "at least 1", ONES,
                 over(summed(found, LARGEST, everywhere), summed(found, "DEMS-A", everywhere)),
                 lambda _, ours: ours >= 1.0),
    ]  # fmt: skip


def of_optimum(reached: list[dict[str, float]]) -> Finding:
    """How near the best it comes."""
    return compared("share of the exact best of small cases", "not in the paper", "share of the utility",
                    "at least 0.85, and more than the best baseline",
                    [max(row[name] for name in BASELINES) for row in reached], [row["DEMS-A"] for row in reached],
                    lambda base, ours: ours >= 0.85 and ours > base)  # fmt: skip


def main() -> None:
    """Measure and record."""
    begin = time.monotonic()
    found = {}
    for network in NETWORKS:
        found[network] = flown(STRATEGIES, network)
        print(network, medians(found[network]), flush=True)
    reached = [shares(seed) for seed in SEEDS]
    wider = {f"{network}, sigma 0.15": medians(flown(OURS, network, cloud_sigma=0.15)) for network in NETWORKS}
    tables = {network: medians(flights) for network, flights in found.items()} | wider
    tables["share of the exact best"] = {
        name: round(statistics.median(row[name] for row in reached), 3) for name in STRATEGIES
    }
    record("dems_a", 188, [*on_steady(found["steady"]), *on_varying(found), of_optimum(reached)], OMITS, begin, tables)


if __name__ == "__main__":
    main()
