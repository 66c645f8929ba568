"""Cutting modules: both parts together are the whole."""

import pytest
import torch
from torch import nn

from edgesmith import zoo
from edgesmith.collaborate.split.cut import after, before, input_and_outputs, outputs_of, traced
from edgesmith.core.errors import BadInput


class Ladder(nn.Module):
    """A shortcut from `first` passes over `second`."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = (nn.Linear(4, 4) for _ in range(3))

    def forward(self, x):
        low = self.first(x)
        return self.third(torch.relu(self.second(low))) + low


@pytest.fixture
def resnet():
    return zoo.load("fashion-resnet20", with_data=False).module


@torch.no_grad()
def test_the_parts_are_the_whole(resnet, rng):
    x = torch.randn(2, 1, 28, 28, generator=rng)
    for layer in ("stem", "stages.0", "stages.5", "stages.8", "pool"):
        whole = traced(resnet, (layer,))
        assert torch.equal(after(whole, layer)(before(whole, layer)(x)), resnet(x))


@torch.no_grad()
def test_the_layers_outputs_are_what_hooks_see(resnet, rng):
    x, seen = torch.randn(2, 1, 28, 28, generator=rng), []
    layers = ("stages.5", "stages.8")
    for name in layers:
        resnet.get_submodule(name).register_forward_hook(lambda module, given, out: seen.append(out.flatten(1)))
    resnet(x)
    whole = traced(resnet, layers)
    assert torch.equal(outputs_of(whole, layers)(x), torch.cat(seen[:2], 1))
    rest = input_and_outputs(after(whole, "stages.5"), ("stages.8",))
    assert torch.equal(rest(seen[0].reshape(2, 32, 14, 14)), torch.cat(seen[:2], 1))


def test_parts_share_the_weights_and_hold_no_others(resnet):
    whole = traced(resnet, ("stages.5",))
    parts = [before(whole, "stages.5"), after(whole, "stages.5")]
    ids = [{id(p) for p in part.parameters()} for part in parts]
    assert not ids[0] & ids[1] and ids[0] | ids[1] == {id(p) for p in resnet.parameters()}


def test_a_cut_that_a_shortcut_crosses_is_refused():
    whole = traced(Ladder(), ("second",))
    with pytest.raises(BadInput, match="'first' crosses the cut after 'second'"):
        after(whole, "second")


def test_a_forward_that_depends_on_values_is_refused():
    class Choosing(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x):
            return self.layer(x) if x.sum() > 0 else x

    with pytest.raises(BadInput, match="cannot be followed"):
        traced(Choosing(), ("layer",))


def test_a_layer_called_twice_is_refused():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x):
            return self.layer(self.layer(x))

    with pytest.raises(BadInput, match="called 2 times"):
        traced(Twice(), ("layer",))
