"""BitNet b1.58: weights are trained as -1, 0 and 1 times one scale."""

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from edgesmith.compress.quantize.calibrators import Calibration
from edgesmith.compress.quantize.learning import calibrated
from edgesmith.compress.quantize.placement import Widths, check_bits, first_and_last
from edgesmith.compress.quantize.preparation import float_graph, in_float32
from edgesmith.compress.quantize.ptq import Transform
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Graph
from edgesmith.core.task import Task
from edgesmith.lower import Lifted, lift
from edgesmith.training.loop import Run, train_module
from edgesmith.training.recipe import Recipe

LAYERS = (nn.Conv2d, nn.Linear)
LEAST = 1e-8  # keeps the scale of zero weights above zero
TRAIN = Recipe(epochs=4, batch=64, learning_rate=3e-3)  # our measurement
EXPERIMENT = "benchmarks/claims/compress/bitnet.py"


@method(
    Card(
        name="bitnet",
        does="trains weights as -1, 0 or 1 times a scale (1.58 bits), activations in 8 bits",
        source=Source("Ma et al.", 2024, "arXiv:2402.17764"),
        claims=(
            Claim("the scale is the mean magnitude", test="test_the_scale_is_the_mean_magnitude"),
            Claim(
                "the integer program holds nothing but -1, 0 and 1", test="test_a_trained_net_is_ternary_in_integers"
            ),
            Claim(
                "trained ternary weights beat 2 bits after training, CNN (by 5 points: does not hold)",
                experiment=EXPERIMENT,
            ),
            Claim(
                "ternary weights trained on from float beat 2 bits after training, language model",
                experiment=EXPERIMENT,
            ),
        ),
        omits=(
            "activations scaled by each token's largest value: one calibrated scale a tensor here",
            "language models of 700 million parameters and more, where the paper meets full precision",
            "1.6-bit packing in integer programs: weights take 2 bits there",
            "TeLLMe's table lookups and FPGA",
        ),
    )
)
def bitnet(
    recipe: Recipe = TRAIN,
    activations: int = 8,
    from_scratch: bool = False,
    calibration: Calibration = "mse",
    seed: int = 0,
    run: Run | None = None,
) -> Transform:
    """Train a copy of the module with ternary weights; the first and the last layer keep 8 bits.

    Batch norms stay what they are in training; folded into the ternary weights they make one scale an output channel.

    Args:
        recipe: of the training.
        activations: bits, 2 to 8, calibrated after the training.
        from_scratch: begin with weights of the seed, as the paper does, not with those of the module.
        calibration: how an activation's range follows from its values.
        run: keeps the state after every epoch, and hears of each.

    Raises:
        BadInput: other bits, or a module without a layer between the first and the last.
    """
    check_bits("bitnet", activations)

    def transform(module: nn.Module, task: Task) -> Lifted:
        float_graph(module, task)  # refuses what cannot be lowered before it is trained
        student = copy.deepcopy(in_float32(module))
        inner = inner_layers(student)
        if not inner:
            raise BadInput("bitnet: no layer lies between the first and the last; need one to make ternary.")
        if from_scratch:
            reset(student, seed)
        for layer in inner:
            parametrize.register_parametrization(layer, "weight", Ternary())
        train_module(student, task, recipe, seed, run)
        for layer in inner:
            parametrize.remove_parametrizations(layer, "weight")
        plain = calibrated(student, task, Widths(), calibration)
        eight = {**first_and_last(plain), **not_ternary(plain)}
        return lift(calibrated(student, task, replace(Widths(2, activations), own=eight), calibration)).eval()

    return transform


class Ternary(nn.Module):
    """Rounds a weight to its ternary form; the gradient passes straight through."""

    def forward(self, weight: Tensor) -> Tensor:
        """(out, in, ...) to the same."""
        sign, scale = ternarized(weight)
        return weight + (sign * scale - weight).detach()


def ternarized(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A weight as -1, 0, 1 and one scale, the mean magnitude.

    Args:
        weight: (out, in, ...) float.

    Returns:
        sign: of weight's shape and dtype.
        scale: scalar, above zero.

    Source: arXiv:2402.17764, equations 1 to 3.
    """
    scale = weight.abs().mean().clamp_min(LEAST)
    return (weight / scale).round().clamp(-1, 1), scale


def inner_layers(module: nn.Module) -> tuple[nn.Module, ...]:
    """Convolutions and linear layers but the first and the last, in the order in which the module lists them."""
    return tuple(layer for layer in module.modules() if isinstance(layer, LAYERS))[1:-1]


def reset(module: nn.Module, seed: int) -> None:
    """New weights in every layer that has a way to draw them; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in module.modules():
            draw = getattr(layer, "reset_parameters", None)
            if callable(draw):
                draw()


def not_ternary(graph: Graph) -> dict[str, int]:
    """8 bits for weights that hold more than one magnitude in a channel: tables, attention's own, a head."""
    found = {}
    for op in graph.ops:
        if op.kind in ("conv2d", "linear") and op.inputs[1] in graph.constants:
            rows = torch.from_numpy(graph.constants[op.inputs[1]]).flatten(1).abs()
            peak = rows.amax(1, keepdim=True)
            if not bool((torch.isclose(rows, peak, rtol=1e-4) | (rows <= 1e-6 * peak)).all()):
                found[op.inputs[1]] = 8
    return found
