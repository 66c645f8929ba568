"""Classical models on several cores: each op's independent parts are shared out statically, then joined.

The paper runs such kernels on clusters of eight cores. Here the cores are simulated: what an op executes on one core is
counted, divided by its parts and dealt out; forks, barriers and the joining of partial results are added.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.graph import Graph, Op
from edgesmith.core.ops import attrs_of

EXPERIMENT = "benchmarks/claims/compile/non_neural.py"
BARRIER = 40.0  # assumed instructions of a fork and a barrier, for each op: event hardware takes about as many cycles
JOIN = 5.0  # assumed instructions to add one partial result: two loads, an add, a store, a step

Schedule = Callable[[Graph, Sequence[float]], "Shared"]


@dataclass(frozen=True)
class Shared:
    """A program on several cores.

    Attributes:
        alone: instructions on one core.
        together: on the busiest core, forks, barriers and joins included.
    """

    alone: float
    together: float

    @property
    def speedup(self) -> float:
        """How many times shorter the longest path is."""
        return self.alone / self.together


@method(
    Card(
        name="non_neural",
        does="compiles forests, boosting, SVMs, kNN, Gaussians and linear models, in float and fixed point, and "
        "simulates them on several cores",
        source=Source("Tabanelli et al.", 2023, "arXiv:2107.09448"),
        claims=(
            Claim(
                "trees decide as scikit-learn's and XGBoost's do, on thresholds too",
                test="test_a_row_on_a_threshold_goes_where_the_model_sends_it",
            ),
            Claim(
                "fixed point decides as the float model but for one row in fifty",
                test="test_fixed_point_predicts_nearly_the_same",
            ),
            Claim("an FPU saves most of the instructions of emulated floats", experiment=EXPERIMENT),
            Claim("without an FPU, fixed point saves most of them too, at the same accuracy", experiment=EXPERIMENT),
            Claim("eight cores run the kernels about seven times faster (simulated)", experiment=EXPERIMENT),
        ),
        omits=(
            "the paper's division of each kernel among cores: only its abstract could be read, the division is ours",
            "RISC-V clusters (GAP8, PULP-OPEN): cores, their memory and its conflicts are simulated by counts alone",
            "the optimized float emulation library (1.61 times): fixed point stands in its place",
            "energy; training",
        ),
    )
)
def non_neural(cores: int = 8) -> Schedule:
    """Share out a program whose ops execute so many instructions, one figure an op."""

    def schedule(graph: Graph, instructions: Sequence[float]) -> Shared:
        pairs = list(zip(graph.ops, instructions, strict=True))
        together = sum(longest(graph, op, count, cores) for op, count in pairs)
        return Shared(sum(instructions), together)

    return schedule


def longest(graph: Graph, op: Op, instructions: float, cores: int) -> float:
    """Instructions on the busiest core for one op; no more than on one core alone."""
    if cores == 1 or instructions == 0:
        return instructions
    parts, joined = divided(graph, op, cores)
    whole = sum(parts)
    busiest = max(dealt(parts, cores)) / whole if whole else 1.0
    barriers = BARRIER * (2 if joined else 1)
    return min(instructions, busiest * instructions + barriers + JOIN * joined)


def divided(graph: Graph, op: Op, cores: int) -> tuple[list[float], float]:
    """The independent parts of an op, by their share of its work, and partial results that one core joins afterwards.

    Joining is shared out too: each core adds up its share of the outputs.
    """
    inputs, results = graph.types(op.inputs), graph.types(op.outputs)
    outputs = results[0].size
    if op.kind.startswith("tree_ensemble"):  # trees are shared out, each core has its own sums
        trees = inputs[3].shape[0]
        return [1.0] * trees, (min(cores, trees) - 1) * math.ceil(outputs / cores)
    if op.kind == "neighbours":  # distances are shared out; the k nearest of each core are merged two by two
        return [1.0] * inputs[0].size, math.ceil(math.log2(cores)) * 2 * float(str(attrs_of(op)["k"]))
    if op.kind.startswith("svm_pairs"):
        sizes = [b - a for a, b in _between(graph.constants[op.inputs[2]].tolist())]
        return [float(sizes[i] + sizes[j]) for i in range(len(sizes)) for j in range(i + 1, len(sizes))], 0
    if op.kind in ("pair_votes", "opposites", "reshape"):
        return [1.0], 0
    rows, within = [1.0] * outputs, inputs[0].shape[-1]
    if op.kind in ("linear", "linear_s16", "gaussian_scores", "gaussian_scores_s16") and outputs % cores:
        # Rows that do not deal out evenly are cut across: a share of the columns each, then joined.
        columns = [1.0] * within
        if max(dealt(columns, cores)) / within < max(dealt(rows, cores)) / outputs:
            return columns, (min(cores, within) - 1) * math.ceil(outputs / cores)
    return rows, 0


def _between(starts: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(starts[:-1], starts[1:], strict=True))


def dealt(parts: Sequence[float], cores: int) -> list[float]:
    """Work of each core: the longest part first, each to the core with least.

    >>> dealt([3.0, 3.0, 2.0, 2.0, 2.0], 2)
    [7.0, 5.0]
    """
    if len(set(parts)) <= 1:
        each = parts[0] if parts else 0.0
        return [each * (len(parts) // cores + (core < len(parts) % cores)) for core in range(cores)]
    loads = [0.0] * cores
    for part in sorted(parts, reverse=True):
        loads[loads.index(min(loads))] += part
    return loads
