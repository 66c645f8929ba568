"""AWQ's claim (arXiv:2306.00978): more accurate than rounding to nearest at 3 and 4 bits. How: `baselines.py`."""

import sys
from pathlib import Path

from edgesmith.compress.quantize.awq import awq

sys.path.insert(0, str(Path(__file__).parents[1]))
from baselines import measure

PAPER = "perplexity of Llama-2-7B below that of rounding at 3 and 4 bits (table 4)"

if __name__ == "__main__":
    measure("awq", PAPER, lambda bits, seed: awq(bits), ["language models of billions of parameters"])
