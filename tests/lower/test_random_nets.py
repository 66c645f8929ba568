"""Random small convolutional nets: torch, the lowered graph and the lifted graph agree, and nothing moves twice."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from edgesmith.core.ops import attrs_of, check, interpret
from edgesmith.lower import channels_last_input, lift, lower
from lower.small_models import normed

ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.LeakyReLU, nn.Identity)


class Residual(nn.Module):
    """A body added to its input, or joined to it."""

    def __init__(self, body: nn.Module, joined: bool) -> None:
        super().__init__()
        self.body, self.joined = body, joined

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((x, self.body(x)), 1) if self.joined else x + self.body(x)


@st.composite
def nets(draw: st.DrawFn) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(draw(st.integers(0, 2**16)))
    channels, size = draw(st.integers(1, 4)), draw(st.integers(6, 9))
    x = torch.randn(1, channels, size, size + draw(st.integers(0, 2)))
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(1, 4))):
        choice = draw(st.sampled_from(("conv", "depthwise", "residual", "joined", "pool", "pad")))
        kernel = draw(st.sampled_from((1, 3)))
        if choice == "conv":
            outside = draw(st.integers(1, 6))
            layers.append(nn.Conv2d(channels, outside, kernel, draw(st.sampled_from((1, 2))), 1))
            channels = outside
        elif choice == "depthwise":
            layers.append(nn.Conv2d(channels, channels, 3, 1, 1, groups=channels, bias=False))
        elif choice == "pool":
            layers.append(draw(st.sampled_from((nn.MaxPool2d, nn.AvgPool2d)))(2, 1, 1))
        elif choice == "pad":
            layers.append(nn.ZeroPad2d((0, 1, 2, 1)))
        else:
            body = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1), nn.BatchNorm2d(channels))
            layers.append(Residual(body, choice == "joined"))
            channels *= 2 if choice == "joined" else 1
        if draw(st.booleans()):
            layers.append(nn.BatchNorm2d(channels))
        layers.append(draw(st.sampled_from(ACTIVATIONS))())
    body = nn.Sequential(*layers).eval()
    shape = body(x).shape
    flat = draw(st.booleans())
    head = [nn.Flatten(), nn.Linear(shape[1:].numel(), 3)]
    pooled = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 3)]
    return normed(nn.Sequential(body, *(head if flat else pooled))).eval(), x


@given(nets())
def test_torch_graph_and_lifted_graph_agree(net):
    module, x = net
    graph = lower(module, (x,))
    check(graph)
    expected = module(x).detach().numpy()
    scale = max(1.0, np.abs(expected).max())
    assert np.allclose(next(iter(interpret(graph, {"input": x.numpy()}).values())), expected, atol=1e-4 * scale)
    lifted = lift(graph)
    again = lower(lifted, (x,))
    assert [(op.kind, attrs_of(op)) for op in again.ops] == [(op.kind, attrs_of(op)) for op in graph.ops]
    many = torch.cat((x, 2 * x, -x))
    assert torch.allclose(lifted(many), module(many), atol=1e-3 * scale, rtol=1e-3)
    assert "permute" not in [op.kind for op in channels_last_input(graph).ops]
