"""XR-NPE's formats (arXiv:2508.13049) on ResNet-20 and the ViT of the zoo, one format for all layers and mixed.

Every format is fine-tuned for one epoch of 256 samples in the order of each seed (0, 1, 2), which also draws the 64
calibration samples; a mix has at most 6 bits a weight and is chosen before. Nets are the zoo's, trained once; accuracy
is that of rounded arithmetic on the first 300 test images. Criteria, fixed before the run, on medians over seeds, for
both nets: Posit(16,1) at most 0.01 below float; Posit(8,0) at most 0.02 below float; Posit(4,1) no worse than FP4; the
mix at most 0.01 below Posit(8,0). The authors' figures are of visual-inertial odometry on KITTI (errors of translation
in %, their repository's UL-VIO/README.md).
"""

import functools
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import torch

from edgesmith.compress.quantize.xr_npe import ENGINE, layers_of, mean_bits, xr_npe
from edgesmith.lower import Lifted
from edgesmith.training.evaluate import evaluate, evaluate_raw
from edgesmith.training.recipe import Recipe
from edgesmith.zoo.testbed import Testbed

sys.path.insert(0, str(Path(__file__).parents[1]))
from record import Finding, compared, record
from testbeds import drawn, kept, loaded

SEEDS = (0, 1, 2)
NETS = ("fashion-resnet20", "fashion-vit")
BITS, TESTED = 6.0, 300
TUNE = Recipe(epochs=1, batch=16, learning_rate=2e-4, weight_decay=1e-4, train_samples=256)
OMITS = (
    "the engine's area, power and speed: unverified, left to a model of accelerators",
    "visual-inertial odometry, gaze extraction, ImageNet",
    "test-time adaptation",
    "fine-tuning long enough to gain: 256 samples cost ResNet-20 a point even in Posit(16,1)",
)
NOISIER = "on Gaussian values Posit(4,1) has 4.8 dB more noise than FP4; only with outliers it has less"
FEW = "4 bits need more fine-tuning than 256 samples"
NOTE = "rows are kept in the cache and read again: seconds are of the last run alone, the whole takes about ten minutes"
Measured = dict[str, list[float]]  # format to accuracy a seed, and bits of the mix


def measured(net: str) -> tuple[Measured, dict[str, int]]:
    """Accuracy of every format per seed, and how many layers of the last mix have each."""
    bed = loaded(net)
    found: Measured = {name: [] for name in ("float", *ENGINE, "mixed", "bits of the mix")}
    layers: dict[str, int] = {}
    for seed in SEEDS:
        for name in ("float", *ENGINE, "mixed"):
            key = f"{net}-{name}-{seed}-{TUNE.train_samples}-{TESTED}"
            row = kept("xr_npe", key, functools.partial(one, bed, name, seed))
            found[name].append(row["accuracy"])
            print(net, seed, name, row, flush=True)
        found["bits of the mix"].append(row["bits"])
        layers = row["layers"]
    return found, layers


def one(bed: Testbed, name: str, seed: int) -> dict[str, Any]:
    """Accuracy of one format with one seed; of a mix also its bits a weight, and how many layers have each format."""
    assert bed.task is not None
    task = drawn(bed.task, seed, 64, TESTED)
    if name == "float":
        return {"accuracy": evaluate(bed.module, task, task.test)}
    module = xr_npe(name, BITS, TUNE, seed)(bed.module, task)  # type: ignore[arg-type]
    assert isinstance(module, Lifted)
    formats = [module.graph.tensors[weight].format for weight in layers_of(module.graph)]
    kinds = [f"{type(format_).__name__}, {format_.bits} bits" for format_ in formats if format_]  # type: ignore[union-attr]
    return {
        "accuracy": evaluate_raw(module, task, task.test),
        "bits": mean_bits(module),
        "layers": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
    }


def findings_of(net: str, found: Measured) -> list[Finding]:
    """The criteria on one net."""
    return [
        compared(f"Posit(16,1) is close to float, {net}", "error 2.20% against 2.18% in float32", "test accuracy",
                 "at most 0.01 below float", found["float"], found["posit16"], lambda base, ours: ours >= base - 0.01),
        compared(f"Posit(8,0) is close to float, {net}", "error 2.50% against 2.18% in float32", "test accuracy",
                 "at most 0.02 below float", found["float"], found["posit8"], lambda base, ours: ours >= base - 0.02),
        compared(f"Posit(4,1) is no worse than FP4, {net}", "error 2.75% against 2.90%", "test accuracy", "no worse",
                 found["fp4"], found["posit4"], lambda base, ours: ours >= base, NOISIER),
        compared(f"a mix of at most {BITS:g} bits is about as good as Posit(8,0), {net}", "error 2.36% against 2.50%",
                 "test accuracy", "at most 0.01 below", found["posit8"], found["mixed"],
                 lambda base, ours: ours >= base - 0.01, FEW),
    ]  # fmt: skip


def main() -> None:
    """Measure and record."""
    begin = time.monotonic()
    torch.set_num_threads(1)
    findings: list[Finding] = []
    tables: dict[str, Any] = {"note": NOTE}
    for net in NETS:
        found, layers = measured(net)
        findings += findings_of(net, found)
        tables[net] = {
            "accuracy": {name: round(median(values), 4) for name, values in found.items() if name != "bits of the mix"},
            "bits a weight, mix": round(median(found["bits of the mix"]), 3),
            "layers of the last mix": layers,
        }
    record("xr_npe", 52, findings, OMITS, begin, tables)


if __name__ == "__main__":
    main()
