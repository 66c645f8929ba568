"""The firmware on emulated boards, one of each family of UART, driven as a real one is."""

import os
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from board.stub import model
from core.ops.cases import scaling, weights
from core.sketch import Sketch
from edgesmith.board import Board
from edgesmith.board.frames import Frame, encode
from edgesmith.board.port import open_port
from edgesmith.board.wire import EMULATED_IDENTITY
from edgesmith.core.errors import BadInput, Missing, Unsupported
from edgesmith.core.interface import random_input
from edgesmith.emulate.serial import SerialBoard
from edgesmith.pipeline.build import bind_for, firmware, serial_firmware
from edgesmith.pipeline.onboard import connect, program_sha256
from edgesmith.pipeline.verify import Interpreted
from edgesmith.run.emulated import Emulated
from edgesmith.targets import load, names

SERIAL = [name for name in names() if load(name).serial]


def inputs(seed: int) -> dict[str, np.ndarray]:
    return {name: random_input(model(), name, np.random.default_rng(seed)) for name in model().inputs}


@pytest.mark.parametrize("name", SERIAL)
def test_every_byte_is_numpys_and_the_counter_counts_what_the_emulator_does(plug, tmp_path, name):
    """Over the serial port and called directly it is the same model: but for reading the counter before each op."""
    target, numpy = load(name), Interpreted(model())
    compiled = bind_for(model(), target)
    (tmp_path / "plain").mkdir()
    with (
        connect(model(), target, plug(name).port) as board,
        Emulated(firmware(compiled, tmp_path / "plain"), compiled.program.interface, target) as plain,
    ):
        for seed in range(3):
            want = numpy.run(inputs(seed))
            got = board.run(inputs(seed))
            assert all(np.array_equal(got[key], want[key]) for key in want)
            plain.run(inputs(seed))
            # two readings, a call and a store an op; twice that where SysTick is read in a loop
            assert 0 <= board.last.cycles - plain.last.instructions <= 100 * len(model().ops)
            assert sum(board.op_cycles()) <= board.last.cycles
            assert plain.last.stack_bytes <= board.last.stack_bytes <= plain.last.stack_bytes + 700
        assert board.kind == "emulated" and board.hello.clock_hz == target.clock_hz


def test_a_run_longer_than_systick_counts_is_counted_whole(tmp_path):
    """3.7 million multiply-accumulates (40 x 40 x 16 x 16 x 9) take more than 2^24 instructions on an M0+."""
    sketch, target = Sketch(), load("rp2040")
    x = sketch.input(1, 40, 40, 16, dtype="int8")
    constants = [sketch.const(array) for array in (weights(16, 3, 3, 16), *scaling(16))]
    graph = sketch.graph(sketch("conv2d_s8", x, *constants, padding=(1, 1, 1, 1)))
    given = {x: random_input(graph, x, np.random.default_rng(0))}
    compiled = bind_for(graph, target)
    for name in ("plain", "serial"):
        (tmp_path / name).mkdir()
    with Emulated(firmware(compiled, tmp_path / "plain"), compiled.program.interface, target) as plain:
        plain.run(given)
    linked = serial_firmware(compiled, tmp_path / "serial", program_sha256(graph))
    with SerialBoard(linked, target, EMULATED_IDENTITY) as emulated, connect(graph, target, emulated.port) as board:
        board.run(given)
    assert board.last.cycles > 1 << 24 and 0 <= board.last.cycles - plain.last.instructions < 500


def test_states_begin_anew_on_reset(plug):
    with connect(model(), load("stm32f103"), plug("stm32f103").port) as board:
        first = board.run(inputs(0))["sum"]
        again = board.run(inputs(0))["sum"]
        board.reset()
        assert np.array_equal(board.run(inputs(0))["sum"], first) and not np.array_equal(first, again)


def test_a_firmware_takes_any_noise_and_answers_after_it(plug, repeats):
    """Random bytes, and random frames with a right CRC, at the emulated board: no fault, no silence."""
    rng = np.random.default_rng(0)
    with connect(model(), load("stm32f103"), plug("stm32f103").port) as board:
        for turn in range(repeats(20, 1000)):
            noise = rng.integers(0, 256, rng.integers(1, 400)).astype(np.uint8).tobytes()
            request = Frame(int(rng.integers(0, 9)), int(rng.integers(0, 256)), noise[:240])
            board._port.write(noise + (encode(request) if turn % 2 else b"\0"))
        want = Interpreted(model()).run(inputs(1))
        board._greet()  # its answer comes after those to the noise
        board.reset()
        assert np.array_equal(board.run(inputs(1))["sum"], want["sum"])


def test_a_core_that_is_not_the_targets_is_refused(plug):
    """0x410FC241 is a Cortex-M4; the Blue Pill has a Cortex-M3."""
    with pytest.raises(BadInput, match="identifies itself as 0x410fc241"):
        connect(model(), load("stm32f103"), plug("stm32f103", 0x410FC241).port)


def test_another_program_is_refused(plug):
    port = open_port(plug("stm32f103").port, 115_200)
    with pytest.raises(BadInput, match="runs 'summing'"):
        Board(port, model(), load("stm32f103"), "00" * 32)
    port.close()


def test_a_board_pulled_out_in_the_middle_is_said_at_once(plug):
    emulated = plug("stm32f103")
    with connect(model(), load("stm32f103"), emulated.port) as board:
        threading.Timer(0.2, emulated.unplug).start()
        begin = time.monotonic()
        with pytest.raises(Missing, match="is gone"):
            for seed in range(10_000):
                board.run(inputs(seed))
        assert time.monotonic() - begin < 30


def test_a_board_can_be_left_and_taken_up_again(plug):
    emulated = plug("rp2040")
    for _ in range(3):
        with connect(model(), load("rp2040"), emulated.port) as board:
            board.run(inputs(0))


def test_a_second_program_cannot_open_the_port(plug):
    emulated = plug("stm32f103")
    with connect(model(), load("stm32f103"), emulated.port), pytest.raises(BadInput, match="cannot be opened"):
        connect(model(), load("stm32f103"), emulated.port)


def test_an_absent_port_lists_those_there_are():
    with pytest.raises(Missing, match="no port /dev/ttyNOTHING; there are: "):
        connect(model(), load("stm32f103"), "/dev/ttyNOTHING")


def test_a_silent_port_is_said(monkeypatch):
    monkeypatch.setattr("edgesmith.board.session.ANSWER_S", 0.05)
    master, slave = os.openpty()
    with pytest.raises(Missing, match="PA9 to the adapter's RX"):
        connect(model(), load("stm32f103"), os.ttyname(slave))
    os.close(master)
    os.close(slave)


def test_registers_that_lie_in_ram_are_refused(programs, plug):
    """What a board file of one's own may say by mistake."""
    plug("stm32f103")
    target = load("stm32f103")
    wrong = replace(target, serial=replace(target.serial, base=0x20000000))
    with pytest.raises(Unsupported, match="did not start"):
        SerialBoard(programs["stm32f103"], wrong, EMULATED_IDENTITY)


def test_the_identity_of_emulated_boards_is_none_of_arms():
    assert EMULATED_IDENTITY >> 24 != 0x41


def test_the_program_is_known_by_its_content():
    one = program_sha256(model())
    assert one == program_sha256(model()) != program_sha256(replace(model(), name="other"))
