"""WebAssembly modules: what they export, the memory they start with, what traps."""

import pytest
import wasmtime
from hypothesis import given
from hypothesis import strategies as st

from edgesmith.core.errors import BadInput
from edgesmith.targets import load
from edgesmith.toolchain import compile_wasm
from edgesmith.toolchain.compiler import CompilerFailed
from edgesmith.toolchain.wasm import PAGE_BYTES, STACK_BYTES, initial_memory

PROGRAM = """
#include <stdint.h>
const uint8_t table[4] = {5, 6, 7, 8};
uint8_t block[100000];
int sum(int n);
int poke(int at);
int deep(int n);
int sum(int n) { int s = 0; for (int i = 0; i < n; i++) s += table[i & 3] + block[i]; return s; }
int poke(int at) { *(volatile uint8_t *)(uintptr_t)at = 1; return 0; }
int deep(int n) { volatile uint8_t here[512]; here[0] = (uint8_t)n; return deep(n + 1) + here[0]; }
"""
# A module of one memory of two pages: header, then section 5 of three bytes.
TWO_PAGES = b"\0asm\1\0\0\0" + bytes([5, 3, 1, 0, 2])


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wasm")
    (folder / "program.c").write_text(PROGRAM)
    return compile_wasm([folder / "program.c"], [], load("wasm"), folder / "out.wasm", ("sum", "poke", "deep", "block"))


@pytest.fixture
def instance(module):
    store = wasmtime.Store()
    loaded = wasmtime.Module.from_file(store.engine, str(module.path))
    return store, wasmtime.Instance(store, loaded, []).exports(store)


def test_a_module_exports_what_was_asked_for_and_imports_nothing(module):
    loaded = wasmtime.Module.from_file(wasmtime.Engine(), str(module.path))
    assert {e.name for e in loaded.exports} == {"memory", "sum", "poke", "deep", "block"} and not loaded.imports
    assert module.file_bytes == module.path.stat().st_size


def test_its_memory_is_what_the_host_gives_it(module, instance):
    """Stack, 100,000 bytes of the block and a little more, in pages of 64 KiB."""
    store, exports = instance
    assert module.memory_bytes == exports["memory"].data_len(store)
    assert STACK_BYTES + 100_000 <= module.memory_bytes <= STACK_BYTES + 100_000 + 2 * PAGE_BYTES


def test_it_computes(instance):
    store, exports = instance
    assert exports["sum"](store, 6) == 5 + 6 + 7 + 8 + 5 + 6


def test_a_touch_outside_and_a_full_stack_trap(module, instance):
    store, exports = instance
    for name, argument in (("poke", module.memory_bytes), ("deep", 0)):
        with pytest.raises((wasmtime.Trap, wasmtime.WasmtimeError)):
            exports[name](store, argument)


def test_errors_of_the_source_are_quoted(tmp_path):
    (tmp_path / "bad.c").write_text("int f(void) { return nothing_here; }")
    with pytest.raises(CompilerFailed, match="undeclared"):
        compile_wasm([tmp_path / "bad.c"], [], load("wasm"), tmp_path / "out.wasm", ("f",))


def test_the_initial_memory_is_read_from_the_memory_section():
    assert initial_memory(TWO_PAGES) == 2 * 65536


@given(st.integers(0, len(TWO_PAGES) - 1), st.binary(max_size=40))
def test_what_is_no_module_is_refused(length, rest):
    for data in (TWO_PAGES[:length], rest, b"\0asm\1\0\0\0" + rest):
        try:
            assert initial_memory(data) >= 0
        except BadInput as error:
            assert "WebAssembly" in str(error)
