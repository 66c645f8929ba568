"""Compiles mutants that are valid graphs with AddressSanitizer and runs them: a program, run by test_mutant_code.py.

`python run_mutants.py FIRST COUNT BATCH` prints how many of the seeds were run; the sanitizer ends it at a bad touch.
"""

import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

from compile.programs import bound, disagreement, load, samples
from edgesmith.core.artifact import graph_from
from edgesmith.core.errors import EdgesmithError
from edgesmith.core.graph import Graph
from edgesmith.toolchain.compiler import CompilerFailed
from fuzz.judge import MOST_WORK, work
from fuzz.mutants import mutant


def runnable(seed: int) -> Graph | None:
    """The mutant's graph, if it is valid and small."""
    try:
        graph = graph_from(mutant(seed))
        bound([graph], ("reference",))
    except EdgesmithError:
        return None
    small = work(graph) <= MOST_WORK and sum(array.nbytes for array in graph.constants.values()) < 1 << 16
    return graph if small else None


def exact(graph: Graph) -> bool:
    """Whether C must give numpy's every bit: no float on the way."""
    return not any(tensor.dtype == "float32" for tensor in graph.tensors.values())


def run(graphs: dict[int, Graph]) -> None:
    """Build all of them in one library and run each twice."""
    with tempfile.TemporaryDirectory() as folder:
        programs = bound(list(graphs.values()), ("reference",))
        runners = load(programs, Path(folder), sanitize="address", compiler="gcc", flags=("-O1",))
        for (seed, graph), runner in zip(graphs.items(), runners, strict=True):
            print(f"seed {seed}", file=sys.stderr, flush=True)
            inputs = samples(graph, np.random.default_rng(seed), 2)
            if exact(graph):
                assert (found := disagreement(graph, runner, inputs)) == "", f"seed {seed}: {found}"
            else:
                for sample in inputs:
                    runner.run(sample)


def main(first: int, count: int, batch: int) -> None:
    """Take seeds in order until `count` of them have run."""
    warnings.simplefilter("ignore")
    seed, done, graphs = first, 0, {}
    while done + len(graphs) < count:
        if (graph := runnable(seed)) is not None:
            graphs[seed] = graph
        seed += 1
        if len(graphs) == batch or done + len(graphs) == count:
            try:
                run(graphs)
            except CompilerFailed as error:
                sys.exit(f"seeds {list(graphs)}: {error}")
            done, graphs = done + len(graphs), {}
    print(done)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
