"""When nothing fits: which limit breaks, by how much, which layers cause it, and the cheapest change that would fit."""

import contextlib
from collections.abc import Sequence
from typing import Any

from torch import nn

from edgesmith.compress.prune.greedy import MIN_CHANNELS, Pressure, prune_to_fit
from edgesmith.compress.prune.l1_norm import l1_importance
from edgesmith.core.budget import Budget
from edgesmith.core.errors import DoesNotFit
from edgesmith.core.task import Task
from edgesmith.fit.predict import LIMITS, Prediction, Predictor

OPTIONS = {
    "flash_bytes": "--max-flash",
    "ram_bytes": "--max-ram",
    "latency_ms": "--max-latency",
    "energy_uj": "--max-energy",
    "accuracy": "--min-accuracy",
}


def quantity(limit: str, value: float) -> str:
    """A figure as a user writes it.

    >>> quantity("flash_bytes", 65536), quantity("ram_bytes", 1700)
    ('64KB', '1.7KB')
    """
    if limit.endswith("bytes"):
        return f"{round(value / 1024, 1):g}KB"
    if limit == "accuracy":
        return f"{value:.2%}"
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
    predictor: Predictor, module: nn.Module, task: Task, results: Sequence[dict[str, Any]]
) -> tuple[str, list[str]]:
    """One sentence that says what breaks, and advice: the cheapest change first."""
    budget = predictor.budget
    floor = smallest(predictor, module, task)
    broken = {limit: ratio for limit, ratio in floor.ratios(budget).items() if ratio > 1}
    if broken:
        return _too_small(broken, floor, budget)
    return _too_inaccurate(results, budget)


def _too_small(broken: dict[str, float], floor: Prediction, budget: Budget) -> tuple[str, list[str]]:
    limit, ratio = max(broken.items(), key=lambda item: item[1])
    figure = LIMITS[limit]
    found, wanted = getattr(floor, figure).value, getattr(budget, limit)
    message = (
        f"even with every layer at {MIN_CHANNELS} channels and int8 weights, {figure} is {quantity(limit, found)}, "
        f"{ratio:.1f}x the limit of {quantity(limit, wanted)}"
    )
    relaxed = " ".join(f"{OPTIONS[key]} {quantity(key, 1.02 * getattr(floor, LIMITS[key]).value)}" for key in broken)
    advice = [f"relax {relaxed}: the smallest net of this shape would then fit, its accuracy unknown"]
    advice += [f"make {op} smaller: it holds much of the {figure}" for op in heaviest(floor, limit)]
    return message, advice


def heaviest(prediction: Prediction, limit: str, count: int = 2) -> list[str]:
    """The layers that weigh most on a limit."""

    def weight(op: Any) -> float:
        return {"flash_bytes": op.constant_bytes, "ram_bytes": op.peak_bytes}.get(limit, op.cycles)

    ops = sorted((op for op in prediction.ops if weight(op) > 0), key=weight, reverse=True)[:count]
    return [f"{op.layer} ({op.kind})" for op in ops]


def _too_inaccurate(results: Sequence[dict[str, Any]], budget: Budget) -> tuple[str, list[str]]:
    """Candidates fit the board but none is accurate enough."""
    done = [r for r in results if r["state"] == "done"]
    fitting = [r for r in done if max(r["ratios"].values(), default=0) <= 1]
    if not fitting:
        return "no candidate was finished in the time given", ["give more time with --time"]
    best = max(fitting, key=lambda r: r["validation"])
    advice = [f"relax {OPTIONS['accuracy']} to {quantity('accuracy', best['validation'])}: {best['words']} reaches it"]
    larger = [r for r in done if r not in fitting and r["validation"] >= (budget.accuracy or 0)]
    if larger:
        result = min(larger, key=lambda r: max(r["ratios"].values()))
        over = {key: ratio for key, ratio in result["ratios"].items() if ratio > 1}
        changes = " ".join(
            f"{OPTIONS[k]} {quantity(k, 1.02 * ratio * getattr(budget, k))}" for k, ratio in over.items()
        )
        advice.append(f"relax {changes}: {result['words']} then fits at {quantity('accuracy', result['validation'])}")
    advice.append("give more time with --time, or more epochs with --epochs")
    message = (
        f"the most accurate net within the limits reaches {quantity('accuracy', best['validation'])}, "
        f"below {quantity('accuracy', budget.accuracy or 0)}"
    )
    return message, advice
