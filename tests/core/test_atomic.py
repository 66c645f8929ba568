"""Writing whole or not at all: replaced in one step, nothing half-written, whatever fails or kills it."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from edgesmith.core import atomic
from edgesmith.core.atomic import write_file, write_folder
from edgesmith.core.errors import BadInput

OLD = {"a.txt": b"old", "sub/b.txt": b"old too"}
NEW = {"a.txt": b"new", "sub/c.txt": b"new too"}


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_file_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path):
    write_file(tmp_path / "deep" / "x", "first")
    write_file(tmp_path / "deep" / "x", b"second")
    assert contents(tmp_path) == {"deep/x": b"second"}


def test_a_folder_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path):
    write_folder(tmp_path / "out", OLD)
    write_folder(tmp_path / "out", NEW)
    assert contents(tmp_path) == {f"out/{name}": data for name, data in NEW.items()}


def test_a_folder_is_replaced_where_the_system_cannot_exchange(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_exchange", lambda first, second: False)
    write_folder(tmp_path / "out", OLD)
    write_folder(tmp_path / "out", NEW)
    assert contents(tmp_path) == {f"out/{name}": data for name, data in NEW.items()}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_or_failing_disk_leaves_the_old_file_and_says_why(tmp_path, monkeypatch, code, call):
    write_file(tmp_path / "x", "old")

    def fail(*arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(BadInput, match=f"{os.strerror(code)}; need a writable folder with room"):
        write_file(tmp_path / "x", "new")
    assert contents(tmp_path) == {"x": b"old"}


def test_a_disk_that_fills_while_a_folder_is_written_leaves_the_old_folder(tmp_path, monkeypatch):
    write_folder(tmp_path / "out", OLD)
    written, real = [], os.fsync

    def fail_later(handle):
        written.append(handle)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(handle)

    monkeypatch.setattr(os, "fsync", fail_later)
    with pytest.raises(BadInput, match="No space left"):
        write_folder(tmp_path / "out", NEW)
    assert contents(tmp_path) == {f"out/{name}": data for name, data in OLD.items()}


def test_a_path_through_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match="Nothing was changed"):
        write_file(tmp_path / "file" / "y", "z")
    with pytest.raises(BadInput, match="Nothing was changed"):
        write_folder(tmp_path / "file" / "y", NEW)


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="needs a file system nobody can write")
def test_an_unwritable_folder_is_refused_even_for_root():
    with pytest.raises(BadInput, match="need a writable folder"):
        write_folder(atomic.Path("/proc/edgesmith-test"), NEW)


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_file_that_is_a_link_is_replaced_and_its_target_left_alone(tmp_path):
    (tmp_path / "precious").write_text("keep")
    (tmp_path / "x").symlink_to("precious")
    write_file(tmp_path / "x", "new")
    assert (tmp_path / "precious").read_text() == "keep"
    assert not (tmp_path / "x").is_symlink()


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_folder_that_is_a_link_is_replaced_where_it_points(tmp_path):
    write_folder(tmp_path / "real", OLD)
    (tmp_path / "link").symlink_to("real")
    write_folder(tmp_path / "link", NEW)
    assert (tmp_path / "link").is_symlink()
    assert contents(tmp_path / "real") == NEW


WRITER = """
import sys
from pathlib import Path
from edgesmith.core.atomic import write_file, write_folder
folder = Path(sys.argv[1])
for turn in range(100000):
    data = (str(turn % 10) * 20000).encode()
    write_file(folder / "file", data)
    write_folder(folder / "out", {"a": data, "sub/b": data})
    print(turn, flush=True)
"""


@pytest.mark.soak
@pytest.mark.skipif(sys.platform != "linux", reason="kills by signal, exchanges folders")
def test_a_kill_at_any_instant_leaves_the_old_content_or_the_new(tmp_path, repeats, nprng):
    for turn in range(repeats(4, 100)):
        folder = tmp_path / str(turn)
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(nprng.uniform(0, 0.05))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        whole = [(folder / "file").read_bytes()]
        assert set(contents(folder / "out")) == {"a", "sub/b"}
        whole += contents(folder / "out").values()
        assert all(len(data) == 20000 and len(set(data)) == 1 for data in whole)
        assert whole[1] == whole[2], "the two files of a folder are of one write"


def test_text_is_written_as_utf8(tmp_path):
    write_file(tmp_path / "x", "µ")
    assert (tmp_path / "x").read_bytes() == "µ".encode()
    assert json.loads('"\\u00b5"') == (tmp_path / "x").read_text(encoding="utf-8")
