"""Every net of the zoo through the whole chain: the same outputs everywhere, the memory that was predicted."""

from functools import cache

import numpy as np
import pytest

from edgesmith import targets, zoo
from edgesmith.compile.integerize import integerize
from edgesmith.core.errors import Missing
from edgesmith.core.graph import Graph
from edgesmith.cost import flash_bytes, op_costs, static_ram_bytes, totals
from edgesmith.lower import channels_last_input
from edgesmith.pipeline.build import Compiled, bind_for, native
from edgesmith.pipeline.profile import linked_firmware
from edgesmith.pipeline.programs import random_task, source_graph
from edgesmith.pipeline.realize import samples_of
from edgesmith.pipeline.verify import Interpreted, first_difference
from edgesmith.run.emulated import Emulated
from edgesmith.toolchain import Firmware
from edgesmith.zoo.builders import blank_input, random_net
from edgesmith.zoo.entries import ENTRIES

pytestmark = pytest.mark.filterwarnings("ignore:The tensor attributes .*_flat_weights")  # every nn.LSTM under export

M4 = "nucleo-l4r5zi"
SMALL = ("digits-cnn", "occupancy-lstm", "nslkdd-autoencoder", "lstm", "ds-cnn")
NETS = [entry.name for entry in ENTRIES if entry.parameters < 4e6]  # more do not fit the board's flash
CASES = [
    *((name, "int8", M4) for name in NETS),
    *((name, "float32", M4) for name in SMALL),
    *(("digits-cnn", "int8", board) for board in ("stm32f103", "rp2040", "nrf5340", "stm32h743")),
    ("nslkdd-autoencoder", "float32", "rp2040"),
    ("lstm", "int8", "rp2040"),
]


@cache
def program(name: str, precision: str) -> tuple[Graph, tuple[dict[str, np.ndarray], ...]]:
    """The compiled graph of a net on seeded random inputs, and two inputs of it."""
    try:
        bed = zoo.load(name, with_data=False)
        module, example = bed.module, bed.example_inputs
    except Missing:  # its weights are not shipped: random ones cost the same
        module, example = random_net(zoo.info(name)), (blank_input(zoo.info(name)),)
    task = random_task(example, name)
    graph = channels_last_input(integerize(source_graph(module, example, task, name, precision, "minmax")))
    return graph, tuple(samples_of(graph, task.validation, 2))


def assert_memory_as_predicted(compiled: Compiled, firmware: Firmware) -> None:
    """Arena, states and RAM to the byte, flash within 2% or 1 KB."""
    face, target = compiled.program.interface, compiled.target
    assert firmware.symbol("arena").size_bytes == face.arena_bytes >= compiled.program.plan.lower_bound_bytes
    if face.state_bytes:
        assert firmware.symbol("state").size_bytes == face.state_bytes
    assert firmware.ram_bytes == static_ram_bytes(compiled.program, target)
    flash = flash_bytes(compiled.program, target)
    assert abs(flash - firmware.flash_bytes) <= max(0.02 * firmware.flash_bytes, 1024)


@pytest.mark.parametrize(("name", "precision", "board"), CASES)
def test_the_board_computes_what_numpy_defines_in_the_memory_predicted(name, precision, board, tmp_path):
    """int8 to the byte, floats within the certificate's tolerance; states run on from one input to the next."""
    graph, inputs = program(name, precision)
    target = targets.load(board)
    compiled = bind_for(graph, target)
    firmware, _ = linked_firmware(compiled, tmp_path)
    assert_memory_as_predicted(compiled, firmware)
    definition = Interpreted(graph)
    with Emulated(firmware, compiled.program.interface, target) as running:
        for sample in inputs:
            wanted, found = definition.run(sample), running.run(sample)
            for output in graph.outputs:
                assert first_difference(wanted[output], found[output]) is None
        stack_bytes = running.last.stack_bytes
    ram = totals(compiled.program, op_costs(compiled.program, target), target)[1]
    assert stack_bytes > 0 and firmware.ram_bytes + stack_bytes <= ram.value + ram.spread


@pytest.mark.parametrize(("name", "precision"), [(name, "int8") for name in NETS] + [("vit", "float32")])
def test_this_machine_computes_what_numpy_defines(name, precision):
    graph, inputs = program(name, precision)
    definition, runner = Interpreted(graph), native(graph)
    for sample in inputs:
        wanted, found = definition.run(sample), runner.run(sample)
        for output in graph.outputs:
            assert first_difference(wanted[output], found[output]) is None


@pytest.mark.parametrize("board", ["esp32c3", "raspberry-pi-4", "raspberry-pi-5", "wasm"])
@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_a_target_without_emulator_is_profiled(board, precision):
    """A digits-cnn must hold its weights and do its multiply-accumulates wherever it runs: bounds from below."""
    graph, _ = program("digits-cnn", precision)
    target = targets.load(board)
    found = bind_for(graph, target).program
    flash, ram, latency, energy = totals(found, op_costs(found, target), target)
    assert flash.value >= sum(array.nbytes for array in graph.constants.values())
    assert ram.value >= max(tensor.nbytes for name, tensor in graph.tensors.items() if name not in graph.constants)
    macs = sum(op.macs for op in op_costs(found, target))
    assert latency.value * 1e-3 * target.clock_hz > macs / 128  # int8 products a core of these can do per cycle at most
    assert energy.kind == latency.kind == flash.kind == ram.kind == "estimated"
