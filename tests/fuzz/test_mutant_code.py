"""A hostile graph that is valid compiles to C that stays within its memory and does what numpy says."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("run_mutants.py")
BATCH = 50  # models a build


@pytest.mark.soak
@pytest.mark.skipif(shutil.which("gcc") is None, reason="zig ships no ASan runtime; needs gcc")
def test_code_of_valid_mutants_touches_nothing_outside_its_blocks(repeats):
    """Under AddressSanitizer and UBSan, which must be in the process from its start."""
    count = repeats(25, 2000)
    runtime = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    environment = {
        **os.environ,
        "LD_PRELOAD": runtime.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONPATH": str(SCRIPT.parents[1]),
    }
    words = [sys.executable, str(SCRIPT), "500000", str(count), str(BATCH)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False, timeout=3600)
    assert done.returncode == 0, done.stderr[-4000:]
    assert int(done.stdout) == count
