"""GPTQ's claim (arXiv:2210.17323): more accurate than rounding to nearest at 3 and 4 bits. How: `baselines.py`."""

import sys
from pathlib import Path

from edgesmith.compress.quantize.gptq import gptq

sys.path.insert(0, str(Path(__file__).parents[1]))
from baselines import measure

PAPER = (
    "ResNet-50 at 3 bits 69.72 with 4 bits 75.56 of 76.13 (table 1); OPT-175B at 3 bits 8.68 against 7.3e3 perplexity"
)

if __name__ == "__main__":
    measure("gptq", PAPER, lambda bits, seed: gptq(bits), ["ImageNet", "language models of billions of parameters"])
