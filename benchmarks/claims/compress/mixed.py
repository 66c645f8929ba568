"""Mixed bits keep more accuracy than uniform ones of the same bytes (arXiv:2011.10680, tables 1 and 2, section 3.4).

Three nets, weights quantized after training, activations at 8 bits, biases corrected. Seeds 0, 1, 2 draw the 256
calibration samples from the training split. Two budgets: the bytes of uniform 4 bits, against uniform 4 bits; and
those of 3 bits a weight, which uniform packing has no kernel for, against random choices of 8, 4 and 2 bits that
fill the same bytes (the best of five on the calibration split). Criteria,
fixed before the run: the mean over nets of test accuracy (first 1,000 samples) is above the baseline's by 0 points at
4 bits and by 2 points at 3 bits.
Criteria stood before any run; test samples were cut from 2,000 to 1,000 after a first, unfinished run, for time.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from edgesmith import zoo
from edgesmith.compress.quantize.mixed import Asked, at_widths, packed_bytes, solved, uniform_bytes
from edgesmith.compress.quantize.placement import Widths
from edgesmith.compress.quantize.sensitivity import MEASURES, WIDTHS, Measure, sensitivities, spots
from edgesmith.core.graph import Graph
from edgesmith.core.task import Split, Task
from edgesmith.lower import lift, lower, with_normalize
from edgesmith.training.evaluate import evaluate_raw

sys.path.insert(0, str(Path(__file__).parents[1]))
from record import compared, record

NETS = ("digits-resnet", "fashion-cnn", "speech-dscnn")
SEEDS = (0, 1, 2)
TESTS = 1000
DRAWS = 5


def with_drawn_calibration(task: Task, seed: int) -> Task:
    """256 training samples, drawn, in place of the calibration split; the first TESTS test samples."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(task.train))[:256])
    drawn = Split(task.train.inputs[rows], task.train.labels[rows])
    return replace(task, calibration=drawn, test=Split(task.test.inputs[:TESTS], task.test.labels[:TESTS]))


def random_widths(graph: Graph, task: Task, limit: float, rng: np.random.Generator) -> Widths:
    """Bits of 8, 4 or 2 at random, then fewer in random places until the bytes fit."""
    weights = [spot for spot in spots(graph, task.calibration.inputs[:1], (8,), "minmax")[0] if spot.kind == "weight"]
    own = {spot.name: int(rng.choice(WIDTHS)) for spot in weights}
    while sum(packed_bytes(graph, spot, own[spot.name])["bytes"] for spot in weights) > limit:
        name = weights[int(rng.integers(len(weights)))].name
        own[name] = max(2, own[name] // 2)
    return Widths(8, 8, own)


def score(graph: Graph, task: Task, widths: Widths, split: Split) -> float:
    """Accuracy of the graph at widths."""
    return evaluate_raw(lift(at_widths(graph, task, widths)), task, split)


def of_net(net: str, seed: int) -> Mapping[str, float]:
    """Accuracies by budget and choice."""
    bed = zoo.load(net)
    task = with_drawn_calibration(bed.task, seed)
    graph = lower(with_normalize(bed.module, task.normalize), (torch.from_numpy(task.calibration.inputs[:1]).float(),))
    four, three = uniform_bytes(graph, task, 4), 0.375 * uniform_bytes(graph, task, 8)
    found = {"uniform 4": score(graph, task, Widths(4, 8), task.test)}
    places = [s for s in spots(graph, task.calibration.inputs, WIDTHS, "minmax")[0] if s.kind == "weight"]
    rows = sensitivities(graph, task, places, seed=seed)
    measure: Measure
    for measure in MEASURES:
        for name, limit in (("4", four), ("3", three)):
            mix = solved(graph, places, rows, {"bytes": limit}, packed_bytes, Asked(measure))
            found[f"{measure} {name}"] = score(graph, task, mix.widths, task.test)
    rng = np.random.default_rng(seed)
    drawn = [random_widths(graph, task, three, rng) for _ in range(DRAWS)]
    best = max(drawn, key=lambda widths: score(graph, task, widths, task.calibration))
    found["random 3"] = score(graph, task, best, task.test)
    print(net, seed, {name: round(value, 4) for name, value in found.items()}, flush=True)
    return found


def main() -> None:
    """Measure and record."""
    begin = time.monotonic()
    torch.set_num_threads(1)
    rows = {(net, seed): of_net(net, seed) for seed in SEEDS for net in NETS}

    def series(name: str) -> list[float]:
        return [float(np.mean([rows[net, seed][name] for net in NETS])) for seed in SEEDS]

    paper = "ResNet-18 at the size of uniform INT4: 68.45 mixed against 65.3 to 68.3 uniform (tables 1, 2)"
    findings = []
    for measure in MEASURES:
        findings.append(
            compared(f"at the bytes of uniform 4 bits, measure {measure}", paper, "mean test accuracy of three nets",
                     "not below uniform 4 bits", series("uniform 4"), series(f"{measure} 4"),
                     lambda base, ours: ours >= base, "this measure misjudges layers")
        )  # fmt: skip
        findings.append(
            compared(f"at 3 bits a weight, measure {measure}", "no figure: the solver against chance",
                     "mean test accuracy of three nets", "2 points above the best of five random choices",
                     series("random 3"), series(f"{measure} 3"), lambda base, ours: ours >= base + 0.02,
                     "this measure misjudges layers")
        )  # fmt: skip
    record("mixed", None, findings, ["ImageNet", "fine-tuning at the chosen bits", "GPU latencies"], begin)


if __name__ == "__main__":
    main()
