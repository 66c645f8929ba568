"""Train the zoo's testbeds by their recipes and record the metric each seed reaches.

EDGESMITH_DATA=<folder> python benchmarks/zoo.py [--seeds 0 1 2] [NAME ...]

Writes benchmarks/results/zoo.json; nets not named keep their entry.
"""

import argparse
import json
import shlex
import statistics
import sys
import tempfile
from pathlib import Path

import torch
from stamp import commit, machine

from edgesmith import zoo
from edgesmith.core.atomic import write_file

RESULTS = Path(__file__).parent / "results" / "zoo.json"


def measure(name: str, seeds: list[int]) -> dict[str, object]:
    """Train one net with every seed; metrics as fractions, seconds on one thread."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [zoo.train(name, seed, Path(folder) / f"{seed}.safetensors") for seed in seeds]
    tests = [run.test for run in runs]
    facts = zoo.info(name)
    return {
        "name": name,
        "dataset": facts.dataset,
        "parameters": facts.parameters,
        "recipe": str(facts.recipe),
        "metric": facts.metric,
        "seeds": seeds,
        "validation": [round(run.validation, 5) for run in runs],
        "test": [round(test, 5) for test in tests],
        "test_mean": round(statistics.fmean(tests), 5),
        "test_spread": round(max(tests) - min(tests), 5),
        "seconds": round(statistics.fmean(run.seconds for run in runs), 1),
        **circumstances(),
    }


def circumstances() -> dict[str, object]:
    """The command, machine and commit of this run."""
    return {
        "command": f"EDGESMITH_DATA=<folder> python benchmarks/zoo.py {shlex.join(sys.argv[1:])}".strip(),
        "machine": f"{machine()}, 1 thread, torch {torch.__version__}",
        "commit": commit(),
    }


def main() -> None:
    """Measure the nets named on the command line, or all with a recipe."""
    trainable = [name for name in zoo.names() if zoo.info(name).recipe]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=trainable, metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.names:
        result = measure(name, options.seeds)
        print(f"{name}: {result['metric']} on the test {result['test']}, {result['seconds']} s a run")
        known = json.loads(RESULTS.read_text())["nets"] if RESULTS.exists() else []
        nets = [*(net for net in known if net["name"] != name), result]
        nets.sort(key=lambda net: zoo.names().index(net["name"]))
        write_file(RESULTS, json.dumps({"nets": nets}, indent=2) + "\n")


if __name__ == "__main__":
    main()
