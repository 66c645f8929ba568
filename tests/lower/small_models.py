"""Small modules, one or more for every op that can be lowered."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgesmith.lower.log_mel import LogMel


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.function(*inputs)


@dataclass(frozen=True)
class Case:
    """A module and the shapes of its inputs, batch 1; values are drawn from [low, low + 2]."""

    name: str
    make: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...]
    low: float = -1.0


def case(name: str, make: Callable[[], nn.Module], *shapes: tuple[int, ...], low: float = -1.0) -> Case:
    return Case(name, make, shapes, low)


def function(name: str, call: Callable[..., Tensor], *shapes: tuple[int, ...], low: float = -1.0) -> Case:
    return Case(name, lambda: Apply(call), shapes, low)


def normed(module: nn.Module) -> nn.Module:
    """A batch norm with statistics as after training, not those of a new one."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.running_mean.uniform_(-0.5, 0.5)
            part.running_var.uniform_(0.5, 2.0)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.5, 0.5)
    return module


class SelfAttention(nn.Module):
    """nn.MultiheadAttention on one input."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x)[0]


class Recurrent(nn.Module):
    """The sequence and the final states of a recurrent layer, joined."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        y, states = self.layer(x)
        finals = states if isinstance(states, tuple) else (states,)
        return torch.cat((y.flatten(), *(state.flatten() for state in finals)))[None]


class Squeeze(nn.Module):
    """A convolution whose channels are weighed by what they hold (arXiv:1709.01507)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.down, self.up = nn.Conv2d(3, 8, 3), nn.Linear(8, 2), nn.Linear(2, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        weights = torch.sigmoid(self.up(F.relu(self.down(x.mean((2, 3))))))
        return x * weights[:, :, None, None]


class Buffered(nn.Module):
    """Arithmetic with parameters and constants of the module."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(5, 1, 1))
        self.register_buffer("offset", torch.rand(1, 5, 4, 6))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.offset + torch.arange(6) * 0.5


IMAGE = (1, 3, 9, 8)
ROWS = (1, 4, 6)

CONVOLUTIONS = (
    case("conv2d", lambda: nn.Conv2d(3, 5, 3), IMAGE),
    case("conv2d strided, padded", lambda: nn.Conv2d(3, 5, (3, 2), (2, 1), (1, 0), bias=False), IMAGE),
    case("conv2d dilated", lambda: nn.Conv2d(3, 5, 3, dilation=(2, 1)), IMAGE),
    case("conv2d grouped", lambda: nn.Conv2d(6, 9, 3, groups=3), (1, 6, 5, 5)),
    case("conv2d depthwise", lambda: nn.Conv2d(6, 12, 3, groups=6), (1, 6, 5, 5)),
    case("conv2d same, even kernel", lambda: nn.Conv2d(3, 4, (4, 3), padding="same"), IMAGE),
    case("conv2d uneven padding", lambda: nn.Sequential(nn.ZeroPad2d((0, 1, 2, 0)), nn.Conv2d(3, 4, 3, 2)), IMAGE),
    case("conv1d", lambda: nn.Conv1d(4, 7, 3, 2, 1), (1, 4, 11)),
    case("conv1d same", lambda: nn.Sequential(nn.Conv1d(4, 6, 4, padding="same"), nn.ReLU(), nn.Conv1d(6, 2, 1)), ROWS),
    case("conv1d grouped, dilated", lambda: nn.Conv1d(4, 4, 3, dilation=2, groups=2), (1, 4, 11)),
    case("conv_transpose2d", lambda: nn.ConvTranspose2d(3, 4, 3, 2, 1, output_padding=1), IMAGE),
    case("conv_transpose2d grouped", lambda: nn.ConvTranspose2d(6, 4, (2, 3), groups=2, dilation=2), (1, 6, 4, 5)),
    case("conv_transpose1d", lambda: nn.ConvTranspose1d(4, 3, 4, 2, 1), ROWS),
    case("conv2d, bn, relu", lambda: normed(nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU())), IMAGE),
    case("bn before conv", lambda: normed(nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 5, 3))), IMAGE),
    case("conv1d, bn", lambda: normed(nn.Sequential(nn.Conv1d(4, 5, 3), nn.BatchNorm1d(5))), ROWS),
    case(
        "conv_transpose2d, bn", lambda: normed(nn.Sequential(nn.ConvTranspose2d(3, 4, 2, 2), nn.BatchNorm2d(4))), IMAGE
    ),
    case("linear, bn", lambda: normed(nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU6())), (1, 6)),
    case("squeeze and excite", Squeeze, IMAGE),
    case(
        "flatten, linear", lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.ReLU(), nn.Linear(168, 3)), IMAGE
    ),
)

POOLING = (
    case("max_pool2d", lambda: nn.MaxPool2d(2), IMAGE),
    case("max_pool2d padded, ceil", lambda: nn.MaxPool2d(3, 2, 1, ceil_mode=True), IMAGE),
    case("max_pool2d dilated", lambda: nn.MaxPool2d(2, 1, dilation=2), IMAGE),
    case("max_pool1d", lambda: nn.MaxPool1d(2), ROWS),
    case("avg_pool2d", lambda: nn.AvgPool2d((3, 2), 2), IMAGE),
    case("avg_pool2d padded", lambda: nn.AvgPool2d(3, 2, 1), IMAGE),
    case("avg_pool2d padded, not counted", lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), IMAGE),
    case("avg_pool2d ceil", lambda: nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False), IMAGE),
    case("avg_pool1d", lambda: nn.AvgPool1d(3, 1), ROWS),
    case("adaptive_avg_pool2d", lambda: nn.AdaptiveAvgPool2d((3, 4)), IMAGE),
    case("adaptive_avg_pool2d of one axis", lambda: nn.AdaptiveAvgPool2d((None, 2)), IMAGE),
    case("global pool", lambda: nn.AdaptiveAvgPool2d(1), IMAGE),
    case("adaptive_avg_pool1d", lambda: nn.AdaptiveAvgPool1d(3), ROWS),
    case("adaptive_max_pool2d", lambda: nn.AdaptiveMaxPool2d(1), IMAGE),
    case("upsample", lambda: nn.Upsample(scale_factor=2), IMAGE),
    function("upsample to a size", lambda x: F.interpolate(x, size=(18, 24)), IMAGE),
    function("upsample one axis", lambda x: F.interpolate(x, scale_factor=3), ROWS),
)

ELEMENTWISE = (
    *(
        case(kind.__name__, kind, ROWS)
        for kind in (
            nn.ReLU,
            nn.ReLU6,
            nn.LeakyReLU,
            nn.Hardswish,
            nn.Hardsigmoid,
            nn.Hardtanh,
            nn.Sigmoid,
            nn.Tanh,
            nn.GELU,
            nn.SiLU,
            nn.ELU,
            nn.Softplus,
            nn.Dropout,
            nn.Identity,
        )
    ),
    case("gelu by tanh", lambda: nn.GELU(approximate="tanh"), ROWS),
    case("relu in place", lambda: nn.Sequential(nn.Linear(6, 5), nn.ReLU(inplace=True)), ROWS),
    function("add", lambda x, y: x + 2 * y, ROWS, ROWS),
    function("sub, alpha", lambda x, y: torch.sub(x, y, alpha=3), ROWS, ROWS),
    function("broadcast", lambda x, y: x * y - y, ROWS, (1, 1, 6)),
    function("scalars", lambda x: 1 - (x + 3) * 0.25 / 7, ROWS),
    function("div", lambda x, y: x / y + 1 / y, ROWS, ROWS, low=0.5),
    function("clamp", lambda x: x.clamp(-0.25, 0.5).clamp(min=-0.1), ROWS),
    function(
        "roots and logs", lambda x: x.sqrt() + x.rsqrt() + x.log() + torch.log2(x) + torch.log1p(x), ROWS, low=0.2
    ),
    function("exp, abs, neg", lambda x: (-x).exp() + x.abs(), ROWS),
    function("powers", lambda x: x**2 + x**3 + x.square() + x**0.5 + x.reciprocal(), ROWS, low=0.3),
    case("parameters and constants", Buffered, (1, 5, 4, 6)),
)

SHAPES = (
    function("reshape", lambda x: x.reshape(1, 2, -1).view(1, 12, 2), ROWS),
    function("flatten, unflatten", lambda x: x.flatten(1).unflatten(1, (3, 8)), ROWS),
    function("permute", lambda x: x.permute(0, 2, 3, 1) * 2, IMAGE),
    function("transpose, squeeze", lambda x: x.transpose(1, 2).unsqueeze(2).squeeze(2).contiguous(), ROWS),
    function("cat", lambda x, y: torch.cat((x, y, x), 1), ROWS, (1, 2, 6)),
    function("stack", lambda x, y: torch.stack((x, y), 2), ROWS, ROWS),
    function("split", lambda x: x.split([1, 3], 1)[1] + x.split(2, 1)[0][:, :1], ROWS),
    function("chunk", lambda x: x.chunk(4, -1)[2] * x.chunk(3, 1)[0][:, :1, :1], ROWS),
    function("unbind, select", lambda x: x.unbind(1)[2] + x[:, -1], ROWS),
    function("slice", lambda x: x[:, 1:-1, ::2], ROWS),
    function("narrow", lambda x: x.narrow(1, 1, 2), ROWS),
    function("pad", lambda x: F.pad(x, (1, 2, 0, 1), value=0.5), ROWS),
    function("cut by padding", lambda x: F.pad(x, (-1, 2)), ROWS),
    function("expand", lambda x: x.expand(1, 5, 6) + 1, (1, 1, 6)),
    function("repeat", lambda x: x.repeat(1, 2, 1), ROWS),
    function("roll", lambda x: torch.roll(x, (1, -2), (1, 2)), ROWS),
    function("mean", lambda x: x.mean((2, 3)), IMAGE),
    function("sum, kept", lambda x: x.sum(1, keepdim=True) + x.mean(-1, keepdim=True), IMAGE),
    function("amax", lambda x: x.amax((1, 2)) + x.max(1)[0].amin(1), IMAGE),
    function("norm", lambda x: x / torch.linalg.vector_norm(x, dim=-1, keepdim=True), ROWS),
)

NORMS = (
    case("softmax", lambda: nn.Softmax(-1), ROWS),
    case("softmax of another axis", lambda: nn.Softmax(1), IMAGE),
    case("log softmax", lambda: nn.LogSoftmax(-1), ROWS),
    case("layer norm", lambda: nn.LayerNorm(6), ROWS),
    case("layer norm of two axes", lambda: nn.LayerNorm((4, 6)), ROWS),
    case("rms norm", lambda: nn.RMSNorm(6), ROWS),
    case("group norm", lambda: nn.GroupNorm(2, 4), (1, 4, 3, 5)),
    case("instance norm", lambda: nn.InstanceNorm2d(3, affine=True), IMAGE),
)

PRODUCTS = (
    case("linear", lambda: nn.Linear(6, 3, bias=False), ROWS),
    function("matmul", lambda x, y: x @ y, ROWS, (1, 6, 3)),
    function("matmul, transposed", lambda x, y: x @ y.transpose(1, 2), ROWS, (1, 5, 6)),
    function("constant matrix", lambda x: x @ torch.arange(18.0).reshape(6, 3), ROWS),
    function("attention", F.scaled_dot_product_attention, (1, 2, 5, 4), (1, 2, 7, 4), (1, 2, 7, 4)),
    function(
        "causal attention",
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=1.5),
        *((1, 2, 5, 4),) * 3,
    ),
    case("multi-head attention", SelfAttention, (1, 5, 8)),
    case("encoder layer", lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (1, 5, 8)),
)

RECURRENT = (
    case("lstm", lambda: Recurrent(nn.LSTM(6, 5, batch_first=True)), ROWS),
    case("lstm of two layers", lambda: Recurrent(nn.LSTM(6, 5, 2)), (4, 1, 6)),
    case("lstm without bias", lambda: Recurrent(nn.LSTM(6, 5, bias=False, batch_first=True)), ROWS),
    case("gru", lambda: Recurrent(nn.GRU(6, 5, batch_first=True)), ROWS),
    case("gru of two layers", lambda: Recurrent(nn.GRU(6, 5, 2, batch_first=True)), ROWS),
)

SPECTRAL = (
    function("rfft, magnitude", lambda x: torch.fft.rfft(x).abs(), (1, 3, 16)),
    function("rfft, parts", lambda x: torch.view_as_real(torch.fft.rfft(x)), (1, 16)),
    function("rfft, cut and padded", lambda x: torch.fft.rfft(x, 8).real + torch.fft.rfft(x, 32).imag[:, :5], (1, 16)),
    case("log mel", lambda: LogMel(8000, 64, 32, 8), (1, 400)),
)

CASES = (
    *CONVOLUTIONS,
    *POOLING,
    *ELEMENTWISE,
    *SHAPES,
    *NORMS,
    *PRODUCTS,
    *RECURRENT,
    *SPECTRAL,
)


def inputs_of(case: Case, batch: int = 1, seed: int = 0) -> tuple[Tensor, ...]:
    """Seeded inputs; a larger batch replaces the leading 1."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(batch, *shape[1:]) if shape[0] == 1 else shape for shape in case.shapes]
    return tuple(case.low + 2 * torch.rand(shape, generator=generator) for shape in shapes)
