"""Whole int8 nets as WebAssembly: ours against ONNX Runtime Web in Node's engine, and against native C in wasmtime.

    npm install onnxruntime-web        # in some folder, with Node 20 or later
    python benchmarks/peers/wasm.py --npm FOLDER [NAME ...] [--repeats 60]

In Node, one process runs ours and the peer in turns on the same floats, one thread each: the peer is ONNX Runtime Web's
WebAssembly with SIMD on the QDQ int8 model that ONNX Runtime quantizes (`x86.py`), ours the emitted module through the
emitted script. In Python, the same module in wasmtime, the module of plain C (kernels of reference/ alone, vectorised
by the compiler) and our x86-64 program run in turns; entering each costs some microseconds. A time is the least of five
in a row; of those, medians, and medians of the ratios of neighbours. Criterion, fixed before the run: at most ONNX
Runtime Web's time on every net. Writes benchmarks/results/wasm.json; nets that are not named keep their entry.
"""

import argparse
import json
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
from stamp import commit
from x86 import exported, own_graph, quantized, seconds

from edgesmith import targets, zoo
from edgesmith.compile.emit import browser
from edgesmith.compile.emit.model import bind
from edgesmith.core import ops
from edgesmith.core.atomic import write_file
from edgesmith.core.graph import Graph
from edgesmith.core.interface import random_input
from edgesmith.pipeline.build import Compiled, bind_for, native, wasm_module
from edgesmith.pipeline.programs import random_task
from edgesmith.pipeline.realize import samples_of
from edgesmith.run.wasm import Wasm

RESULTS = Path(__file__).parents[1] / "results" / "wasm.json"
NETS = ("ds-cnn", "resnet8", "mobilenet-v1-025", "mobilenet-v2-0.35-96")
WARM_UP = 20
IN_A_ROW = 5  # of which the least counts: other work on the machine disturbs it least
IN_NODE = """
import { createRequire } from "node:module";
import { readFile } from "node:fs/promises";
import { load, description } from "./ours/%(name)s.js";
const ort = createRequire("%(npm)s/package.json")("onnxruntime-web");
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";
const numbers = JSON.parse(await readFile("input.json"));
const session = await ort.InferenceSession.create(new Uint8Array(await readFile("int8.onnx")));
const feed = { [session.inputNames[0]]: new ort.Tensor("float32", Float32Array.from(numbers.float), numbers.shape) };
const model = await load(), given = { [description.inputs[0].name]: Float32Array.from(numbers.stored) };
const times = { ours: [], theirs: [] };
const least = async (call) => {
  let best = Infinity;
  for (let i = 0; i < %(in_a_row)d; i++) {
    const start = performance.now();
    await call();
    best = Math.min(best, performance.now() - start);
  }
  return best;
};
const turn = async () => {
  times.ours.push(await least(() => model.runStored(given)));
  times.theirs.push(await least(() => session.run(feed)));
};
for (let i = 0; i < %(warm_up)d; i++) await turn();
times.ours.length = times.theirs.length = 0;
for (let i = 0; i < %(repeats)d; i++) await turn();
const output = Object.values(await session.run(feed))[0].data;
console.log(JSON.stringify({ ...times, version: ort.env.versions.web, output: Array.from(output),
                             real: Array.from(model.run(given)[description.outputs[0].name]) }));
"""


def in_node(name: str, npm: Path, repeats: int) -> dict[str, Any]:
    """Ours and the peer in one Node process."""
    bed = zoo.load(name)
    task = random_task(bed.example_inputs, bed.name)
    graph = own_graph(bed, task)
    sample = samples_of(graph, task.validation, 1)[0][graph.inputs[0]]
    floats = task.normalize(task.validation.inputs[:1])
    with tempfile.TemporaryDirectory(prefix="edgesmith-wasm-") as text:
        folder = Path(text)
        (folder / "ours").mkdir()
        compiled = bind_for(graph, targets.load("wasm"))
        face = compiled.program.interface
        built = wasm_module(compiled, folder / "ours")
        (folder / "ours" / f"{face.name}.js").write_text(browser.script(face))
        (folder / "package.json").write_text('{"type": "module"}')
        quantized(exported(bed, folder), task, folder)
        numbers = {"float": floats.ravel().tolist(), "shape": list(floats.shape), "stored": sample.ravel().tolist()}
        (folder / "input.json").write_text(json.dumps(numbers))
        facts = {"name": face.name, "npm": npm.resolve(), "warm_up": WARM_UP, "repeats": repeats, "in_a_row": IN_A_ROW}
        (folder / "run.js").write_text(IN_NODE % facts)
        done = subprocess.run(["node", "run.js"], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
    found = json.loads(done.stdout)
    ours, theirs = np.array(found["ours"]), np.array(found["theirs"])
    ratio = float(np.median(ours / theirs))
    return {
        "ours_ms": round(float(np.median(ours)), 4),
        "onnxruntime_web_ms": round(float(np.median(theirs)), 4),
        "ratio": round(ratio, 3),
        "ratio_quartiles": [round(float(q), 3) for q in np.quantile(ours / theirs, (0.25, 0.75))],
        "faster": "ours" if ratio < 1 else "onnxruntime-web",
        "holds": ratio <= 1,
        "module_bytes": built.file_bytes,
        "largest_difference": round(float(np.abs(np.array(found["output"]) - np.array(found["real"])).max()), 4),
        "largest_output": round(float(np.abs(found["output"]).max()), 4),
        "onnxruntime_web": found["version"],
        "repeats": repeats,
    }


def in_wasmtime(graph: Graph, repeats: int) -> dict[str, Any]:
    """Ours, plain C and native C in one Python process."""
    target = targets.load("wasm")
    rng = np.random.default_rng(0)
    given = {name: random_input(graph, name, rng) for name in graph.inputs}
    here = native(graph)
    (wanted,) = here.run(given).values()
    calls: dict[str, Callable[[], Any]] = {"native": here.prepared(given)}
    with tempfile.TemporaryDirectory(prefix="edgesmith-wasm-") as folder:
        for who, folders in (("ours", target.kernels), ("plain_c", ("reference",))):
            compiled = Compiled(bind(graph, folders), target)
            built = wasm_module(compiled, Path(folder) / who, traced=True)
            runner = Wasm(built.path, compiled.program.interface, target, traced=lambda op: None)
            (found,) = runner.run(given).values()
            np.testing.assert_array_equal(found, wanted)
            again = runner.prepared(given)
            calls[who] = lambda again=again: again(1)
        times = {who: np.empty(repeats) for who in calls}
        for turn in range(-WARM_UP, repeats):
            for who, call in calls.items():
                span = min(seconds(call) for _ in range(IN_A_ROW))
                if turn >= 0:
                    times[who][turn] = span
    return {
        **{f"{who}_ms": round(1e3 * float(np.median(each)), 4) for who, each in times.items()},
        "ours_to_native": round(float(np.median(times["ours"] / times["native"])), 3),
        "plain_c_to_ours": round(float(np.median(times["plain_c"] / times["ours"])), 2),
    }


def measure(name: str, npm: Path, repeats: int) -> dict[str, Any]:
    """One net in both engines."""
    bed = zoo.load(name)
    graph = own_graph(bed, random_task(bed.example_inputs, bed.name))
    macs = sum(ops.macs(graph, op) for op in graph.ops)
    return {"macs": macs, "node": in_node(name, npm, repeats), "wasmtime": in_wasmtime(graph, repeats // 2)}


def main() -> None:
    """Measure the nets that were asked for and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=NETS, metavar="NAME")
    parser.add_argument("--npm", type=Path, required=True, help="folder whose node_modules holds onnxruntime-web")
    parser.add_argument("--repeats", type=int, default=60)
    chosen = parser.parse_args()
    nets = json.loads(RESULTS.read_text())["nets"] if RESULTS.exists() else {}
    for name in chosen.names:
        nets[name] = measure(name, chosen.npm, chosen.repeats)
        print(f"{name:22} {json.dumps(nets[name])}", file=sys.stderr)
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False)
    document = {
        "unit": "milliseconds per inference, one thread, batch one, int8 (kind: measured)",
        "criterion": "at most ONNX Runtime Web's time on every net",
        "holds": all(net["node"]["holds"] for net in nets.values()),
        "nets": nets,
        "command": shlex.join(["python", "benchmarks/peers/wasm.py", "--npm", "<folder>", *chosen.names]),
        "commit": commit(),
        "machine": platform.processor() or platform.machine(),
        "node": node.stdout.strip(),
    }
    write_file(RESULTS, json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
