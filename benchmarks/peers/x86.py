"""Whole nets on this machine against ONNX Runtime and XNNPACK, int8 and float32, one and two threads.

    python benchmarks/peers/x86.py [NAME ...] [--repeats 200] [--threads 1 2]

The peers take the torch module: ONNX Runtime through the dynamo exporter, `onnxruntime.quantization.quantize_static`
(QDQ, weights per channel, the same calibration inputs) and all graph optimizations; XNNPACK through ExecuTorch and its
own quantizer (`pip install executorch==1.4.1 onnxruntime==1.31.1`). Ours is the int8 program compiled for this machine.
All run in one process and alternate, so that other load meets each. A turn of one of them is a call that warms the
caches and CALLS more, of which the fastest counts; with several threads each rests before its turn until the other
pools' threads sleep. Medians of the times, and of the ratios within a turn. Each call includes its Python binding.
Beside them the machine's own limits (limits.py), measured in the same process. Criterion, fixed before the run: at most
ONNX Runtime's int8 time on every net, one thread. Writes benchmarks/results/peers_x86.json, nets not named keep their
entry, and `python docs/speed.py` the table from it.
"""

import argparse
import json
import shlex
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
import xnnpack
from limits import limits
from stamp import commit

from edgesmith import targets, zoo
from edgesmith.compile.emit.model import Program
from edgesmith.compile.integerize import integerize
from edgesmith.core import ops
from edgesmith.core.atomic import write_file
from edgesmith.core.graph import Graph
from edgesmith.core.interface import decode
from edgesmith.core.task import Task
from edgesmith.lower import channels_last_input
from edgesmith.pipeline.build import bind_for, host_library
from edgesmith.pipeline.programs import random_task, source_graph
from edgesmith.pipeline.realize import samples_of
from edgesmith.run.native import Native
from edgesmith.zoo.testbed import Testbed

RESULTS = Path(__file__).parents[1] / "results" / "peers_x86.json"
NETS = ("resnet8", "ds-cnn", "mobilenet-v1-025", "mobilenet-v2-0.35-96", "mobilenet-v2-1.0-224")
LIMIT = 1.0  # times ONNX Runtime's int8
WARM_UP = 10
CALLS = 5
REST_S = 0.005  # longer than threads of the peers look for work before they sleep
PEERS = ("onnxruntime_int8", "onnxruntime_float", "xnnpack_int8", "xnnpack_float")


class Calibration(CalibrationDataReader):
    """The task's calibration inputs, one at a time."""

    def __init__(self, name: str, task: Task) -> None:
        inputs = task.normalize(task.calibration.inputs)
        self.samples = iter([{name: row[None].astype(np.float32)} for row in inputs])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next input; None at the end."""
        return next(self.samples, None)


def session_of(model: Path, threads: int) -> onnxruntime.InferenceSession:
    """ONNX Runtime with all its optimizations."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
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
    """Time of one call: the fastest of CALLS, after one that warms the caches."""
    call()
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def own_graph(bed: Testbed, task: Task) -> Graph:
    """The int8 graph that is compiled."""
    source = source_graph(bed.module, bed.example_inputs, task, bed.name, "int8", "minmax")
    return channels_last_input(integerize(source))


def caller(session: onnxruntime.InferenceSession, x: np.ndarray) -> Callable[[], Any]:
    """One inference of ONNX Runtime on x."""
    feed = {session.get_inputs()[0].name: x}
    return lambda: session.run(None, feed)[0]


def program_of(name: str) -> tuple[Testbed, Task, Program]:
    """Ours: the int8 program for this machine."""
    bed = zoo.load(name)
    task = random_task(bed.example_inputs, bed.name)
    return bed, task, bind_for(own_graph(bed, task), targets.load("x86-64")).program


def callers(bed: Testbed, task: Task, program: Program, threads: int) -> dict[str, Callable[[], Any]]:
    """What is timed: one inference each, on the same input."""
    graph = program.graph
    runner = Native(host_library(program), program.interface, threads)
    sample = samples_of(graph, task.validation, 1)[0]
    calls: dict[str, Callable[[], Any]] = {"ours": lambda: runner.run(sample)[graph.outputs[0]]}
    x = task.normalize(task.validation.inputs[:1])
    with tempfile.TemporaryDirectory() as folder:
        path = exported(bed, Path(folder))
        for name, model in (("onnxruntime_int8", quantized(path, task, Path(folder))), ("onnxruntime_float", path)):
            calls[name] = caller(session_of(model, threads), x)
    return calls | xnnpack.callers(bed.module, task, threads)


def timed(calls: Mapping[str, Callable[[], Any]], repeats: int, rest_s: float) -> dict[str, np.ndarray]:
    """Seconds of each, in turns."""
    times = {who: np.empty(repeats) for who in calls}
    for turn in range(repeats):
        for who, call in calls.items():
            time.sleep(rest_s)
            times[who][turn] = seconds(call)
    return times


def measure(name: str, threads: int, repeats: int) -> dict[str, Any]:
    """One net, all in turns, and the machine's limits."""
    bed, task, program = program_of(name)
    graph = program.graph
    calls = callers(bed, task, program, threads)
    outputs = {who: [call() for _ in range(WARM_UP)][-1] for who, call in calls.items()}
    real = {**outputs, "ours": decode(graph.tensors[graph.outputs[0]], outputs["ours"])}
    times = timed(calls, repeats, REST_S if threads > 1 else 0.0)
    ratios = {who: times["ours"] / times[who] for who in PEERS}
    best = float(np.quantile(times["ours"], 0.25))
    macs, moved = sum(ops.macs(graph, op) for op in graph.ops), moved_bytes(program)
    found = limits(threads)
    difference = {who: round(float(np.abs(y - real["onnxruntime_float"]).max()), 4) for who, y in real.items()}
    return {
        **{f"{who}_ms": round(1e3 * float(np.median(each)), 4) for who, each in times.items()},
        "ratios": {who: round(float(np.median(each)), 3) for who, each in ratios.items()},
        "ratio_quartiles": {who: np.quantile(each, (0.25, 0.75)).round(3).tolist() for who, each in ratios.items()},
        "ratios_of_fastest": {who: round(float(times["ours"].min() / times[who].min()), 3) for who in PEERS},
        "peers_that_win": [who for who in PEERS if np.median(ratios[who]) > 1],
        "macs": macs,
        "moved_bytes": moved,
        "limits": found,
        "share_of_peak": round(macs / best / found["peak_gmacs_per_s"] / 1e9, 4),
        "share_of_read": round(moved / best / found["read_gb_per_s"] / 1e9, 4),
        "largest_difference_to_float": difference,
        "largest_output": round(float(np.abs(real["onnxruntime_float"]).max()), 4),
        "repeats": repeats,
    }


def moved_bytes(program: Program) -> int:
    """Constants once, and what every op reads and writes: from memory if there were no cache."""
    graph = program.graph
    live = [name for op in graph.ops for name in (*op.inputs, *op.outputs) if name not in graph.constants]
    return program.constant_bytes() + sum(graph.tensors[name].nbytes for name in live)


def document(nets: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The results as they are written."""
    ones = {name: net["1"] for name, net in nets.items() if "1" in net}
    return {
        "unit": "milliseconds per inference, batch one, float input",
        "criterion": "at most ONNX Runtime's int8 time on every net, one thread",
        "holds": all(net["ratios"]["onnxruntime_int8"] <= LIMIT for net in ones.values()),
        "peer_wins": {
            name: {threads: each["peers_that_win"] for threads, each in net.items() if each["peers_that_win"]}
            for name, net in nets.items()
            if any(each["peers_that_win"] for each in net.values())
        },
        "nets": nets,
        "command": shlex.join(["python", *sys.argv]),
        "commit": commit(),
        "machine": targets.load("x86-64").title,
        "onnxruntime": onnxruntime.__version__,
        "executorch": metadata.version("executorch"),
    }


def main() -> None:
    """Measure the nets that were asked for and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=NETS, metavar="NAME")
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    chosen = parser.parse_args()
    nets = json.loads(RESULTS.read_text())["nets"] if RESULTS.exists() else {}
    for threads in chosen.threads:
        for name in chosen.names:
            found = measure(name, threads, chosen.repeats)
            nets.setdefault(name, {})[str(threads)] = found
            print(f"{name:22} {threads} {json.dumps(found)}", file=sys.stderr)
            write_file(RESULTS, json.dumps(document(nets), indent=1) + "\n")


if __name__ == "__main__":
    main()
