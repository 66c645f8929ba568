"""Predicted memory against the linked program."""

import ctypes

import pytest

from cost.nets import random_net, recurrent_net
from edgesmith import targets
from edgesmith.cost import flash_bytes, op_costs, static_ram_bytes, totals
from edgesmith.cost.memory import struct_bytes
from edgesmith.pipeline.build import bind_for, firmware, host_library
from edgesmith.targets.machine import is_here
from kernels.calling import struct_of

BOARDS = ("rp2040", "stm32f103", "nucleo-l4r5zi", "stm32h743", "nrf5340", "esp32c3", "raspberry-pi-4", "raspberry-pi-5")


def linked(graph, board, folder):
    target = targets.load(board)
    compiled = bind_for(graph, target)
    return compiled.program, target, firmware(compiled, folder, roomy=True)


CASES = [*((board, 1, "int8") for board in BOARDS), ("rp2040", 2, "float32"), ("nucleo-l4r5zi", 3, "float32")]


@pytest.mark.parametrize(("board", "seed", "precision"), CASES)
def test_predicted_memory_is_the_linked_memory(board, seed, precision, tmp_path):
    """Flash within 2% or 1 KB, RAM and arena to the byte."""
    program, target, firmware_ = linked(random_net(seed, precision), board, tmp_path)
    assert abs(flash_bytes(program, target) - firmware_.flash_bytes) <= max(0.02 * firmware_.flash_bytes, 1024)
    assert static_ram_bytes(program, target) == firmware_.ram_bytes
    assert program.interface.arena_bytes == firmware_.symbol("arena").size_bytes


def test_the_state_block_is_predicted_to_the_byte(tmp_path):
    program, target, firmware_ = linked(recurrent_net(3), "nucleo-l4r5zi", tmp_path)
    assert program.interface.state_bytes == firmware_.symbol("state").size_bytes > 0
    assert static_ram_bytes(program, target) == firmware_.ram_bytes
    assert abs(flash_bytes(program, target) - firmware_.flash_bytes) <= max(0.02 * firmware_.flash_bytes, 1024)


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_a_parameter_struct_has_the_size_a_compiler_gives_it(precision):
    """ctypes lays the same members out by the rules of this machine's C; both use natural alignment."""
    program = bind_for(random_net(4, precision), targets.load("stm32f103")).program
    for kernel in filter(None, program.kernels):
        assert struct_bytes(kernel) == ctypes.sizeof(struct_of(kernel.fields))


@pytest.mark.skipif(not is_here(targets.load("x86-64")), reason="this machine is no x86-64")
@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_predicted_flash_is_near_the_library_built_here(precision):
    graph, target = random_net(5, precision), targets.load("x86-64")
    program = bind_for(graph, target).program
    reading = totals(program, op_costs(program, target), target)[0]
    built = host_library(program).stat().st_size
    assert abs(reading.value - built) <= (reading.spread or 0)
