"""Loads mutants in a process of its own, with bounded memory and time for each: `python judge.py FIRST COUNT`.

Prints one line of JSON: how many were refused, loaded, bound and interpreted, and every failure with its seed.
"""

import json
import resource
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import NoReturn

import numpy as np

from edgesmith.compile.emit.model import Printer, bind
from edgesmith.core import artifact as artifacts
from edgesmith.core import ops
from edgesmith.core.errors import EdgesmithError
from edgesmith.core.graph import Graph
from edgesmith.core.interface import random_input
from fuzz.mutants import Files, mutant

MEMORY_BYTES = 3 << 30  # of address space, the libraries' own included
SECONDS = 20  # a mutant; the machine may be busy
MOST_WORK = 1 << 21  # elements and products; a graph may ask for more, honestly, and is then not run


class TooLong(BaseException):
    """A mutant took more than SECONDS."""


def work(graph: Graph) -> int:
    """Elements of all tensors, paddings and windows, and all products: what interpreting a graph may cost."""
    total = sum(tensor.size for tensor in graph.tensors.values())
    for op in graph.ops:
        attrs = ops.attrs_of(op)
        pads = [int(value) for value in attrs.get("padding", (0,) * 4)]
        sizes = [tensor.shape for tensor in graph.types((*op.inputs[:1], *op.outputs[:1])) if len(tensor.shape) == 4]
        total += sum((s[1] + sum(pads[:2])) * (s[2] + sum(pads[2:])) * s[3] for s in sizes)
        kernel = attrs.get("kernel", (1, 1))
        total += ops.macs(graph, op) + graph.tensors[op.outputs[0]].size * kernel[0] * kernel[1]
        if op.kind in ("lstm", "gru", "lstm_s8", "gru_s8"):
            total += 100 * graph.tensors[op.inputs[0]].shape[0]  # a step is a round of Python
    return total


def judge(files: Files, folder: Path) -> str:
    """What became of a mutant: "refused", "loaded", "bound" or "run"; anything but an EdgesmithError passes on."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    try:
        graph = artifacts.load(folder).graph
    except EdgesmithError:
        return "refused"
    ops.check(graph)
    try:
        program = bind(graph, ("reference",))
        if sum(a.nbytes for a in program.arrays.values()) < 1 << 16:
            printer = Printer(program)
            printer.header(), printer.source()
    except EdgesmithError:
        return "loaded"
    if work(graph) > MOST_WORK:
        return "bound"
    rng = np.random.default_rng(0)
    results = ops.interpret(graph, {name: random_input(graph, name, rng) for name in graph.inputs})
    for name, value in results.items():
        tensor = graph.tensors[name]
        assert (value.shape, str(value.dtype)) == (tensor.shape, tensor.dtype), name
    return "run"


def main(first: int, count: int) -> None:
    """Judge the mutants of seeds first .. first + count - 1."""
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))

    def expire(number: int, frame: object) -> NoReturn:
        raise TooLong

    signal.signal(signal.SIGALRM, expire)
    found, failures = Counter[str](), []
    with tempfile.TemporaryDirectory() as name:
        for seed in range(first, first + count):
            print(f"seed {seed}", file=sys.stderr, flush=True)  # the last one names the mutant that ends the process
            signal.setitimer(signal.ITIMER_REAL, SECONDS)
            try:
                found[judge(mutant(seed), Path(name))] += 1
            except (Exception, TooLong):
                failures.append({"seed": seed, "error": traceback.format_exc(limit=-4)})
            signal.setitimer(signal.ITIMER_REAL, 0)
    print(json.dumps({**found, "failures": failures}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
