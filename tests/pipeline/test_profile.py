"""The profile of a program: counted on the emulated board, timed on this machine, or predicted."""

import json
import platform
from dataclasses import replace

import pytest

from cost.nets import random_net, recurrent_net
from edgesmith import targets
from edgesmith.core import ops
from edgesmith.pipeline.build import bind_for
from edgesmith.pipeline.profile import memory_table, profile
from edgesmith.report.schema import LAYER, MEMORY, check_memory, reading, text


@pytest.fixture(scope="module")
def board():
    """The profile of a small int8 net on the emulated Blue Pill, with its graph."""
    target = targets.load("stm32f103")
    graph = random_net(21, "int8")
    return graph, target, profile(bind_for(graph, target).program, target)


def test_layers_and_the_rest_of_the_program_add_up_to_the_whole(board):
    """What is outside the layers is the call around them: a few dozen instructions."""
    _, target, found = board
    whole = found.latency.value * 1e-3 * target.clock_hz
    layers = sum(layer.cycles for layer in found.layers)
    assert whole - 200 < layers <= whole


def test_multiply_accumulates_are_the_graph_s(board):
    graph, _, found = board
    assert [layer.macs for layer in found.layers] == [ops.macs(graph, op) for op in graph.ops]


def test_every_figure_says_what_kind_it_is(board):
    _, _, found = board
    kinds = {name: figure.kind for name, figure in found.readings().items()}
    assert kinds == {"flash": "emulated", "ram": "emulated", "latency": "estimated", "energy": "estimated"}


def test_the_tables_are_what_a_report_takes(board):
    _, _, found = board
    layers, memory = found.tables()
    for row in layers["rows"]:
        LAYER(row, "row")
    MEMORY(memory, "memory")
    check_memory(memory)
    for figure in found.readings().values():
        reading(text)(figure.to_json(), "reading")


def test_shares_sum_to_one_and_everything_is_json(board):
    found = json.loads(json.dumps(board[2].to_json()))
    assert sum(row["share"] for row in found["layers"]["rows"]) == pytest.approx(1)


def test_prediction_and_emulation_agree_on_memory(board):
    graph, target, counted = board
    predicted = profile(bind_for(graph, target).program, target, measure=False)
    assert predicted.flash.kind == "estimated"
    assert abs(predicted.flash.value - counted.flash.value) <= predicted.flash.spread
    assert abs(predicted.ram.value - counted.ram.value) <= predicted.ram.spread


def test_a_program_too_large_for_the_board_is_counted_and_says_so():
    board = targets.load("stm32f103")
    small = replace(board, memories=(replace(board.memories[0], size_bytes=4096), board.memories[1]))
    graph = random_net(22, "int8")
    found = profile(bind_for(graph, small).program, small)
    assert found.flash.value > 4096 and "exceeds" in found.how
    assert found.instructions > sum(ops.macs(graph, op) for op in graph.ops) / 4


def test_states_lie_beside_the_arena():
    target = targets.load("nucleo-l4r5zi")
    program = bind_for(recurrent_net(23), target).program
    memory = profile(program, target, measure=False).memory
    assert memory["state_bytes"] == 2 * 48  # two states of 12 floats, each a multiple of 16 bytes


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="times x86-64")
def test_this_machine_is_timed():
    target = targets.load("x86-64")
    found = profile(bind_for(random_net(24, "int8"), target).program, target)
    assert found.latency.kind == found.kind == "measured" and found.latency.spread is not None
    assert found.energy.kind == "estimated" and found.instructions is None
    moves_nothing = [layer.cycles for layer in found.layers if layer.kind == "reshape"]
    assert moves_nothing == [0.0] and sum(layer.cycles > 0 for layer in found.layers) == len(found.layers) - 1


def test_the_manifest_and_the_profile_say_the_same_of_the_plan():
    program = bind_for(random_net(6, "int8"), targets.load("stm32f103")).program
    found = memory_table(program)
    facts = program.plan.facts()
    assert facts.items() <= found.items()
    assert facts["arena_bytes"] == program.interface.arena_bytes >= facts["lower_bound_bytes"]
    assert facts["optimal"] is program.plan.optimal
