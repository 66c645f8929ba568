"""BitNet b1.58's training (arXiv:2402.17764) against 2 bits after training, on a CNN and a small language model.

Nets trained in float with seeds 0, 1 and 2; each is rounded to 2 bits after training, first and last layer at 8 bits,
and trained with ternary weights by the same recipe from new weights of the same seed. The baseline is the best of three
roundings: to the nearest with a scale a channel of least squared error, GPTQ, and AdaRound (the last two in this
repository's defaults, activations in float). The paper meets full precision from three billion parameters on; its small
models lose (700 million: perplexity 12.87 against 12.33). Criteria, fixed before the run: on fashion-cnn and
fashion-resnet20 ternary training is at least 5 points more accurate than 2 bits after training and at most 3 points
below float; on shakespeare-llama-tiny its perplexity is below that of 2 bits after training, and at most 1.25 times
float's. Accuracy on the first 5,000 test images, with int8 activations; perplexity on the test split, activations in
float. A second look, after the first run fell far short on language: the same training from the float weights, beside
float weights trained on by the same recipe.
Trains on a GPU where there is one; every figure is kept in the cache, so that a stopped run goes on.
The committed figures of fashion-resnet20 were trained on an NVIDIA H100 with torch 2.11.
"""

import copy
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgesmith import zoo
from edgesmith.compress.quantize import adaround, gptq
from edgesmith.compress.quantize.bitnet import bitnet
from edgesmith.compress.quantize.learning import calibrated
from edgesmith.compress.quantize.placement import Widths, first_and_last, with_biases
from edgesmith.core import formats
from edgesmith.core.graph import Graph
from edgesmith.core.task import Task
from edgesmith.lower import lift
from edgesmith.training.evaluate import evaluate, evaluate_raw
from edgesmith.training.loop import train_module

sys.path.insert(0, str(Path(__file__).parents[1]))
from record import compared, record
from testbeds import fastest, kept
from transformers import SEEDS, shortened, trained

NETS = ("fashion-cnn", "fashion-resnet20")
LANGUAGE = "shakespeare-llama-tiny"
FEW = "the recipe's four epochs from new weights are too few: from the float weights the same training comes near float"
SHRINKS = np.linspace(1.0, 0.2, 81)  # of a channel's range: the baseline's search for the least squared error


def two_bits(module: nn.Module, task: Task) -> nn.Module:
    """The best that rounding does: 2 bits a weight, each channel's scale of least squared error."""
    plain = calibrated(module, task, Widths())
    graph = calibrated(module, task, replace(Widths(2), own=first_and_last(plain)))
    return lift(with_biases(clipped(graph))).eval()


def clipped(graph: Graph) -> Graph:
    """Scales of 2-bit weights with the least squared error."""
    tensors = dict(graph.tensors)
    for name, weight in graph.constants.items():
        format_ = tensors[name].format
        if isinstance(format_, formats.PerChannel) and format_.bits == 2:
            tensors[name] = replace(tensors[name], format=least_error(weight, format_))
    return replace(graph, tensors=tensors)


def least_error(weight: np.ndarray, format_: formats.PerChannel) -> formats.PerChannel:
    """Each channel's best scale among SHRINKS of its own."""
    rows = tuple(range(1, weight.ndim))
    best, scales = np.full(len(weight), np.inf), np.array(format_.scales)
    for shrink in SHRINKS:
        tried = replace(format_, scales=tuple(np.array(format_.scales) * shrink))
        error = ((tried.dequantize(tried.quantize(weight)) - weight) ** 2).sum(rows)
        scales = np.where(error < best, np.array(tried.scales), scales)
        best = np.minimum(best, error)
    return replace(format_, scales=tuple(map(float, scales)))


def weights_alone(module: nn.Module) -> nn.Module:
    """The module with its activations in float."""
    graph = module.to_graph()  # type: ignore[operator]
    kept = {n: t if n in graph.constants else replace(t, format=None) for n, t in graph.tensors.items()}
    return lift(replace(graph, tensors=kept)).eval()


def of_seed(net: str, seed: int) -> dict[str, float]:
    """The metric of float, of 2 bits after training and of ternary training."""
    recipe = zoo.info(net).recipe
    assert recipe is not None
    module, task = trained(net, seed)
    task = shortened(task, 5000)
    made = {
        "rounded": two_bits(module, task),
        "ternary": bitnet(recipe, from_scratch=True, seed=seed, run=fastest())(module, task),
    }
    if net == LANGUAGE:
        made = {name: weights_alone(each) for name, each in made.items()}
    found = {name: evaluate_raw(each, task, task.test) for name, each in made.items()}
    return {"float": evaluate(module, task, task.test), **found}


def continued(net: str, seed: int) -> dict[str, float]:
    """The metric after training once more from the float weights by the recipe: ternary, and in float."""
    recipe = zoo.info(net).recipe
    assert recipe is not None
    module, task = trained(net, seed)
    task = shortened(task, 5000)
    ternary = weights_alone(bitnet(recipe, seed=seed, run=fastest())(module, task))
    again = train_module(copy.deepcopy(module), task, recipe, seed + len(SEEDS), fastest())
    return {"tuned": evaluate_raw(ternary, task, task.test), "float again": evaluate(again, task, task.test)}


def reconstructed(net: str, seed: int) -> dict[str, float]:
    """The metric at 2 bits after training, rounded by methods that look at what layers give."""
    module, task = trained(net, seed)
    task = shortened(task, 5000)
    made = {"gptq": gptq(2), "adaround": adaround(2, seed=seed, run=fastest())}
    return {name: evaluate_raw(method(module, task), task, task.test) for name, method in made.items()}


def scores(net: str) -> dict[str, list[float]]:
    """The metric of float, of the best rounding to 2 bits and of ternary training, one value a seed."""
    found: dict[str, list[float]] = {"float": [], "rounded": [], "ternary": []}
    for seed in SEEDS:
        trained_so = kept("bitnet", f"{net}.{seed}", lambda: of_seed(net, seed))  # noqa: B023
        after = kept("bitnet", f"{net}.{seed}.reconstructed", lambda: reconstructed(net, seed))  # noqa: B023
        print(net, seed, trained_so, after, flush=True)
        best = min if net == LANGUAGE else max
        found["rounded"].append(best(trained_so["rounded"], *after.values()))
        found["float"].append(trained_so["float"])
        found["ternary"].append(trained_so["ternary"])
    return found


def main() -> None:
    """Measure and record."""
    begin = time.monotonic()
    torch.set_num_threads(1)
    paper = "700M: perplexity 12.87 against 12.33 of float; 3B: 9.91 against 10.04 (table 1)"
    findings = []
    for net in NETS:
        found = scores(net)
        findings += [
            compared(f"{net}: trained ternary beats 2 bits after training", paper, "test accuracy",
                     "at least 5 points more", found["rounded"], found["ternary"],
                     lambda base, ours: ours >= base + 0.05),
            compared(f"{net}: trained ternary near float", paper, "test accuracy", "at most 3 points below",
                     found["float"], found["ternary"], lambda base, ours: ours >= base - 0.03,
                     "three levels hold less than a net of this size needs"),
        ]  # fmt: skip
    found = scores(LANGUAGE)
    more = [kept("bitnet", f"{LANGUAGE}.{seed}.continued", lambda: continued(LANGUAGE, seed)) for seed in SEEDS]  # noqa: B023
    print(more, flush=True)
    tuned, again = ([each[name] for each in more] for name in ("tuned", "float again"))
    findings += [
        compared(f"{LANGUAGE}: ternary from float weights beats 2 bits after training", paper, "test perplexity",
                 "below", found["rounded"], tuned, lambda base, ours: ours < base),
        compared(f"{LANGUAGE}: ternary from float weights near float trained as long", paper, "test perplexity",
                 "at most 1.25 times", again, tuned, lambda base, ours: ours <= 1.25 * base),
        compared(f"{LANGUAGE}: trained ternary beats 2 bits after training", paper, "test perplexity", "below",
                 found["rounded"], found["ternary"], lambda base, ours: ours < base, FEW),
        compared(f"{LANGUAGE}: trained ternary near float", paper, "test perplexity", "at most 1.25 times",
                 found["float"], found["ternary"], lambda base, ours: ours <= 1.25 * base, FEW),
    ]  # fmt: skip
    omits = ["models of 700 million parameters and more", "activations per token", "TeLLMe's table lookups and FPGA"]
    record("bitnet", 91, findings, omits, begin)


if __name__ == "__main__":
    main()
