"""QFX: the cast and its gradients, and that the C program gives what the trained module gives, without products."""

import math

import numpy as np
import pytest
import torch

from edgesmith import targets, zoo
from edgesmith.compile.integerize import integerize
from edgesmith.compile.shift_add import shift_add
from edgesmith.compress.quantize import qfx
from edgesmith.compress.quantize.learning import Place
from edgesmith.compress.quantize.qfx import REACH, FixedPoint, binary, cast
from edgesmith.core.errors import BadInput
from edgesmith.core.formats import PerChannel, PerTensor
from edgesmith.emulate.multiplications import multiplications
from edgesmith.lower import channels_last_input
from edgesmith.pipeline.build import bind_for, firmware, native
from edgesmith.pipeline.realize import outputs_of
from edgesmith.training.evaluate import predict_raw
from edgesmith.training.recipe import Recipe

QUICK = Recipe(epochs=2, batch=64, learning_rate=3e-3, train_samples=512)


@pytest.mark.parametrize("fraction", [-1, 0, 3])
def test_a_cast_is_that_of_the_paper(fraction):
    """arXiv:2401.17544: overflow(round(x << fraction)) >> fraction, in whole numbers; halves go up."""
    values = [-9.0, -2.5, -0.5, -0.4375, 0.0625, 0.5, 1.5, 2.25, 40.0]
    found = cast(torch.tensor(values), torch.tensor(2.0**-fraction), -8, 7)
    expected = [min(7, max(-8, math.floor(v * 2**fraction + 0.5))) * 2**-fraction for v in values]
    assert found.tolist() == expected


@pytest.mark.parametrize("value", [-3.3, -0.4, 0.26, 0.74, 9.0])
def test_the_binary_points_gradient(value):
    """That of the step (arXiv:1902.08153, equation 3) times d 2^-f / df = -ln 2 * 2^-f."""
    quantizer = FixedPoint(Place(("x",), PerTensor(0.5, 0, bits=3)))
    quantizer(torch.tensor([value])).sum().backward()
    steps = value / 0.5
    inside = -4 <= steps <= 3
    slope = math.floor(steps + 0.5) - steps if inside else (-4 if value < 0 else 3)
    assert float(quantizer.moved.grad) == pytest.approx(-math.log(2) * 0.5 * slope * REACH, abs=1e-4)


def test_a_binary_point_moves_by_whole_places():
    quantizer = FixedPoint(Place(("x",), PerTensor(0.5, -8, bits=4)))
    with torch.no_grad():
        quantizer.moved.fill_(1.6 / REACH)
    assert quantizer.fraction() == 3 and float(quantizer.step().detach()) == 0.125
    assert quantizer.format(None) == PerTensor(0.125, -8, bits=4)


def test_formats_become_powers_of_two_that_hold_the_same_values():
    assert binary(PerTensor(0.3, -8, bits=4)) == PerTensor(0.25, -8, bits=4)  # nothing below zero: unsigned
    assert binary(PerTensor(0.3, 2, bits=4)) == PerTensor(0.5, 0, bits=4)  # [-3, 1.5] needs steps of 3 / 8
    weight = np.array([[0.9, -0.1], [0.3, 0.2]], np.float32)
    assert binary(PerChannel((0.1, 0.2), bits=4), weight) == PerChannel((0.125, 0.125), bits=4)


@pytest.fixture(scope="module")
def tuned():
    bed = zoo.load("digits-cnn")
    return bed, qfx(4, 5, terms=2, recipe=QUICK)(bed.module, bed.task)


def test_the_program_gives_what_the_module_gives(tuned):
    """Over the whole test split, every output; batch norms and means are layers of it, with binary points."""
    bed, module = tuned
    graph = channels_last_input(integerize(module.to_graph()))
    made = outputs_of(native(graph), graph, bed.task.test.inputs)
    np.testing.assert_array_equal(made, predict_raw(module, bed.task.test.inputs))
    assert bed.task.metric.compute(made, bed.task.test.labels) > 0.9
    assert sum(op.kind == "conv2d_s8" for op in graph.ops) == 7  # three convolutions, their batch norms, the mean
    formats = [graph.tensors[op.outputs[0]].format for op in graph.ops]
    assert all(math.log2(f.scale).is_integer() for f in formats if isinstance(f, PerTensor))


def test_no_layer_multiplies(tuned, tmp_path):
    """Every layer is a shift_add op, whose function in the linked program holds no multiply instruction."""
    bed, module = tuned
    graph = channels_last_input(integerize(module.to_graph()))
    free = shift_add(graph)
    assert not any(op.kind in ("conv2d_s8", "linear_s8", "avg_pool2d_s8") for op in free.ops)
    inputs = bed.task.test.inputs[:20]
    np.testing.assert_array_equal(outputs_of(native(free), free, inputs), outputs_of(native(graph), graph, inputs))
    found = multiplications(firmware(bind_for(free, targets.load("nucleo-l4r5zi")), tmp_path, roomy=True))
    assert not any("shift_add" in function for function in found)


@pytest.mark.parametrize("terms", [-1, 3])
def test_terms_that_a_code_has_no_room_for_are_refused(terms):
    with pytest.raises(BadInput, match="need 1 to 2"):
        qfx(terms=terms)
