"""SmoothQuant's claim (arXiv:2211.10438): 8-bit weights and activations as accurate as float. How: `baselines.py`.

Criterion, fixed before the run: at most 1 point of accuracy below the float net, or 1% of perplexity above it; and no
worse than min-max 8 bits without smoothing, with 0.2 points or 0.2% to spare.
"""

import sys
import time
from pathlib import Path

import torch

from edgesmith import zoo
from edgesmith.compress.quantize.ptq import ptq
from edgesmith.compress.quantize.smoothquant import smoothquant
from edgesmith.training.evaluate import evaluate

sys.path.insert(0, str(Path(__file__).parents[1]))
from baselines import NETS, no_worse, scores, shortened
from record import Finding, compared, record

PAPER = "OPT-175B 66.8 of 66.9 in float, W8A8 without smoothing 35.5 (table 4)"


def main() -> None:
    """Measure and record."""
    begin = time.monotonic()
    torch.set_num_threads(1)
    findings: list[Finding] = []
    for net in NETS:
        bed = zoo.load(net)
        assert bed.task is not None
        task, near, rule = shortened(bed.task, 0), no_worse(net, 0.01), no_worse(net)
        exact = [evaluate(bed.module, task, task.test)]
        ours = scores(lambda bits, seed: smoothquant(calibration="minmax"), net, 8)
        plain = scores(lambda bits, seed: ptq("minmax", correct_bias=False), net, 8)
        findings.append(
            compared(f"{net}: as good as float", PAPER, near.unit, near.words, exact, ours, near.met)
        )  # fmt: skip
        findings.append(
            compared(f"{net}: no worse than without smoothing", PAPER, rule.unit, rule.words, plain, ours, rule.met,
                     "these nets have no outlying channels to smooth")
        )  # fmt: skip
    record("smoothquant", None, findings, ["language models of billions of parameters"], begin)


if __name__ == "__main__":
    main()
