"""How many requests a minute virtual time takes; writes benchmarks/results/virtual_time.json.

    python benchmarks/virtual_time.py

Three streams of 50,000 requests, the best of three runs each, by the time of one core, so that other work on the
machine does not count: a good link, a lossy one with a server that cannot keep up, and one where faults follow one
another. The goal, set before the first run: 100,000 a minute.
"""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from stamp import commit, machine

from edgesmith.collaborate.links import link as links
from edgesmith.collaborate.world.faults import random_faults
from edgesmith.collaborate.world.run import run
from edgesmith.collaborate.world.spec import Plan, Serving, World, periodic, poisson
from edgesmith.core.atomic import write_file

RESULTS = Path(__file__).parent / "results" / "virtual_time.json"
REQUESTS, REPEATS, GOAL = 50_000, 3, 100_000
PLAN = Plan(device_ms=2.0, up_bytes=2000, server_ms=5.0, down_bytes=100, deadline_ms=100.0, fallback_ms=20.0)
STREAMS = {
    "good link, one request each 25 ms": World(PLAN, links.load("wifi"), periodic(REQUESTS, 25.0)),
    "lossy link, busy server, Poisson": World(
        replace(PLAN, server_ms=30.0, deadline_ms=300.0),
        links.load("lte"),
        poisson(REQUESTS, 30.0, seed=1),
        Serving(queue_limit=8),
    ),
    "faults": World(
        PLAN, links.load("wifi"), periodic(REQUESTS, 25.0), faults=random_faults(12, REQUESTS * 0.025), seed=12
    ),
}


def measure(world: World) -> dict[str, Any]:
    """Requests a minute, and what became of them."""
    took_s = []
    for _ in range(REPEATS):
        begin = time.process_time()
        made = run(world)
        took_s.append(time.process_time() - begin)
    rates = [len(world.times_s) / seconds * 60 for seconds in took_s]
    return {
        "requests": len(world.times_s),
        "per_minute": round(max(rates)),
        "spread": round((max(rates) - min(rates)) / 2),
        "virtual_s_per_s": round(world.times_s[-1] / min(took_s)),
        "places": made.ledger.places(),
        "breaker_opened": made.opened,
    }


def main() -> None:
    """Measure and write."""
    streams = {name: measure(world) for name, world in STREAMS.items()}
    data = {
        "streams": streams,
        "goal_per_minute": GOAL,
        "holds": min(stream["per_minute"] for stream in streams.values()) >= GOAL,
        "command": "python benchmarks/virtual_time.py",
        "machine": machine(),
        "commit": commit(),
    }
    write_file(RESULTS, json.dumps(data, indent=1) + "\n")
    print(json.dumps(data, indent=1))


if __name__ == "__main__":
    main()
