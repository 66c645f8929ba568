"""ED-ViT's parts: importance by brute force, narrowing by algebra, assignment by its limits."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from edgesmith.collaborate.distributed.assignment import assign, fitted
from edgesmith.collaborate.distributed.classes import (
    class_groups,
    class_task,
    confusion_of,
    relabelled,
    similar_order,
)
from edgesmith.collaborate.distributed.ed_vit import ed_vit
from edgesmith.collaborate.distributed.kl_importance import (
    Units,
    by_divergence,
    evenly,
    head_scores,
    head_width_scores,
    hidden_scores,
    residual_scores,
)
from edgesmith.collaborate.distributed.narrowing import with_channels, with_head_width
from edgesmith.collaborate.distributed.plan import Device, Fusion
from edgesmith.collaborate.distributed.request import Leg, request_ms
from edgesmith.collaborate.distributed.vit import Classifier, Sizes, SubVit, read_vit
from edgesmith.collaborate.links.channel import Channel
from edgesmith.collaborate.links.link import Link
from edgesmith.core.errors import BadInput, DoesNotFit
from edgesmith.core.task import Split, Task
from edgesmith.zoo.models.vit import Vit

SIZES = Sizes(channels=1, patch=2, tokens=4, width=8, heads=2, head_width=4, hidden=6, depth=2)


def net_of(rng, sizes=SIZES, classes=3) -> Classifier:
    vit, classify = SubVit(sizes), nn.Linear(sizes.width, classes)
    for module in (vit, classify):
        for parameter in module.parameters():
            parameter.data = torch.randn(parameter.shape, generator=rng) / 2
    return Classifier(vit.eval(), classify.eval())


def pictures(rng, n=5):
    return torch.randn(n, 1, 4, 4, generator=rng)


def divergence(whole, other) -> float:
    """Sum of p log(p / q) over classes, mean over pictures, written out."""
    p, q = whole.softmax(-1), other.softmax(-1)
    return float((p * (p / q).log()).sum(-1).mean())


def by_hand(net: Classifier, x, kept) -> torch.Tensor:
    """Scores from a forward pass that reads and writes the residual channels `kept` alone."""
    vit = net.vit

    def norm(tokens, layer):
        centred = tokens - tokens.mean(-1, keepdim=True)
        scaled = centred / (centred.square().mean(-1, keepdim=True) + layer.eps).sqrt()
        return scaled * layer.weight[kept] + layer.bias[kept]

    patches = x.unfold(2, 2, 2).unfold(3, 2, 2).reshape(len(x), 4, 4)  # tokens of 2 x 2 pixels, row by row
    tokens = patches @ vit.embed.weight[kept].reshape(len(kept), 4).T + vit.embed.bias[kept] + vit.position[:, :, kept]
    for index in range(vit.sizes.depth):
        block = vit.block(index)
        qkv = block.attention.query_key_value
        inner = norm(tokens, block.norm_1) @ qkv.weight[:, kept].T + qkv.bias
        query, key, value = inner.reshape(len(x), 4, 3, 2, 4).permute(2, 0, 3, 1, 4)
        mixed = ((query @ key.transpose(-1, -2)) / 2).softmax(-1) @ value
        mixed = mixed.transpose(1, 2).reshape(len(x), 4, 8)
        tokens = tokens + mixed @ block.attention.project.weight[kept].T + block.attention.project.bias[kept]
        hidden = nn.functional.gelu(norm(tokens, block.norm_2) @ block.first.weight[:, kept].T + block.first.bias)
        tokens = tokens + hidden @ block.last.weight[kept].T + block.last.bias[kept]
    return norm(tokens, vit.norm).mean(1) @ net.classify.weight[:, kept].T + net.classify.bias


@torch.no_grad()
def test_importance_is_the_divergence_without_the_unit(rng):
    """arXiv:2410.11650: a unit counts by how far the answers move, in KL divergence, when it is gone."""
    net, x = net_of(rng), pictures(rng)
    whole, units = net.scores(x), Units(net, x, net)
    for channel, score in enumerate(residual_scores(units)):
        kept = [index for index in range(8) if index != channel]
        assert float(score) == pytest.approx(divergence(whole, by_hand(net, x, kept)), rel=1e-3, abs=1e-6)
    for block in range(2):
        for head, score in enumerate(head_scores(units, block)):
            other = copy.deepcopy(net)
            other.vit.block(block).attention.project.weight[:, 4 * head : 4 * head + 4] = 0
            assert float(score) == pytest.approx(divergence(whole, other.scores(x)), rel=1e-3, abs=1e-6)
        for unit, score in enumerate(hidden_scores(units, block)):
            other = copy.deepcopy(net)
            other.vit.block(block).last.weight[:, unit] = 0
            assert float(score) == pytest.approx(divergence(whole, other.scores(x)), rel=1e-3, abs=1e-6)


@torch.no_grad()
def test_looking_at_importance_changes_nothing(rng):
    net, x = net_of(rng), pictures(rng)
    before = net.scores(x)
    units = Units(net, x, net)
    for look in (head_scores, head_width_scores, hidden_scores):
        look(units, 0)
    residual_scores(units)
    assert torch.equal(before, net.scores(x))


@torch.no_grad()
def test_units_that_do_nothing_go_first_and_nothing_changes(rng):
    net, x = net_of(rng), pictures(rng)
    for index in range(2):
        block = net.vit.block(index)
        block.attention.project.weight[:, :4] = 0  # the first head is not read
        block.last.weight[:, [1, 4]] = 0  # nor are two hidden units
    goal = Sizes(channels=1, patch=2, tokens=4, width=8, heads=1, head_width=4, hidden=4, depth=2)
    small = by_divergence(net, x, goal)
    assert small.vit.sizes == goal
    assert sum(parameter.numel() for parameter in small.vit.parameters()) == goal.parameters
    assert torch.allclose(small.scores(x), net.scores(x), atol=1e-5)


@torch.no_grad()
def test_a_narrower_head_divides_by_the_same_root(rng):
    """Queries, keys and values that are zero may go: attention still divides by the root of the old width."""
    net, x = net_of(rng), pictures(rng)
    for index in range(2):
        layer = net.vit.block(index).attention.query_key_value
        rows = torch.arange(24).reshape(3, 2, 4)[:, :, 2:].flatten()
        layer.weight[rows], layer.bias[rows] = 0, 0
    small = with_head_width(net, [torch.tensor([[0, 1], [0, 1]])] * 2)
    assert small.vit.sizes.head_width == 2
    assert torch.allclose(small.scores(x), net.scores(x), atol=1e-5)


@torch.no_grad()
def test_channels_in_another_order_are_the_same_net(rng):
    net, x = net_of(rng), pictures(rng)
    assert torch.allclose(with_channels(net, torch.randperm(8, generator=rng)).scores(x), net.scores(x), atol=1e-5)


@pytest.mark.parametrize("steps", range(1, 17))
def test_sizes_count_what_a_net_of_them_holds(rng, steps):
    sizes = Sizes(channels=1, patch=2, tokens=4, width=16, heads=4, head_width=4, hidden=32, depth=2).scaled(steps / 16)
    net = evenly(net_of(rng, Sizes(1, 2, 4, 16, 4, 4, 32, 2)), sizes)
    assert sum(parameter.numel() for parameter in net.vit.parameters()) == sizes.parameters
    assert net.scores(pictures(rng)).shape == (5, 3)


def test_macs_are_those_of_the_products(rng):
    """One picture of 4 tokens: each linear layer's in x out a token, and two products of 4 x 4 x width a head."""
    linear = 8 * 24 + 8 * 8 + 8 * 6 + 6 * 8
    assert SIZES.macs == 4 * 4 * 8 + 2 * (4 * linear + 2 * 2 * 4 * 4 * 4)


def test_a_transformer_of_the_zoo_is_read_as_it_computes(rng):
    torch.manual_seed(1)
    module, x = Vit(channels=1, size=8, patch=4, classes=3, width=16, depth=2).eval(), torch.randn(2, 1, 8, 8)
    with torch.no_grad():
        assert torch.allclose(read_vit(module, x).scores(x), module(x), atol=1e-5)


def test_what_is_no_transformer_of_this_kind_is_refused():
    x = torch.randn(2, 1, 8, 8)
    with pytest.raises(BadInput, match="no vision transformer"):
        read_vit(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), x)
    other = Vit(channels=1, size=8, patch=4, classes=3, width=16, depth=1).eval()
    other.blocks[0].mlp[1] = nn.ReLU()
    with pytest.raises(BadInput, match="other scores"):
        read_vit(other, x)


NEEDS = st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=1, max_size=6)
DEVICES = st.lists(st.tuples(st.integers(1, 120), st.integers(1, 120)), min_size=1, max_size=4)


@given(NEEDS, DEVICES)
def test_no_device_gets_more_than_it_has(needs, rooms):
    devices = [Device(f"d{index}", *room) for index, room in enumerate(rooms)]
    found = assign(needs, devices)
    if found is None:
        return
    for at, device in enumerate(devices):
        mine = [need for need, chosen in zip(needs, found, strict=True) if chosen == at]
        assert sum(nbytes for nbytes, _ in mine) <= device.memory_bytes and sum(macs for _, macs in mine) <= device.macs


def test_the_most_work_goes_where_most_is_left():
    devices = [Device("slow", 100, 10), Device("fast", 100, 30)]
    assert assign([(1, 5), (1, 20), (1, 6)], devices) == [
        1,
        1,
        0,
    ]  # after 20 both have 10 left, and 6 goes to the first
    assert assign([(1, 31)], devices) is None and assign([(101, 1)], devices) is None


def test_sub_models_shrink_only_until_they_fit():
    devices = [Device("small", 30, 1000), Device("large", 80, 1000)]
    found = fitted(2, 10, lambda steps: (10 * steps, steps), devices)
    kept, placed = [steps for steps, _ in found], [at for _, at in found]
    assert sorted(placed) == [0, 1] or placed == [1, 1]
    need = [10 * steps for steps in kept]
    assert sum(n for n, at in zip(need, placed, strict=True) if at == 0) <= 30
    assert sum(n for n, at in zip(need, placed, strict=True) if at == 1) <= 80
    assert sum(kept) >= 8  # 30 and 80 bytes hold eleven steps; greedy halves come near


def test_what_fits_no_device_is_refused():
    with pytest.raises(DoesNotFit, match="2 sub-models"):
        fitted(2, 4, lambda steps: (100 * steps, 1), [Device("tiny", 150, 10)])


@given(st.integers(1, 12), st.integers(1, 12), st.sampled_from(["listed", "random", "similar"]), st.integers(0, 3))
def test_every_class_is_in_one_part_and_parts_are_even(count, parts, order, seed):
    confusion = np.random.default_rng(seed).random((count, count))
    if parts > count:
        with pytest.raises(BadInput):
            class_groups(count, parts, order, confusion, seed)
        return
    groups = class_groups(count, parts, order, confusion, seed)
    assert sorted(index for group in groups for index in group) == list(range(count))
    assert len(groups) == parts and max(map(len, groups)) - min(map(len, groups)) <= 1


def test_classes_taken_for_one_another_come_together():
    confusion = np.eye(4)
    confusion[0, 2] = confusion[2, 0] = 0.4
    confusion[1, 3] = 0.3
    assert {frozenset(group) for group in class_groups(4, 2, "similar", confusion, 0)} == {
        frozenset({0, 2}),
        frozenset({1, 3}),
    }
    assert confusion[0, 0] == 1.0, "what came in is left as it was"
    assert len(similar_order(confusion)) == 4


def test_confusion_is_the_mean_probability():
    scores = np.log(np.array([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]]))
    assert confusion_of(scores, np.array([0, 0, 1])) == pytest.approx(np.array([[0.7, 0.3], [0.2, 0.8]]))


def test_a_part_learns_its_classes_and_as_many_others(nprng):
    labels = nprng.integers(0, 5, 400)
    split = Split(np.arange(400, dtype=np.float32)[:, None], labels)
    part = class_task(Task("t", split, split, split, split), (1, 4), seed=0)
    own = int(np.isin(labels, (1, 4)).sum())
    assert np.bincount(part.train.labels, minlength=3)[2] == own and len(part.train) == 2 * own
    rows = part.train.inputs[:, 0].astype(int)
    assert len(set(rows)) == len(rows)
    assert (relabelled(labels[rows], (1, 4)) == part.train.labels).all()
    assert (np.array([1, 4])[part.train.labels[part.train.labels < 2]] == labels[rows][part.train.labels < 2]).all()


def test_a_request_ends_with_the_last_devices_features():
    """1,000 bytes at 1 Mbit/s take 8 ms: the second device has the picture at 16 ms, computes 5, replies in 1."""
    link = Link("l", mbps=1.0, header_bytes=0)
    legs = [Leg(compute_ms=1.0, reply_bytes=125), Leg(compute_ms=5.0, reply_bytes=125)]
    assert request_ms(Channel(link, 0), Channel(link, 0, down=True), 0.0, 1000, legs) == pytest.approx(22.0)
    assert request_ms(Channel(link, 0), Channel(link, 0, down=True), 0.0, 0, legs) == pytest.approx(6.0)


def test_the_fusion_learns_with_at_most_one_part_missing():
    fusion, seen = Fusion((2, 3), 4, shrink=0.5, drop=1.0).train(), []
    fusion.net.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    fusion(torch.ones(64, 5))
    gone = torch.stack([(seen[0][:, :2] == 0).all(1), (seen[0][:, 2:] == 0).all(1)])
    assert (gone.sum(0) == 1).all() and gone.any(1).all()
    fusion.eval()(torch.ones(8, 5))
    assert (seen[1] == 1).all()


def test_devices_without_names_of_their_own_are_refused():
    split = Split(np.zeros((4, 1, 8, 8), np.uint8), np.arange(4) % 2)
    module, task = Vit(1, 8, 4, 2, width=16, depth=1), Task("t", split, split, split, split)
    for devices in ([], [Device("a", 10**6, 10**9)] * 2):
        with pytest.raises(BadInput, match="name of its own"):
            ed_vit()(module, task, devices, Link("l", mbps=1.0))
    with pytest.raises(BadInput, match="at least one of each"):
        Device("a", 0, 1)
