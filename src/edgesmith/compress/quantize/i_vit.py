"""I-ViT: a vision transformer in integers alone, its softmax, GELU and layer norm by shifts and 32-bit words."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from torch import nn

from edgesmith.compress.quantize.calibrators import CALIBRATORS, Calibration
from edgesmith.compress.quantize.preparation import float_graph
from edgesmith.compress.quantize.ptq import quantized
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Graph
from edgesmith.core.ops.forms import Forms, with_forms
from edgesmith.core.task import Normalize, Task
from edgesmith.lower import Lifted, lift
from edgesmith.training.loop import Run, train_module
from edgesmith.training.recipe import Recipe

Transform = Callable[[nn.Module, Task], Lifted]
SHIFTS = Forms(softmax="shift", gelu="shift", norm="newton")


@method(
    Card(
        name="i_vit",
        does="int8 with Shiftmax, ShiftGELU and I-LayerNorm: every op of a vision transformer in integers and shifts",
        source=Source("Li, Gu", 2022, "arXiv:2207.01405"),
        claims=(
            Claim("1 - r / 2 is within 6.2% of 2^-r", test="test_the_shift_exponential_is_within_its_bound"),
            Claim("no float instruction is left in the program", test="test_no_float_instruction_is_left"),
            Claim("int8 accuracy comparable to float", experiment="benchmarks/claims/compress/i_vit.py"),
            Claim("3.7 to 4.1 times as fast as float", experiment="benchmarks/claims/compress/i_vit.py"),
        ),
        omits=(
            "int16 residual sums: residuals are int8 here",
            "symmetric activations: zero points are kept",
            "ranges that move on while fine-tuning: they are those of the calibration",
        ),
    )
)
def i_vit(
    images: int = 0,
    recipe: Recipe | None = None,
    calibration: Calibration = "mse",
    seed: int = 0,
    run: Run | None = None,
) -> Transform:
    """Quantize a copy of the module; the result takes raw sensor values, the normalization is part of it.

    Args:
        images: of the calibration split that the ranges follow from; 0 for all, 1 for one-shot calibration.
        recipe: fine-tunes with rounding in place, as the paper does; None trains nothing.
        calibration: how an activation's range follows from its values; as in `ptq`.
        seed: of the fine-tuning.
        run: keeps the state after every epoch, and hears of each.

    Raises:
        BadInput: an unknown calibration, or a negative number of images.
    """
    return integer_only(SHIFTS, images, recipe, calibration, seed, run)


def integer_only(
    forms: Forms,
    images: int = 0,
    recipe: Recipe | None = None,
    calibration: Calibration = "mse",
    seed: int = 0,
    run: Run | None = None,
) -> Transform:
    """Ranges on `images` samples, then fine-tuning by `recipe`, with the net in these forms."""
    if calibration not in CALIBRATORS:
        raise BadInput(f"i_vit: calibration is {calibration!r}; need one of {', '.join(CALIBRATORS)}.")
    if images < 0:
        raise BadInput(f"i_vit: {images} images; need 0 for the whole calibration split, or more.")

    def transform(module: nn.Module, task: Task) -> Lifted:
        samples = task.calibration.inputs[: images or None]
        graph = float_graph(module, task)
        annotated = annotate_forms(graph, samples, forms, calibration)
        made = lift(annotated)
        if recipe:
            fine_tune(made, task, recipe, seed, run)
        return made

    return transform


def annotate_forms(graph: Graph, samples: np.ndarray, forms: Forms, calibration: Calibration = "mse") -> Graph:
    """The float graph in these forms, with the formats that the samples ask for.

    Args:
        samples: (n, ...) raw values of the graph's input.
    """
    return quantized(with_forms(graph, forms), samples, CALIBRATORS[calibration], calibration != "minmax")


def fine_tune(module: nn.Module, task: Task, recipe: Recipe, seed: int = 0, run: Run | None = None) -> None:
    """Train, in place, a module that rounds as its integer form does; it takes raw values, gradients pass the rounding.

    Source: arXiv:2207.01405, section 4.1 (quantization-aware fine-tuning with the straight-through estimator).
    """
    raw = replace(task, normalize=Normalize())
    train_module(module, raw, recipe, seed, run)
