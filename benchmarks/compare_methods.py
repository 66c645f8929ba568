"""Every quantization method on the testbeds, for one board: the table of docs/quantization.md.

Quality on the validation split, bytes of the weights each in its format, flash and latency predicted for a Cortex-M4
with a float unit; activations in 8 bits where a method can round them (the others run in float there).
Rows are kept in the cache, so the script goes on where it was killed. Writes benchmarks/results/compare_methods.json.

    python benchmarks/compare_methods.py [NET ...]
"""

import json
import sys
from pathlib import Path

import torch
from stamp import commit

from edgesmith import targets, zoo
from edgesmith.core.atomic import write_file
from edgesmith.core.cache import cache_folder
from edgesmith.pipeline.comparing import choices, compare_methods

NETS = ("digits-resnet", "fashion-cnn", "fashion-vit")
BITS = (2, 3, 4, 8)
ACTIVATIONS = 8
BOARD = "nucleo-l4r5zi"
RESULTS = Path(__file__).parent / "results" / "compare_methods.json"


def main() -> None:
    """Measure what is missing and write all."""
    torch.set_num_threads(1)
    board, found = targets.load(BOARD), {}
    for net in sys.argv[1:] or NETS:
        bed = zoo.load(net)
        assert bed.task is not None
        keep = cache_folder() / "compare" / net
        rows = compare_methods(bed.module, bed.task, choices(["all"], BITS, ACTIVATIONS), board, net, 0, keep, print)
        found[net] = {"metric": bed.task.metric.name, "direction": bed.task.metric.direction, "rows": rows}
        facts = {"target": BOARD, "bits": list(BITS), "activations": ACTIVATIONS, "commit": commit()}
        facts["nets"] = found
        write_file(RESULTS, json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
