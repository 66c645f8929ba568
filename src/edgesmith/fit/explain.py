"""When nothing fits: which limit breaks, by how much, which layers cause it, and the cheapest change that would fit."""

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from edgesmith.compress.prune.greedy import MIN_CHANNELS, Pressure, prune_to_fit
from edgesmith.compress.prune.l1_norm import l1_importance
from edgesmith.core.budget import LIMITS, Budget
from edgesmith.core.errors import DoesNotFit
from edgesmith.core.target import Target
from edgesmith.core.task import Metric, Task
from edgesmith.fit.predict import Prediction, Predictor

OPTIONS = {
    "flash_bytes": "--max-flash",
    "ram_bytes": "--max-ram",
    "latency_ms": "--max-latency",
    "energy_uj": "--max-energy",
    "accuracy": "--min-accuracy",
}
ROOM = 1.02  # that an advised limit leaves: predictions of flash are within 2%
REDISTRIBUTE = (
    "give the net smaller kernels and fewer blocks where the picture is large, and more blocks after: its first layers "
    "then run in patches at little extra work, as those of mobilenet-v2-0.35-96-rd in the zoo"
)
MORE = "give more time with --time, or more epochs with --epochs"


@dataclass(frozen=True)
class Miss:
    """A candidate that was predicted to fit and does not.

    Attributes:
        ratios: each limit to the figure as linked over it.
    """

    words: str
    ratios: Mapping[str, float]


def quantity(limit: str, value: float) -> str:
    """A figure as a user writes it.

    >>> quantity("flash_bytes", 65536), quantity("ram_bytes", 1700)
    ('64KB', '1.7KB')
    """
    if limit.endswith("bytes"):
        return f"{round(value / 1024, 1):g}KB"
    return f"{value:.3g}{'ms' if limit == 'latency_ms' else 'uJ'}"


def smallest(predictor: Predictor, module: nn.Module, task: Task) -> Prediction:
    """Predicted cost of the int8 net pruned as far as it goes."""
    shaped = [module]

    def cost(candidate: nn.Module) -> Pressure:
        shaped[0] = candidate
        return predictor.pressure(candidate, "int8")

    with contextlib.suppress(DoesNotFit):  # it ends when every set is at its smallest
        prune_to_fit(l1_importance, cost, until=1e-9)(module, task)
    return predictor.predict(shaped[0], "int8")


def why_nothing_fits(
    predictor: Predictor, module: nn.Module, task: Task, results: Sequence[dict[str, Any]], over: Sequence[Miss]
) -> tuple[str, list[str]]:
    """One sentence that says what breaks, and advice: the cheapest change first.

    Args:
        over: candidates that were predicted to fit and, as linked, do not.
    """
    budget = predictor.budget
    floor = smallest(predictor, module, task)
    broken = {limit: ratio for limit, ratio in floor.ratios(budget).items() if ratio > 1}
    if broken:
        return _too_small(broken, floor, budget, predictor.target)
    if over:
        return _mispredicted(min(over, key=lambda miss: max(miss.ratios.values())), budget, predictor.target)
    done = [r for r in results if r["state"] == "done"]
    fitting = [r for r in done if max(r["ratios"].values(), default=0) <= 1]
    if fitting and budget.accuracy is not None:
        return _too_inaccurate(predictor, done, fitting, task.metric)
    return _unfinished(predictor, results, done)


def _too_small(broken: dict[str, float], floor: Prediction, budget: Budget, target: Target) -> tuple[str, list[str]]:
    limit, ratio = max(broken.items(), key=lambda item: item[1])
    name = LIMITS[limit]
    found, wanted = getattr(floor, name).value, getattr(budget, limit)
    message = (
        f"even with every layer at {MIN_CHANNELS} channels and int8 weights, {name} is {quantity(limit, found)}, "
        f"{ratio:.1f}x the limit of {quantity(limit, wanted)}"
    )
    advice = [f"{relax(broken, budget, target)}: the smallest net of this shape would then fit, its accuracy unknown"]
    code = found - sum(op.constant_bytes for op in floor.ops)
    if limit == "flash_bytes" and code > found / 2:
        advice.append(f"{quantity(limit, code)} of it is code, not weights: a net of fewer kinds of op needs less")
    advice += [f"make {op} smaller: it holds much of the {name}" for op in heaviest(floor, limit)]
    if limit == "ram_bytes":
        advice.append(REDISTRIBUTE)
    return message, advice


def heaviest(prediction: Prediction, limit: str, count: int = 2) -> list[str]:
    """The layers that weigh most on a limit, and at least a tenth of the whole figure."""

    def weight(op: Any) -> float:
        return {"flash_bytes": op.constant_bytes, "ram_bytes": op.peak_bytes}.get(limit, op.cycles)

    whole = {"flash_bytes": prediction.flash.value, "ram_bytes": prediction.ram.value}
    least = 0.1 * whole.get(limit, sum(op.cycles for op in prediction.ops))
    ops = sorted((op for op in prediction.ops if weight(op) > least), key=weight, reverse=True)[:count]
    return [f"{op.layer} ({op.kind})" for op in ops]


def _mispredicted(miss: Miss, budget: Budget, target: Target) -> tuple[str, list[str]]:
    """A candidate was predicted to fit, but its figures as linked and run are above a limit."""
    limit, ratio = max(miss.ratios.items(), key=lambda item: item[1])
    found, wanted = quantity(limit, ratio * getattr(budget, limit)), quantity(limit, getattr(budget, limit))
    message = f"{miss.words} was predicted to fit, but as linked its {LIMITS[limit]} is {found}, above {wanted}"
    return message, [f"{relax(miss.ratios, budget, target)}: it then fits", MORE]


def _too_inaccurate(
    predictor: Predictor, done: Sequence[dict[str, Any]], fitting: Sequence[dict[str, Any]], metric: Metric
) -> tuple[str, list[str]]:
    """Candidates fit the board but none is accurate enough."""
    wanted = predictor.budget.accuracy or 0.0
    choose = max if metric.direction == "max" else min
    best = choose(fitting, key=lambda r: r["validation"])
    reached, limit = figure(best["validation"], metric), figure(wanted, metric)
    advice = [f"relax {OPTIONS['accuracy']} to {reached}: {best['words']} reaches it"]
    larger = [r for r in done if r not in fitting and metric.meets(r["validation"], wanted)]
    if larger:
        result = min(larger, key=lambda r: max(r["ratios"].values()))
        reaches = figure(result["validation"], metric)
        change = relax(result["ratios"], predictor.budget, predictor.target)
        advice.append(f"{change}: {result['words']} then fits at {reaches}")
    side = "below" if metric.direction == "max" else "above"
    return f"the most accurate net within the limits reaches {reached}, {side} {limit}", [*advice, MORE]


def _unfinished(
    predictor: Predictor, results: Sequence[dict[str, Any]], done: Sequence[dict[str, Any]]
) -> tuple[str, list[str]]:
    """No candidate within the limits came to its end."""
    failed = [r for r in results if r["state"] == "failed"]
    message = "no candidate within the limits was finished in the time and trials given"
    if failed:
        message += f"; {len(failed)} failed, the last with: {failed[-1]['why']}"
    over = [r for r in done if r["ratios"]]
    advice = []
    if over:
        result = min(over, key=lambda r: max(r["ratios"].values()))
        change = relax(result["ratios"], predictor.budget, predictor.target)
        advice.append(f"{change}: {result['words']} then fits")
    return message, ["give more time with --time, or more candidates with --trials", *advice]


def relax(ratios: Mapping[str, float], budget: Budget, target: Target) -> str:
    """The change that lifts every broken limit a fiftieth above what was found.

    A board's own memory is no option: beyond it another board is needed.
    """
    options, boards = [], []
    for limit, ratio in ratios.items():
        if ratio <= 1:
            continue
        needed = ROOM * ratio * getattr(budget, limit)
        if not target.hosted and needed > getattr(target, limit, math.inf):
            boards.append(f"{quantity(limit, needed)} of {LIMITS[limit]}")
        else:
            options.append(f"{OPTIONS[limit]} {quantity(limit, needed)}")
    changes = ["relax " + " ".join(options)] if options else []
    return " and ".join([*changes, *(["take a board with " + " and ".join(boards)] if boards else [])])


def figure(value: float, metric: Metric) -> str:
    """A value of the task's metric, rounded to the worse side so that what is advised is reached.

    >>> from edgesmith.core.task import ACCURACY
    >>> figure(0.98998, ACCURACY), figure(0.98998, Metric("mean squared error", "min", ACCURACY.compute))
    ('98.99%', '0.99')
    """
    if metric.unit == "fraction":
        return f"{math.floor(value * 10_000 + 1e-6) / 100:.2f}%"
    worse = math.floor if metric.direction == "max" else math.ceil
    scale = 10.0 ** (3 - math.floor(math.log10(abs(value)))) if value else 1.0
    return f"{worse(value * scale) / scale:.4g}"
