"""One model compiled as it is: with data or without, refused where it cannot be right."""

import numpy as np
import pytest
import torch

from edgesmith import targets, zoo
from edgesmith.core import artifact as artifacts
from edgesmith.core.errors import BadInput, DoesNotFit
from edgesmith.pipeline.compiling import compile_model, profile_model
from edgesmith.pipeline.programs import Numbers, random_task, source_graph

BOARD = targets.load("stm32f103")


@pytest.fixture(scope="module")
def bed():
    return zoo.load("digits-cnn")


def test_precision_is_one_of_two(bed):
    with pytest.raises(BadInput, match="'int4'; need int8 or float32"):
        source_graph(bed.module, bed.example_inputs, bed.task, "cnn", "int4", "mse")


def test_float32_carries_no_formats_and_int8_does(bed):
    for precision, expected in (("float32", False), ("int8", True)):
        graph = source_graph(bed.module, bed.example_inputs, bed.task, "cnn", precision, "minmax")
        assert any(tensor.format for tensor in graph.tensors.values()) is expected


def test_without_data_the_artifact_says_what_it_was_calibrated_on(bed, tmp_path):
    compile_model(bed.module, bed.example_inputs, None, BOARD, tmp_path / "a", "cnn")
    manifest = artifacts.load(tmp_path / "a").manifest
    assert manifest["calibrated_on"] == "random" and manifest["task"] is None


def test_what_is_too_large_is_refused_and_nothing_is_written(bed, tmp_path):
    large = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 200), torch.nn.Linear(200, 10)).eval()
    with pytest.raises(DoesNotFit, match=r"flash is \d\.\d times the 65,536 bytes"):
        compile_model(large, (torch.zeros(1, 784),), None, BOARD, tmp_path / "a", numbers=Numbers("float32"))
    assert not (tmp_path / "a").exists()


def test_random_data_have_the_models_shape_and_are_the_same_each_time():
    task = random_task((torch.zeros(1, 3, 5),), "net")
    assert task.calibration.inputs.shape[1:] == (3, 5)
    assert np.array_equal(task.test.inputs, random_task((torch.zeros(1, 3, 5),), "net").test.inputs)
    with pytest.raises(BadInput, match="takes 2 inputs"):
        random_task((torch.zeros(1), torch.zeros(1)), "net")


def test_without_measuring_nothing_is_linked(bed, monkeypatch):
    monkeypatch.setattr("edgesmith.pipeline.profile.firmware", None)
    found = profile_model(bed.module, bed.example_inputs, bed.task, BOARD, measure=False)
    assert {found.flash.kind, found.ram.kind, found.latency.kind, found.energy.kind} == {"estimated"}
