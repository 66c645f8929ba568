"""Modules in, modules out: int8 nets that answer as the float ones do."""

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith import zoo
from edgesmith.compile.integerize import integerize
from edgesmith.compile.integerize.agreement import layer_agreement
from edgesmith.compress.quantize import ptq
from edgesmith.core.errors import BadInput
from edgesmith.core.formats import PerTensor
from edgesmith.core.ops import interpret
from edgesmith.core.task import Normalize, Split, Task
from edgesmith.lower import lift, lower
from edgesmith.training.evaluate import evaluate, evaluate_raw, predict, predict_raw


def torch_reference(graph):
    """The graph lifted to torch, on arrays."""
    module = lift(graph).eval()

    @torch.no_grad()
    def run(arrays):
        results = module(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))
        return [result.numpy() for result in (results if isinstance(results, tuple | list) else (results,))]

    return run


def task_of(inputs, normalize=None):
    split = Split(inputs, np.zeros(len(inputs), np.int64))
    return Task("random", split, split, split, split, normalize=normalize or Normalize())


def annotated_of(quantized, task):
    return lower(quantized, (torch.from_numpy(task.calibration.inputs[:1]).float(),))


def kinds(graph):
    return {op.kind for op in graph.ops}


@pytest.fixture(scope="module")
def resnet():
    return zoo.load("digits-resnet")


@pytest.fixture(scope="module")
def cnn():
    return zoo.load("digits-cnn")


def test_digits_resnet_keeps_its_accuracy(resnet):
    """Within one point on the validation split."""
    exact = evaluate(resnet.module, resnet.task, resnet.task.validation)
    quantized = ptq()(resnet.module, resnet.task)
    assert evaluate_raw(quantized, resnet.task, resnet.task.validation) >= exact - 0.01


@pytest.mark.parametrize("calibration", ["minmax", "percentile", "mse", "entropy"])
@pytest.mark.parametrize("equalize", [False, True])
def test_every_calibration_keeps_the_accuracy_of_digits_cnn(cnn, calibration, equalize):
    exact = evaluate(cnn.module, cnn.task, cnn.task.validation)
    quantized = ptq(calibration, equalize=equalize)(cnn.module, cnn.task)
    assert evaluate_raw(quantized, cnn.task, cnn.task.validation) >= exact - 0.01


def test_lowering_the_result_gives_the_annotated_graph_back(cnn):
    once = annotated_of(ptq()(cnn.module, cnn.task), cnn.task)
    again = lower(lift(once), (torch.from_numpy(cnn.task.calibration.inputs[:1]).float(),))
    formats = [[t.format for t in graph.tensors.values() if t.format] for graph in (once, again)]
    assert len(formats[0]) > 10 and sorted(map(repr, formats[0])) == sorted(map(repr, formats[1]))


def test_the_integer_graph_takes_raw_bytes_and_agrees_with_torch(cnn):
    marked = annotated_of(ptq()(cnn.module, cnn.task), cnn.task)
    made = integerize(marked)
    (name,) = made.inputs
    assert made.tensors[name].dtype == "uint8"
    assert not {"quantize", "dequantize", "conv2d", "linear"} & kinds(made)
    samples = [{name: image[None]} for image in cnn.task.validation.inputs[:20]]
    assert all(layer.holds for layer in layer_agreement(marked, made, samples, torch_reference))


def test_the_integer_graph_classifies_as_torch_does(cnn):
    quantized = ptq()(cnn.module, cnn.task)
    made = integerize(annotated_of(quantized, cnn.task))
    images = cnn.task.validation.inputs[:60]
    ours = [interpret(made, {made.inputs[0]: image[None]})[made.outputs[0]].argmax() for image in images]
    assert (predict_raw(quantized, images).argmax(1) == ours).mean() >= 0.98


def test_the_input_is_left_alone(cnn):
    before = {name: value.clone() for name, value in cnn.module.state_dict().items()}
    ptq(equalize=True)(cnn.module, cnn.task)
    assert all(torch.equal(before[name], value) for name, value in cnn.module.state_dict().items())


class Recurrent(nn.Module):
    """An LSTM and a layer on its last step."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 8, batch_first=True)
        self.classify = nn.Linear(8, 4)

    def forward(self, x):
        return self.classify(self.lstm(x)[0][:, -1])


class Attention(nn.Module):
    """One block of self-attention between two linear layers."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(16)
        self.embed, self.qkv, self.out = nn.Linear(4, 16), nn.Linear(16, 48), nn.Linear(16, 5)

    def forward(self, x):
        x = self.embed(x)
        q, k, v = (part.unflatten(-1, (2, 8)).transpose(1, 2) for part in self.qkv(self.norm(x)).chunk(3, -1))
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        return self.out((x + mixed.transpose(1, 2).flatten(2)).mean(1))


@pytest.mark.parametrize(("make", "shape"), [(Recurrent, (10, 3)), (Attention, (6, 4))])
def test_float_readings_through_recurrence_and_attention(nprng, rng, make, shape):
    torch.manual_seed(7)
    module = make().eval()
    inputs = (5 + 2 * nprng.normal(size=(64, *shape))).astype(np.float32)
    task = task_of(inputs, Normalize((5.0,), (2.0,)))
    quantized = ptq("minmax")(module, task)
    marked = annotated_of(quantized, task)
    made = integerize(marked)
    assert kinds(made) & {"lstm_s8", "softmax_s8"} and not kinds(made) & {"linear", "matmul", "lstm"}
    samples = [{made.inputs[0]: reading[None]} for reading in inputs[:10]]
    broken = [layer for layer in layer_agreement(marked, made, samples, torch_reference) if not layer.holds]
    assert not broken
    exact = predict(module, task.validation, task.normalize)
    assert np.abs(predict_raw(quantized, inputs) - exact).max() < 0.1 * np.abs(exact).max()


def test_samples_that_are_not_finite_are_refused(nprng):
    inputs = nprng.normal(size=(8, 4)).astype(np.float32)
    inputs[3, 1] = np.nan
    with pytest.raises(BadInput, match="not finite"):
        ptq()(nn.Linear(4, 2).eval(), task_of(inputs))


def test_unknown_settings_are_refused():
    with pytest.raises(BadInput, match="need one of minmax"):
        ptq("guess")
    with pytest.raises(BadInput, match="percentile is 40"):
        ptq(percentile=40)


def test_raw_int16_stays_raw(nprng):
    from edgesmith.lower.log_mel import LogMel

    module = nn.Sequential(LogMel(8000, 128, 128, 12), nn.Flatten(), nn.Linear(12 * 7, 3)).eval()
    audio = nprng.integers(-3000, 3000, (16, 1000)).astype(np.int16)
    task = task_of(audio)
    made = integerize(annotated_of(ptq()(module, task), task))
    assert made.tensors[made.inputs[0]].format == PerTensor(1.0, 0, "int16")
    assert "log_mel_s8" in kinds(made) and "log_mel" not in kinds(made)
