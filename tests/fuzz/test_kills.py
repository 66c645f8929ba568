"""A fit killed at any instant, SIGKILL included, goes on where it was and loses no finished trial."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
LONGEST_S = 12.0  # to the kill; about as long as the whole fit takes
LIMIT_S = 600


def start(folder: Path) -> subprocess.Popen[bytes]:
    """A small fit in a session of its own: three candidates, one epoch."""
    words = [sys.executable, "-m", "edgesmith", "fit", "digits-cnn", "--target", "stm32f103", "--out", str(folder)]
    words += ["--max-flash", "20KB", "--max-ram", "8KB", "--trials", "3", "--epochs", "1", "--jobs", "2"]
    with (folder.parent / "log").open("ab") as log:
        return subprocess.Popen(words, start_new_session=True, stdout=log, stderr=log)


def finished(folder: Path) -> dict[str, bytes]:
    """The result of every finished trial, by folder."""
    return {path.parent.name: path.read_bytes() for path in sorted(folder.glob("trials/*/result.json"))}


def check_whole(folder: Path) -> None:
    """No JSON under its final name is half-written; a temporary name starts with a dot."""
    for path in folder.rglob("*.json"):
        if not any(part.startswith(".") for part in path.relative_to(folder).parts):
            json.loads(path.read_bytes())


def kill(process: subprocess.Popen[bytes], whole_session: bool) -> None:
    """SIGKILL to the fit alone, or to its workers as well."""
    if whole_session:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def killed_once(folder: Path, rng: np.random.Generator) -> bool:
    """Start a fit and kill it at a random instant; False when it ended before."""
    process = start(folder)
    try:
        process.wait(timeout=rng.uniform(0.2, LONGEST_S))
        return False
    except subprocess.TimeoutExpired:
        kill(process, whole_session=rng.random() < 0.5)
        return True
    finally:
        time.sleep(0.5)  # orphaned workers notice and end
        if process.returncode is not None and process.returncode < 0:
            end_session(process.pid)


def end_session(leader: int) -> None:
    """Whatever a killed fit has left running."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def log_of(folder: Path) -> str:
    return (folder.parent / "log").read_text(errors="replace")[-3000:]


@pytest.mark.soak
def test_a_killed_fit_resumes_and_loses_no_finished_trial(tmp_path, repeats, record_property):
    wanted, kills, fits = repeats(1, 100), 0, 0
    rng = np.random.default_rng(20261121)
    while kills < wanted:
        folder = tmp_path / str(fits) / "fit"
        folder.parent.mkdir()
        kept: dict[str, bytes] = {}
        while kills < wanted and killed_once(folder, rng):
            kills += 1
            check_whole(folder)
            now = finished(folder)
            assert {name: now.get(name) for name in kept} == kept, "a kill lost or changed a finished trial"
            kept = now
        assert start(folder).wait(timeout=LIMIT_S) == 0, log_of(folder)
        fits += 1
        check_whole(folder)
        end = finished(folder)
        assert {name: end.get(name) for name in kept} == kept
        settings = [
            candidate["settings"] for candidate in json.loads((folder / "report.json").read_bytes())["candidates"]
        ]
        assert all(json.loads(result)["settings"] in settings for result in end.values())
        assert (folder / "report.html").read_bytes().rstrip().endswith(b"</html>")
    record_property("kills", kills)
    print(f"{kills} kills over {fits} fits")
