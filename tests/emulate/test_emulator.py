"""The emulated board against hand-written assembly: counts, faults, stack, layers, limits."""

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesmith.core.errors import BadInput, Missing, Unsupported
from edgesmith.emulate import EmulationFault, Emulator, emulator
from edgesmith.targets import load
from edgesmith.toolchain import compile_firmware

PROGRAM = r"""
#include <stdint.h>
volatile int32_t edgesmith_layer;
uint32_t table[4] = {11, 22, 33, 44};
uint8_t blank[64];
const uint8_t fixed[8] = {5, 6, 7, 8};

__attribute__((naked, noinline)) int countdown(int n) {
    __asm__("1: subs r0, #1\n bne 1b\n bx lr");
}
__attribute__((naked, noinline)) int moves(void) {
    __asm__("push {r4-r7, lr}\n movs r0, #7\n pop {r4-r7, pc}");
}
__attribute__((naked, noinline)) int loads(const uint32_t *p) {
    __asm__("ldr r1, [r0]\n ldr r2, [r0, #4]\n adds r2, r1, r2\n ldr r0, [r0]\n muls r0, r2\n bx lr");
}
__attribute__((naked, noinline)) int frame(void) {
    __asm__("sub sp, #256\n movs r0, #1\n str r0, [sp]\n add sp, #256\n bx lr");
}
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
int forever(void) { for (;;) edgesmith_layer = 5; }
int deep(int n) { volatile uint8_t here[64]; here[0] = (uint8_t)n; return deep(n + 1) + here[0]; }
int jump(void) { return ((int (*)(void))0x40000001)(); }
int scale(void) { volatile float a = 1.5f; return (int)(a * a * 4.0f); }
"""
EXPORTS = [
    *("countdown", "moves", "loads", "frame", "layers", "peek", "poke", "first", "forever", "deep", "jump", "scale"),
    *("table", "blank", "fixed", "edgesmith_layer"),
]


def emulate(folder: Path, board: str = "nucleo-l4r5zi", **options) -> Emulator:
    source = folder / "program.c"
    source.write_text(PROGRAM)
    target = load(board)
    firmware = compile_firmware([source], [], target, folder / f"{board}.elf", exports=EXPORTS)
    return Emulator(firmware, target, **options)


@pytest.fixture(scope="module")
def board(tmp_path_factory) -> Iterator[Emulator]:
    with emulate(tmp_path_factory.mktemp("firmware"), layers=2) as running:
        yield running


@pytest.mark.parametrize("n", [1, 2, 1000, 100_000])
def test_a_loop_counts_by_hand(board, n):
    """n times subs and bne, then bx: 2n + 1 instructions, n - 1 of the bne and the bx taken."""
    call = board.call("countdown", n)
    assert call.result == 0 and call.instructions == 2 * n + 1
    assert call.classes["alu"] == n
    assert call.classes["branch_taken"] == n and call.classes["branch"] == 1
    assert call.by_function == {"countdown": 2 * n + 1}


def test_multiple_loads_count_their_registers_and_the_jump(board):
    call = board.call("moves")
    assert (call.result, call.instructions, call.stack_bytes) == (7, 3, 20)
    assert call.classes["store_multiple"] == call.classes["load_multiple"] == 1
    assert call.classes["registers_moved"] == 10 and call.classes["jump_other"] == 1


def test_a_load_behind_a_load_is_told_apart(board):
    call = board.call("loads", board.firmware.symbol("table").address)
    assert call.result == (11 + 22) * 11
    assert (call.classes["load"], call.classes["load_next"]) == (2, 1)
    assert call.classes["mul"] == 1 and call.instructions == 6


def test_cycles_are_the_table_applied_by_hand(board):
    """moves on the M4 table: push 1 + 5, movs 1, pop 1 + 5 and the refill 2, each of 3 fetches stalled."""
    model = board.target.cycle_model
    assert board.call("moves").cycles == pytest.approx(6 + 1 + 6 + 2 + 3 * model.fetch_stall)


def test_stack_is_the_frame(board):
    assert board.call("frame").stack_bytes == 256


def test_layers_are_counted_apart(board):
    """countdown(n) is 2n + 1 instructions; around it only the few of the caller."""
    rows = board.call("layers", 1000).by_layer
    assert 0 <= rows[0]["alu"] - 1000 <= 8 and 0 <= rows[1]["alu"] - 2000 <= 8
    assert rows[0]["branch_taken"] + rows[0]["branch"] in (1001, 1002)
    assert rows[-1]["alu"] < 10


def test_layers_and_functions_sum_to_the_whole(board):
    call = board.call("layers", 50)
    assert sum(call.by_function.values()) == call.instructions
    for name, count in call.classes.items():
        assert sum(row[name] for row in call.by_layer.values()) == count


def test_initial_values_and_zeros_are_in_place(board):
    assert board.call("first").result == 11
    assert board.read("table", 16) == b"".join(v.to_bytes(4, "little") for v in (11, 22, 33, 44))
    assert board.read("fixed", 4) == bytes([5, 6, 7, 8]) and board.read("blank", 64) == bytes(64)


def test_what_is_written_is_read_by_the_program(board):
    board.write("blank", (0xFFFFFFFE).to_bytes(4, "little"))
    assert board.call("peek", board.firmware.symbol("blank").address).result == -2
    board.write("blank", bytes(4))


def test_a_touch_outside_is_refused_from_outside_too(board):
    with pytest.raises(BadInput, match="outside"):
        board.write(0x2009FFFF, b"ab")
    with pytest.raises(BadInput, match="outside"):
        board.read("table", 1 << 20)


@pytest.mark.parametrize(
    ("function", "address", "words"),
    [
        ("peek", 0x200A0000, "read of 0x200a0000"),
        ("peek", 0x1FFFFFFC, "read of 0x1ffffffc"),
        ("poke", 0x08200000, "write to 0x08200000"),
        ("poke", 0x08000100, "write to read-only 0x08000100"),
        ("peek", 0x40000000, "read of 0x40000000"),
    ],
)
def test_a_touch_outside_the_memories_faults(board, function, address, words):
    """RAM is 0x20000000 .. 0x200a0000 and flash 0x08000000 .. 0x08200000 on this board."""
    with pytest.raises(EmulationFault, match=words) as caught:
        board.call(function, address)
    assert caught.value.address == address and caught.value.function == function


def test_the_last_words_inside_are_allowed(board):
    board.call("peek", 0x2009FFFC)
    board.call("peek", 0x081FFFFC)


def test_a_jump_outside_faults(board):
    with pytest.raises(EmulationFault, match="jump to 0x40000000"):
        board.call("jump")


def test_the_board_still_works_after_a_fault(board):
    with pytest.raises(EmulationFault):
        board.call("peek", 0x50000000)
    assert board.call("countdown", 10).instructions == 21


def test_floats_run_on_the_fpu(board):
    call = board.call("scale")
    assert call.result == 9 and call.classes["float"] >= 2


def test_endless_recursion_is_a_stack_overflow(tmp_path):
    with emulate(tmp_path, "stm32f103") as board, pytest.raises(EmulationFault):
        board.call("deep", 0)


def test_a_program_without_end_is_stopped(tmp_path):
    with emulate(tmp_path, max_instructions=1_000_000) as board:
        with pytest.raises(EmulationFault, match="more than 1,000,000 instructions"):
            board.call("forever")
        assert board.call("countdown", 100).instructions == 201


def test_a_slow_program_is_stopped_by_the_clock(tmp_path):
    with (
        emulate(tmp_path, timeout_s=0.3) as board,
        pytest.raises(EmulationFault, match=r"still running after 0\.3 s"),
    ):
        board.call("forever")


@pytest.mark.parametrize("name", ["stm32f103", "stm32f746", "stm32h743", "nrf5340", "rp2040"])
def test_every_core_counts_the_same_loop(tmp_path, name):
    with emulate(tmp_path, name) as board:
        assert board.call("countdown", 500).instructions == 1001
        assert board.call("scale").result == 9


def test_a_core_without_emulation_is_refused(board):
    with pytest.raises(Unsupported, match="wasm"):
        Emulator(board.firmware, load("wasm"))
    with pytest.raises(Unsupported, match="cortex-m55"):
        Emulator(board.firmware, dataclasses.replace(board.target, core="cortex-m55"))


def test_a_memory_of_odd_size_is_refused(board):
    """Rounding it up would let a touch outside pass."""
    odd = tuple(dataclasses.replace(m, size_bytes=m.size_bytes - 2048) for m in board.firmware.memories)
    with pytest.raises(Unsupported, match="need multiples of 4096"):
        Emulator(dataclasses.replace(board.firmware, memories=odd), board.target)


def test_a_missing_emulator_names_the_command(board, monkeypatch):
    monkeypatch.setattr(emulator.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Missing, match="pip install"):
        Emulator(board.firmware, board.target)


def test_too_many_arguments_are_refused(board):
    with pytest.raises(BadInput, match="at most 4"):
        board.call("countdown", 1, 2, 3, 4, 5)


def test_a_lost_worker_is_said(tmp_path):
    with emulate(tmp_path) as board:
        board._process.kill()
        board._process.wait()
        with pytest.raises(Unsupported, match="worker process ended"):
            board.call("countdown", 1)


RUNNING = """
import pathlib, sys
from edgesmith.emulate import Emulator
from edgesmith.targets import load
from edgesmith.toolchain import compile_firmware
source = pathlib.Path(sys.argv[1])
target = load("stm32f103")
firmware = compile_firmware([source], [], target, source.with_suffix(".elf"), exports=["countdown"])
with Emulator(firmware, target) as board:
    assert board.call("countdown", 3).instructions == 7
assert "unicorn" not in sys.modules and "torch" not in sys.modules
"""


def test_the_calling_process_never_loads_the_emulator(tmp_path):
    """Unicorn's library is GPL-2; it stays in a process of its own."""
    (tmp_path / "program.c").write_text(PROGRAM)
    words = [sys.executable, "-c", RUNNING, str(tmp_path / "program.c")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
