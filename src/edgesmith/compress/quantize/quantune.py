"""Quantune: boosted trees learn which way of quantizing a net suits it, and propose the next one to try."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import log10

import numpy as np
from torch import nn

from edgesmith.compress.quantize.configurations import SPACE, Calibrated, Configuration
from edgesmith.compress.quantize.placement import WEIGHTED, check_bits
from edgesmith.compress.quantize.preparation import float_graph
from edgesmith.compress.quantize.ptq import Transform
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Graph
from edgesmith.core.task import Split, Task
from edgesmith.lower import lift
from edgesmith.training.evaluate import evaluate_raw

TREES, DEPTH, RATE = 40, 3, 0.2  # of the boosted trees; our choice
FIRST = 3  # random ones before the trees have anything to learn from
COUNTED = ("conv2d", "depthwise", "linear", "add", "max_pool2d", "avg_pool2d", "reduce_mean", "concat")


@dataclass(frozen=True)
class Record:
    """What one configuration gave on some net.

    Attributes:
        net: the net's features.
        quality: the metric as a share of the float net's; more is better.
    """

    net: tuple[float, ...]
    configuration: Configuration
    quality: float


@method(
    Card(
        name="quantune",
        does="tries ways of quantizing after training, the next one proposed by boosted trees, and keeps the best",
        source=Source("Lee et al.", 2022, "arXiv:2202.05048"),
        claims=(
            Claim("the best way is found when all are tried", test="test_all_trials_find_the_best_configuration"),
            Claim(
                "the trees find it in fewer trials than random, grid and genetic search",
                experiment="benchmarks/claims/compress/quantune.py",
            ),
        ),
        omits=(
            "the paper's text beyond its abstract was not at hand: dimensions are the abstract's, choices in each ours",
            "XGBoost: scikit-learn's gradient boosting in its place, not compared with it",
            "float first and last layers: they keep 8 bits, so that programs stay of integers",
            "zero points of weights: integer kernels have none",
        ),
    )
)
def quantune(
    weights: int = 4,
    activations: int = 8,
    trials: int = 24,
    samples: int = 512,
    records: Sequence[Record] = (),
    seed: int = 0,
) -> Transform:
    """Quantize a copy of the module in the best way found.

    Args:
        weights, activations: bits of each, 2 to 8.
        trials: ways that are tried, of 96.
        samples: of the validation split that each is scored on.
        records: of other nets, to begin with what they taught.

    Raises:
        BadInput: other bits, or no trials.
    """
    check_bits("quantune", weights, activations)
    if trials < 1 or samples < 1:
        raise BadInput(f"quantune: {trials} trials on {samples} samples; need one of each or more.")

    def transform(module: nn.Module, task: Task) -> nn.Module:
        graph = float_graph(module, task)
        seen = Calibrated(graph, task.calibration.inputs)
        score = scored(seen, lift(graph), task, samples, weights, activations)
        found = tune(score, features(graph), records, trials, seed)
        best = max(found, key=lambda record: record.quality)
        return lift(seen.quantized(best.configuration, weights, activations))

    return transform


def scored(
    seen: Calibrated, module: nn.Module, task: Task, samples: int, weights: int, activations: int
) -> Callable[[Configuration], float]:
    """A configuration to its metric as a share of the float module's, more being better.

    Args:
        module: takes raw values.
    """
    part = Split(task.validation.inputs[:samples], task.validation.labels[:samples])
    short = replace(task, validation=part)
    before = evaluate_raw(module, short, part)

    def score(configuration: Configuration) -> float:
        after = evaluate_raw(lift(seen.quantized(configuration, weights, activations)), short, part)
        return _share(after, before) if task.metric.direction == "max" else _share(before, after)

    return score


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def tune(
    score: Callable[[Configuration], float],
    net: tuple[float, ...],
    records: Sequence[Record] = (),
    trials: int = len(SPACE),
    seed: int = 0,
    enough: float = float("inf"),
) -> list[Record]:
    """Try configurations one after the other, each the one that the trees expect most of.

    Args:
        score: more is better.
        records: of other nets; without any the first FIRST are drawn.
        enough: the quality at which to stop.

    Returns:
        what was tried, in order.
    """
    rng = np.random.default_rng(seed)
    left = [SPACE[index] for index in rng.permutation(len(SPACE))]  # equals in the trees' eyes come in random order
    found: list[Record] = []
    while left and len(found) < trials and not (found and found[-1].quality >= enough):
        known = [*records, *found]
        if len(found) < FIRST and not records:
            chosen = 0
        else:
            chosen = int(np.argmax(expected(known, net, left, seed)))
        configuration = left.pop(chosen)
        found.append(Record(net, configuration, score(configuration)))
    return found


def expected(known: Sequence[Record], net: tuple[float, ...], left: Sequence[Configuration], seed: int) -> np.ndarray:
    """(configurations,) what boosted trees that were fitted to the records make of each."""
    from sklearn.ensemble import GradientBoostingRegressor

    rows = np.array([[*record.net, *record.configuration.features()] for record in known])
    trees = GradientBoostingRegressor(
        n_estimators=TREES, max_depth=DEPTH, learning_rate=RATE, random_state=np.random.RandomState(seed)
    )
    trees.fit(rows, np.array([record.quality for record in known]))
    return np.asarray(trees.predict(np.array([[*net, *configuration.features()] for configuration in left])))


def features(graph: Graph) -> tuple[float, ...]:
    """A net as numbers: how many ops of each kind, the size of its weights, its widest and narrowest layer."""
    kinds = [_kind(graph, op.kind, op.inputs) for op in graph.ops]
    weights = [
        graph.constants[op.inputs[1]] for op in graph.ops if op.kind in WEIGHTED and op.inputs[1] in graph.constants
    ]
    channels = [weight.shape[0] for weight in weights] or [0]
    size = sum(weight.size for weight in weights)
    counts = (float(kinds.count(kind)) for kind in COUNTED)
    return (*counts, log10(size + 1), float(len(weights)), float(max(channels)), float(min(channels)))


def _kind(graph: Graph, kind: str, inputs: Sequence[str]) -> str:
    """The op's kind; a convolution of one channel a group apart."""
    weight = graph.constants.get(inputs[1]) if len(inputs) > 1 else None
    alone = kind == "conv2d" and weight is not None and weight.shape[-1] == 1 and weight.shape[0] > 1
    single = alone and graph.tensors[inputs[0]].shape[-1] > 1
    return "depthwise" if single else kind
