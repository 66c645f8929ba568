"""HQQ's claim (Badri and Shaji, 2023): no worse than rounding at few bits, without data. How: `baselines.py`."""

import sys
from pathlib import Path

from edgesmith.compress.quantize.hqq import hqq

sys.path.insert(0, str(Path(__file__).parents[1]))
from baselines import measure

PAPER = "quality of methods with calibration data, without any (ViT on ImageNet, Llama-2)"

if __name__ == "__main__":
    measure(
        "hqq",
        PAPER,
        lambda bits, seed: hqq(bits),
        ["ImageNet", "language models of billions of parameters", "groups: one scale a channel"],
    )
