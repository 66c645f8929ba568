"""Count what whole int8 nets execute on emulated AArch64 cores: NEON kernels against C that the compiler vectorises.

    python benchmarks/kernels/neon.py [NAME ...]

Both programs come from the same graph and the same compiler, with -O3 and the core's flags; the plain one takes the
kernels of reference/ alone. Each inference must equal numpy bit for bit. The Cortex-A72 (Raspberry Pi 4) has no dot
product, the Cortex-A76 (Raspberry Pi 5) does. Criterion, fixed before the run: at most a third of plain C's
instructions on every net and core. "of_the_limit" is 1/16 instruction per multiply-accumulate (SDOT) or 3/16 (SMULL,
SMLAL2 and SADALP take 16 of them in 3) over ours. Writes benchmarks/results/neon.json; nets that are not named keep
their entry.
"""

import argparse
import json
import shlex
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from stamp import commit
from whole_nets import byte_task, program_graph

from edgesmith import targets, zoo
from edgesmith.compile.emit.model import bind
from edgesmith.core import ops
from edgesmith.core.atomic import write_file
from edgesmith.core.graph import Graph
from edgesmith.core.target import Target
from edgesmith.emulate.cost import instructions, latency
from edgesmith.pipeline.build import Compiled, firmware
from edgesmith.pipeline.realize import samples_of
from edgesmith.pipeline.verify import Interpreted
from edgesmith.run.emulated import Emulated

RESULTS = Path(__file__).parents[1] / "results" / "neon.json"
BOARDS = ("raspberry-pi-4", "raspberry-pi-5")
NETS = ("ds-cnn", "resnet8", "mobilenet-v1-025", "mobilenet-v2-0.35-96")
LIMIT = 1 / 3  # of plain C's instructions
FLOOR = {"raspberry-pi-4": 3 / 16, "raspberry-pi-5": 1 / 16}  # instructions per multiply-accumulate


def count(graph: Graph, sample: dict[str, np.ndarray], target: Target, kernels: tuple[str, ...]) -> dict[str, Any]:
    """One inference with the kernels of these folders; raises where it differs from numpy."""
    compiled = Compiled(bind(graph, kernels), target)
    own = compiled.program.graph
    with TemporaryDirectory(prefix="edgesmith-neon-") as folder:
        built = firmware(compiled, Path(folder), mark=True)
        with Emulated(built, compiled.program.interface, target, layers=len(own.ops)) as board:
            found, wanted = board.run(sample), Interpreted(graph).run(sample)
            assert board.last is not None
            call = board.last
    for name in graph.outputs:
        np.testing.assert_array_equal(found[name], wanted[name])
    macs: dict[str, int] = {}
    executed: dict[str, float] = {}
    for index, (op, kernel) in enumerate(zip(own.ops, compiled.program.kernels, strict=True)):
        if kernel:
            kind = kernel.function.removeprefix("es_")
            macs[kind] = macs.get(kind, 0) + ops.macs(own, op)
            executed[kind] = executed.get(kind, 0) + instructions(call.by_layer[index])
    total = sum(macs.values())
    by_kernel = {
        kind: {"share": round(executed[kind] / call.instructions, 3)}
        | ({"per_mac": round(executed[kind] / macs[kind], 3)} if macs[kind] else {})
        for kind in sorted(executed, key=lambda kind: -executed[kind])
    }
    return {
        "instructions": call.instructions,
        "per_mac": round(call.instructions / total, 3),
        "flash_bytes": built.flash_bytes,
        "arena_bytes": compiled.program.interface.arena_bytes,
        "estimated_ms": round(latency(target, call.classes).value, 3),
        "by_kernel": by_kernel,
    }


def measure(name: str) -> dict[str, Any]:
    """One net on both cores."""
    bed = zoo.load(name)
    task = byte_task(bed)
    graph = program_graph(bed, task, "minmax")
    sample = samples_of(graph, task.validation, 1)[0]
    found: dict[str, Any] = {"macs": sum(ops.macs(graph, op) for op in graph.ops)}
    for board in BOARDS:
        target = targets.load(board)
        ours = count(graph, sample, target, target.kernels)
        plain = count(graph, sample, target, ("reference",))
        ratio = ours["instructions"] / plain["instructions"]
        found[board] = {
            "ours": ours,
            "plain_c": plain,
            "ratio": round(ratio, 3),
            "of_the_limit": round(FLOOR[board] / ours["per_mac"], 3),
            "holds": ratio <= LIMIT,
        }
        print(f"{name:22} {board:16} {ours['per_mac']:.3f} against {plain['per_mac']:.3f}", file=sys.stderr)
    return found


def main() -> None:
    """Measure the nets named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=NETS, metavar="NAME")
    nets = json.loads(RESULTS.read_text())["nets"] if RESULTS.exists() else {}
    for name in parser.parse_args().names:
        nets[name] = measure(name)
    document = {
        "unit": "per_mac: instructions per multiply-accumulate, counted on the emulated core (kind: emulated)",
        "estimated_ms": "one issue slot an instruction, two a cycle: an assumption (kind: estimated, error not known)",
        "criterion": "at most a third of the instructions of compiler-vectorised C, on every net and core",
        "holds": all(net[board]["holds"] for net in nets.values() for board in BOARDS),
        "nets": nets,
        "command": shlex.join(["python", *sys.argv]),
        "commit": commit(),
    }
    write_file(RESULTS, json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
