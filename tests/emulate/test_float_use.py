"""Float instructions are found where there are some, in hardware and in software; constants are taken for none."""

import pytest

from edgesmith import targets
from edgesmith.emulate.float_use import HELPER, float_use
from edgesmith.toolchain import compile_firmware

PROGRAM = """
volatile float x = 1.5f;
volatile int y;
float half(float v) { return v * 0.5f; }
int main(void) { y = %s; return 0; }
"""


@pytest.fixture
def program(tmp_path):
    def build(expression: str, board: str):
        source = tmp_path / "main.c"
        source.write_text(PROGRAM % expression)
        return compile_firmware([source], [], targets.load(board), tmp_path / "main.elf")

    return build


def test_a_float_unit_is_seen_at_work(program):
    found = float_use(program("(int)half(x)", "nucleo-l4r5zi"))
    assert any("vmul.f32" in line for line in found)


def test_floats_in_software_are_seen_by_their_helpers(program):
    found = float_use(program("(int)half(x)", "stm32f103"))
    assert any("__aeabi_fmul" in line for line in found)


def test_a_program_of_integers_has_none_even_with_constants_that_look_like_some(program):
    """0xEE200A00 read as code is VMUL.F32; among constants it is a number."""
    assert float_use(program("y * (int)0xEE200A00 / 7", "nucleo-l4r5zi")) == ()


@pytest.mark.parametrize(
    "name", ["__aeabi_fadd", "__aeabi_dmul", "__aeabi_f2iz", "__aeabi_i2f", "__mulsf3", "__fixsfsi"]
)
def test_helpers_are_known_by_name(name):
    assert HELPER.fullmatch(name)


@pytest.mark.parametrize("name", ["__aeabi_memcpy", "__aeabi_uldivmod", "__aeabi_llsl", "__udivmoddi4", "__divdi3"])
def test_integer_helpers_are_not_floats(name):
    assert not HELPER.fullmatch(name)
