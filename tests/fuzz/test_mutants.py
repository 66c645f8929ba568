"""Damaged and hostile artifacts: refused with a reason or loaded, never a crash, a hang or a large allocation."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from fuzz.mutants import BASES, mutant

JUDGE = Path(__file__).with_name("judge.py")
PORTION = 2000  # mutants a process
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory through setrlimit")


def judged(first: int, count: int) -> Counter[str]:
    """Judge a range of seeds in a process of its own; every failure is shown with its seed."""
    environment = {**os.environ, "PYTHONPATH": str(JUDGE.parents[1]), "OPENBLAS_NUM_THREADS": "1"}
    words = [sys.executable, str(JUDGE), str(first), str(count)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False, timeout=3600)
    assert done.returncode == 0, f"ended by {done.returncode}: {done.stderr[-2000:]}"
    result = json.loads(done.stdout)
    failures = result.pop("failures")
    assert not failures, "\n".join(f"seed {failure['seed']}: {failure['error']}" for failure in failures[:10])
    return Counter(result)


def test_a_mutant_is_the_same_whenever_it_is_made():
    assert mutant(7) == mutant(7)
    assert mutant(7) != mutant(7 + len(BASES))


@pytest.mark.soak
def test_no_mutant_gets_past_the_reader_with_more_than_an_error(repeats, record_property):
    total = repeats(600, 200_000)
    found: Counter[str] = Counter()
    for first in range(0, total, PORTION):
        found += judged(first, min(PORTION, total - first))
    record_property("mutants", dict(found))
    print(f"{total} mutants: {dict(found)}")
    assert found.total() == total
    assert found["refused"] > total / 5, "the parser behind the hashes is reached and refuses"
    assert found["run"] > total / 20, "some mutants are valid graphs, and run"
