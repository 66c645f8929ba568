"""Where to cut: every cut of a chain, an integer program over all cuts of a graph."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from edgesmith.collaborate.links.link import Link, expected_rounds
from edgesmith.collaborate.plan.costs import FRAME_BYTES, Costs, Figures, Form, figures_of
from edgesmith.collaborate.plan.cuts import Cut, cut_at, is_chain, state_groups
from edgesmith.core.errors import Unsupported

Goal = Literal["latency", "energy", "bytes"]
Accept = Callable[[Cut, Form], bool]  # what only a look at the cut itself can tell: its accuracy, whether it links
MOST_ROUNDS = 300  # of the integer program; each leaves out one cut
TOLERANCE = 1e-7
EXACT = {"mip_rel_gap": 0.0}


@dataclass(frozen=True)
class Limits:
    """What a plan may take; None for no limit."""

    latency_ms: float | None = None
    energy_uj: float | None = None
    up_bytes: int | None = None
    flash_bytes: int | None = None

    def hold(self, figures: Figures) -> bool:
        """Whether all are met."""
        return not self.broken(figures)

    def broken(self, figures: Figures) -> dict[str, float]:
        """Each limit that is not met to how often the figure contains it."""
        pairs = {name: (getattr(figures, name), limit) for name, limit in vars(self).items() if limit is not None}
        return {name: value / limit for name, (value, limit) in pairs.items() if value > limit}


@dataclass(frozen=True)
class Found:
    """A cut with its costs.

    Attributes:
        proven: no other cut with this form is better.
    """

    cut: Cut
    form: Form
    figures: Figures
    proven: bool = True


def score(figures: Figures, goal: Goal) -> tuple[float, float]:
    """What is to be small: the goal, then latency."""
    first = {"latency": figures.latency_ms, "energy": figures.energy_uj, "bytes": float(figures.up_bytes)}[goal]
    return first, figures.latency_ms


def all_cuts(costs: Costs, form: Form, link: Link) -> Iterator[Found]:
    """Every cut along the program's order whose payload this form carries."""
    for cut in costs.cuts:
        if all(costs.carries(form, name) for name in cut.payload):
            yield Found(cut, form, figures_of(costs, cut, form, link))


def best_cut(
    costs: Costs, form: Form, link: Link, goal: Goal, limits: Limits, accept: Accept = lambda cut, form: True
) -> Found | None:
    """The best cut with one form of payload, of all that there are; None where no cut meets the limits.

    `accept` is asked for few cuts: best first, until one is accepted.

    Raises:
        Unsupported: no cut was accepted among the first few hundred.
    """
    along = sorted(all_cuts(costs, form, link), key=lambda found: score(found.figures, goal))
    best = next((f for f in along if limits.hold(f.figures) and accept(f.cut, form)), None)
    if is_chain(costs.graph):
        return best
    return _branching(Program(costs, form, link, goal, limits), best, {found.cut.head for found in along}, accept)


def _branching(program: "Program", best: Found | None, seen: set[tuple[int, ...]], accept: Accept) -> Found | None:
    """What beats the best cut along the program's order, if anything does.

    Best first by the integer program's bound, which is never above a cut's true cost.

    Args:
        seen: cuts that were looked at.
    """
    goal, limits, form = program.goal, program.limits, program.form
    for _ in range(MOST_ROUNDS):
        solved = program.solve(score(best.figures, goal)[0] if best else None)
        if solved is None:
            return best
        program.leave_out(solved)
        found = Found(solved, form, figures_of(program.costs, solved, form, program.link))
        better = best is None or score(found.figures, goal) < score(best.figures, goal)
        if solved.head not in seen and better and limits.hold(found.figures) and accept(solved, form):
            best = found
    if best is None:
        raise Unsupported(f"split: none of the {MOST_ROUNDS} best cuts was accepted; loosen a limit.")
    return Found(best.cut, best.form, best.figures, proven=False)


@dataclass
class Program:
    """The integer program: x of an op is 1 on the device, y of a tensor is 1 where it crosses, z where anything does.

    Its latency and energy are those of `figures_of` with packets taken as exact fractions and losses as if all were in
    one packet, so they are never above the true ones.
    """

    costs: Costs
    form: Form
    link: Link
    goal: Goal
    limits: Limits
    rows: list[tuple[dict[int, float], float]] = field(default_factory=list)  # coefficients, least sum

    def __post_init__(self) -> None:
        graph = self.costs.graph
        self.producer = graph.producer()
        self.tensors = [
            name
            for name in (*graph.inputs, *self.producer)
            if any(name in op.inputs for op in graph.ops) and self.costs.carries(self.form, name)
        ]
        self.y = {name: len(graph.ops) + index for index, name in enumerate(self.tensors)}
        self.z = len(graph.ops) + len(self.tensors)
        self._structure()
        for name, limit in vars(self.limits).items():
            if limit is not None:
                constant, row = self._figure(name)
                self.rows.append(({index: -value for index, value in row.items()}, constant - limit))

    def _structure(self) -> None:
        """Nothing flows back; what the tail reads crosses, or its form cannot carry it and it must not; states."""
        graph = self.costs.graph
        for reader, op in enumerate(graph.ops):
            for name in dict.fromkeys(op.inputs):
                maker = self.producer.get(name)
                if maker is None and name not in graph.inputs:
                    continue  # a constant or a state
                made = {} if maker is None else {maker: -1.0}  # y - x_maker + x_reader >= 0; inputs: y + x_reader >= 1
                crossing = {self.y[name]: 1.0} if name in self.y else {}
                self.rows.append(({**made, reader: 1.0, **crossing}, 0.0 if made else 1.0))
                if maker is not None:
                    self.rows.append(({maker: 1.0, reader: -1.0}, 0.0))
        self.rows += [({self.z: 1.0, y: -1.0}, 0.0) for y in self.y.values()]
        for group in state_groups(graph):
            for one, other in zip(group, group[1:], strict=False):
                self.rows += [({one: 1.0, other: -1.0}, 0.0), ({other: 1.0, one: -1.0}, 0.0)]

    def _figure(self, figure: str) -> tuple[float, dict[int, float]]:
        """A figure as a constant and coefficients."""
        costs, link = self.costs, self.link
        carrying = {self.y[name]: costs.carry_ms(name, self.form) for name in self.tensors}
        each = {self.y[name]: float(costs.tensor_bytes(name, self.form)) for name in self.tensors}
        sent = {**each, self.z: float(FRAME_BYTES)}
        if figure in ("up_bytes", "bytes"):
            return 0.0, sent
        if figure == "flash_bytes":
            return 0.0, {index: float(size) for index, size in enumerate(costs.constant_bytes)}
        on_air = 8e-3 / link.mean_mbps() / (1 - link.loss) * (1 + link.header_bytes / link.payload_bytes)
        if figure == "energy_uj":
            row = {index: ms * costs.device_mw for index, ms in enumerate(costs.device_ms)}
            for index, size in sent.items():
                row[index] = size * on_air * link.tx_mw + carrying.get(index, (0.0, 0.0))[0] * costs.device_mw
            row[self.z] += link.radio_uj(costs.answer_bytes, down=True)
            return 0.0, row
        pairs = zip(costs.device_ms, costs.server_ms, strict=True)
        row = {index: device - server for index, (device, server) in enumerate(pairs)}
        row |= {index: size * on_air + sum(carrying.get(index, ())) for index, size in sent.items()}
        once = link.delay_ms + link.jitter_ms + (expected_rounds(1, link.loss) - 1) * link.round_trip_ms
        row[self.z] += once + link.expected_ms(costs.answer_bytes, down=True)
        return sum(costs.server_ms), row

    def leave_out(self, cut: Cut) -> None:
        """Another cut than this one."""
        inside = set(cut.head)
        row = {index: -1.0 if index in inside else 1.0 for index in range(len(self.costs.graph.ops))}
        self.rows.append((row, 1.0 - len(inside)))

    def solve(self, below: float | None = None) -> Cut | None:
        """The cut with the least bound of the goal; None where nothing is left, or nothing below a score."""
        ops, count = len(self.costs.graph.ops), self.z + 1
        constant, objective = self._figure({"latency": "latency_ms", "energy": "energy_uj"}.get(self.goal, self.goal))
        rows = list(self.rows)
        if below is not None:
            rows.append(({index: -value for index, value in objective.items()}, constant - below + TOLERANCE))
        weights = np.zeros(count)
        weights[list(objective)] = list(objective.values())
        least = LinearConstraint(_matrix(rows, count), lb=np.array([low for _, low in rows]))
        whole = np.zeros(count)
        solved = milp(weights, constraints=least, integrality=whole, bounds=Bounds(0, 1))
        if solved.x is not None and not _is_whole(solved.x[:ops]):
            # Without limits the relaxation is a minimum cut, whose corners are whole; a limit may spoil that.
            whole[:ops] = 1
            solved = milp(weights, constraints=least, integrality=whole, bounds=Bounds(0, 1), options=EXACT)
        if solved.x is None:
            return None
        return cut_at(self.costs.graph, np.flatnonzero(solved.x[:ops] > 0.5).tolist())

    def bound(self, cut: Cut) -> float:
        """The goal as the program counts it: never above the cut's true score."""
        constant, row = self._figure({"latency": "latency_ms", "energy": "energy_uj"}.get(self.goal, self.goal))
        values = dict.fromkeys(cut.head, 1.0) | {self.y[name]: 1.0 for name in cut.payload}
        values |= {self.z: 1.0} if cut.payload else {}
        return constant + sum(value * values.get(index, 0.0) for index, value in row.items())


def _matrix(rows: list[tuple[dict[int, float], float]], columns: int) -> csr_array:
    values = [value for row, _ in rows for value in row.values()]
    places = [(index, column) for index, (row, _) in enumerate(rows) for column in row]
    return csr_array((values, tuple(zip(*places, strict=True))), shape=(len(rows), columns))


def _is_whole(values: np.ndarray) -> bool:
    return bool((np.abs(values - np.rint(values)) < TOLERANCE).all())
