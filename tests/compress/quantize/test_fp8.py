"""FP8 and XR-NPE's formats on nets: what is rounded, what the result says, and the best mix by brute force."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith import zoo
from edgesmith.compress.quantize import fp8, xr_npe
from edgesmith.compress.quantize.kinds import KINDS, with_kinds
from edgesmith.compress.quantize.spots import raw_graph, spots
from edgesmith.compress.quantize.xr_npe import ENGINE, layers_of, mean_bits, mix
from edgesmith.core.errors import BadInput
from edgesmith.core.formats import FloatFormat, PerTensor, Posit
from edgesmith.core.task import Split, Task
from edgesmith.training.evaluate import evaluate_raw, predict_raw
from edgesmith.training.recipe import Recipe


@pytest.fixture(scope="module")
def bed():
    return zoo.load("digits-cnn")


@pytest.fixture(scope="module")
def found(bed):
    return fp8("e4m3")(bed.module, bed.task)


def task_of(inputs, classes=2):
    split = Split(inputs, np.arange(len(inputs)) % classes)
    return Task("rows", split, split, split, split)


def test_weights_have_a_scale_a_channel_and_activations_one(found):
    weights = set(layers_of(found.graph))
    for name, tensor in found.graph.tensors.items():
        if name in weights:
            assert isinstance(tensor.format, FloatFormat) and len(tensor.format.scales) == tensor.shape[0]
        elif isinstance(tensor.format, FloatFormat):
            assert len(tensor.format.scales) == 1
    assert isinstance(found.graph.tensors[found.graph.outputs[0]].format, FloatFormat)
    assert isinstance(found.graph.tensors[found.graph.inputs[0]].format, PerTensor)  # bytes stay bytes


def test_fp8_keeps_what_the_net_has_learned(bed, found):
    from edgesmith.training.evaluate import evaluate

    assert evaluate_raw(found, bed.task, bed.task.test) > evaluate(bed.module, bed.task, bed.task.test) - 0.02


def test_the_result_computes_what_its_roundings_did(bed, found):
    graph = raw_graph("fp8", bed.module, bed.task)
    rounding = with_kinds(graph, spots(graph, bed.task), lambda spot: KINDS["e4m3"])
    inputs = bed.task.test.inputs[:16]
    assert np.allclose(predict_raw(rounding, inputs), predict_raw(found, inputs), atol=1e-6)


def test_fine_tuning_moves_scales_and_weights(bed, found):
    recipe = Recipe(epochs=1, batch=16, learning_rate=1e-3, train_samples=32)
    tuned = fp8("e4m3", recipe)(bed.module, bed.task)
    weight = next(iter(layers_of(found.graph)))
    assert tuned.graph.tensors[weight].format.scales != found.graph.tensors[weight].format.scales
    assert not np.array_equal(tuned.graph.constants[weight], found.graph.constants[weight])


def test_the_module_that_came_in_stays_as_it_was(bed, found):
    again = zoo.load("digits-cnn").module.state_dict()
    assert all(torch.equal(value, again[name]) for name, value in bed.module.state_dict().items())


@pytest.mark.parametrize(("method", "words"), [(fp8, {"format": "e1m6"}), (xr_npe, {"format": "int8"})])
def test_other_formats_are_refused(method, words):
    with pytest.raises(BadInput, match="need one of"):
        method(**words)


def test_a_weight_that_is_no_number_is_refused():
    layer = nn.Linear(4, 2)
    with torch.no_grad():
        layer.weight[0, 0] = torch.nan
    with pytest.raises(BadInput, match="not finite"):
        fp8()(layer, task_of(np.random.default_rng(0).standard_normal((4, 4)).astype(np.float32)))


@pytest.mark.parametrize("kind", ["fp4", "posit4", "posit8"])
def test_one_format_leaves_the_ends_in_the_widest(bed, kind):
    module = xr_npe(kind)(bed.module, bed.task)
    formats = [module.graph.tensors[name].format for name in layers_of(module.graph)]
    assert formats[0].bits == formats[-1].bits == 16 and isinstance(formats[0], Posit)
    assert {format_.bits for format_ in formats[1:-1]} == {KINDS[kind].bits}
    assert 4 < mean_bits(module) < 16


def test_what_no_layer_reads_stays_float(bed):
    module = xr_npe("posit8")(bed.module, bed.task)
    read = {*layers_of(module.graph).values(), *layers_of(module.graph)}
    rounded = {name for name, t in module.graph.tensors.items() if isinstance(t.format, Posit)}
    assert rounded and module.graph.outputs[0] not in rounded
    assert read - {n for n, t in module.graph.tensors.items() if isinstance(t.format, PerTensor)} <= rounded


def test_a_mix_keeps_its_budget_and_more_bits_do_no_harm(bed):
    """Its error of the outputs is below that of FP4 alone at a budget that holds FP4 with wide ends."""
    narrow = xr_npe("fp4")(bed.module, bed.task)
    mixed = xr_npe("mixed", bits=mean_bits(narrow))(bed.module, bed.task)
    assert mean_bits(mixed) <= mean_bits(narrow)
    inputs = bed.task.test.inputs[:100]
    wanted = bed.module(torch.from_numpy(bed.task.normalize(inputs))).detach().numpy()
    errors = [np.square(predict_raw(module, inputs) - wanted).mean() for module in (mixed, narrow)]
    assert errors[0] < errors[1]


def test_no_mix_within_the_budget_is_better():
    """Against every mix of three layers."""
    rng = np.random.default_rng(4)
    layers = ("a", "b", "c")
    costs = {layer: {kind: float(rng.random()) for kind in ENGINE} for layer in layers}
    sizes = {"a": 100, "b": 30, "c": 400}
    for bits in (4.0, 5.5, 8.0, 16.0):
        fitting = [
            sum(costs[layer][kind] for layer, kind in zip(layers, kinds, strict=True))
            for kinds in itertools.product(ENGINE, repeat=3)
            if sum(sizes[la] * KINDS[k].bits for la, k in zip(layers, kinds, strict=True)) <= bits * 530
        ]
        chosen = mix(costs, sizes, bits)
        assert sum(costs[layer][chosen[layer]] for layer in layers) == pytest.approx(min(fitting))


@pytest.mark.parametrize("bits", [3.0, 17.0])
def test_a_budget_outside_the_engines_formats_is_refused(bits):
    with pytest.raises(BadInput, match="need 4 to 16"):
        xr_npe(bits=bits)


def test_a_net_without_layers_is_refused():
    with pytest.raises(BadInput, match="no layers with weights"):
        xr_npe()(nn.ReLU(), task_of(np.random.default_rng(0).standard_normal((4, 4)).astype(np.float32)))
