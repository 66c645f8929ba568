"""Linking for a board: sizes, overflow, exports."""

from pathlib import Path

import pytest

from edgesmith.core.errors import BadInput, DoesNotFit, Unsupported
from edgesmith.core.target import Target
from edgesmith.targets import load
from edgesmith.toolchain import Firmware, compile_firmware
from edgesmith.toolchain.compiler import CompilerFailed

PROGRAM = """
#include <stdint.h>
const uint8_t constants[3000] = {1};
uint8_t zeroed[1000];
uint32_t initial[50] = {7};
int main(void);
int sum(int a);
int main(void) { return constants[sum(1)] + zeroed[sum(2)] + (int)initial[0]; }
int sum(int a) { volatile int kept = a; return kept; }
int unused(int a);
int unused(int a) { return a * 31; }
"""


def build(tmp_path: Path, target: Target, text: str = PROGRAM, **options) -> Firmware:
    source = tmp_path / "program.c"
    source.write_text(text)
    return compile_firmware([source], [], target, tmp_path / "out.elf", **options)


@pytest.fixture(scope="module")
def m3() -> Target:
    return load("stm32f103")


def test_flash_and_ram_are_the_sections_of_the_elf(tmp_path, m3):
    firmware = build(tmp_path, m3, exports=["constants", "zeroed"])
    parts = firmware.sections
    assert firmware.flash_bytes == sum(parts[name] for name in (".vectors", ".text", ".rodata", ".data"))
    assert parts[".rodata"] >= 3000 and parts[".vectors"] == 64
    assert firmware.ram_bytes == parts[".data"] + parts[".bss"]
    assert parts[".data"] >= 200 and 1000 <= parts[".bss"] <= 1024
    assert firmware.symbol("constants").size_bytes == 3000


def test_what_nothing_refers_to_is_dropped_unless_exported(tmp_path, m3):
    assert "unused" not in build(tmp_path, m3).symbols
    assert "unused" in build(tmp_path, m3, exports=["unused"]).symbols


def test_a_missing_symbol_is_named(tmp_path, m3):
    with pytest.raises(BadInput, match="no symbol 'absent'"):
        build(tmp_path, m3).symbol("absent")


@pytest.mark.parametrize("over", [4, 5000])
def test_overflow_of_flash_says_the_region_and_the_bytes(tmp_path, m3, over):
    """The linker's own count must equal what is missing: the linked size less the capacity."""
    needed = build(tmp_path, m3).flash_bytes
    with pytest.raises(DoesNotFit, match=rf"flash by {over:,} bytes \(it has {needed - over:,}\)"):
        build(tmp_path, m3, flash_bytes=needed - over)


def test_overflow_of_ram_counts_the_stack(tmp_path, m3):
    """1,000 zeroed bytes and the 20,480 of stack asked for cannot lie in 20,480 bytes."""
    with pytest.raises(DoesNotFit, match=r"ram by 1,\d\d\d bytes \(it has 20,480\)"):
        build(tmp_path, m3, exports=["zeroed"], stack_bytes=20480)
    assert build(tmp_path, m3, exports=["zeroed"], stack_bytes=20480, ram_bytes=40960).ram_bytes >= 1000


def test_errors_of_the_source_are_quoted(tmp_path, m3):
    with pytest.raises(CompilerFailed, match="undeclared"):
        build(tmp_path, m3, "int main(void) { return nothing_here; }")


@pytest.mark.parametrize("name", ["x86-64", "wasm"])
def test_a_target_that_is_neither_bare_nor_emulated_has_no_firmware(tmp_path, name):
    with pytest.raises(Unsupported, match=name):
        build(tmp_path, load(name))


def test_riscv_links_too(tmp_path):
    firmware = build(tmp_path, load("esp32c3"), exports=["constants"])
    assert firmware.flash_bytes > 3000 and firmware.symbol("main").kind == "function"
