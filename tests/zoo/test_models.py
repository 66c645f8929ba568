"""The nets are the ones they claim to be: parameters and MACs equal the published, and all of them export."""

import math

import pytest
import torch
from torch import nn

from edgesmith import zoo
from edgesmith.core.errors import BadInput
from edgesmith.zoo.builders import BUILDERS, build, random_inputs, random_net
from edgesmith.zoo.entries import ENTRIES, SHAPES
from edgesmith.zoo.models.mlperf_tiny import same_padding

every_net = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)


def count_macs(module: nn.Module, example: torch.Tensor) -> int:
    """Multiplications in convolutions and linear layers, counted as they run."""
    counted = []

    def count(layer, _, output):
        counted.append(output.numel() * math.prod(layer.weight.shape[1:]))

    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    module(example)
    return sum(counted)


@every_net
def test_a_net_has_the_parameters_its_record_says(entry):
    assert sum(parameter.numel() for parameter in build(entry).parameters()) == entry.parameters


@every_net
@pytest.mark.filterwarnings("ignore:The tensor attributes .*_flat_weights")  # every nn.LSTM under torch.export
def test_a_net_exports_as_it_is(entry):
    module = build(entry).eval()
    example = random_inputs(entry, 1, seed=1)
    program = torch.export.export(module, (example,))
    assert torch.equal(program.module()(example), module(example))


# Weights including the batch norms' statistics, as Keras counts them, and MACs: arXiv:2106.07597 and the
# summaries of its reference models.
@pytest.mark.parametrize(
    ("name", "weights", "macs"),
    [
        ("ds-cnn", 24_908, 2_656_768),
        ("mobilenet-v1-025", 221_794, 7_489_664),
        ("resnet8", 78_666, 12_501_632),
        ("fc-autoencoder", 269_992, 264_192),
    ],
)
def test_an_mlperf_tiny_net_has_the_published_size(name, weights, macs):
    bed = zoo.load(name)
    assert sum(tensor.numel() for tensor in bed.module.state_dict().values() if tensor.ndim) == weights
    assert count_macs(bed.module, *bed.example_inputs) == macs


def test_mobilenet_v2_has_the_published_size():
    """arXiv:1801.04381, table 4: 3.4 M parameters and 300 M MACs at width 1 and 224x224."""
    entry = zoo.info("mobilenet-v2-1.0-224")
    assert entry.parameters == 3_504_872
    assert 299e6 < count_macs(build(entry).eval(), torch.zeros(entry.input_shape)) < 302e6


@pytest.mark.parametrize("name", ["mobilenet-v2-0-96", "mobilenet-v2-1.0-8", "mobilenet-v2-9-96", "mobilenet-v2-x"])
def test_an_impossible_mobilenet_is_refused(name):
    with pytest.raises(BadInput, match="mobilenet-v2-0.35-96"):
        zoo.info(name)


@pytest.mark.parametrize("size", [7, 10, 49])
@pytest.mark.parametrize("kernel", [1, 3, 10])
@pytest.mark.parametrize("stride", [1, 2])
def test_padding_same_gives_a_ceiling_and_puts_the_odd_cell_last(size, kernel, stride):
    before, after = same_padding(size, kernel, stride)
    assert (size + before + after - kernel) // stride + 1 == math.ceil(size / stride)
    assert after - before in (0, 1)


@pytest.mark.parametrize("entry", SHAPES, ids=lambda entry: entry.name)
def test_an_untrained_shape_is_the_same_each_time_and_alive_in_every_layer(entry):
    module, again = random_net(entry), random_net(entry)
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    spreads = []
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm2d | nn.BatchNorm1d):
            layer.register_forward_hook(lambda _, __, output: spreads.append(float(output.detach().std())))
    module(torch.rand((8, *entry.input_shape[1:]), generator=torch.Generator().manual_seed(2)))
    assert all(1e-3 < spread < 1e3 for spread in spreads)


def test_building_a_net_leaves_the_global_random_state_alone():
    before = torch.random.get_rng_state()
    build(zoo.info("digits-cnn"), seed=3)
    assert torch.equal(before, torch.random.get_rng_state())


def test_every_net_is_listed_once_and_can_be_built():
    assert len(set(zoo.names())) == len(zoo.names())
    assert {entry.name for entry in ENTRIES if not entry.width} == set(BUILDERS)


def test_an_unknown_name_is_met_with_the_known_ones():
    with pytest.raises(BadInput, match="digits-resnet"):
        zoo.info("digits-resent")
