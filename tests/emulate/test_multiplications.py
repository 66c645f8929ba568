"""Multiplications are found where there are some; shifts, additions and constants are taken for none."""

import pytest

from edgesmith import targets
from edgesmith.emulate.multiplications import executed, multiplications
from edgesmith.toolchain import compile_firmware

PROGRAM = """
volatile int x = 3, y = 5;
__attribute__((noinline)) static int work(int a, int b) { return %s; }
int main(void) { y = work(x, y); return 0; }
"""


@pytest.fixture
def found(tmp_path):
    def build(expression: str) -> dict[str, int]:
        source = tmp_path / "main.c"
        source.write_text(PROGRAM % expression)
        return multiplications(compile_firmware([source], [], targets.load("nucleo-l4r5zi"), tmp_path / "main.elf"))

    return build


@pytest.mark.parametrize("expression", ["a * b", "a * b + 1", "(int)(((long long)a * b) >> 32)"])
def test_a_product_is_found_in_its_function(found, expression):
    assert sum(found(expression).values()) == 1


@pytest.mark.parametrize("expression", ["(a << 3) - b", "a ^ 0xFB10F001", "a > b ? a : b"])
def test_shifts_and_constants_are_none(found, expression):
    """0xFB10F001 read as code is SMULBB; as a number it is none."""
    assert found(expression) == {}


def test_executions_are_counted_by_class():
    assert executed({"mul": 2, "mac": 3, "mul_long": 5, "dsp": 7, "alu": 100, "div": 1}) == 17
