"""Each float op of `core.ops` in torch, for one sample in its own shape or for many along a new first axis.

A batched value is (n, *shape) where the graph says `shape`. So every function counts axes from the end.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from edgesmith.core.ops.conv import window_sizes
from edgesmith.lower.log_mel import log_mel as log_mel_op
from edgesmith.lower.shift import shift_gelu, shiftmax

Attrs = Mapping[str, Any]


def _nchw(x: Tensor) -> Tensor:
    """(1, H, W, C) or (n, 1, H, W, C) to (n, C, H, W)."""
    return x.reshape(-1, *x.shape[-3:]).permute(0, 3, 1, 2)


def _nhwc(y: Tensor, like: Tensor) -> Tensor:
    """(n, C, H, W) to the form that `like` has."""
    y = y.permute(0, 2, 3, 1)
    return y if like.ndim == 4 else y.reshape(*like.shape[:2], *y.shape[1:])


def limited(y: Tensor, attrs: Attrs) -> Tensor:
    """y within the bounds `low` and `high`, either of which may be infinite."""
    low, high = attrs["low"], attrs["high"]
    infinite = float("inf")
    if (low, high) == (0.0, infinite):
        return F.relu(y)
    if (low, high) == (-infinite, infinite):
        return y
    return y.clamp(low if low > -infinite else None, high if high < infinite else None)


def conv2d(xs: Sequence[Tensor], a: Attrs) -> Tensor:
    """Uneven padding is written first."""
    x, w, b = xs
    top, bottom, left, right = a["padding"]
    cells, padding = _nchw(x), (top, left)
    if (top, left) != (bottom, right):
        cells, padding = F.pad(cells, (left, right, top, bottom)), (0, 0)
    y = F.conv2d(cells, w.permute(0, 3, 1, 2), b, a["stride"], padding, a["dilation"], a["groups"])
    return limited(_nhwc(y, x), a)


def conv_transpose2d(xs: Sequence[Tensor], a: Attrs) -> Tensor:
    """w (O, kh, kw, I/groups) back to torch's (I, O/groups, kh, kw); uneven padding is cut off."""
    x, w, b = xs
    groups, (out, kh, kw, inside) = a["groups"], w.shape
    weight = w.reshape(groups, out // groups, kh, kw, inside).permute(0, 4, 1, 2, 3)
    weight = weight.reshape(groups * inside, out // groups, kh, kw)
    top, bottom, left, right = a["padding"]
    even = (top, left) == (bottom, right)
    y = F.conv_transpose2d(
        _nchw(x), weight, b, a["stride"], (top, left) if even else 0, a["output_padding"], groups, a["dilation"]
    )
    if not even:
        y = y[:, :, top : y.shape[2] - bottom, left : y.shape[3] - right]
    return limited(_nhwc(y, x), a)


def linear(xs: Sequence[Tensor], a: Attrs) -> Tensor:
    """Over the last axis."""
    return limited(F.linear(*xs), a)


def matmul(xs: Sequence[Tensor], a: Attrs) -> Tensor:
    """Leading axes broadcast."""
    x, y = xs
    return x @ (y.transpose(-1, -2) if a["transpose_b"] else y)


def max_pool2d(xs: Sequence[Tensor], a: Attrs) -> Tensor:
    """Padding never wins."""
    x, (top, bottom, left, right) = xs[0], a["padding"]
    cells, padding = _nchw(x), (top, left)
    if (top, left) != (bottom, right) or 2 * top > a["kernel"][0] or 2 * left > a["kernel"][1]:
        cells, padding = F.pad(cells, (left, right, top, bottom), value=float("-inf")), (0, 0)
    return _nhwc(F.max_pool2d(cells, a["kernel"], a["stride"], padding, a["dilation"]), x)


def avg_pool2d(xs: Sequence[Tensor], a: Attrs) -> Tensor:
    """Uneven padding is torch's ceil_mode where that fits; else sums over sums of ones."""
    x, (top, bottom, left, right) = xs[0], a["padding"]
    cells = _nchw(x)
    even = (top, left) == (bottom, right) and 2 * top <= a["kernel"][0] and 2 * left <= a["kernel"][1]
    if even and a["dilation"] == (1, 1):
        y = F.avg_pool2d(cells, a["kernel"], a["stride"], (top, left), False, a["count_include_pad"])
        return _nhwc(y, x)
    if a["dilation"] == (1, 1) and not a["count_include_pad"] and top <= bottom and left <= right:
        y = F.avg_pool2d(cells, a["kernel"], a["stride"], (top, left), True, False)
        if tuple(y.shape[2:]) == window_sizes(cells.shape[2], cells.shape[3], a["kernel"], a):
            return _nhwc(y, x)
    ones = torch.ones(1, 1, *cells.shape[2:])
    total, count = (_window_sum(F.pad(t, (left, right, top, bottom)), a) for t in (cells, ones))
    every = a["kernel"][0] * a["kernel"][1]
    return _nhwc(total / (every if a["count_include_pad"] else count), x)


def _window_sum(cells: Tensor, a: Attrs) -> Tensor:
    channels = cells.shape[1]
    return F.conv2d(cells, torch.ones(channels, 1, *a["kernel"]), None, a["stride"], 0, a["dilation"], channels)


def upsample_nearest(xs: Sequence[Tensor], a: Attrs) -> Tensor:
    """Each cell repeated."""
    return _nhwc(F.interpolate(_nchw(xs[0]), scale_factor=[float(f) for f in a["factor"]], mode="nearest"), xs[0])


def gelu(xs: Sequence[Tensor], a: Attrs) -> Tensor:
    """Exact or by tanh."""
    return F.gelu(xs[0], approximate="tanh" if a["approximate"] == "tanh" else "none")


def affine(xs: Sequence[Tensor], a: Attrs) -> Tensor:
    """Per entry of the last axis; written as the batch norm of which lowering makes this op."""
    x, scale, shift = xs
    zeros, ones = torch.zeros(scale.shape), torch.ones(scale.shape)
    return F.batch_norm(x.movedim(-1, 1), zeros, ones, scale, shift, eps=0.0).movedim(1, -1)


def layer_norm(xs: Sequence[Tensor], a: Attrs) -> Tensor:
    """Over the last axis."""
    x, gamma, beta = xs
    return F.layer_norm(x, gamma.shape, gamma, beta, a["eps"])


def rms_norm(xs: Sequence[Tensor], a: Attrs) -> Tensor:
    """Over the last axis."""
    x, gamma = xs
    return F.rms_norm(x, gamma.shape, gamma, a["eps"])


def embedding(xs: Sequence[Tensor], a: Attrs) -> Tensor:
    """Indices outside go to the nearest row."""
    indices, table = xs
    return F.embedding(indices.clamp(0, table.shape[0] - 1), table)


def lstm(xs: Sequence[Tensor], a: Attrs) -> list[Tensor]:
    """One layer; a batch runs as torch's own batch."""
    x, h, c, *parameters = xs
    rows = _rows(x)
    states = [_state(value, rows.shape[1]) for value in (h, c)]
    y, h, c = torch.lstm(rows, states, parameters, True, 1, 0.0, False, False, False)
    return [_steps(y, x), *(_final(value, x) for value in (h, c))]


def gru(xs: Sequence[Tensor], a: Attrs) -> list[Tensor]:
    """One layer; a batch runs as torch's own batch."""
    x, h, *parameters = xs
    rows = _rows(x)
    y, h = torch.gru(rows, _state(h, rows.shape[1]), parameters, True, 1, 0.0, False, False, False)
    return [_steps(y, x), _final(h, x)]


def _rows(x: Tensor) -> Tensor:
    """(T, 1, I) as it is, (n, T, 1, I) to (T, n, I)."""
    return x if x.ndim == 3 else x[:, :, 0].transpose(0, 1)


def _steps(y: Tensor, like: Tensor) -> Tensor:
    return y if like.ndim == 3 else y.transpose(0, 1)[:, :, None]


def _state(value: Tensor, batch: int) -> Tensor:
    """(H,) or (n, H) to (1, n, H)."""
    return value.reshape(1, -1, value.shape[-1]).expand(1, batch, value.shape[-1]).contiguous()


def _final(value: Tensor, like: Tensor) -> Tensor:
    return value.reshape(value.shape[-1:]) if like.ndim == 3 else value[0]


def rfft(xs: Sequence[Tensor], a: Attrs) -> Tensor:
    """Real and imaginary part on a last axis of 2."""
    return torch.view_as_real(torch.fft.rfft(xs[0]))


def log_mel(xs: Sequence[Tensor], a: Attrs) -> Tensor:
    """x (1, samples) or (n, 1, samples)."""
    x, window, mel = xs
    y = log_mel_op(x.reshape(-1, x.shape[-1]), window, mel, a["hop"], a["n_fft"])
    return y if x.ndim == 2 else y[:, None]


UNARY: Mapping[str, Callable[[Tensor, Attrs], Tensor]] = {
    "clamp": limited,
    "leaky_relu": lambda x, a: F.leaky_relu(x, a["slope"]),
    "hardswish": lambda x, a: F.hardswish(x),
    "hardsigmoid": lambda x, a: F.hardsigmoid(x),
    "sigmoid": lambda x, a: torch.sigmoid(x),
    "tanh": lambda x, a: torch.tanh(x),
    "silu": lambda x, a: F.silu(x),
    "sqrt": lambda x, a: torch.sqrt(x),
    "rsqrt": lambda x, a: torch.rsqrt(x),
    "exp": lambda x, a: torch.exp(x),
    "log": lambda x, a: torch.log(x),
    "abs": lambda x, a: torch.abs(x),
    "neg": lambda x, a: torch.neg(x),
    "softmax": lambda x, a: torch.softmax(x, -1),
    "argmax": lambda x, a: x.argmax(-1).to(torch.uint8),
    "shiftmax": lambda x, a: shiftmax(x),
    "shift_gelu": lambda x, a: shift_gelu(x, a["limit"]),
}
