"""The folder of a fit: one owner, nothing of another fit taken over."""

import subprocess
import sys
import time

import pytest

from edgesmith.core.errors import BadInput, Busy
from edgesmith.fit.folder import Folder, locked, read_json

HOLD = """
import sys, time, pathlib
from edgesmith.fit.folder import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_in_use_is_refused_and_free_after_a_kill(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(Busy, match="another process"), locked(tmp_path):
            pass
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            with locked(tmp_path):
                return
        except Busy:
            time.sleep(0.05)
    pytest.fail("the lock outlived its process")


def test_the_same_fit_goes_on_and_another_is_refused(tmp_path):
    folder = Folder(tmp_path)
    folder.check({"target": "stm32f103", "budget": {}})
    folder.check({"target": "stm32f103", "budget": {}})
    with pytest.raises(BadInput, match="target = 'stm32f103'"):
        folder.check({"target": "rp2040", "budget": {}})


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(BadInput, match="not empty"):
        Folder(tmp_path).check({"target": "rp2040"})
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_damaged_records_are_explained(tmp_path):
    path = tmp_path / "fit.json"
    path.write_bytes(b"\xff\xfe{")
    with pytest.raises(BadInput, match="not valid JSON"):
        read_json(path)


def test_equal_settings_share_a_place_and_others_do_not(tmp_path):
    folder = Folder(tmp_path)
    assert folder.trial({"a": 1, "b": 2}) == folder.trial({"b": 2, "a": 1})
    assert folder.trial({"a": 1}) != folder.trial({"a": 2})
