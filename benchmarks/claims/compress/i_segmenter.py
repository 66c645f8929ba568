"""I-Segmenter's claims (arXiv:2509.10334) on scenes-segmenter: near float, one image is enough, smaller, faster.

Three nets trained from scratch (seeds 0, 1, 2) on composed scenes. Mean IoU is that of the compiled C on all test
scenes; speed is float against integers on the emulated Cortex-M4 with its float unit, as in i_vit.py. Criteria, fixed
before the run: mean IoU at most 5.1% (of float's) below float; one calibration image at most 2 points below the whole
calibration split; constants at most 1/3.5 of float's; cycles at most 1/1.2; no float instruction.
"""

import sys
import time
from pathlib import Path

import torch

from edgesmith.compress.quantize.i_segmenter import i_segmenter
from edgesmith.training.recipe import Recipe

sys.path.insert(0, str(Path(__file__).parents[1]))
from record import compared, record
from transformers import SEEDS, by_seed

NET = "scenes-segmenter"
TUNE = Recipe(epochs=1, batch=32, learning_rate=2e-4, weight_decay=0.05, train_samples=2048)
BIASES = "beside int8 weights every output channel keeps 9 bytes of bias and requantizer, much at widths of 48"


def main() -> None:
    """Measure and record."""
    begin = time.monotonic()
    torch.set_num_threads(1)
    found, ratios = by_seed(NET, lambda recipe, seed: i_segmenter(recipe=recipe, seed=seed), TUNE)
    paper = "5.1% below float on average over ADE20K and Cityscapes (abstract)"
    ones = [1.0] * len(SEEDS)
    lost = "int8 residuals and class scores are coarser than the paper's 16 bits"
    findings = [
        compared(f"mean IoU near float's, {how}", paper, "mean IoU", "at most 5.1% of float's below it", found["float"],
                 found[key], lambda base, ours: ours >= base * (1 - 0.051), lost)
        for key, how in (("ptq", "calibrated only"), ("tuned", "fine-tuned on 2,048 scenes"))
    ]  # fmt: skip
    findings += [
        compared("one calibration image is competitive", "competitive (abstract)", "mean IoU",
                 "at most 2 points below the whole calibration split", found["ptq"], found["one"],
                 lambda base, ours: ours >= base - 0.02, "one scene does not show the range of all"),
        compared("smaller than float, weights and tables", "up to 3.8 times", "times", "at least 3.5", ones,
                 ratios["constants"], lambda _, ours: ours >= 3.5, BIASES),
        compared("faster than float on the same core, cycles", "up to 1.2 times", "times", "at least 1.2", ones,
                 ratios["cycles"], lambda _, ours: ours >= 1.2),
        compared("the program has no float instruction", "integer-only", "instructions", "none", [0.0] * 3,
                 ratios["floats"], lambda _, ours: ours == 0),
    ]  # fmt: skip
    omits = ["ADE20K and Cityscapes", "GPU run times", "int16 residual sums", "the paper's own lambda formula"]
    record("i_segmenter", 18, findings, omits, begin)


if __name__ == "__main__":
    main()
