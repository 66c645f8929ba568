"""The zoo can be listed without torch, and a user's model is checked before it is used."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from edgesmith import zoo
from edgesmith.core.errors import BadInput, Missing


def test_listing_imports_no_torch():
    code = "import sys; from edgesmith import zoo; [zoo.info(n) for n in zoo.names()]; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_records_are_consistent():
    for name in zoo.names():
        entry = zoo.info(name)
        if entry.classical:
            assert entry.dataset and entry.recipe is None and not entry.shipped
            continue
        assert (entry.dataset is None) == (entry.recipe is None) == (entry.reference is None) == (entry.seconds is None)
        assert not entry.shipped or entry.dataset


def test_without_data_a_trained_net_still_loads(monkeypatch):
    monkeypatch.delenv("EDGESMITH_DATA", raising=False)
    for name in zoo.names():
        if zoo.info(name).shipped:
            bed = zoo.load(name, with_data=False)
            assert bed.task is None and bed.module(*bed.example_inputs).shape[0] == 1


def test_calibration_inputs_are_the_task_s_or_seeded_random_ones():
    bed = zoo.load("digits-cnn")
    assert np.array_equal(bed.calibration_inputs(7), bed.task.calibration.inputs[:7] / np.float32(16))
    shape = zoo.load("ds-cnn")
    assert shape.calibration_inputs(3).shape == (3, 1, 49, 10)
    assert np.array_equal(shape.calibration_inputs(3), shape.calibration_inputs(3))


def test_a_zoo_name_is_a_model():
    module, examples = zoo.load_model("digits-cnn")
    assert not module.training and examples[0].shape == (1, 1, 8, 8)


NETS = """
import torch
from torch import nn
X = torch.zeros(1, 4)
def good(): return nn.Linear(4, 2), (X,)
def bare(): return nn.Linear(4, 2), X
def alone(): return nn.Linear(4, 2)
def wrong_shape(): return nn.Linear(3, 2), (X,)
def batch_of_two(): return nn.Linear(4, 2), (torch.zeros(2, 4),)
def empty(): return nn.Linear(0, 2), (torch.zeros(1, 0),)
def no_example(): return nn.Linear(4, 2), ()
def not_finite():
    net = nn.Linear(4, 2)
    net.weight.data[1, 2] = float("nan")
    return net, (X,)
"""


@pytest.fixture
def nets(tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    return tmp_path / "nets.py"


@pytest.mark.parametrize("function", ["good", "bare"])
def test_a_user_s_function_gives_the_model(nets, function):
    module, examples = zoo.load_model(f"{nets}:{function}", trust=True)
    assert module(*examples).shape == (1, 2) and not module.training


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("alone", "returned Linear"),
        ("wrong_shape", "fails on its own example"),
        ("batch_of_two", "batch of 1"),
        ("empty", "no size of zero"),
        ("no_example", "tuple of them"),
        ("not_finite", "weight holds values that are not finite"),
        ("absent", "no function called 'absent'"),
    ],
)
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_what_is_no_model_is_refused(nets, function, message):
    with pytest.raises(BadInput, match=message):
        zoo.load_model(f"{nets}:{function}", trust=True)


def test_a_model_s_code_runs_only_when_trusted(nets):
    with pytest.raises(BadInput, match="--trust"):
        zoo.load_model(f"{nets}:good")
    with pytest.raises(Missing, match="not a file"):
        zoo.load_model("nowhere.py:good", trust=True)


def test_an_exported_program_is_a_model_when_trusted(tmp_path):
    bed = zoo.load("digits-cnn")
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(bed.module, bed.example_inputs), path)
    with pytest.raises(BadInput, match="--trust"):
        zoo.load_model(str(path))
    module, examples = zoo.load_model(str(path), trust=True)
    assert torch.equal(examples[0], bed.example_inputs[0])
    assert torch.allclose(module(*examples), bed.module(*examples), atol=1e-5)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(BadInput, match="torch.export.load failed"):
        zoo.load_model(str(path), trust=True)
