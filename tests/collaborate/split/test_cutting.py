"""The rest of a net after a layer."""

import pytest
import torch
from torch import nn

from edgesmith.collaborate.split.cutting import rest_after
from edgesmith.core.errors import BadInput, Unsupported


class Net(nn.Module):
    """Four layers, of which the third adds what the first made."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.Linear(4, 4), nn.ReLU()), nn.Linear(4, 4))
        self.last = nn.Linear(4, 2)

    def forward(self, x):
        first = self.body[0](x)
        return self.last(self.body[2](self.body[1](first)) + first)


@pytest.mark.parametrize("layer", ["body.0", "body.2", "last"])
def test_the_rest_gives_what_the_net_gives(rng, layer):
    net = Net()
    seen = []
    net.get_submodule(layer).register_forward_hook(lambda module, inputs, output: seen.append(output))
    expected = net(torch.randn(5, 3, generator=rng))
    if layer == "body.2":
        with pytest.raises(Unsupported, match="goes round body.2"):
            rest_after(net, layer)
        return
    assert torch.equal(rest_after(net, layer)(seen[0]), expected)


def test_later_layers_stay_findable():
    rest = rest_after(Net(), "body.0", ("body.1.0",))
    assert isinstance(rest.get_submodule("body.1.0"), nn.Linear)


def test_a_layer_that_is_not_there_is_refused():
    with pytest.raises(BadInput, match="no layer 'bodies'"):
        rest_after(Net(), "bodies")


def test_a_layer_called_twice_is_refused():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x):
            return self.layer(self.layer(x))

    with pytest.raises(BadInput, match="called 2 times"):
        rest_after(Twice(), "layer")
