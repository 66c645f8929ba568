"""How long planning takes: programs of 200 ops, with and without branches, over five links and every form of payload.

    python benchmarks/planning.py

Costs of the ops are random and given: finding them, and measuring accuracy, is not planning. Writes
benchmarks/results/planning.json.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from edgesmith.collaborate.links import link as links
from edgesmith.collaborate.plan.costs import FORMS, Costs
from edgesmith.collaborate.plan.planner import Limits, best_cut
from edgesmith.core.graph import Graph, Op, Tensor

ROOT = Path(__file__).parent
LINKS = ("ethernet", "wifi", "wifi-bad", "lte", "ble")
SEEDS = (0, 1, 2)
OPS = 200
GOAL_S = 10.0


def program(seed: int, blocks: bool) -> Costs:
    """200 ops whose results shrink along the program, as a net's do; with `blocks` every third joins an earlier one."""
    rng = np.random.default_rng(seed)
    tensors, ops = {"x": Tensor("x", (1, 150_528), "uint8")}, []
    for index in range(OPS):
        names = list(tensors)
        inputs = [names[-1]]
        if blocks and index % 3 == 2:
            inputs.append(names[-int(rng.integers(2, 6))] if len(names) > 6 else names[0])
        size = max(10, int(200_000 * 0.96**index * rng.uniform(0.3, 1.0)))
        tensors[f"t{index}"] = Tensor(f"t{index}", (1, size), "int8")
        ops.append(Op("add", tuple(inputs), (f"t{index}",), {}, f"op{index}"))
    graph = Graph("program", tensors, tuple(ops), ("x",), (f"t{OPS - 1}",))
    device = rng.uniform(0.2, 2.0, OPS)
    coded = {(f, n): int(f.nbytes(t) * rng.uniform(0.3, 0.7)) for f in FORMS if f.coded for n, t in tensors.items()}
    return Costs(graph, device.tolist(), (device / 25).tolist(), [1000] * OPS, 2500.0, coded, (1e-6, 1e-7))


def timed(costs: Costs) -> dict[str, object]:
    """Seconds of the best cut of every form over every link, and how many were proven the best."""
    begin, proven, cuts = time.perf_counter(), 0, set()
    for name in LINKS:
        for form in FORMS:
            found = best_cut(costs, form, links.load(name), "latency", Limits(energy_uj=5e5))
            if found:
                proven += found.proven
                cuts.add(len(found.cut.head))
    return {"seconds": round(time.perf_counter() - begin, 2), "proven": proven, "different_cuts": len(cuts)}


def main() -> None:
    """Measure and write."""
    rows = []
    for blocks in (False, True):
        for seed in SEEDS:
            rows.append({"branches": blocks, "seed": seed, **timed(program(seed, blocks))})
            print(rows[-1], file=sys.stderr)
    worst = max(row["seconds"] for row in rows)
    facts = {"ops": OPS, "links": LINKS, "forms": [form.name for form in FORMS], "goal_s": GOAL_S}
    result = {
        "command": "python benchmarks/planning.py",
        **facts,
        "worst_s": worst,
        "holds": worst < GOAL_S,
        "rows": rows,
    }
    (ROOT / "results" / "planning.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
