"""AdaRound's claim (arXiv:2004.10568): more accurate than rounding to nearest at few bits. How: `baselines.py`.

At 4, 3 and 2 bits, 200 steps a layer, so that all nets and seeds take minutes.
"""

import sys
from pathlib import Path

from edgesmith.compress.quantize.adaround import adaround

sys.path.insert(0, str(Path(__file__).parents[1]))
from baselines import measure

PAPER = "ResNet-18 at 4 bits 68.71 of 69.68, rounding to nearest 23.99 (table 7)"
STEPS = 200
OMITS = ["ImageNet", "10,000 steps a layer", "8 bits"]


if __name__ == "__main__":
    make = lambda bits, seed: adaround(bits, iterations=STEPS, seed=seed)  # noqa: E731
    measure("adaround", PAPER, make, OMITS, (4, 3, 2))
