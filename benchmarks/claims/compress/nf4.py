"""NF4's claim (arXiv:2305.14314): more accurate than 4-bit integers of the same blocks. How: `baselines.py`.

The baseline is rounding to nearest in groups of 64 in place of channels.
"""

import sys
import time
from pathlib import Path

import torch

from edgesmith.compress.quantize.nf4 import nf4
from edgesmith.compress.quantize.rtn import rtn

sys.path.insert(0, str(Path(__file__).parents[1]))
from baselines import NETS, SEEDS, no_worse, scores
from record import compared, record

PAPER = "mean zero-shot accuracy and perplexity better than Int4's and FP4's (figure 3, table 2)"


def main() -> None:
    """Measure and record; neither method reads data, so the seeds differ in nothing."""
    begin = time.monotonic()
    torch.set_num_threads(1)
    findings = [
        compared(
            f"{net}: no worse than 4-bit integers in the same blocks",
            PAPER,
            no_worse(net).unit,
            no_worse(net).words,
            scores(lambda bits, seed: rtn(4, group=64), net, 4, SEEDS[:1]),
            scores(lambda bits, seed: nf4(), net, 4, SEEDS[:1]),
            no_worse(net).met,
            "not found; its levels are dense near 0 and sparse at large weights, integers are even",
        )
        for net in NETS
    ]
    record("nf4", None, findings, ["language models of billions of parameters", "double quantization"], begin)


if __name__ == "__main__":
    main()
