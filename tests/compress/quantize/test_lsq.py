"""LSQ: gradients by the paper's equation, and what fine-tuning with learned steps brings."""

import numpy as np
import pytest
import torch

from edgesmith import zoo
from edgesmith.compile.integerize import integerize
from edgesmith.compress.quantize import lsq, ptq
from edgesmith.compress.quantize.learning import Place
from edgesmith.compress.quantize.lsq import Learned
from edgesmith.core.errors import BadInput
from edgesmith.core.formats import PerChannel, PerTensor
from edgesmith.core.ops import interpret
from edgesmith.lower.fake_quantize import fake_quantize
from edgesmith.training.evaluate import evaluate_raw
from edgesmith.training.recipe import Recipe

QUICK = Recipe(epochs=2, batch=64, learning_rate=1e-3, train_samples=512)


@pytest.mark.parametrize("value", [-3.3, -0.4, 0.0, 0.26, 0.74, 9.0])
def test_the_steps_gradient_is_equation_3(value):
    """arXiv:1902.08153: -v/s + round(v/s) inside the range, -Q_N or Q_P outside."""
    step, low, high = 0.5, -4, 3
    scale = torch.tensor([step], requires_grad=True)
    fake_quantize(torch.tensor([value]), scale, 0, low, high).backward()
    inside = low < value / step < high
    expected = round(value / step) - value / step if inside else (low if value < 0 else high)
    assert float(scale.grad) == pytest.approx(expected, abs=1e-6)


def test_a_channels_step_learns_from_its_own_channel_alone():
    scales = torch.tensor([0.5, 0.25], requires_grad=True)
    x = torch.tensor([[9.0, 9.0], [0.1, 0.1]])
    fake_quantize(x, scales, 0, -8, 7, axis=0).sum().backward()
    assert torch.allclose(scales.grad, torch.tensor([14.0, -0.8]))


def test_a_quantizer_gives_back_the_format_it_began_with():
    for format_ in (PerTensor(0.25, -8, bits=4), PerChannel((0.5, 0.125), bits=3)):
        assert Learned(Place(("x",), format_)).format(None) == format_


@pytest.fixture(scope="module")
def tuned():
    bed = zoo.load("digits-resnet")
    return bed, lsq(2, 3, QUICK)(bed.module, bed.task)


def test_learned_steps_beat_rounding(tuned):
    """arXiv:1902.08153, table 1: learning the steps keeps an accuracy that rounding loses."""
    bed, module = tuned
    rounded = ptq(weights=2, activations=3)(bed.module, bed.task)
    assert (
        evaluate_raw(module, bed.task, bed.task.validation) > evaluate_raw(rounded, bed.task, bed.task.validation) + 0.2
    )


def test_the_tuned_net_is_an_integer_program_of_its_bits(tuned):
    """Every weight but the first and the last layer's is stored in [-2, 1], activations in eight levels."""
    bed, module = tuned
    graph = integerize(module.to_graph())
    weights = [graph.constants[op.inputs[1]] for op in graph.ops if op.kind in ("conv2d_s8", "linear_s8")]
    assert all(w.min() >= -2 and w.max() <= 1 for w in weights[1:-1])
    sample = bed.task.validation.inputs[:1]
    found = interpret(graph, {graph.inputs[0]: sample})[graph.outputs[0]]
    assert found.dtype == np.int8
    clamped = [op for op in graph.ops if op.kind == "conv2d_s8" and op.outputs[0] not in graph.outputs]
    assert {op.attrs["high"] - op.attrs["low"] for op in clamped if "high" in op.attrs} <= {7, 255}


@pytest.mark.parametrize("bits", [1, 9])
def test_bits_without_an_integer_form_are_refused(bits):
    with pytest.raises(BadInput, match="need 2 to 8"):
        lsq(weights=bits)
