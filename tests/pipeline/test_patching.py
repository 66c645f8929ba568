"""Splitting a program for its board: when, how far, and what is said of it."""

from dataclasses import replace

import pytest
from torch import nn

from compile.patch.stages import image_net
from edgesmith import targets, zoo
from edgesmith.compile.patch import parse
from edgesmith.core import artifact as artifacts
from edgesmith.core.budget import Budget
from edgesmith.core.errors import BadInput, DoesNotFit
from edgesmith.cost import flash_bytes, static_ram_bytes
from edgesmith.cost.totals import ram
from edgesmith.fit.predict import Predictor
from edgesmith.pipeline.build import bind_for, firmware
from edgesmith.pipeline.compiling import compile_model
from edgesmith.pipeline.patching import Patching, patched

BOARD = targets.load("nucleo-l4r5zi")
GRAPH = image_net(16)
SMALL = int(0.8 * ram(bind_for(GRAPH, BOARD).program, BOARD).value)


def test_a_program_that_fits_its_board_is_not_split():
    assert patched(GRAPH, BOARD).schedule is None


def test_a_program_that_does_not_is_split_until_it_does():
    choice = patched(GRAPH, BOARD, Patching(ram_bytes=SMALL))
    assert choice.schedule is not None and ram(bind_for(choice.graph, BOARD).program, BOARD).value <= SMALL
    described = choice.describe()
    assert described["patch"] == str(choice.schedule) and described["extra_macs"] == choice.extra_macs


def test_where_an_operating_system_runs_there_is_no_limit_unless_one_is_given():
    here = targets.load("x86-64")
    assert patched(GRAPH, here).schedule is None
    assert patched(GRAPH, here, Patching(ram_bytes=SMALL)).schedule is not None


def test_a_schedule_that_is_asked_for_is_taken_and_off_is_off():
    assert str(patched(GRAPH, BOARD, Patching("2x2@conv2d4")).schedule) == "2x2@conv2d4"
    assert patched(GRAPH, BOARD, Patching("off", SMALL)).schedule is None
    with pytest.raises(BadInput, match="is no schedule"):
        patched(GRAPH, BOARD, Patching("sometimes"))


@pytest.mark.parametrize("schedule", ["3x3@conv2d4", "lines:8@conv2d4"])
def test_flash_and_ram_of_a_split_program_are_predicted(schedule, tmp_path):
    """Flash within 2% or 1 KB, RAM to the byte; a struct that pieces share lies there once."""
    program = bind_for(parse(schedule, GRAPH).apply(GRAPH), BOARD).program
    linked = firmware(bind_for(program.graph, BOARD), tmp_path)
    assert abs(flash_bytes(program, BOARD) - linked.flash_bytes) <= max(0.02 * linked.flash_bytes, 1024)
    assert static_ram_bytes(program, BOARD) == linked.ram_bytes
    own = set(program.shared_parameters().values())
    assert len(own) < sum(kernel is not None for kernel in program.kernels)


def test_the_manifest_says_how_a_model_was_split(tmp_path):
    bed = zoo.load("digits-resnet")
    split = Patching(ram_bytes=10 * 1024)
    artifact = compile_model(bed.module, bed.example_inputs, bed.task, BOARD, tmp_path / "a", "net", patching=split)
    said = artifacts.load(tmp_path / "a").manifest["schedule"]
    assert said["patch"] != "off" and artifact.manifest["readings"]["ram"]["value"] <= 10 * 1024
    with pytest.raises(DoesNotFit, match="ram is .* times the 2,048 bytes"):
        compile_model(
            bed.module, bed.example_inputs, bed.task, BOARD, tmp_path / "b", "net", patching=Patching("off", 2048)
        )


def test_fit_splits_what_breaks_the_limit_on_ram_alone():
    task, (first, then) = zoo.load("digits-cnn").task, (nn.Conv2d(1, 48, 3, padding=1), nn.Conv2d(48, 48, 3, padding=1))
    net = nn.Sequential(first, nn.ReLU(), then, nn.ReLU(), nn.Conv2d(48, 4, 3, 2), nn.Flatten(), nn.Linear(36, 10))
    whole = Predictor(BOARD, task, Budget().within(BOARD), "net").predict(net.eval(), "int8")
    budget = replace(Budget().within(BOARD), ram_bytes=int(0.9 * whole.ram.value))
    split = Predictor(BOARD, task, budget, "net").predict(net, "int8")
    assert whole.split == "" and split.split and split.ram.value <= budget.ram_bytes
    hurried = replace(budget, latency_ms=0.5 * whole.latency.value)
    assert Predictor(BOARD, task, hurried, "net").predict(net, "int8").split == ""
