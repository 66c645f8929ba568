"""Damaged .tflite and .onnx files: refused with a reason or imported, never a crash, a hang or a large allocation."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

JUDGE = Path(__file__).with_name("judge_imports.py")
PORTION = 5000  # files a process
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits memory through setrlimit")


def judged(kind: str, first: int, count: int) -> dict[str, int]:
    """Judge a range of seeds in a process of its own; every failure is shown with its seed."""
    environment = {**os.environ, "PYTHONPATH": str(JUDGE.parents[1]), "OPENBLAS_NUM_THREADS": "1"}
    if inherited := os.environ.get("PYTHONPATH"):
        environment["PYTHONPATH"] += os.pathsep + inherited
    words = [sys.executable, str(JUDGE), kind, str(first), str(count)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False, timeout=3600)
    assert done.returncode == 0, f"ended by {done.returncode}: {done.stderr[-2000:]}"
    result = json.loads(done.stdout)
    failures = result.pop("failures")
    assert not failures, "\n".join(f"seed {failure['seed']}: {failure['error']}" for failure in failures[:10])
    return result


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_no_damaged_file_gets_past_the_importer_with_more_than_an_error(kind, repeats):
    total = repeats(250, 50_000)
    found: dict[str, int] = {}
    for first in range(0, total, PORTION):
        for key, count in judged(kind, first, min(PORTION, total - first)).items():
            found[key] = found.get(key, 0) + count
    assert found["refused"] > 0 and found["imported"] > 0, "both kinds of files must be among them"
