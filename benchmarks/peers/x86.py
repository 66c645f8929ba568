"""Whole nets on this machine against ONNX Runtime: int8 against its static QDQ int8, and its float32 beside them.

    python benchmarks/peers/x86.py [NAME ...] [--repeats 200]

The peer takes the torch module through the dynamo exporter, `onnxruntime.quantization.quantize_static` (QDQ, weights
per channel, the same calibration inputs) and all graph optimizations, on one thread. Ours is the int8 program compiled
for this machine, one thread. All run in one process and alternate, so that other load meets each; medians of the times
and of the ratios of neighbours. Each call includes its Python binding. Criterion, fixed before the run: at most 4 times
ONNX Runtime's int8 time on every net. Writes benchmarks/results/peers_x86.json; nets not named keep their entry.
"""

import argparse
import json
import platform
import shlex
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from edgesmith import targets, zoo
from edgesmith.build import bind_for, host_library
from edgesmith.compile.integerize import integerize
from edgesmith.core import ops
from edgesmith.core.atomic import write_file
from edgesmith.core.graph import Graph
from edgesmith.core.interface import decode
from edgesmith.core.task import Task
from edgesmith.lower import channels_last_input
from edgesmith.programs import random_task, source_graph
from edgesmith.realize import samples_of
from edgesmith.run.native import Native
from edgesmith.zoo.testbed import Testbed

RESULTS = Path(__file__).parents[1] / "results" / "peers_x86.json"
NETS = ("resnet8", "ds-cnn", "mobilenet-v1-025", "mobilenet-v2-0.35-96")
LIMIT = 4.0  # times ONNX Runtime
WARM_UP = 10


class Calibration(CalibrationDataReader):
    """The task's calibration inputs, one at a time."""

    def __init__(self, name: str, task: Task) -> None:
        inputs = task.normalize(task.calibration.inputs)
        self.samples = iter([{name: row[None].astype(np.float32)} for row in inputs])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next input; None at the end."""
        return next(self.samples, None)


def session_of(model: Path) -> onnxruntime.InferenceSession:
    """ONNX Runtime with all its optimizations, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def exported(bed: Testbed, folder: Path) -> Path:
    """The float model as ONNX."""
    path = folder / "float.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(bed.module, bed.example_inputs, path, dynamo=True, verbose=False, opset_version=20)
    return path


def quantized(path: Path, task: Task, folder: Path) -> Path:
    """The model as ONNX Runtime quantizes it."""
    prepared, out = folder / "prepared.onnx", folder / "int8.onnx"
    quant_pre_process(path, prepared)
    name = onnxruntime.InferenceSession(prepared).get_inputs()[0].name
    quantize_static(
        prepared,
        out,
        Calibration(name, task),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    return out


def seconds(call: Callable[[], object]) -> float:
    """Time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def own_graph(bed: Testbed, task: Task) -> Graph:
    """The int8 graph that is compiled."""
    source = source_graph(bed.module, bed.example_inputs, task, bed.name, "int8", "minmax")
    return channels_last_input(integerize(source))


def caller(session: onnxruntime.InferenceSession, x: np.ndarray) -> Callable[[], Any]:
    """One inference of ONNX Runtime on x."""
    feed = {session.get_inputs()[0].name: x}
    return lambda: session.run(None, feed)[0]


def callers(bed: Testbed, folder: Path) -> tuple[Graph, Mapping[str, Callable[[], Any]]]:
    """What is timed: one inference each, on the same input."""
    task = random_task(bed.example_inputs, bed.name)
    graph = own_graph(bed, task)
    program = bind_for(graph, targets.load("x86-64")).program
    runner, sample = Native(host_library(program), program.interface), samples_of(graph, task.validation, 1)[0]
    path = exported(bed, folder)
    x = task.normalize(task.validation.inputs[:1])
    calls: dict[str, Callable[[], Any]] = {"ours": lambda: runner.run(sample)[graph.outputs[0]]}
    for name, model in (("onnxruntime_int8", quantized(path, task, folder)), ("onnxruntime_float", path)):
        calls[name] = caller(session_of(model), x)
    return graph, calls


def measure(name: str, repeats: int) -> dict[str, Any]:
    """One net, all in turns."""
    with tempfile.TemporaryDirectory() as folder:
        graph, calls = callers(zoo.load(name), Path(folder))
        outputs = {who: [call() for _ in range(WARM_UP)][-1] for who, call in calls.items()}
        real = decode(graph.tensors[graph.outputs[0]], outputs["ours"])
        times = {who: np.empty(repeats) for who in calls}
        for turn in range(repeats):
            for who, call in calls.items():
                times[who][turn] = seconds(call)
    ratios = times["ours"] / times["onnxruntime_int8"]
    median = float(np.median(ratios))
    return {
        "macs": sum(ops.macs(graph, op) for op in graph.ops),
        **{f"{who}_ms": round(1e3 * float(np.median(each)), 4) for who, each in times.items()},
        "ratio_to_int8": round(median, 3),
        "ratio_quartiles": [round(float(q), 3) for q in np.quantile(ratios, (0.25, 0.75))],
        "ratio_to_float": round(float(np.median(times["ours"] / times["onnxruntime_float"])), 3),
        "faster": "ours" if median < 1 else "onnxruntime",
        "holds": median <= LIMIT,
        "largest_difference": {
            "ours to float": round(float(np.abs(real - outputs["onnxruntime_float"]).max()), 4),
            "peer to float": round(float(np.abs(outputs["onnxruntime_int8"] - outputs["onnxruntime_float"]).max()), 4),
            "largest output": round(float(np.abs(outputs["onnxruntime_float"]).max()), 4),
        },
        "repeats": repeats,
    }


def main() -> None:
    """Measure the nets that were asked for and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=NETS, metavar="NAME")
    parser.add_argument("--repeats", type=int, default=200)
    chosen = parser.parse_args()
    nets = json.loads(RESULTS.read_text())["nets"] if RESULTS.exists() else {}
    for name in chosen.names:
        nets[name] = measure(name, chosen.repeats)
        print(f"{name:22} {json.dumps(nets[name])}", file=sys.stderr)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    document = {
        "unit": "milliseconds per inference, one thread, batch one, float input",
        "criterion": f"at most {LIMIT:g} times ONNX Runtime int8 on every net",
        "holds": all(net["holds"] for net in nets.values()),
        "peer_wins": [name for name, net in nets.items() if net["faster"] != "ours"],
        "nets": nets,
        "command": shlex.join(["python", *sys.argv]),
        "commit": commit.stdout.strip(),
        "machine": platform.processor() or platform.machine(),
        "onnxruntime": onnxruntime.__version__,
    }
    write_file(RESULTS, json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
