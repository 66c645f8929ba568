"""The demo's figures: `python benchmarks/demo.py` runs it in a new folder and keeps what it printed as data."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from stamp import commit, machine

from edgesmith.core.atomic import write_file

RESULT = Path(__file__).parent / "results" / "demo.json"


def main() -> None:
    """Run the demo as a user does, and record its readings and how long it took."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.monotonic()
        subprocess.run([sys.executable, "-m", "edgesmith", "demo", "--out", f"{folder}/demo"], check=True)
        seconds = time.monotonic() - begin
        data = json.loads(Path(folder, "demo", "report.json").read_text())
    kept = {key: data[key] for key in ("title", "budget", "before", "after", "accuracy", "parity", "candidates")}
    facts = {
        "command": "python benchmarks/demo.py",
        "seconds": round(seconds, 1),
        "machine": machine(),
        "commit": commit(),
    }
    write_file(RESULT, json.dumps({**facts, **kept}, indent=1) + "\n")
    print(f"{seconds:.0f} s; {RESULT}")


if __name__ == "__main__":
    main()
