"""FP8: weights and activations in floats of eight bits, after training or with fine-tuning, to be held against int8."""

from typing import Literal, get_args

from torch import nn

from edgesmith.compress.quantize.kinds import KINDS, with_kinds
from edgesmith.compress.quantize.learning import settled, train
from edgesmith.compress.quantize.ptq import Transform
from edgesmith.compress.quantize.spots import raw_graph, spots
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput
from edgesmith.core.task import Task
from edgesmith.lower import Lifted
from edgesmith.training.loop import Run
from edgesmith.training.recipe import Recipe

Eight = Literal["e5m2", "e4m3", "e3m4", "e2m5"]
EXPERIMENT = "benchmarks/claims/compress/fp8.py"


@method(
    Card(
        name="fp8",
        does="weights per channel and activations per tensor in 8-bit floats, scales by squared error or learned",
        source=Source("van Baalen et al.", 2023, "arXiv:2303.17951"),
        claims=(
            Claim("int8 adds least noise to uniform values", test="test_int8_is_best_for_uniform_values"),
            Claim("two exponent bits are best for Gaussian values", test="test_e2m5_is_best_for_gaussian_values"),
            Claim("more exponent bits are best where there are outliers", test="test_outliers_ask_for_exponent_bits"),
            Claim("int8 matches or beats FP8 on convolutional nets after training", experiment=EXPERIMENT),
            Claim("E4M3 or E3M4 is no worse than int8 on transformers after training", experiment=EXPERIMENT),
            Claim("with fine-tuning int8 matches or beats every FP8 format", experiment=EXPERIMENT),
            Claim("int8 takes fewer gates: FP8 is 50 to 180% less efficient in hardware (the paper's figures)"),
        ),
        omits=(
            "the paper's tables and gate counts: the full text was not at hand, only the abstract and summaries",
            "language, segmentation and detection nets of the paper's size",
            "nets trained in FP8 turned to int8",
            "recurrent cells, which stay float",
            "a bias of the exponent: a real scale takes its place",
        ),
    )
)
def fp8(
    format: Eight = "e4m3",
    recipe: Recipe | None = None,
    seed: int = 0,
    run: Run | None = None,
) -> Transform:
    """Round a copy of the module; the result takes raw sensor values, the normalization is part of it.

    Args:
        format: exponent and mantissa bits. E4M3, the default, is what most hardware with FP8 has.
        recipe: of a fine-tuning in which the scales are learned; None trains nothing.
        run: keeps the state after every epoch, and hears of each.

    Raises:
        BadInput: another format.
    """
    if format not in get_args(Eight):
        raise BadInput(f"fp8: format is {format!r}; need one of {', '.join(get_args(Eight))}.")

    def transform(module: nn.Module, task: Task) -> Lifted:
        graph = raw_graph("fp8", module, task)
        rounded = with_kinds(graph, spots(graph, task), lambda spot: KINDS[format])
        return settled(train(rounded, task, recipe, seed, run) if recipe else rounded)

    return transform
