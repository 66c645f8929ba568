"""Firmware packages: their own files build and compute the same, and their build files say what they must."""

import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from edgesmith.core.errors import Unsupported, VerificationFailed
from edgesmith.export import export
from edgesmith.export import package as packages
from export.nets import small

BOARD = "stm32f103"
# Arduino library specification: fields a library must have, and the categories there are.
ARDUINO_FIELDS = (
    "name",
    "version",
    "author",
    "maintainer",
    "sentence",
    "paragraph",
    "category",
    "url",
    "architectures",
)
ARDUINO_CATEGORIES = ("Display", "Communication", "Signal Input/Output", "Sensors", "Device Control", "Timing",
                      "Data Storage", "Data Processing", "Other")  # fmt: skip
STAND_INS = {
    "zephyr": """
set(CONFIG_EDGESMITH_SMALL y)
function(zephyr_include_directories)
  set_property(GLOBAL PROPERTY includes ${CMAKE_CURRENT_SOURCE_DIR}/${ARGV0})
endfunction()
macro(zephyr_library_named name)
  set(library ${name})
  add_library(${name} STATIC)
endmacro()
macro(zephyr_library_sources)
  target_sources(${library} PRIVATE ${ARGN})
  get_property(found GLOBAL PROPERTY includes)
  target_include_directories(${library} PUBLIC ${found})
endmacro()
macro(zephyr_library_include_directories)
  target_include_directories(${library} PRIVATE ${ARGN})
endmacro()
macro(zephyr_library_compile_options)
  target_compile_options(${library} PRIVATE ${ARGN})
endmacro()
""",
    "esp-idf": """
macro(idf_component_register)
  cmake_parse_arguments(parsed "" "" "SRCS;INCLUDE_DIRS;PRIV_INCLUDE_DIRS" ${ARGN})
  set(COMPONENT_LIB edgesmith_small)
  add_library(${COMPONENT_LIB} STATIC ${parsed_SRCS})
  target_include_directories(${COMPONENT_LIB} PUBLIC ${parsed_INCLUDE_DIRS} PRIVATE ${parsed_PRIV_INCLUDE_DIRS})
endmacro()
""",
}
USER = """
#include "small.h"
int main(void) { return SMALL_ARENA_BYTES == 0; }
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Each package once."""
    folder = tmp_path_factory.mktemp("packages")
    for to in ("arduino", "zephyr", "esp-idf"):
        done = export(small("int8", BOARD), to, folder / to)
        assert done.relation.holds and "the emulated stm32f103: as in numpy" in done.relation.detail
    return folder


def test_an_arduino_library_has_every_field_of_the_specification(made):
    text = (made / "arduino" / "edgesmith_small" / "library.properties").read_text()
    fields = dict(line.split("=", 1) for line in text.splitlines())
    assert set(ARDUINO_FIELDS) <= set(fields)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,62}", fields["name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", fields["version"]) and fields["category"] in ARDUINO_CATEGORIES
    assert fields["includes"] == "small.h"


def test_an_arduino_library_finds_its_headers_beside_its_sources(made):
    """The 1.5 layout has src alone among the include paths, and sketches are C++."""
    root = made / "arduino" / "edgesmith_small"
    headers = {path.name for path in (root / "src").glob("*.h")}
    for path in (root / "src").iterdir():
        assert set(re.findall(r'#include "([^"]+)"', path.read_text())) <= headers, path.name
    sketch = (root / "examples" / "Infer" / "Infer.ino").read_text()
    assert "#include <small.h>" in sketch and "void setup()" in sketch and "void loop()" in sketch
    assert 'extern "C"' in (root / "src" / "small.h").read_text()


@pytest.mark.skipif(not shutil.which("g++"), reason="needs g++: apt install g++")
def test_the_sketch_is_sound_cpp(made, tmp_path):
    """Compiled against stand-ins of the few Arduino functions it calls."""
    root = made / "arduino" / "edgesmith_small"
    arduino = """
#include <cstdint>
struct Port { void begin(long) {} template <class T> void print(T) {} template <class T> void println(T) {} } Serial;
unsigned long micros() { return 0; }
void delay(int) {}
"""
    (tmp_path / "sketch.cpp").write_text(arduino + (root / "examples" / "Infer" / "Infer.ino").read_text())
    words = ["g++", "-std=gnu++11", "-Wall", "-Wextra", "-Werror", "-c", "sketch.cpp", f"-I{root / 'src'}"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(
    not (shutil.which("cmake") and shutil.which("cc")), reason="needs cmake and cc: apt install gcc cmake"
)
@pytest.mark.parametrize("to", STAND_INS)
def test_the_cmake_files_build_the_model(to, made, tmp_path):
    """Configured and built against stand-ins of the build system's functions, and linked into a user's program."""
    root = made / to / "edgesmith_small"
    (tmp_path / "main.c").write_text(USER)
    text = f"cmake_minimum_required(VERSION 3.16)\nproject(user C)\n{STAND_INS[to]}\nadd_subdirectory({root} model)\n"
    text += "add_executable(user main.c)\ntarget_link_libraries(user PRIVATE edgesmith_small)\n"
    (tmp_path / "CMakeLists.txt").write_text(text)
    for words in (["cmake", "-S", ".", "-B", "build"], ["cmake", "--build", "build"], ["build/user"]):
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_zephyr_finds_what_its_module_file_names(made):
    root = made / "zephyr" / "edgesmith_small"
    module = (root / "zephyr" / "module.yml").read_text()
    assert module == "name: edgesmith_small\nbuild:\n  cmake: .\n  kconfig: Kconfig\n"
    option = re.search(r"^config (\w+)$", (root / "Kconfig").read_text(), re.MULTILINE)
    assert option and f"if(CONFIG_{option[1]})" in (root / "CMakeLists.txt").read_text()


def test_a_package_that_computes_otherwise_is_not_written(tmp_path, monkeypatch):
    """Here every constant is another's neighbour."""
    right = packages.model_files

    def wrong(program):
        return right(replace(program, arrays={name: np.roll(array, 1) for name, array in program.arrays.items()}))

    monkeypatch.setattr(packages, "model_files", wrong)
    with pytest.raises(VerificationFailed, match="DIFFERENT"):
        export(small("int8", BOARD), "arduino", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_package_needs_a_board(tmp_path):
    with pytest.raises(Unsupported, match="Give --target"):
        export(small(), "arduino", tmp_path)
