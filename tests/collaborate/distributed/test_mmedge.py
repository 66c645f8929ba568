"""MMEdge's pieces: time by hand, shifts by hand, the choice by brute force."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from edgesmith.collaborate.distributed.aggregation import Aggregation, MeanOverUnits, differences, shifted
from edgesmith.collaborate.distributed.choosing import Optimizer, class_accuracy, configurations, described, likeness
from edgesmith.collaborate.distributed.multimodal import UnitFeatures, without_largest
from edgesmith.collaborate.distributed.pipeline import Choice, Costs, Load, Skip, alone, pipelined, wait_for_all
from edgesmith.collaborate.distributed.streams import (
    ROWS,
    SOUND,
    WIDTH,
    Branch,
    Sensor,
    StreamNet,
    check_streams,
    digit_streams_net,
    products,
    units_of,
)
from edgesmith.core.errors import BadInput

SOON, LATE = Sensor("soon", 0, 4, 0.4, (2, 1)), Sensor("late", 4, 8, 1.0, (4, 2))
SENSORS = (SOON, LATE)
CONFIG = (Choice(0, 2), Choice(0, 4))
STEADY = Load(((1.0, 1.0),))


def costs(unit=0.01, join=0.001, **more) -> Costs:
    keys = [(stream, size, count) for stream, s in enumerate(SENSORS) for size in (0, 1) for count in s.counts]
    both = {(stream, size): join for stream in (0, 1) for size in (0, 1)}
    return replace(Costs(dict.fromkeys(keys, unit), both, 0.002, 0.0, 0.0), **more)


def test_a_unit_waits_for_its_samples_and_for_the_processor():
    """The last of four units is there at 1 s; encoding 10 ms, joining 1 ms, fusing 2 ms: nothing else is left."""
    assert pipelined(SENSORS, CONFIG, costs(), STEADY, 0.0).answer_s == pytest.approx(1.013)
    # UnitFeatures that take 0.3 s do not keep up: units come at 0.2, 0.25, 0.4, 0.5, 0.75, 1 s, all but the first wait.
    slow = pipelined(SENSORS, CONFIG, costs(unit=0.3), STEADY, 0.0)
    assert slow.answer_s == pytest.approx(0.2 + 6 * 0.3 + 2 * 0.001 + 0.002)


def test_waiting_for_all_begins_when_the_last_sample_is_there():
    assert wait_for_all(SENSORS, CONFIG, costs(), STEADY, 0.0).answer_s == pytest.approx(
        1 + 6 * 0.01 + 2 * 0.001 + 0.002
    )
    assert alone(SOON, 0, CONFIG[0], costs(), STEADY, 0.0).answer_s == pytest.approx(0.4 + 2 * 0.01 + 0.001)


def test_a_sure_gate_ends_the_later_stream_early():
    """The sooner stream is whole at 0.4 s; the later one's second unit, half of it, comes at 0.5 s."""
    early = pipelined(SENSORS, CONFIG, costs(), STEADY, 0.0, Skip({0.5: True}, chosen=False))
    assert early.answer_s == pytest.approx(0.5 + 0.01 + 0.001 + 0.002) and early.share == 0.5
    unsure = pipelined(SENSORS, CONFIG, costs(gate=0.004), STEADY, 0.0, Skip({0.5: False, 0.9: True}, chosen=False))
    assert unsure.share == 0.9 and unsure.answer_s == pytest.approx(0.75 + 0.01 + 0.001 + 0.004 + 0.002)
    never = pipelined(SENSORS, CONFIG, costs(), STEADY, 0.0, Skip({0.5: False, 0.7: False, 0.9: False}, chosen=False))
    assert never.share == 1 and never.answer_s == pytest.approx(1.013)


def test_nobody_asks_the_gate_before_the_sooner_stream_is_whole():
    late_first = (replace(SOON, seconds=0.9), LATE)
    run = pipelined(late_first, CONFIG, costs(), STEADY, 0.0, Skip({0.5: True}, chosen=False))
    assert run.share == 1, "at half of the later stream the sooner one was not there"


def test_a_choice_takes_a_first_look_at_both_streams():
    """Both first units, 0.2 and 0.25 s, in the smallest net, then the choice: with 0.8 s it ends at 1.07 s."""
    run = pipelined(SENSORS, CONFIG, costs(choose=0.8), STEADY, 0.0, Skip({}, chosen=True))
    assert run.answer_s == pytest.approx(0.26 + 0.8 + 6 * 0.01 + 2 * 0.001 + 0.002)


@given(
    st.lists(st.tuples(st.floats(0.1, 2), st.floats(1, 50)), min_size=1, max_size=4),
    st.floats(0, 5),
    st.floats(0, 0.3),
    st.floats(0, 0.3),
)
def test_work_done_in_two_pieces_takes_as_long_as_in_one(steps, start_s, first_s, second_s):
    load = Load(tuple(steps))
    apart = load.done_s(load.done_s(start_s, first_s), second_s)
    assert load.done_s(start_s, first_s + second_s) == pytest.approx(apart, abs=1e-6)
    slowest, fastest = max(f for _, f in steps), min(f for _, f in steps)
    assert fastest * first_s - 1e-6 <= load.done_s(start_s, first_s) - start_s <= slowest * first_s + 1e-6


def test_a_quarter_of_the_channels_moves_each_way():
    x = torch.arange(5.0)[None, :, None].expand(1, 5, 4)
    assert shifted(x)[0].T.tolist() == [[0, 0, 1, 2, 3], [1, 2, 3, 4, 4], [0, 1, 0, 1, 2], [2, 3, 4, 3, 4]]
    assert torch.equal(shifted(x[:, :1]), x[:, :1])


def test_differences_are_mean_steps_over_one_and_two_units():
    x = torch.tensor([[[0.0], [1.0], [4.0]]])
    assert differences(x).item() == pytest.approx((1 + 3) / 2 + 4)
    assert differences(x[:, :1]).item() == 0


def test_the_aggregation_sees_order_and_the_mean_does_not(rng):
    x = torch.randn(3, 6, 8, generator=rng)
    join = Aggregation(8)
    assert not torch.allclose(join(x), join(x.flip(1)), atol=1e-3)
    assert torch.allclose(MeanOverUnits()(x), MeanOverUnits()(x.flip(1)), atol=1e-6)


def test_units_are_samples_in_order_and_frames_evenly_spaced():
    record = torch.arange(8064.0)[None]
    assert torch.equal(SOUND.units(record, 5)[0].flatten(), record[0, :8000])
    assert ROWS.units(record, 4)[0, :, 0].tolist() == [8000 + 8 * row for row in (0, 2, 4, 7)]
    assert SOUND.ready_s(5) == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


@given(st.integers(1, 40), st.floats(0.01, 1.0))
def test_a_share_is_at_least_one_unit_and_never_more_than_all(count, share):
    assert 1 <= units_of(count, share) <= count


def tiny_optimizer(lag_s: float) -> Optimizer:
    configs = [(Choice(a, b), Choice(c, d)) for a in (0, 1) for b in (2, 1) for c in (0, 1) for d in (4, 2)]
    table = costs()
    unit = {key: value * (1 + 2 * key[1]) for key, value in table.unit.items()}
    return Optimizer(configs, SENSORS, replace(table, unit=unit), lag_s)


@given(st.lists(st.floats(0, 1), min_size=16, max_size=16), st.floats(1, 60), st.floats(0.01, 1.0))
def test_the_most_accurate_configuration_in_time_is_chosen(accuracies, factor, lag_s):
    optimizer = tiny_optimizer(lag_s)
    lags = [
        pipelined(SENSORS, config, optimizer.costs, Load(((1.0, factor),)), 0.0).answer_s - 1.0
        for config in optimizer.configs
    ]
    chosen = optimizer.choose(accuracies, factor)
    within = [index for index, lag in enumerate(lags) if lag <= lag_s]
    if within:
        assert lags[chosen] <= lag_s and accuracies[chosen] == max(accuracies[index] for index in within)
    else:
        assert lags[chosen] == min(lags)


def test_class_accuracy_is_by_class():
    scores = np.eye(3)[[0, 1, 1, 2]]
    assert class_accuracy(scores, np.array([0, 0, 1, 1])) == pytest.approx([0.5, 0.5, 0.0])


def test_products_count_each_layer_once_per_place(rng):
    module = nn.Sequential(nn.Conv1d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(20, 7))
    assert products(module, torch.zeros(1, 2, 5)) == 5 * 4 * 6 + 20 * 7


def test_units_computed_once_give_what_the_branches_give(nprng):
    net = digit_streams_net().eval()
    records = nprng.integers(0, 17, (3, 8064)).astype(np.int16)
    config = (Choice(1, 4), Choice(0, 10))
    units = UnitFeatures(net, records)
    raw = torch.from_numpy(records).float()
    with torch.no_grad():
        expected = torch.cat([net.sizes(0)[1].features(raw, 4), net.sizes(1)[0].features(raw, 10, 0.7)], 1)
    assert np.allclose(units.joined(config, 0.7), expected.numpy(), atol=1e-5)
    seen = described(likeness(net, records), config, net.sensors)
    assert seen.shape == (3, 6) and seen[:, 2:].tolist() == [[1, 0, 1, 0]] * 3
    assert torch.allclose(seen[:, 0] + seen[:, 1], torch.ones(3))
    assert len(configurations(net)) == 16


def test_the_largest_branch_goes_first_and_one_of_each_stays():
    net: StreamNet | None = digit_streams_net()
    counts = []
    while net is not None:
        counts.append([len(net.sizes(index)) for index in range(2)])
        net = without_largest(net)
    assert counts == [[2, 2], [1, 2], [1, 1]] or counts == [[2, 2], [2, 1], [1, 1]]


def test_streams_that_are_none_are_refused():
    net, record = digit_streams_net(), np.zeros(8064, np.int16)
    with pytest.raises(BadInput, match="no StreamNet"):
        check_streams(nn.Linear(2, 2), record)
    with pytest.raises(BadInput, match="at least 8064"):
        check_streams(net, record[:-1])
    late = StreamNet([net.sizes(1), net.sizes(0)])
    with pytest.raises(BadInput, match="sooner first"):
        check_streams(late, record)
    assert isinstance(net.sizes(0)[0], Branch) and net.sizes(0)[0].join.mix.in_features == WIDTH
