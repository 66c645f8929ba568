"""GAQAT's claim (arXiv:2412.05551): held-out domains at 3 and 4 bits up to 4.5 points above SAM with QAT.

Four domains of Fashion-MNIST: plain, turned by 45 degrees, contrast at severity 5, noise at severity 5. One is held
out in turn; fashion-cnn is trained on 600 images of each of the others (8 epochs), then fine-tuned in 3 and 4 bits on
the same images (2 epochs) by LSQ, by SAM with LSQ (task and smoothness loss, nothing frozen) and by GAQAT. Three
seeds, each of the net and of the tuning; a seed's value is the mean accuracy over the four held-out domains, on 1,000
test images each. Criterion, fixed before the run: GAQAT at least half a point above SAM with LSQ, at either width. The
conflict that the paper starts from counts as found where at least a tenth of the scales are frozen.
"""

import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from edgesmith import zoo
from edgesmith.compress.quantize.gaqat import Adaptive, Freezing, scales_of
from edgesmith.compress.quantize.learning import calibrated, settled, train, with_quantizers
from edgesmith.compress.quantize.lsq import Learned, lsq
from edgesmith.compress.quantize.placement import Widths, first_and_last
from edgesmith.core.task import Split, Task
from edgesmith.data import named_task
from edgesmith.data.shifts import shift_images
from edgesmith.training.evaluate import evaluate, evaluate_raw
from edgesmith.training.loop import train_module
from edgesmith.training.recipe import Recipe
from edgesmith.zoo.builders import build

sys.path.insert(0, str(Path(__file__).parents[1]))
from record import compared, record

SEEDS = (0, 1, 2)
DOMAINS = (("rotation", 0), ("rotation", 3), ("contrast", 5), ("noise", 5))
LEARN, CALIBRATE, TEST = 600, 100, 1000  # images of each domain
FLOAT = Recipe(epochs=8, batch=64, learning_rate=4e-3, weight_decay=0.05)
TUNE = Recipe(epochs=2, batch=64, learning_rate=1e-3, weight_decay=1e-4)
REASON = (
    "LSQ alone keeps what the float net has at 4 bits; the gain over SAM with LSQ only makes up what SAM lost there"
)


def part(split: Split, domain: int, count: int) -> Split:
    """`count` images of a split, others for each domain, under that domain's shift."""
    rows = np.s_[domain * count : (domain + 1) * count]
    shift, severity = DOMAINS[domain]
    return Split(shift_images(split.inputs[rows], shift, severity), split.labels[rows])


def joined(parts: list[Split]) -> Split:
    """Several splits as one."""
    return Split(np.concatenate([p.inputs for p in parts]), np.concatenate([p.labels for p in parts]))


def held_out(task: Task, domain: int) -> Task:
    """Trained and calibrated on all domains but one, tested on that one."""
    sources = [d for d in range(len(DOMAINS)) if d != domain]
    learned = joined([part(task.train, d, LEARN) for d in sources])
    some = joined([part(task.calibration, d, CALIBRATE) for d in sources])
    return replace(task, train=learned, calibration=some, test=part(task.test, domain, TEST))


def tuned(module: torch.nn.Module, task: Task, bits: int, freezing: Freezing, seed: int) -> tuple[float, float]:
    """The held-out accuracy, and the mean share of frozen scales."""
    plain = calibrated(module, task, Widths())
    graph = calibrated(module, task, Widths(bits, bits, first_and_last(plain)))
    learner = with_quantizers(graph, task, Learned)
    step = Adaptive(freezing, scales_of(learner))
    done = settled(train(learner, task, TUNE, seed, step=step))
    return evaluate_raw(done, task, task.test), statistics.fmean(step.history or [0.0])


def measured(task: Task, seed: int) -> dict[str, list[float]]:
    """By method, one value a held-out domain."""
    found: dict[str, list[float]] = {"float": [], "frozen3": [], "frozen4": []}
    for domain in range(len(DOMAINS)):
        mine = held_out(task, domain)
        torch.manual_seed(seed)
        module = build(zoo.info("fashion-cnn"))
        train_module(module, mine, FLOAT, seed)
        found["float"].append(evaluate(module, mine, mine.test))
        for bits in (3, 4):
            plain = evaluate_raw(lsq(bits, bits, TUNE, seed=seed)(module, mine), mine, mine.test)
            sam, _ = tuned(module, mine, bits, Freezing(below=0.0), seed)
            ours, frozen = tuned(module, mine, bits, Freezing(), seed)
            for name, value in (("lsq", plain), ("sam", sam), ("gaqat", ours), ("frozen", frozen)):
                found.setdefault(f"{name}{bits}", []).append(value)
        print(seed, DOMAINS[domain], {name: round(values[-1], 4) for name, values in found.items()}, flush=True)
    return found


def main() -> None:
    """Measure and record."""
    begin = time.monotonic()
    torch.set_num_threads(1)
    task = named_task("fashion-mnist")
    seeds = [measured(task, seed) for seed in SEEDS]
    means = {name: [statistics.fmean(seed[name]) for seed in seeds] for name in seeds[0]}
    print(means)
    findings = []
    for bits in (4, 3):
        where = f"on held-out domains at {bits} bits"
        for name, words, paper in (
            ("sam", "SAM with LSQ", "up to +4.5 points (abstract, PACS)"),
            ("lsq", "LSQ alone", "+1.39 (4 bits) and +1.06 (3 bits) on DomainNet at most (abstract)"),
        ):
            findings.append(
                compared(f"above {words} {where}", paper, "mean accuracy", "at least half a point above",
                         means[f"{name}{bits}"], means[f"gaqat{bits}"], lambda base, ours: ours >= base + 0.005, REASON)
            )  # fmt: skip
        conflict = "task gradients of scales that seldom turn"
        findings.append(
            compared(f"{conflict}, {bits} bits", "some layers' (figure 2)", "share of scales", "at least a tenth",
                     [0.0] * 3, means[f"frozen{bits}"], lambda _, ours: ours >= 0.1,
                     "nearly all gradients of a scale turn often")
        )  # fmt: skip
    omits = ["PACS, DomainNet, ResNet-50", "SAGM's shifted ascent", "the paper's numbers of steps and thresholds"]
    record("gaqat", 61, findings, omits, begin)


if __name__ == "__main__":
    main()
