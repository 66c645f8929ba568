"""What every results file says of its run: the machine, and the commit that was measured."""

import os
import platform
import subprocess
from pathlib import Path


def commit() -> str:
    """Short hash of what is checked out; empty outside a checkout."""
    words = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=Path(__file__).parent).stdout.strip()


def machine() -> str:
    """Its architecture, system, cores and Python."""
    return f"{platform.machine()}, {platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}"
