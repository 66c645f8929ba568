"""Cost by op: counts against brute force and against the emulated board."""

import itertools
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from cost.nets import random_net
from edgesmith import targets, zoo
from edgesmith.compile.integerize import integerize
from edgesmith.compress.quantize.placement import INT8, annotate, place
from edgesmith.cost import has_tables, op_costs, totals
from edgesmith.cost.ops import peak_bytes, peak_index
from edgesmith.cost.totals import count_error
from edgesmith.emulate import cost
from edgesmith.kernels.abi import FOLDER
from edgesmith.kernels.costs import COSTS, read, stamp
from edgesmith.kernels.costs.features import features
from edgesmith.lower import channels_last_input, lower
from edgesmith.pipeline.build import bind_for, firmware
from edgesmith.pipeline.profile import random_inputs
from edgesmith.run.emulated import Emulated

BOARDS = ("rp2040", "stm32f103", "nucleo-l4r5zi", "stm32h743", "nrf5340")
TABLES = sorted(COSTS.glob("*.json.gz"))


def executed(compiled):
    """Class counts by op on the emulated board."""
    program = compiled.program
    with tempfile.TemporaryDirectory() as folder:
        built = firmware(compiled, Path(folder), roomy=True, mark=True)
        with Emulated(built, program.interface, compiled.target, layers=len(program.graph.ops)) as board:
            board.run(random_inputs(program))
            return [board.last.by_layer[i] for i in range(len(program.graph.ops))]


CASES = [*((board, seed, "int8") for seed, board in enumerate(BOARDS)), ("rp2040", 12, "float32")]
CASES += [("nucleo-l4r5zi", 13, "float32"), ("nucleo-l4r5zi", 14, "int8")]


@pytest.mark.parametrize(("board", "seed", "precision"), CASES)
def test_predicted_cycles_are_near_the_emulated_ones(board, seed, precision):
    """The whole within the stated error of the instruction counts, which nine in ten kernels keep on their own."""
    target = targets.load(board)
    compiled = bind_for(random_net(seed, precision), target)
    predicted = op_costs(compiled.program, target)
    counts = executed(compiled)
    emulated = sum(cost.cycles(target, count) for count in counts)
    stated = count_error(predicted)
    assert stated is not None and stated < 0.25
    assert sum(op.cycles for op in predicted) == pytest.approx(emulated, rel=stated)
    instructions = sum(cost.instructions(count) for count in counts)
    assert sum(op.instructions for op in predicted) == pytest.approx(instructions, rel=stated)


def test_multiply_accumulates_inside_the_input_equal_a_walk_over_every_tap():
    program = bind_for(random_net(5, "int8"), targets.load("stm32f103")).program
    op, kernel = program.graph.ops[0], program.kernels[0]
    inputs, outputs = program.graph.types(op.inputs), program.graph.types(op.outputs)
    (_, height, width, channels), (_, out_h, out_w, out_c) = inputs[0].shape, outputs[0].shape
    stride = op.attrs["stride"][0]
    inside = 0
    for oy, ox, ky, kx in itertools.product(range(out_h), range(out_w), range(3), range(3)):
        y, x = oy * stride + ky - 1, ox * stride + kx - 1
        inside += 0 <= y < height and 0 <= x < width
    assert features(op, inputs, outputs, kernel)["macs_inside"] == inside * channels * out_c


def test_peak_bytes_are_the_results_alive_at_the_fullest_op():
    program = bind_for(random_net(6, "int8"), targets.load("stm32f103")).program
    alive = {i: [b for b in program.plan.buffers if b.first <= i <= b.last] for i in range(len(program.graph.ops))}
    fullest = max(alive.values(), key=lambda buffers: sum(b.nbytes for b in buffers))
    assert alive[peak_index(program)] == fullest
    results = {name for op in program.graph.ops for name in op.outputs}
    expected = sum(b.nbytes for b in fullest if next(iter(b.tensors), "") in results)
    assert sum(peak_bytes(program).values()) == expected > 0


def test_constants_are_counted_once_each():
    compiled = bind_for(random_net(7, "int8"), targets.load("stm32f103"))
    arrays = sum(array.nbytes for array in compiled.program.arrays.values())
    structs = sum(4 * sum(max(f.length, 1) for f in k.fields) for k in compiled.program.kernels if k)
    assert sum(op.constant_bytes for op in op_costs(compiled.program, compiled.target)) == arrays + structs


def test_a_core_without_a_table_gets_a_pessimistic_figure_that_says_so():
    known = targets.load("nucleo-l4r5zi")
    program = bind_for(random_net(8, "int8"), known).program
    unknown = replace(known, core="cortex-m99")
    assumed = op_costs(program, unknown)
    measured = op_costs(program, known)
    assert all(a.cycles >= m.cycles for a, m in zip(assumed, measured, strict=True))
    latency = totals(program, assumed, unknown)[2]
    assert latency.spread is None and "pessimistic" in latency.how


def test_a_float_table_of_another_kind_of_core_is_not_used():
    """A board without an FPU must not be given the counts of one that has it."""
    known = targets.load("nucleo-l4r5zi")
    program = bind_for(random_net(9, "float32"), known).program
    soft = op_costs(program, replace(known, has_fpu=False))
    assert soft[0].error is None and soft[0].cycles > op_costs(program, known)[0].cycles


@pytest.mark.parametrize("name", ["wasm", "raspberry-pi-5", "esp32c3"])
def test_a_target_without_tables_is_predicted_from_throughput(name):
    target = targets.load(name)
    compiled = bind_for(random_net(10, "int8"), target)
    ops = op_costs(compiled.program, target)
    latency = totals(compiled.program, ops, target)[2]
    assert latency.kind == "estimated" and latency.spread is None and "rough" in latency.how
    assert latency.value == pytest.approx(sum(op.cycles for op in ops) / target.clock_hz * 1e3)


@pytest.mark.parametrize("path", TABLES, ids=[path.stem for path in TABLES])
def test_tables_were_measured_on_the_kernels_as_they_are(path):
    """`python benchmarks/kernel_costs.py` measures what changed."""
    entries = read(path).kernels.values()
    stale = {e.source for e in entries if not (FOLDER / e.source).is_file() or stamp(FOLDER / e.source) != e.stamp}
    assert not stale, f"run python benchmarks/kernel_costs.py; these changed: {sorted(stale)}"


def test_every_core_that_is_predicted_from_tables_has_one():
    cores = {target.core for target in map(targets.load, targets.names()) if has_tables(target)}
    assert cores >= {"cortex-m0+", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33"}
    assert cores <= {path.name.removesuffix(".json.gz") for path in TABLES}


@pytest.mark.parametrize("net", ["digits-resnet", "fashion-vit", "occupancy-lstm"])
def test_no_op_of_a_net_is_guessed(net):
    """What no table knows costs far too much: on a transformer, slices alone once five times the whole net."""
    bed = zoo.load(net, with_data=False)
    graph = lower(bed.module, bed.example_inputs)
    graph = annotate(graph, place(graph, {}), dict.fromkeys(graph.tensors, (-1.0, 1.0)), INT8)
    compiled = bind_for(channels_last_input(integerize(graph)), targets.load("nucleo-l4r5zi"))
    costs = op_costs(compiled.program, compiled.target)
    assert [cost.kind for cost in costs if cost.cycles and cost.error is None] == []
