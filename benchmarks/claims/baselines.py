"""What the experiments on post-training methods share: nets, bits, seeds, rounding to nearest beside them.

Three calibration sets of 64 images (seeds 0, 1, 2; AdaRound also draws its rows by the seed), the nets of the zoo as
shipped, accuracy or perplexity of the rounded torch module on the first 1,000 test samples. Weights per channel, the
first and the last layer at 8 bits, activations in float. Criterion, fixed before the run: the median is no worse than
that of rounding to nearest (largest magnitude to the greatest integer) on the same net and bits, with 0.2 points of
accuracy or 0.2% of perplexity to spare.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgesmith import zoo
from edgesmith.compress.quantize.rtn import rtn
from edgesmith.core.task import Split, Task
from edgesmith.training.evaluate import evaluate_raw

sys.path.insert(0, str(Path(__file__).parent))
from record import Finding, compared, record

SEEDS = (0, 1, 2)
NETS = ("digits-resnet", "fashion-cnn", "fashion-vit", "shakespeare-llama-tiny")
BITS = (8, 4, 3, 2)
IMAGES, TESTS = 64, 1000
NOISE = 0.002

Transform = Callable[[nn.Module, Task], nn.Module]
Make = Callable[[int, int], Transform]  # a method, of the weights' bits and a seed


def shortened(task: Task, seed: int) -> Task:
    """The task with calibration images drawn by the seed, and the first test images."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(task.calibration))[:IMAGES])
    calibration = Split(task.calibration.inputs[rows], task.calibration.labels[rows])
    return replace(task, calibration=calibration, test=Split(task.test.inputs[:TESTS], task.test.labels[:TESTS]))


@dataclass(frozen=True)
class Rule:
    """A criterion: no worse than a baseline, with room.

    Attributes:
        unit: of both figures.
        words: of the criterion.
    """

    unit: str
    words: str
    met: Callable[[float, float], bool]


def no_worse(net: str, room: float = NOISE) -> Rule:
    """By the net's own metric: `room` is a share, of all samples for accuracy and of the baseline for perplexity."""
    if zoo.info(net).metric == "perplexity":
        return Rule("test perplexity", f"at most {room:.1%} above", lambda base, ours: ours <= base * (1 + room))
    return Rule("test accuracy", f"at most {100 * room:g} points below", lambda base, ours: ours >= base - room)


def scores(make: Make, net: str, bits: int, seeds: Sequence[int] = SEEDS) -> list[float]:
    """The test metric of a method on a net, one value a seed."""
    bed = zoo.load(net)
    assert bed.task is not None
    found = []
    for seed in seeds:
        task = shortened(bed.task, seed)
        found.append(evaluate_raw(make(bits, seed)(bed.module, task), task, task.test))
    return found


def measure(method: str, paper: str, make: Make, omits: Sequence[str], bits: Sequence[int] = BITS) -> None:
    """A method beside rounding to nearest on every net, and record."""
    begin = time.monotonic()
    torch.set_num_threads(1)
    findings: list[Finding] = []
    for net in NETS:
        rule = no_worse(net)
        for count in bits:
            plain = scores(lambda b, _: rtn(b), net, count, SEEDS[:1])  # it reads no data
            ours = scores(make, net, count)
            findings.append(
                compared(
                    f"{net} at {count} bits: no worse than rounding to nearest",
                    paper,
                    rule.unit,
                    rule.words,
                    plain,
                    ours,
                    rule.met,
                    "its error is another than the one that the net's accuracy follows",
                )
            )
            print(net, count, plain, ours, flush=True)
    record(method, None, findings, omits, begin)
