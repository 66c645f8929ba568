"""One set of weights at several widths."""

import copy

import pytest
import torch
from torch import nn

from edgesmith.collaborate.split.slimmable import GAIN, Ensemble, Form, SlimDecoder, SlimNet, Width, alone

FORM = Form(widths=(Width(1, 2), Width(2, 3), Width(3, 5)), convolutions=(4, 6))


@pytest.fixture
def net(rng):
    torch.manual_seed(3)
    rest = nn.Sequential(nn.Flatten(), nn.Linear(63, 4))
    made = SlimNet(Ensemble(FORM, 1), SlimDecoder(FORM.widths, 7), rest, ())
    for _ in range(3):  # statistics of its own for each width
        made(torch.randn(16, 1, 12, 12, generator=rng))
    return made.eval()


def separate(net: SlimNet, index: int) -> tuple[nn.Module, nn.Module]:
    """Plain layers with copies of the weights that one width uses."""
    width = net.encoder.widths[index]
    members = [copy.deepcopy(member) for member in list(net.encoder.members)[: width.members]]
    for member in members:
        last = member[-1]
        member[-1] = nn.Conv2d(last.in_channels, width.channels, 3, 1, 1)
        member[-1].weight.data, member[-1].bias.data = last.weight[: width.channels], last.bias[: width.channels]
    norm, (first, second) = net.encoder.norms[index], net.decoder.norms[index]
    narrow = nn.Conv2d(width.channels, 7, 3, 1, 1, bias=False)
    narrow.weight.data = net.decoder.first.weight[:, : width.channels]

    class Head(nn.Module):
        def forward(self, x):
            return GAIN * norm(sum(member(x) for member in members))

    tail = nn.Sequential(narrow, first, nn.ReLU(), net.decoder.second, second, nn.ReLU(), net.rest)
    return Head(), tail


@pytest.mark.parametrize("index", range(3))
def test_a_width_is_the_net_of_its_slice(net, rng, index):
    """arXiv:1812.08928, section 3: a switch is a net whose weights are the first channels of the shared ones."""
    x = torch.randn(5, 1, 12, 12, generator=rng)
    head, tail = separate(net, index)
    latents = net.encoder(x, index)
    assert latents.shape == (5, FORM.widths[index].channels, 3, 3)
    torch.testing.assert_close(latents, head(x))
    torch.testing.assert_close(alone(net.encoder, index)(x), head(x))
    torch.testing.assert_close(net.rest(net.decoder(latents, index)), tail(latents))


def test_all_widths_at_once_are_each_alone(net, rng):
    x = torch.randn(5, 1, 12, 12, generator=rng)
    for index, latents in enumerate(net.encoder.every(x)):
        torch.testing.assert_close(latents, net.encoder(x, index))


def test_training_at_one_width_leaves_the_others_statistics_alone(net, rng):
    before = copy.deepcopy(net.decoder.norms[0].state_dict())
    net.decoder.train()(torch.randn(8, 5, 3, 3, generator=rng), 2)
    after = net.decoder.norms[0].state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_one_set_of_weights_is_smaller_than_a_net_for_each_width(net):
    def count(*modules):
        return sum(p.numel() for module in modules for p in module.parameters())

    apart = sum(count(SlimDecoder([width], 7)) + width.members * count(net.encoder.members[0]) for width in FORM.widths)
    assert count(net.encoder, net.decoder) < apart
