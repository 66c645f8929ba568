"""Mixed precision: bits for every tensor by an integer program, least harm within limits on what they cost."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import nn

from edgesmith.compress.quantize.adaround import adaround
from edgesmith.compress.quantize.allocation import Allocation, Choice, allocate
from edgesmith.compress.quantize.calibrators import CALIBRATORS, Calibration
from edgesmith.compress.quantize.gptq import gptq
from edgesmith.compress.quantize.lsq import TUNE, lsq
from edgesmith.compress.quantize.placement import INT8, Widths, check_bits
from edgesmith.compress.quantize.preparation import float_graph
from edgesmith.compress.quantize.ptq import Transform, quantized
from edgesmith.compress.quantize.sensitivity import WIDTHS, Measure, Sensitivity, Spot, sensitivities, spots
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Graph
from edgesmith.core.task import Task
from edgesmith.lower import lift
from edgesmith.training.loop import Run
from edgesmith.training.recipe import Recipe

Costs = Callable[[Graph, Spot, int], Mapping[str, float]]  # a tensor at so many bits to what it costs, by name


@dataclass(frozen=True)
class Mix:
    """Bits for every tensor.

    Attributes:
        widths: as ptq and LSQ take them.
        rows: what the choice rests on.
        allocation: the solver's answer.
    """

    widths: Widths
    rows: tuple[Sensitivity, ...]
    allocation: Allocation


@dataclass(frozen=True)
class Asked:
    """How harm is measured, and what may be chosen.

    Attributes:
        measure: of harm.
        kinds: of tensors that are chosen.
        widths: to choose from.
        others: bits of what is not chosen.
        keep: where the measuring is kept, so that the same call goes on after a kill.
        seed: of the Hessian's random vectors.
    """

    measure: Measure = "kl"
    kinds: tuple[str, ...] = ("weight",)
    widths: tuple[int, ...] = WIDTHS
    others: Widths = INT8
    keep: Path | None = None
    seed: int = 0


USUAL = Asked()


@method(
    Card(
        name="mixed",
        does="bits of every tensor by an integer program over measured harm and cost, then any rounding at these",
        source=Source("Yao et al.", 2021, "arXiv:2011.10680"),
        claims=(
            Claim("the choice is the best one there is", test="test_the_solver_equals_brute_force"),
            Claim("traces of a quadratic's Hessian are exact", test="test_the_trace_of_a_quadratic_is_exact"),
            Claim(
                "mixed bits keep more accuracy than uniform ones of the same bytes",
                experiment="benchmarks/claims/compress/mixed.py",
            ),
        ),
        omits=(
            "dyadic scales: requantization here has its own integer form (docs/numbers.md)",
            "latency tables measured on a GPU: the target's predicted cycles take their place",
            "cross terms between layers: harms are added up, as in the paper",
        ),
    )
)
def mixed(
    weights: int = 4,
    activations: int = 8,
    measure: Measure = "kl",
    tuned: Literal["ptq", "gptq", "adaround", "lsq"] = "ptq",
    recipe: Recipe = TUNE,
    limits: Mapping[str, float] | None = None,
    cost: Costs | None = None,
    seed: int = 0,
    run: Run | None = None,
) -> Transform:
    """Choose bits, quantize a copy of the module at these; no layer is exempt, the measure speaks for itself.

    Args:
        weights: without limits: the weights take no more bytes than all at so many bits.
        activations: bits of all of them; the weights' are chosen.
        measure: of harm; "hessian" is the paper's and needs second derivatives of every op, "kl" needs none.
        tuned: how the weights get their integers: to the nearest, by GPTQ or AdaRound, or trained on by LSQ.
        recipe: of the fine-tuning.
        limits: on the sums of `cost`, by name; in place of `weights`.
        cost: of a tensor at so many bits; `packed_bytes` by default.

    Raises:
        BadInput: other bits, an unknown measure or method.
        DoesNotFit: no widths hold the limits.
    """
    check_bits("mixed", weights, activations)
    if tuned not in ("ptq", "gptq", "adaround", "lsq"):
        raise BadInput(f"mixed: tuned is {tuned!r}; need ptq, gptq, adaround or lsq.")

    def transform(module: nn.Module, task: Task) -> nn.Module:
        graph = float_graph(module, task)
        wanted = limits if limits is not None else {"bytes": uniform_bytes(graph, task, weights)}
        asked = Asked(measure, others=Widths(8, activations), seed=seed)
        mix = choose(graph, task, wanted, cost or packed_bytes, asked)
        own = mix.widths.own
        if tuned == "ptq":
            return lift(at_widths(graph, task, mix.widths))
        if tuned == "gptq":
            return gptq(8, activations, run=run, own=own)(module, task)
        if tuned == "adaround":
            return adaround(8, activations, seed=seed, run=run, own=own)(module, task)
        return lsq(8, activations, recipe, seed=seed, run=run, own=own)(module, task)

    return transform


def choose(graph: Graph, task: Task, limits: Mapping[str, float], cost: Costs, asked: Asked = USUAL) -> Mix:
    """Bits for every tensor that may be chosen, within limits on the sums of its costs.

    Args:
        graph: float, on raw inputs.

    Raises:
        DoesNotFit: no widths hold the limits.
    """
    ranges: Calibration = "mse" if "activation" in asked.kinds else "minmax"  # of weights neither changes a thing
    places, _ = spots(graph, task.calibration.inputs, asked.widths, ranges)
    free = tuple(spot for spot in places if spot.kind in asked.kinds)
    rows = sensitivities(graph, task, free, asked.widths, (asked.measure,), asked.keep, asked.seed)
    return solved(graph, free, rows, limits, cost, asked)


def solved(
    graph: Graph,
    places: Sequence[Spot],
    rows: Sequence[Sensitivity],
    limits: Mapping[str, float],
    cost: Costs,
    asked: Asked = USUAL,
) -> Mix:
    """Bits by what was measured.

    Args:
        places: the tensors to choose for.
        rows: their sensitivities at every width.
    """
    harm = {(row.tensor, row.bits): row.of(asked.measure) for row in rows}
    groups = {
        spot.name: [Choice(bits, harm[spot.name, bits], cost(graph, spot, bits)) for bits in asked.widths]
        for spot in places
    }
    found = allocate(groups, limits)
    own = {name: int(choice.what) for name, choice in found.chosen.items()}  # type: ignore[call-overload]
    others = asked.others
    return Mix(Widths(others.weights, others.activations, {**others.own, **own}), tuple(rows), found)


def packed_bytes(graph: Graph, spot: Spot, bits: int) -> dict[str, float]:
    """Bytes of a weight's integers packed; activations take none in flash."""
    return {"bytes": -(-spot.size * bits // 8) if spot.kind == "weight" else 0}


def uniform_bytes(graph: Graph, task: Task, bits: int) -> float:
    """Bytes of all weights at so many bits."""
    places, _ = spots(graph, task.calibration.inputs[:1], (8,), "minmax")
    return sum(packed_bytes(graph, spot, bits)["bytes"] for spot in places)


def at_widths(graph: Graph, task: Task, widths: Widths) -> Graph:
    """The graph with formats of these widths from the calibration split, as ptq gives them."""
    return quantized(graph, task.calibration.inputs, CALIBRATORS["mse"], widths=widths)
