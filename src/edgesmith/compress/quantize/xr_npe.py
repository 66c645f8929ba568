"""XR-NPE's formats: FP4 and posits of 4, 8 and 16 bits, one for the whole net or one for each layer."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from edgesmith.compress.quantize.allocation import Choice, allocate
from edgesmith.compress.quantize.kinds import KINDS, Kind, with_kinds
from edgesmith.compress.quantize.learning import settled, train
from edgesmith.compress.quantize.placement import WEIGHTED, named_inputs
from edgesmith.compress.quantize.ptq import Transform
from edgesmith.compress.quantize.spots import Spot, raw_graph, spots
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput
from edgesmith.core.formats import FloatFormat, Posit
from edgesmith.core.graph import Graph
from edgesmith.core.task import Task
from edgesmith.lower import Lifted, lift, raw_tensor
from edgesmith.training.loop import Run
from edgesmith.training.recipe import Recipe

Which = Literal["fp4", "posit4", "posit8", "posit16", "mixed"]
ENGINE = ("fp4", "posit4", "posit8", "posit16")  # what the engine multiplies
WIDEST = "posit16"
SAMPLES = 64  # that a layer's sensitivity is measured on
EXPERIMENT = "benchmarks/claims/compress/xr_npe.py"


@method(
    Card(
        name="xr_npe",
        does="weights and inputs of layers in FP4 or posits: one format for all, or the best for each within a budget",
        source=Source("Chaudhari et al.", 2025, "arXiv:2508.13049"),
        claims=(
            Claim("no other mix of the same bits has less sensitivity", test="test_no_mix_within_the_budget_is_better"),
            Claim("fine-tuned, each format is close to float: 16 bits closest, FP4 furthest", experiment=EXPERIMENT),
            Claim("Posit(4,1) is ahead of FP4 at the same bits", experiment=EXPERIMENT),
            Claim("a layer-adaptive mix below 8 bits is about as good as Posit(8,0)", experiment=EXPERIMENT),
            Claim("the engine takes 42% less area than the best multiplier designs (later: shared accelerator model)"),
            Claim("the engine takes 38% less power than the best multiplier designs (later: shared accelerator model)"),
        ),
        omits=(
            "the engine: multipliers, power gating, dark silicon, the co-processor",
            "visual-inertial odometry, gaze extraction and test-time adaptation",
            "the full text, which was not at hand: facts are from the abstract and the authors' repository (XR-NPE)",
            "its rule for choosing layers, which neither states: a layer's squared error of the outputs, and an integer"
            " program, take its place",
            "first and last layers in float32: Posit(16,1), the widest the engine has",
            "integer or compiled programs: posits of activations have no kernel",
            "what no layer reads: sums, attention's products and recurrent cells stay float, as in the authors' nets",
        ),
    )
)
def xr_npe(
    format: Which = "mixed",
    bits: float = 6.0,
    recipe: Recipe | None = None,
    seed: int = 0,
    run: Run | None = None,
) -> Transform:
    """Round a copy of the module; the first and the last layer are Posit(16,1) except in a mix, which chooses.

    Args:
        format: of all layers, or "mixed".
        bits: most bits a weight on average, of a mix; 4 to 16. 6 lies between the engine's 4 and 8.
        recipe: of a fine-tuning in which the scales are learned; None trains nothing.
        run: keeps the state after every epoch, and hears of each.

    Raises:
        BadInput: another format, other bits, or no layers.
    """
    if format not in get_args(Which):
        raise BadInput(f"xr_npe: format is {format!r}; need one of {', '.join(get_args(Which))}.")
    if not 4 <= bits <= 16:
        raise BadInput(f"xr_npe: {bits} bits a weight; need 4 to 16.")

    def transform(module: nn.Module, task: Task) -> Lifted:
        graph = raw_graph("xr_npe", module, task)
        found = spots(graph, task)
        layers = layers_of(graph)
        if not layers:
            raise BadInput("xr_npe: the model has no layers with weights; there is nothing to round.")
        if format == "mixed":
            costs = sensitivities(graph, found, task.calibration.inputs[:SAMPLES])
            chosen = mix(costs, {name: graph.constants[name].size for name in layers}, bits)
        else:
            chosen = dict.fromkeys(layers, format) | dict.fromkeys((next(iter(layers)), list(layers)[-1]), WIDEST)
        rounded = with_kinds(graph, found, kinds_of(graph, chosen))
        return settled(train(rounded, task, recipe, seed, run) if recipe else rounded)

    return transform


def layers_of(graph: Graph) -> dict[str, str]:
    """Weight to the tensor that it multiplies, in the graph's order; of a weight with several readers, the last's."""
    found = {}
    for op in graph.ops:
        names = named_inputs(op) if op.kind in WEIGHTED else {}
        for weight, _, reads in WEIGHTED.get(op.kind, ()):
            if names[weight] in graph.constants:
                found[names[weight]] = names.get(reads, op.inputs[0])
    return found


def kinds_of(graph: Graph, chosen: Mapping[str, str]) -> Callable[[Spot], Kind | None]:
    """The kind of every spot: a weight's own; activations' the widest of the layers that read them, else none."""
    readers: dict[str, list[str]] = {}
    for weight, read in layers_of(graph).items():
        readers.setdefault(read, []).append(chosen[weight])

    def kind_of(spot: Spot) -> Kind | None:
        if spot.weight is not None:
            return KINDS[chosen[spot.tensors[0]]]
        wanted = [name for tensor in spot.tensors for name in readers.get(tensor, ())]
        return KINDS[max(wanted, key=lambda name: (KINDS[name].bits, name))] if wanted else None

    return kind_of


@torch.no_grad()
def sensitivities(graph: Graph, found: Sequence[Spot], samples: np.ndarray) -> dict[str, dict[str, float]]:
    """Weight to kind to the squared error of the outputs when that layer alone is rounded, relative to their power.

    Args:
        samples: (n, ...) raw inputs.
    """
    inputs = raw_tensor(samples)
    wanted = outputs_of(lift(graph), inputs)
    power = float(wanted.square().mean()) or 1.0
    costs: dict[str, dict[str, float]] = {}
    for weight, read in layers_of(graph).items():
        own = tuple(spot for spot in found if {weight, read} & set(spot.tensors))
        costs[weight] = {}
        for name in ENGINE:
            outputs = outputs_of(with_kinds(graph, own, partial(_always, KINDS[name])), inputs)
            costs[weight][name] = float((outputs - wanted).square().mean()) / power
    return costs


def _always(kind: Kind, spot: Spot) -> Kind:
    return kind


def outputs_of(module: Lifted, inputs: Tensor) -> Tensor:
    """The first output, with nothing of the graph's own formats changed."""
    outputs = module.eval()(inputs)
    return outputs[0] if isinstance(outputs, tuple) else outputs


def mix(costs: Mapping[str, Mapping[str, float]], sizes: Mapping[str, int], bits: float) -> dict[str, str]:
    """The kind of each layer whose costs sum to the least while weights take at most so many bits on average.

    Args:
        costs: layer to kind to what the kind costs there.
        sizes: layer to its weights.

    Raises:
        DoesNotFit: not even the smallest kinds fit.
    """
    groups = {
        layer: [Choice(kind, cost, {"bits": float(KINDS[kind].bits * sizes[layer])}) for kind, cost in row.items()]
        for layer, row in costs.items()
    }
    found = allocate(groups, {"bits": bits * sum(sizes[layer] for layer in costs)})
    return {layer: str(choice.what) for layer, choice in found.chosen.items()}


def mean_bits(module: Lifted) -> float:
    """Bits a weight on average, scales apart, of a module that `xr_npe` made."""
    graph = module.graph
    used = total = 0
    for name in layers_of(graph):
        format_, size = graph.tensors[name].format, graph.constants[name].size
        assert isinstance(format_, FloatFormat | Posit)
        used, total = used + size * format_.bits, total + size
    return used / total
