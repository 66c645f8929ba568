"""Time the x86 kernels against ONNX Runtime int8 on four nets, one thread each, batch one.

    python benchmarks/kernels/x86.py [--nets ds-cnn ...] [--repeats 100]

Both run the same weights (`twins.py`: the bodies of the nets, random weights, no classifier) and must agree within a
step. Their runs alternate, so that other load on the machine meets both; medians, and the median of the ratios of
neighbours. Each call includes its Python binding: a few microseconds for ours, about ten for ONNX Runtime's.
Criterion, fixed before the run: at most 4 times ONNX Runtime's time on every net.
Writes benchmarks/results/x86_kernels.json; nets that are not named keep their entry.
"""

import argparse
import json
import platform
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

sys.path.insert(0, str(Path(__file__).parent))
from twins import NETS, Twin

from edgesmith.core import ops
from edgesmith.core.atomic import write_file
from edgesmith.pipeline.build import native

RESULTS = Path(__file__).parents[1] / "results" / "x86_kernels.json"
LIMIT = 4.0  # times ONNX Runtime
SEED = 20261121


def session_of(model: bytes) -> onnxruntime.InferenceSession:
    """ONNX Runtime with all its optimizations, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def seconds(call: Callable[[], object]) -> float:
    """Time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(name: str, repeats: int) -> dict[str, Any]:
    """One net: checks that both agree, then times them in turns."""
    twin = Twin(name.replace("-", "_"), np.random.default_rng(SEED))
    y = NETS[name](twin)
    graph, session = twin.graph(y), session_of(twin.onnx_model(y))
    x = np.random.default_rng(SEED).integers(-128, 128, graph.tensors["x"].shape).astype(np.int8)
    unsigned = np.ascontiguousarray((x.view(np.uint8) ^ 128).transpose(0, 3, 1, 2))
    runner = native(graph)

    def ours() -> np.ndarray:
        return runner.run({"x": x})[y]

    def theirs() -> np.ndarray:
        return session.run(None, {"x": unsigned})[0]

    steps = np.abs(ours().astype(int) + 128 - theirs().transpose(0, 2, 3, 1).astype(int))
    if steps.mean() > 1:
        raise SystemExit(f"{name}: the two differ by {steps.mean():.2f} steps on average; they run different nets.")
    for _ in range(5):
        ours(), theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(repeats)]
    return {
        "macs": sum(ops.macs(graph, op) for op in graph),
        "ours_ms": round(1e3 * statistics.median(a for a, _ in pairs), 4),
        "onnxruntime_ms": round(1e3 * statistics.median(b for _, b in pairs), 4),
        "ratio": round(statistics.median(a / b for a, b in pairs), 3),
        "ratio_quartiles": [round(q, 3) for q in np.quantile([a / b for a, b in pairs], (0.25, 0.75)).tolist()],
        "mean_difference_steps": round(float(steps.mean()), 4),
        "repeats": repeats,
    }


def main() -> None:
    """Measure the nets that were asked for and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", default=list(NETS), choices=list(NETS))
    parser.add_argument("--repeats", type=int, default=200)
    chosen = parser.parse_args()
    nets = json.loads(RESULTS.read_text())["nets"] if RESULTS.exists() else {}
    for name in chosen.nets:
        nets[name] = measure(name, chosen.repeats)
        print(f"{name:22} {json.dumps(nets[name])}", file=sys.stderr)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    document = {
        "unit": "milliseconds per inference, one thread",
        "criterion": f"ratio at most {LIMIT} on every net",
        "holds": all(net["ratio"] <= LIMIT for net in nets.values()),
        "nets": nets,
        "command": shlex.join(["python", *sys.argv]),
        "commit": commit.stdout.strip(),
        "machine": platform.processor() or platform.machine(),
        "onnxruntime": onnxruntime.__version__,
    }
    write_file(RESULTS, (json.dumps(document, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
