"""Which choice for which tensor: the least loss in all within limits on what the choices cost, exactly."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from edgesmith.core.errors import BadInput, DoesNotFit, EdgesmithError

SLACK = 1e-9  # of a limit, relative: what sums of floats may be off by
DIGITS = 12  # bits before the point that a limit is brought to


@dataclass(frozen=True)
class Choice:
    """One way to store a tensor.

    Attributes:
        what: the way itself, such as 4 (bits).
        loss: what it does to the net; any unit, the same for all, and it adds up.
        costs: by name, such as "bytes" or "cycles"; each adds up over the groups.
    """

    what: Hashable
    loss: float
    costs: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Allocation:
    """What was chosen.

    Attributes:
        chosen: a group's name to its choice.
        loss: in all.
        costs: in all, by name.
    """

    chosen: Mapping[str, Choice]
    loss: float
    costs: Mapping[str, float]


def allocate(groups: Mapping[str, Sequence[Choice]], limits: Mapping[str, float]) -> Allocation:
    """Take one choice of every group so that the losses' sum is least and no cost's sum is above its limit.

    The optimum is exact, an integer program's (arXiv:2011.10680, section 3.4). Of choices in a group that cost alike
    and lose alike the first is taken; equal input gives equal output.

    Args:
        groups: by name: tensors' widths, KV caches' formats, experts' sizes; whatever adds up.
        limits: by the costs' names; a cost without a limit is only counted.

    Raises:
        BadInput: a group without a choice, a figure that is not finite, a cost that a choice does not name.
        DoesNotFit: no choice of choices holds the limits; the message says which break and what would fit.
    """
    _check(groups, limits)
    names = [(group, choice) for group, choices in groups.items() for choice in undominated(choices, tuple(limits))]
    if not names:
        return Allocation({}, 0.0, dict.fromkeys(limits, 0.0))
    losses = np.array([choice.loss for _, choice in names])
    scale = float(np.abs(losses).max()) or 1.0
    member, costs = _member(names, groups), _costs(names, limits)
    found = _solve(losses / scale, member, costs)
    if found is None:
        raise DoesNotFit(_what_would_fit(names, groups, limits))
    chosen = {names[i][0]: names[i][1] for i in np.flatnonzero(found > 0.5)}
    return summed({group: chosen[group] for group in groups})


def summed(chosen: Mapping[str, Choice]) -> Allocation:
    """Loss and costs of choices."""
    costs: dict[str, float] = {}
    for choice in chosen.values():
        for name, cost in choice.costs.items():
            costs[name] = costs.get(name, 0.0) + cost
    return Allocation(chosen, sum(choice.loss for choice in chosen.values()), costs)


def undominated(choices: Sequence[Choice], costs: Sequence[str]) -> list[Choice]:
    """Choices that no other equals or beats in loss and in every cost; of equals the first."""
    figures = np.array([[choice.loss, *(choice.costs[name] for name in costs)] for choice in choices])
    kept = []
    for index, own in enumerate(figures):
        beaten = (figures <= own).all(1)
        same = (figures == own).all(1)
        beaten[index:] &= ~same[index:]  # equals that come later do not beat it
        if not beaten.any():
            kept.append(choices[index])
    return kept


def _check(groups: Mapping[str, Sequence[Choice]], limits: Mapping[str, float]) -> None:
    for name, limit in limits.items():
        if not np.isfinite(limit):
            raise BadInput(f"allocate: the limit on {name} is {limit}; need a finite number, or no limit.")
    for group, choices in groups.items():
        if not choices:
            raise BadInput(f"allocate: {group} has no choice; need one or more.")
        for choice in choices:
            if missing := [name for name in limits if name not in choice.costs]:
                raise BadInput(f"allocate: {group} at {choice.what!r} names no {missing[0]}; need a figure.")
            if not np.isfinite([choice.loss, *(choice.costs[name] for name in limits)]).all():
                raise BadInput(
                    f"allocate: {group} at {choice.what!r} has a figure that is not finite; need finite ones."
                )


def _member(names: Sequence[tuple[str, Choice]], groups: Mapping[str, Sequence[Choice]]) -> np.ndarray:
    """(groups, choices): 1 where the choice is of the group."""
    row = {group: index for index, group in enumerate(groups)}
    member = np.zeros((len(groups), len(names)))
    for column, (group, _) in enumerate(names):
        member[row[group], column] = 1
    return member


def _costs(names: Sequence[tuple[str, Choice]], limits: Mapping[str, float]) -> np.ndarray:
    """(limits, choices + 1): costs, and last the limit, over a power of two that brings the limit to some thousands.

    The solver's tolerance of 1e-6 is absolute: far below the steps of such figures, and whole numbers stay exact.
    """
    rows = []
    for name, limit in limits.items():
        size = 2.0 ** (np.floor(np.log2(abs(limit))) - DIGITS) if limit else 1.0
        rows.append([*(choice.costs[name] / size for _, choice in names), limit / size])
    return np.array(rows).reshape(len(limits), len(names) + 1)


def _solve(losses: np.ndarray, member: np.ndarray, costs: np.ndarray) -> np.ndarray | None:
    """(choices,): 1 where chosen; None when nothing holds the limits."""
    constraints = [LinearConstraint(member, 1, 1)]
    if len(costs):
        constraints.append(LinearConstraint(costs[:, :-1], -np.inf, costs[:, -1] + SLACK * np.abs(costs[:, -1])))
    options = {"mip_rel_gap": 0.0}
    result = milp(
        losses, constraints=constraints, integrality=np.ones(len(losses)), bounds=Bounds(0, 1), options=options
    )
    if result.status == 2:  # infeasible
        return None
    if result.x is None:
        raise EdgesmithError(f"allocate: the solver gave up ({result.message}). Give fewer choices or wider limits.")
    return np.asarray(result.x)


def _what_would_fit(
    names: Sequence[tuple[str, Choice]], groups: Mapping[str, Sequence[Choice]], limits: Mapping[str, float]
) -> str:
    """Each limit that breaks by itself with the least that it could be; else by how much all must grow together."""
    least = {name: sum(min(c.costs[name] for c in choices) for choices in groups.values()) for name in limits}
    broken = [name for name, found in least.items() if found > limits[name] + SLACK * abs(limits[name])]
    if broken:
        said = ", ".join(
            f"{name} is at least {least[name]:,.6g}, above the limit of {limits[name]:,.6g}" for name in broken
        )
        wanted = ", ".join(f"{name} {least[name]:,.6g}" for name in broken)
        return f"allocate: {said}. What would fit by itself: a limit of {wanted}."
    factor = _least_growth(names, groups, limits)
    each = ", ".join(f"{name} {factor * limit:,.6g}" for name, limit in limits.items())
    return (
        f"allocate: every limit holds by itself, not all together. What would fit: {each}, {factor:.3g} times as much."
    )


def _least_growth(
    names: Sequence[tuple[str, Choice]], groups: Mapping[str, Sequence[Choice]], limits: Mapping[str, float]
) -> float:
    """The least factor that all limits must grow by: one more variable, whose value is the objective."""
    member, costs = _member(names, groups), _costs(names, limits)
    width = len(names)
    last = -costs[:, -1:]  # cost - factor * limit <= 0
    constraints = [
        LinearConstraint(np.hstack([member, np.zeros((len(member), 1))]), 1, 1),
        LinearConstraint(np.hstack([costs[:, :-1], last]), -np.inf, 0),
    ]
    kinds, objective = np.append(np.ones(width), 0), np.append(np.zeros(width), 1.0)
    bounds = Bounds(0, np.append(np.ones(width), np.inf))
    result = milp(objective, constraints=constraints, integrality=kinds, bounds=bounds)
    return float(result.fun) * (1 + SLACK) if result.x is not None else float("inf")
