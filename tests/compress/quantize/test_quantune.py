"""Quantune: every configuration is what it says, and the trees learn from what was tried."""

import numpy as np
import pytest
import torch

from edgesmith import zoo
from edgesmith.compile.integerize import integerize
from edgesmith.compress.quantize import quantune
from edgesmith.compress.quantize.configurations import SPACE, Calibrated, Configuration
from edgesmith.compress.quantize.placement import first_and_last
from edgesmith.compress.quantize.quantune import FIRST, Record, features, tune
from edgesmith.core.errors import BadInput
from edgesmith.core.formats import PerChannel
from edgesmith.lower import lower, with_normalize
from edgesmith.training.evaluate import evaluate_raw

PLAIN = Configuration(16, "asymmetric", "minmax", "channel", False)


def lowered(bed):
    example = torch.from_numpy(bed.task.calibration.inputs[:1]).float()
    return lower(with_normalize(bed.module, bed.task.normalize), (example,))


@pytest.fixture(scope="module")
def bed():
    return zoo.load("digits-cnn")


@pytest.fixture(scope="module")
def seen(bed):
    return Calibrated(lowered(bed), bed.task.calibration.inputs)


def formats(graph, kind):
    found = {name: tensor.format for name, tensor in graph.tensors.items() if isinstance(tensor.format, kind)}
    return {name: format_ for name, format_ in found.items() if format_.dtype == "int8"}


def test_the_space_is_the_product_of_five_dimensions():
    assert len(SPACE) == len(set(SPACE)) == 3 * 4 * 2 * 2 * 2
    assert len({configuration.features() for configuration in SPACE}) == len(SPACE)


def test_symmetric_activations_have_no_zero_point(seen):
    free = [group.members[0] for group in seen.groups if group.fixed is None]
    for scheme in ("symmetric", "power_of_two"):
        graph = seen.quantized(Configuration(16, scheme, "minmax", "channel", False), 4, 4)
        assert {graph.tensors[name].format.zero_point for name in free} == {0}
    graph = seen.quantized(Configuration(16, "symmetric_uint8", "minmax", "channel", False), 4, 4)
    low = {name: histogram.low for name, histogram in seen.histograms(16).items()}
    for name in free:
        bits = graph.tensors[name].format.bits
        assert graph.tensors[name].format.zero_point == (0 if low[name] < 0 else -(1 << (bits - 1)))


def test_a_symmetric_range_holds_what_was_seen(seen):
    graph = seen.quantized(Configuration(16, "symmetric", "minmax", "channel", False), 4, 4)
    for name, histogram in seen.histograms(16).items():
        format_ = graph.tensors[name].format
        assert format_.scale * format_.high == pytest.approx(max(-histogram.low, histogram.high), rel=1e-6)


def test_powers_of_two_are_powers_of_two(seen):
    graph = seen.quantized(Configuration(16, "power_of_two", "minmax", "tensor", False), 4, 4)
    steps = [scale for format_ in formats(graph, PerChannel).values() for scale in format_.scales]
    free = [group.members[0] for group in seen.groups if group.fixed is None]
    steps += [graph.tensors[name].format.scale for name in free]
    assert all(np.log2(step) == round(np.log2(step)) for step in steps)


def test_granularity_and_ends_are_what_they_say(seen):
    tensor = seen.quantized(Configuration(16, "asymmetric", "minmax", "tensor", False), 4, 4)
    channel = seen.quantized(PLAIN, 4, 4)
    for name, format_ in formats(tensor, PerChannel).items():
        own = formats(channel, PerChannel)[name]
        assert set(format_.scales) == {max(own.scales)} and len(set(own.scales)) > 1
        assert format_.bits == 4
    ends = seen.quantized(Configuration(16, "asymmetric", "minmax", "channel", True), 4, 4)
    eight = {name for name, format_ in formats(ends, PerChannel).items() if format_.bits == 8}
    assert eight == {name for name in first_and_last(seen.graph) if name in formats(ends, PerChannel)}


def test_every_configuration_becomes_an_integer_program(seen):
    for configuration in SPACE[::19]:
        graph = integerize(seen.quantized(configuration, 4, 4))
        assert all(op.kind != "conv2d" for op in graph.ops)


def known(configuration):
    """A made-up net that likes channels and many samples, and a corner that beats both."""
    good = 0.4 * (configuration.granularity == "channel") + 0.1 * np.log2(configuration.samples) / 8
    return good + 0.3 * (configuration.scheme == "symmetric_uint8") * configuration.ends


def test_all_trials_find_the_best_configuration():
    found = tune(known, (1.0,), trials=len(SPACE))
    assert len({record.configuration for record in found}) == len(SPACE)
    assert max(record.quality for record in found) == max(map(known, SPACE))


def tries(seed, records=()):
    """Trials until the best one."""
    return len(tune(known, (1.0,), records, len(SPACE), seed, max(map(known, SPACE))))


def test_the_trees_need_fewer_trials_than_chance():
    """Chance needs 97 / (best ones + 1) trials on average, drawn without return."""
    count = sum(known(configuration) == max(map(known, SPACE)) for configuration in SPACE)
    assert np.mean([tries(seed) for seed in range(5)]) < 0.6 * 97 / (count + 1)


def test_records_of_a_like_net_lead_there_at_once():
    records = [Record((1.0,), configuration, known(configuration)) for configuration in SPACE]
    assert tries(0, records) <= FIRST


def test_the_same_seed_tries_the_same(seen):
    first, second = (tune(known, (1.0,), (), 8, seed=3) for _ in range(2))
    assert first == second != tune(known, (1.0,), (), 8, seed=4)


def test_the_method_keeps_the_best_of_what_it_tried(bed):
    few = quantune(weights=3, activations=4, trials=1, samples=256)(bed.module, bed.task)
    more = quantune(weights=3, activations=4, trials=8, samples=256)(bed.module, bed.task)
    part = bed.task.validation.inputs[:256], bed.task.validation.labels[:256]
    split = type(bed.task.validation)(*part)
    assert evaluate_raw(more, bed.task, split) >= evaluate_raw(few, bed.task, split)


def test_features_tell_nets_apart():
    beds = [zoo.load(name) for name in ("digits-cnn", "digits-resnet")]
    speech = zoo.load("speech-dscnn", with_data=False)
    nets = [*(features(lowered(bed)) for bed in beds), features(lower(speech.module, speech.example_inputs))]
    assert len(set(nets)) == 3 and len({len(net) for net in nets}) == 1
    assert nets[2][1] > 0 and nets[0][1] == 0, "depthwise layers are counted apart"
    assert nets[1][3] == 6, "six sums, one a block"


def test_what_cannot_be_tried_is_refused():
    for wrong in ({"weights": 1}, {"trials": 0}, {"samples": 0}):
        with pytest.raises(BadInput, match="quantune:"):
            quantune(**wrong)
