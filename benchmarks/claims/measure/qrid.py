"""QRID's findings (arXiv:2508.19600) on the two scenes detectors: 5 precisions under 7 degradations.

Per seed: the degradations' chance, and 128 calibration pictures drawn from the training split; the zoo's nets and
400 test scenes stay. Static int8 has min-max ranges (which of TensorRT's calibrators the authors used is not known);
degradation-aware calibration sees half of its pictures degraded. Accuracy is that of emulated arithmetic (fake
quantization, measure/precisions.py), speed the modelled cycles of this project's C on an emulated Cortex-M4 with a
float unit, not a GPU's. Criteria, fixed before the run, on medians over the seeds: int8 loses at most 7% of float32's
mAP on clean pictures; it takes at most 1/1.5 of the cycles; float16 and dynamic uint8 lose, under every degradation,
within 2 points of what float32 loses of its own clean mAP; static int8 loses more of its own than float32 under noise
in both sizes; degradation-aware calibration changes the small net's mean mAP over the degradations by less than 0.005;
under noise it adds at least 0.005 to the large net's and more than to the small one's.
"""

import statistics
import sys
import time
from pathlib import Path

import torch

from edgesmith.compress.quantize.ptq import ptq
from edgesmith.measure.precisions import dynamic_uint8, float16
from edgesmith.measure.qrid import CLEAN, Table, degradation_aware, qrid, relative_drop
from edgesmith.training.evaluate import predict_raw
from edgesmith.zoo.testbed import Testbed

sys.path.insert(0, str(Path(__file__).parents[1]))
from record import Finding, compared, record
from testbeds import drawn, loaded
from transformers import SEEDS, figures, float_program, integer

NETS = {"small": "scenes-detector", "large": "scenes-detector-large"}
CALIBRATED, TESTED = 128, 400
NOISES = ("noise-low", "noise-medium")
GPU = "TensorRT, RTX 2070"
OMITS = (
    "COCO and YOLO12 n, s, m, l, x",
    "TensorRT and ONNX Runtime: their arithmetic is emulated",
    "latency on a GPU",
    "the full text: facts are from the abstract, a digest of it and the authors' repository",
)
Tables = dict[str, list[Table]]  # size of net to one table a seed


def table_of(bed: Testbed, seed: int) -> Table:
    """mAP of every precision under every condition."""
    assert bed.task is not None
    task, module = drawn(bed.task, seed, CALIBRATED, TESTED), bed.module
    static = ptq("minmax")
    modules = {
        "float16": float16(module, task),
        "dynamic-uint8": dynamic_uint8(module, task),
        "int8": static(module, task),
        "int8-aware": static(module, degradation_aware(task, seed)),
    }
    predictors = {name: lambda x, module=module: predict_raw(module, x) for name, module in modules.items()}
    normalize = task.normalize
    predictors["float32"] = lambda x: predict_raw(bed.module, normalize(x))
    return qrid(seed)(predictors, task)


def speed_up(bed: Testbed) -> float:
    """Modelled cycles of the float program over those of the integer program."""
    assert bed.task is not None
    slow = figures(float_program(bed.module, bed.task))
    return slow.cycles / figures(integer(ptq("minmax")(bed.module, bed.task))).cycles


def gains(tables: list[Table], names: tuple[str, ...]) -> list[float]:
    """Mean mAP that degradation-aware calibration adds over some conditions, per seed."""
    return [statistics.mean(t["int8-aware"][name] - t["int8"][name] for name in names) for t in tables]


def drops(tables: list[Table], precision: str, names: tuple[str, ...]) -> list[float]:
    """Share of its own clean mAP that a precision loses under some conditions, mean, per seed."""
    return [statistics.mean(relative_drop(t[precision][CLEAN], t[precision][name]) for name in names) for t in tables]


def of_precisions(size: str, tables: list[Table], speed: float) -> list[Finding]:
    """What the paper says of precisions, for one net."""
    worse = tuple(name for name in tables[0]["float32"] if name != CLEAN)
    clean = [relative_drop(t["float32"][CLEAN], t["int8"][CLEAN]) for t in tables]
    findings = [
        compared(f"int8's loss on clean pictures is moderate, {size} net", "3 to 7% of mAP@0.5:0.95", "share of mAP",
                 "at most 7%", [0.0] * len(SEEDS), clean, lambda _, ours: ours <= 0.07,
                 "min-max ranges of hidden activations cost it: with int8 weights alone nothing is lost"),
        compared(f"int8 is faster, {size} net", f"1.5 to 3.3 times ({GPU})", "times, modelled cycles of a Cortex-M4",
                 "at least 1.5", [1.0] * len(SEEDS), [speed] * len(SEEDS), lambda _, ours: ours >= 1.5),
        compared(f"static int8 loses more under noise than float32, {size} net",
                 "lower robustness to low and medium noise across most sizes", "share of its own clean mAP",
                 "more than float32", drops(tables, "float32", NOISES), drops(tables, "int8", NOISES),
                 lambda base, ours: ours > base, "the net's error under noise is larger than int8's rounding"),
    ]  # fmt: skip
    for precision in ("float16", "dynamic-uint8"):
        apart = [
            max(abs(drops([t], precision, (name,))[0] - drops([t], "float32", (name,))[0]) for name in worse)
            for t in tables
        ]
        findings.append(
            compared(f"{precision} loses as float32 does, {size} net", "relative drops nearly identical",
                     "share of clean mAP, greatest difference", "at most 0.02", [0.0] * len(SEEDS), apart,
                     lambda _, ours: ours <= 0.02, "one scale per weight tensor costs a narrow net more")
        )  # fmt: skip
    return findings


def of_calibration(tables: Tables) -> list[Finding]:
    """What the paper says of degradation-aware calibration."""
    worse = tuple(name for name in tables["small"][0]["int8"] if name != CLEAN)
    zero = [0.0] * len(SEEDS)
    return [
        compared("degradation-aware calibration brings the small net no consistent gain",
                 "negligible difference for n, s, m and l", "mAP@0.5:0.95, mean over degradations",
                 "within 0.005 of clean calibration", zero, gains(tables["small"], worse),
                 lambda _, ours: abs(ours) < 0.005,
                 "not robustness: clean mAP rises as much, where a picture whose extremes set a range was degraded"),
        compared("under noise it brings the large net a gain, more than the small one",
                 "better robustness of the largest net under low and medium noise", "mAP@0.5:0.95, mean over noises",
                 "at least 0.005, and more than the small net's", gains(tables["small"], NOISES),
                 gains(tables["large"], NOISES), lambda base, ours: ours >= 0.005 and ours > base,
                 "noise barely moves the extremes inside these nets: most ranges stay within 2%"),
    ]  # fmt: skip


def medians(tables: list[Table]) -> Table:
    """The median over seeds of every cell."""
    return {
        precision: {name: round(statistics.median(t[precision][name] for t in tables), 4) for name in row}
        for precision, row in tables[0].items()
    }


def main() -> None:
    """Measure and record."""
    begin = time.monotonic()
    torch.set_num_threads(1)
    tables: Tables = {}
    findings: list[Finding] = []
    for size, name in NETS.items():
        bed = loaded(name)
        tables[size] = []
        for seed in SEEDS:
            tables[size].append(table_of(bed, seed))
            print(size, seed, tables[size][-1], flush=True)
        findings += of_precisions(size, tables[size], speed_up(bed))
    findings += of_calibration(tables)
    record("qrid", 29, findings, OMITS, begin, {f"mAP, {size} net": medians(t) for size, t in tables.items()})


if __name__ == "__main__":
    main()
