"""The property, mutation and kill tests at a length of choice; adds what was run to benchmarks/results/soak.json.

    python benchmarks/soak.py mutants 200000

`make soak` runs all of them at full length as tests; this runs one part and keeps its figures.
"""

import argparse
import json
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from stamp import commit, machine

from edgesmith.core.atomic import write_file

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "soak.json"
sys.path.insert(0, str(ROOT / "tests"))  # the tests' own functions, with other counts
Repeats = Callable[[int, int], int]
Note = Callable[[str, object], None]


def mutants(repeats: Repeats, note: Note, folder: Path) -> None:
    """Damaged and hostile artifacts through the reader."""
    from fuzz.test_mutants import test_no_mutant_gets_past_the_reader_with_more_than_an_error as run

    run(repeats, note)


def code(repeats: Repeats, note: Note, folder: Path) -> None:
    """Valid mutants compiled and run under AddressSanitizer and UBSan."""
    from fuzz.test_mutant_code import test_code_of_valid_mutants_touches_nothing_outside_its_blocks as run

    run(repeats)


def kills(repeats: Repeats, note: Note, folder: Path) -> None:
    """SIGKILLs of a fit."""
    from fuzz.test_kills import test_a_killed_fit_resumes_and_loses_no_finished_trial as run

    run(folder, repeats, note)


def writes(repeats: Repeats, note: Note, folder: Path) -> None:
    """SIGKILLs of a process that writes files and folders."""
    from core.test_atomic import test_a_kill_at_any_instant_leaves_the_old_content_or_the_new as run

    run(folder, repeats, np.random.default_rng(20261121))


def host(repeats: Repeats, note: Note, folder: Path) -> None:
    """Networks of each of two kinds: numpy against C here, reference and x86 kernels, under UBSan."""
    from test_random_networks import HOST_KERNELS, module_graph, network
    from test_random_networks import test_numpy_is_c_on_this_machine as run

    for make in (network, module_graph):
        for kernels in (("reference",), HOST_KERNELS):
            run(make, kernels, repeats, folder / f"{make.__name__}-{kernels[0]}")


def boards(repeats: Repeats, note: Note, folder: Path) -> None:
    """Networks of each of two kinds: numpy against C on emulated boards in turn, memory exactly as predicted."""
    from test_random_networks import BOARDS, module_graph, network
    from test_random_networks import test_numpy_is_c_on_emulated_boards_in_exactly_the_predicted_memory as run

    note("boards", list(BOARDS))
    for make in (network, module_graph):
        run(make, repeats, folder / make.__name__)


def worlds(repeats: Repeats, note: Note, folder: Path) -> None:
    """Random fault schedules in virtual time, every run held against its invariants."""
    from collaborate.world.test_world import test_invariants_hold_under_random_faults as run

    run(repeats)


PARTS = {part.__name__: part for part in (mutants, code, kills, writes, host, boards, worlds)}


def measure(name: str, count: int) -> dict[str, Any]:
    """Run one part; a failure is recorded, not raised."""
    facts: dict[str, object] = {}
    failure = ""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            PARTS[name](lambda usual, at_length: count, facts.__setitem__, Path(folder))
        except AssertionError as error:
            failure = str(error)[:2000]
    return {
        "part": name,
        "what": PARTS[name].__doc__,
        "count": count,
        "failure": failure,
        **facts,
        "seconds": round(time.monotonic() - begin, 1),
        "command": f"python benchmarks/soak.py {shlex.join([name, str(count)])}",
        "machine": machine(),
        "commit": commit(),
    }


def main() -> None:
    """Measure one part and put it in the place of its last figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("count", type=int)
    options = parser.parse_args()
    result = measure(options.part, options.count)
    known = json.loads(RESULTS.read_text())["parts"] if RESULTS.exists() else []
    parts = {part["part"]: part for part in (*known, result)}
    write_file(RESULTS, json.dumps({"parts": [parts[name] for name in PARTS if name in parts]}, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    sys.exit(bool(result["failure"]))


if __name__ == "__main__":
    main()
