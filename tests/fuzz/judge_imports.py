"""Imports damaged .tflite and .onnx files in a process of its own: `python judge_imports.py KIND FIRST COUNT`.

Prints one line of JSON: how many were refused and how many imported, and every failure with its seed.
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

from edgesmith.compile.integerize import integerize
from edgesmith.core import ops
from edgesmith.core.errors import EdgesmithError
from edgesmith.lower.onnx import lower_onnx
from edgesmith.lower.tflite import lower_tflite
from fuzz.judge import MEMORY_BYTES, SECONDS, TooLong
from fuzz.mutants import EDGES


def sources(kind: str) -> list[bytes]:
    """Sound files to damage."""
    if kind == "onnx":
        from lower.onnx import files as onnx_files

        return [net().SerializeToString() for net in onnx_files.NETS.values()]
    from lower.tflite import files as tflite_files

    return [net(quantized) for net in tflite_files.NETS.values() for quantized in (False, True)]


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes changed, a number replaced by one at a limit, a part cut out, repeated, or the end lost."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        at, choice = int(rng.integers(len(changed))), int(rng.integers(6))
        if choice <= 1:
            changed[at] = int(rng.integers(256))
        elif choice == 2:
            changed[at] ^= 1 << int(rng.integers(8))
        elif choice == 3:
            number = EDGES[int(rng.integers(len(EDGES)))] & 0xFFFFFFFF
            changed[at // 4 * 4 : at // 4 * 4 + 4] = number.to_bytes(4, "little")
        elif choice == 4:
            changed[at:at] = changed[at : at + int(rng.integers(1, 9))]
        else:
            del changed[at : at + int(rng.integers(1, 9)) if rng.random() < 0.9 else len(changed)]
        changed = changed or bytearray(1)
    return bytes(changed)


def judge(kind: str, data: bytes, path: Path) -> str:
    """What became of a file: "refused" or "imported"; anything but an EdgesmithError passes on."""
    path.write_bytes(data)
    try:
        graph = lower_onnx(path) if kind == "onnx" else lower_tflite(path)
    except EdgesmithError:
        return "refused"
    ops.check(graph)
    try:
        integerize(graph, stored=graph.inputs)
    except EdgesmithError:
        return "imported, no integers"
    return "imported"


def main(kind: str, first: int, count: int) -> None:
    """Judge the damaged files of seeds first .. first + count - 1."""
    warnings.simplefilter("ignore")
    files = sources(kind)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))

    def expire(number: int, frame: object) -> NoReturn:
        raise TooLong

    signal.signal(signal.SIGALRM, expire)
    found, failures = Counter[str](), []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + count):
            print(f"seed {seed}", file=sys.stderr, flush=True)  # the last one names the file that ends the process
            signal.setitimer(signal.ITIMER_REAL, SECONDS)
            try:
                data = damaged(files[seed % len(files)], np.random.default_rng(seed))
                found[judge(kind, data, Path(folder) / f"net.{kind}")] += 1
            except (Exception, TooLong):
                failures.append({"seed": seed, "error": traceback.format_exc(limit=-4)})
            signal.setitimer(signal.ITIMER_REAL, 0)
    print(json.dumps({**found, "failures": failures}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
