"""Emulated AArch64 and RISC-V against hand-written assembly: counts, faults, stack, instructions a core lacks."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesmith.emulate import EmulationFault, Emulator, aarch64, riscv32
from edgesmith.targets import load
from edgesmith.toolchain import compile_firmware

LOOP = {
    "aarch64": "1: subs w0, w0, #1\\n b.ne 1b\\n ret",
    "riscv32": "1: addi a0, a0, -1\\n bnez a0, 1b\\n ret",
}
FRAME = {
    "aarch64": "sub sp, sp, #256\\n str w0, [sp]\\n add sp, sp, #256\\n ret",
    "riscv32": "addi sp, sp, -256\\n sw a0, 0(sp)\\n addi sp, sp, 256\\n ret",
}
PROGRAM = r"""
#include <stdint.h>
volatile int32_t edgesmith_layer;
uint32_t table[4] = {11, 22, 33, 44};
uint8_t blank[64];
const uint8_t fixed[8] = {5, 6, 7, 8};
__attribute__((naked, noinline)) int countdown(int n) { __asm__("LOOP"); }
__attribute__((naked, noinline)) int frame(int n) { __asm__("FRAME"); }
__attribute__((noinline)) int layers(int n) {
    edgesmith_layer = 0;
    countdown(n);
    edgesmith_layer = 1;
    countdown(2 * n);
    edgesmith_layer = -1;
    return 0;
}
int peek(const uint32_t *p) { return (int)*p; }
int poke(uint32_t *p) { *p = 1; return 0; }
int first(void) { return (int)table[0] + blank[0]; }
int deep(int n) { volatile uint8_t here[64]; here[0] = (uint8_t)n; return deep(n + 1) + here[0]; }
int main(void) { return 0; }
"""
DOT = """
__attribute__((naked, noinline)) int dot(void) {
    __asm__(".arch_extension dotprod\\n movi v0.4s, #1\\n movi v1.16b, #3\\n movi v2.16b, #5\\n"
            "sdot v0.4s, v1.16b, v2.16b\\n fmov w0, s0\\n ret");
}
"""
EXPORTS = ["countdown", "frame", "layers", "peek", "poke", "first", "deep", "table", "blank", "edgesmith_layer"]
BOARDS = ("raspberry-pi-4", "raspberry-pi-5", "esp32c3")


def emulate(folder: Path, name: str) -> Emulator:
    target = load(name)
    text = PROGRAM.replace("LOOP", LOOP[target.isa]).replace("FRAME", FRAME[target.isa])
    arm = target.isa == "aarch64"
    source = folder / "program.c"
    source.write_text(text + (DOT if arm else ""))
    exports = [*EXPORTS, *(["dot"] if arm else [])]
    return Emulator(compile_firmware([source], [], target, folder / "out.elf", exports=exports), target, layers=2)


@pytest.fixture(scope="module", params=BOARDS)
def board(request, tmp_path_factory) -> Iterator[Emulator]:
    with emulate(tmp_path_factory.mktemp("program"), request.param) as running:
        yield running


@pytest.mark.parametrize("n", [1, 2, 100_000])
def test_a_loop_counts_by_hand(board, n):
    """n times subtract and branch, then return: 2n + 1 instructions; n - 1 branches and the return are taken."""
    call = board.call("countdown", n)
    assert call.result == 0 and call.instructions == 2 * n + 1
    assert (call.classes["alu"], call.classes["branch_taken"], call.classes["branch"]) == (n, n, 1)
    assert call.by_function == {"countdown": 2 * n + 1}


def test_layers_are_counted_apart(board):
    rows = board.call("layers", 1000).by_layer
    assert 0 <= rows[0]["alu"] - 1000 <= 8 and 0 <= rows[1]["alu"] - 2000 <= 8


def test_stack_is_the_frame(board):
    assert 249 <= board.call("frame", -1).stack_bytes <= 256


def test_initial_values_and_zeros_are_in_place(board):
    assert board.call("first").result == 11
    assert board.read("table", 16) == b"".join(v.to_bytes(4, "little") for v in (11, 22, 33, 44))


def test_a_touch_outside_the_memories_faults(board):
    flash, ram = board.firmware.memories
    for function, address in (
        ("peek", ram.origin + ram.size_bytes),
        ("peek", ram.origin - 4),
        ("poke", flash.origin),
        ("peek", flash.origin + flash.size_bytes),
    ):
        with pytest.raises(EmulationFault) as caught:
            board.call(function, address)
        assert caught.value.address == address and caught.value.function == function
    assert board.call("countdown", 10).instructions == 21, "it works on after a fault"


def test_endless_recursion_is_a_stack_overflow(board):
    with pytest.raises(EmulationFault):
        board.call("deep", 0)


def test_a_process_has_no_more_memory_than_it_takes(tmp_path):
    """Pages around code, data and 64 KB of stack, whatever the machine has."""
    with emulate(tmp_path, "raspberry-pi-4") as board:
        flash, ram = board.firmware.memories
        assert flash.size_bytes - board.firmware.flash_bytes <= 2 * 4096
        assert 0 <= ram.size_bytes - board.firmware.ram_bytes - (1 << 16) <= 4096


def test_the_dot_product_runs_where_the_core_has_it(tmp_path):
    """Cortex-A76: 1 + 4 * 3 * 5. Cortex-A72, ARMv8.0, stops at it."""
    with emulate(tmp_path, "raspberry-pi-5") as board:
        call = board.call("dot")
        assert call.result == 61 and call.classes["vector_dot"] == 1 and call.classes["vector"] == 3
    with emulate(tmp_path, "raspberry-pi-4") as board, pytest.raises(EmulationFault):
        board.call("dot")


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("sdot v0.4s, v1.16b, v2.16b; udot v0.2s, v1.8b, v2.8b", "vector_dot"),
        ("smull v0.8h, v1.8b, v2.8b; smlal2 v0.8h, v1.16b, v2.16b; mla v0.4s, v1.4s, v2.4s", "vector_mul"),
        ("sadalp v0.4s, v1.8h; addp v0.4s, v1.4s, v2.4s; umov w0, v1.s[0]; sqxtn v0.4h, v1.4s", "vector"),
        ("ldp q0, q1, [x0]; ldp x29, x30, [sp], #16", "load_pair"),
        ("stp x29, x30, [sp, #-16]!", "store_pair"),
        ("ldr q0, [x0]; ldr s0, [x0, #4]; ld1 {v0.16b}, [x0]; ldur d0, [x0, #-8]", "float_load"),
        ("ldr x0, [x1]; ldrsb w0, [x1], #1; ldrb w0, [x1, x2]", "load"),
        ("str w0, [x1]; strb w0, [x1], #1", "store"),
        ("madd w0, w1, w2, w3; smull x0, w1, w2; smulh x0, x1, x2", "mul"),
        ("sdiv w0, w1, w2", "div"),
        ("b.ne #0x10; cbz w0, #0x10; tbnz w0, #3, #0x10; bl #0x10; ret ", "branch"),
        ("fadd s0, s1, s2; fcvtzs w0, s0; scvtf s0, w0; fmov s0, w1", "float"),
        ("fdiv s0, s1, s2", "float_div"),
        ("add x0, x1, x2; csel w0, w1, w2, lt; sxtw x0, w1; subs w0, w0, #1; bfi w0, w1, #2, #3", "alu"),
    ],
)
def test_aarch64_instructions_have_their_class(words, kind):
    assert kind in aarch64.CLASSES
    found = {text.strip(): aarch64.classify(*text.strip().partition(" ")[::2]) for text in words.split(";")}
    assert set(found.values()) == {kind}, found


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("lw c.lw lbu lh c.lwsp", "load"),
        ("sw c.sw sb c.swsp", "store"),
        ("mul mulh mulhsu mulhu", "mul"),
        ("div divu rem remu", "div"),
        ("beq c.beqz bltu c.j jal jalr ret c.jr", "branch"),
        ("add c.addi sltu lui auipc c.mv srai sll slli sub", "alu"),
        ("ecall csrrw fence", "other"),
    ],
)
def test_riscv_instructions_have_their_class(words, kind):
    assert kind in riscv32.CLASSES
    assert {riscv32.classify(word) for word in words.split()} == {kind}
