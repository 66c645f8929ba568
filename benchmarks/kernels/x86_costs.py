"""What a multiply-accumulate and an element cost here: the figures of targets/boards/x86-64.toml and cost/ops.py.

    python benchmarks/kernels/x86_costs.py [--repeats 1000]

Times the int8 programs of the nets of benchmarks/peers/x86.py, one thread, as bare calls, the fastest of the repeats,
and fits cycles = a * multiply-accumulates + b * elements read or written by least squares of the relative errors.
Writes benchmarks/results/x86_costs.json. The prediction is rough: it knows a net's size, not its shapes.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "peers"))
from x86 import NETS, program_of

from edgesmith import targets
from edgesmith.core import ops
from edgesmith.core.atomic import write_file
from edgesmith.pipeline.build import host_library
from edgesmith.pipeline.realize import samples_of
from edgesmith.run.native import Native

RESULTS = Path(__file__).parents[1] / "results" / "x86_costs.json"


def measure(name: str, repeats: int, clock_hz: int) -> dict[str, Any]:
    """One net's size and cycles."""
    _, task, program = program_of(name)
    graph = program.graph
    call = Native(host_library(program), program.interface).prepared(samples_of(graph, task.validation, 1)[0])
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    run = [op for op, kernel in zip(graph.ops, program.kernels, strict=True) if kernel]
    tensors = [graph.tensors[name] for op in run for name in (op.inputs[0], *op.outputs)]
    elements = sum(tensor.size for tensor in tensors)
    macs = sum(ops.macs(graph, op) for op in run)
    return {"macs": macs, "elements": elements, "ms": round(best * 1e3, 4), "cycles": round(best * clock_hz)}


def main() -> None:
    """Measure, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1000)
    repeats = parser.parse_args().repeats
    target = targets.load("x86-64")
    nets = {name: measure(name, repeats, target.clock_hz) for name in NETS}
    size = np.array([(net["macs"], net["elements"]) for net in nets.values()], float)
    cycles = np.array([net["cycles"] for net in nets.values()], float)
    per_mac, per_element = np.linalg.lstsq(size / cycles[:, None], np.ones(len(cycles)), rcond=None)[0]
    for net, predicted in zip(nets.values(), size @ (per_mac, per_element), strict=True):
        net["predicted_over_measured"] = round(predicted / net["cycles"], 3)
    document = {
        "cycles_per_mac": round(float(per_mac), 4),
        "cycles_per_element": round(float(per_element), 4),
        "clock_hz": target.clock_hz,
        "nets": nets,
        "machine": target.title,
    }
    write_file(RESULTS, json.dumps(document, indent=1) + "\n")
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
