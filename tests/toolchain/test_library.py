"""Building for this machine: the cache, sanitizers, warnings."""

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgesmith.core.cache import cache_folder
from edgesmith.core.errors import BadInput, Missing
from edgesmith.toolchain import check_warnings, compile_library, compiler
from edgesmith.toolchain.compiler import CompilerFailed

SQUARE = "int square(int a);\nint square(int a) { return a * a; }\n"


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGESMITH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def source(tmp_path) -> Path:
    path = tmp_path / "square.c"
    path.write_text(SQUARE)
    return path


def test_the_library_runs_and_is_built_once(source):
    first = compile_library([source])
    assert ctypes.CDLL(str(first)).square(12) == 144
    stamp = first.stat().st_mtime_ns
    assert compile_library([source]) == first and first.stat().st_mtime_ns == stamp
    assert first.is_relative_to(cache_folder())


def test_every_ingredient_changes_the_name(source, tmp_path):
    names = {
        compile_library([source]),
        compile_library([source], defines=["A"]),
        compile_library([source], flags=["-O1"]),
    }
    (tmp_path / "beside.h").write_text("/* a header the source might include */\n")
    names.add(compile_library([source]))
    source.write_text(SQUARE + "/* changed */\n")
    names.add(compile_library([source]))
    assert len(names) == 5


BUILDING = "import sys, pathlib, edgesmith.toolchain as t; print(t.compile_library([pathlib.Path(sys.argv[1])]))"


def test_processes_may_build_the_same_library_at_once(source):
    words = [sys.executable, "-c", BUILDING, str(source)]
    running = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    made = {process.communicate(timeout=120)[0].strip() for process in running}
    assert len(made) == 1
    library = Path(made.pop())
    assert ctypes.CDLL(str(library)).square(3) == 9
    assert [path.name for path in library.parent.iterdir()] == [library.name]


def test_a_failed_build_leaves_nothing(source, tmp_path):
    source.write_text("int square(int a) { return missing; }")
    with pytest.raises(CompilerFailed, match="missing"):
        compile_library([source])
    assert not list((tmp_path / "cache").rglob("*.so"))


CRASHING = "import ctypes, sys; print(ctypes.CDLL(sys.argv[1]).square(2**30))"


def test_undefined_behaviour_traps(source):
    """2^30 squared overflows an int: plain builds wrap, sanitized ones must stop the process."""
    plain, trapping = compile_library([source]), compile_library([source], sanitize="undefined")
    words = [sys.executable, "-c", CRASHING]
    assert subprocess.run([*words, str(plain)], capture_output=True, check=False).returncode == 0
    assert subprocess.run([*words, str(trapping)], capture_output=True, check=False).returncode < 0


def test_address_sanitizer_needs_gcc(source):
    with pytest.raises(BadInput, match='need compiler="gcc"'):
        compile_library([source], sanitize="address")


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_gcc_on_request(source):
    assert ctypes.CDLL(str(compile_library([source], compiler="gcc"))).square(5) == 25


def test_a_missing_compiler_names_the_command(source, monkeypatch):
    monkeypatch.setattr(compiler.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Missing, match="pip install"):
        check_warnings([source])


def test_a_hidden_narrowing_is_refused(source):
    check_warnings([source])
    source.write_text("signed char cut(int a);\nsigned char cut(int a) { return a; }\n")
    with pytest.raises(CompilerFailed, match="implicit conversion"):
        check_warnings([source])


@pytest.mark.parametrize("name", ["memory.c"])
def test_our_own_support_code_is_clean(name):
    check_warnings([Path(compiler.__file__).parent / "support" / name])
