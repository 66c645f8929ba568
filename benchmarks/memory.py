"""Peak memory of every net of the zoo, int8 with Cortex-M4 kernels, and of branching nets as searches make them.

    EDGESMITH_DATA=<folder> python benchmarks/memory.py [NAME ...]

Writes benchmarks/results/memory.json; what is not named keeps its entry. For each net the arena with one thing more
each time: buffers placed by lifetime alone, results over inputs, pieces and joins, the exact plan, all in the order in
which the net is written down; then in the better order, which is what compile takes. Beside it the lower bound, whether
no placement of the same buffers is smaller, and the seconds that kernels, order and plan took here.

Peers: of MLPerf Tiny nets what TensorFlow Lite Micro's recording allocator says under activations. Of branching nets
the order in which they are written down, which is what a compiler without reordering runs, with all else as here;
arXiv:2003.02369 reports 1.68 times less by order alone on its irregularly wired nets, against TensorFlow Lite.
"""

import argparse
import json
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "tests")]
from stamp import commit, machine
from whole_nets import BOARD, TFLM_ACTIVATIONS, byte_task, program_graph

from compile.wiring import inception, random_wiring
from edgesmith import targets, zoo
from edgesmith.compile.emit import model
from edgesmith.compile.memory import plan as planning
from edgesmith.compile.memory.place import extent
from edgesmith.compile.memory.sharing import Sharing, Way
from edgesmith.compile.memory.storage import Demands, buffers, overlaps, scratch_buffers
from edgesmith.core.atomic import write_file
from edgesmith.core.errors import Missing, Unsupported
from edgesmith.core.graph import Graph
from edgesmith.pipeline.build import bind_for

RESULTS = Path(__file__).parent / "results" / "memory.json"
# Arenas at commit ba74b2f: greedy orders, results over inputs of stride 1, no views, the given order; bytes.
BEFORE = {
    "digits-cnn": 2_992,
    "digits-resnet": 9_904,
    "fashion-cnn": 6_352,
    "speech-dscnn": 19_232,
    "occupancy-lstm": 960,
    "nslkdd-autoencoder": 608,
    "ds-cnn": 10_400,
    "mobilenet-v1-025": 48_912,
    "resnet8": 34_992,
    "fc-autoencoder": 768,
    "vit": 40_960,
    "lstm": 2_000,
    "mobilenet-v2-0.35-96": 141_072,
}
NODES, SEEDS = (12, 20, 32), (0, 1, 2)  # of randomly wired cells
MAKERS: dict[str, Callable[[], Graph]] = {
    **{f"random-wiring-{n}/{seed}": partial(random_wiring, seed, n) for n in NODES for seed in SEEDS},
    "inception": partial(inception, 0),
}


def as_given(graph: Graph, demands: Demands) -> tuple[int, ...]:
    """In place of `best_order`."""
    return tuple(range(len(graph.ops)))


def greedy(graph: Graph, demands: Demands, ways: Sequence[Way]) -> int:
    """Bytes of the best greedy placement where only this is shared."""
    own = buffers(Sharing(graph, demands.in_place, ways))
    items = (*own, *scratch_buffers(demands.scratch_bytes))
    problem = planning.Problem(items, overlaps(graph, own, demands.lead_bytes), frozenset())
    return extent(items, planning.greedy(problem)[0].offsets)


def measured(graph: Graph) -> dict[str, Any]:
    """One net."""
    target = targets.load(BOARD)
    start = time.perf_counter()
    found = bind_for(graph, target).program.plan
    seconds = time.perf_counter() - start
    with patch.object(model, "best_order", as_given):
        written = bind_for(graph, target).program
    demands = model.demands_of(written.kernels)
    apart = Demands(demands.scratch_bytes)
    return {
        "ops": len(graph.ops),
        "buffers": len(found.buffers),
        "by_lifetime_bytes": greedy(written.graph, apart, ()),
        "over_inputs_bytes": greedy(written.graph, demands, ("overwrite",)),
        "joined_bytes": min(greedy(written.graph, demands, ways) for ways in planning.WAYS),
        "exact_as_written_bytes": written.plan.arena_bytes,
        "arena_bytes": found.arena_bytes,
        "lower_bound_bytes": found.lower_bound_bytes,
        "gap": round(1 - found.lower_bound_bytes / found.arena_bytes, 4),
        "optimal": found.optimal,
        "seconds": round(seconds, 2),
    }


def zoo_net(name: str) -> dict[str, Any]:
    """A net of the zoo beside its peer."""
    bed = zoo.load(name)
    found = measured(program_graph(bed, byte_task(bed), "minmax"))
    if name in BEFORE:
        found["arena_before_bytes"] = {"commit": "ba74b2f", "bytes": BEFORE[name]}
    if name in TFLM_ACTIVATIONS:
        limit = TFLM_ACTIVATIONS[name]
        found["tflm_activations_bytes"] = {"peer": limit, "holds": found["arena_bytes"] <= limit}
    return found


def branching_net(name: str) -> dict[str, Any]:
    """A branching net, and how much its order saves."""
    found = measured(MAKERS[name]())
    return {**found, "saved_by_order": round(found["exact_as_written_bytes"] / found["arena_bytes"], 3)}


def circumstances() -> dict[str, Any]:
    """The command, machine and commit of this run."""
    return {
        "command": f"EDGESMITH_DATA=<folder> python benchmarks/memory.py {shlex.join(sys.argv[1:])}".strip(),
        "machine": machine(),
        "commit": commit(),
    }


def update(section: str, name: str, found: dict[str, Any]) -> None:
    """Put one net's figures into the results."""
    document = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"board_name": BOARD}
    document.setdefault(section, {})[name] = {**found, **circumstances()}
    ratios = [net["saved_by_order"] for net in document.get("branching", {}).values()]
    if ratios:
        document["saved_by_order_geometric_mean"] = round(statistics.geometric_mean(ratios), 3)
    write_file(RESULTS, json.dumps(document, indent=1) + "\n")
    print(f"{section:10} {name:22} {json.dumps(found)}", file=sys.stderr)


def main() -> None:
    """Measure the nets named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", default=[*zoo.names(), *MAKERS])
    for name in parser.parse_args().names:
        try:
            if name in MAKERS:
                update("branching", name, branching_net(name))
            else:
                update("zoo", name, zoo_net(name))
        except (Missing, Unsupported) as error:
            print(f"{name}: left out: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
