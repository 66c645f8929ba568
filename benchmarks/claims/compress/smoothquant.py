"""SmoothQuant's claim (arXiv:2211.10438): 8-bit weights and activations as accurate as float. How: `baselines.py`.

Criterion, fixed before the run: at most 1 point below the float net, and below min-max 8 bits without smoothing by at
most 0.2 points.
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
from baselines import NETS, NOISE, scores, shortened
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
        task = shortened(bed.task, 0)
        exact = [evaluate(bed.module, task, task.test)]
        ours = scores(lambda bits, seed: smoothquant(calibration="minmax"), net, 8)
        plain = scores(lambda bits, seed: ptq("minmax", correct_bias=False), net, 8)
        findings.append(
            compared(f"{net}: as accurate as float", PAPER, "test accuracy", "at most 1 point below", exact, ours,
                     lambda base, median: median >= base - 0.01)
        )  # fmt: skip
        findings.append(
            compared(f"{net}: at least as accurate as without smoothing", PAPER, "test accuracy",
                     "at most 0.2 points below", plain, ours, lambda base, median: median >= base - NOISE,
                     "these nets have no outlying channels to smooth")
        )  # fmt: skip
    record("smoothquant", None, findings, ["language models"], begin)


if __name__ == "__main__":
    main()
