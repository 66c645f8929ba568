"""Float ops against torch, which shares no code with them, in float64."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from core.ops.cases import CASES, Case, of_kind
from edgesmith.core.ops import attrs_of
from edgesmith.core.ops.elementwise import FUNCTIONS, apply

UNARY = {
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "silu": F.silu,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "exp": torch.exp,
    "log": torch.log,
    "abs": torch.abs,
    "neg": torch.neg,
}


def doubles(case: Case) -> list[Tensor]:
    """The case's arrays as float64 tensors."""
    return [torch.from_numpy(array.astype(np.float64)) for array in case.arrays]


def near(case: Case, wanted: Tensor, index: int = 0) -> None:
    """The definition rounds once, from float64: within one float32 step of torch in float64."""
    found = case.run()[index]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted.numpy(), rtol=2e-7, atol=1e-7)


@pytest.mark.parametrize("case", of_kind("conv2d"))
def test_conv2d(case):
    x, w, b = doubles(case)
    a = attrs_of(case.op)
    top, bottom, left, right = a["padding"]
    padded = F.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom))
    y = F.conv2d(padded, w.permute(0, 3, 1, 2), b, a["stride"], 0, a["dilation"], a["groups"])
    near(case, y.permute(0, 2, 3, 1).clamp(a["low"], a["high"]))


@pytest.mark.parametrize("case", of_kind("conv_transpose2d"))
def test_conv_transpose2d(case):
    """torch's weight is (C, O/groups, kh, kw) and its padding symmetric: crop by hand."""
    x, w, b = doubles(case)
    a = attrs_of(case.op)
    top, bottom, left, right = a["padding"]
    out, kh, kw, per = w.shape
    grouped = w.reshape(a["groups"], out // a["groups"], kh, kw, per).permute(0, 4, 1, 2, 3)
    theirs = grouped.reshape(-1, out // a["groups"], kh, kw)
    y = F.conv_transpose2d(x.permute(0, 3, 1, 2), theirs, None, a["stride"], 0, 0, a["groups"], a["dilation"])
    y = F.pad(y, (0, a["output_padding"][1], 0, a["output_padding"][0])) + b[:, None, None]
    y = y[:, :, top : y.shape[2] - bottom, left : y.shape[3] - right]
    near(case, y.permute(0, 2, 3, 1).clamp(a["low"], a["high"]))


def test_linear_and_matmul():
    case = of_kind("linear")[0]
    x, w, b = doubles(case)
    near(case, F.linear(x, w, b).clamp(min=0))
    for case in of_kind("matmul"):
        p, q = doubles(case)
        near(case, p @ (q.mT if case.attrs.get("transpose_b") else q))


@pytest.mark.parametrize("kind", UNARY)
def test_a_function_of_one_value(kind):
    case = of_kind(kind)[0]
    near(case, UNARY[kind](doubles(case)[0]))


def test_activations_with_a_parameter():
    for case in of_kind("gelu"):
        near(case, F.gelu(doubles(case)[0], approximate=case.attrs.get("approximate", "none")))
    for case in of_kind("leaky_relu"):
        near(case, F.leaky_relu(doubles(case)[0], case.attrs.get("slope", 0.01)))
    for case in of_kind("clamp"):
        near(case, doubles(case)[0].clamp(case.attrs.get("low", -math.inf), case.attrs.get("high", math.inf)))


def test_the_default_clamp_passes_everything():
    x = np.float32([-np.inf, -3, 0, 7, np.inf])
    np.testing.assert_array_equal(Case("clamp", (x,)).run()[0], x)


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_no_function_warns_at_its_extremes(kind):
    x = np.float32([-np.inf, -1e38, -1, -0.0, 0, 1, 1e38, np.inf])
    assert apply(kind, x, attrs_of(Case(kind, (x,)).op)).shape == (8,)
    assert Case(kind, (x,)).run()[0].dtype == np.float32


@pytest.mark.parametrize("kind", ["add", "sub", "mul", "div"])
def test_arithmetic_broadcasts_and_clamps(kind):
    case = of_kind(kind)[0]
    p, q = doubles(case)
    near(case, getattr(torch, kind)(p, q).clamp(min=-1))


def test_dividing_by_zero_gives_infinity_and_no_warning():
    y = Case("div", (np.float32([1, -1, 0]), np.float32([0, 0, 0]))).run()[0]
    assert y[0] == np.inf and y[1] == -np.inf and np.isnan(y[2])


@pytest.mark.parametrize("case", of_kind("max_pool2d")[:1])
def test_max_pooling(case):
    a = attrs_of(case.op)
    top, bottom, left, right = a["padding"]
    x = F.pad(doubles(case)[0].permute(0, 3, 1, 2), (left, right, top, bottom), value=-math.inf)
    near(case, F.max_pool2d(x, a["kernel"], a["stride"], 0, a["dilation"]).permute(0, 2, 3, 1))


@pytest.mark.parametrize("counted", [True, False])
def test_average_pooling(counted, nprng):
    x = nprng.normal(size=(1, 7, 6, 3)).astype(np.float32)
    attrs = {"kernel": (3, 2), "stride": (2, 1), "padding": (1, 1, 1, 1), "count_include_pad": counted}
    case = Case("avg_pool2d", (x,), attrs)
    y = F.avg_pool2d(doubles(case)[0].permute(0, 3, 1, 2), (3, 2), (2, 1), (1, 1), count_include_pad=counted)
    near(case, y.permute(0, 2, 3, 1))


@pytest.mark.parametrize("case", of_kind("reduce_sum", "reduce_mean", "reduce_max"))
def test_reductions(case):
    function = {"reduce_sum": torch.sum, "reduce_mean": torch.mean, "reduce_max": torch.amax}[case.kind]
    near(case, function(doubles(case)[0], dim=case.attrs["axes"], keepdim=case.attrs.get("keepdims", False)))


def test_normalizations():
    for case in of_kind("softmax"):
        near(case, F.softmax(doubles(case)[0], -1))
    for case in of_kind("layer_norm"):
        x, gamma, beta = doubles(case)
        near(case, F.layer_norm(x, x.shape[-1:], gamma, beta, case.attrs["eps"]))
    for case in of_kind("rms_norm"):
        x, gamma = doubles(case)
        near(case, F.rms_norm(x, x.shape[-1:], gamma, case.attrs["eps"]))
    for case in of_kind("affine"):
        x, scale, shift = doubles(case)
        near(case, x * scale + shift)


def test_softmax_of_huge_values_stays_finite():
    np.testing.assert_array_equal(Case("softmax", (np.float32([[3e38, 3e38, -3e38]]),)).run()[0], [[0.5, 0.5, 0]])


def load(module: torch.nn.Module, weights: list[Tensor]) -> torch.nn.Module:
    """A one-layer recurrent module with these weights, in float64."""
    module.double()
    for parameter, value in zip(module.parameters(), weights, strict=True):
        parameter.data = value
    return module


@torch.no_grad()
def test_lstm():
    case = of_kind("lstm")[0]
    x, h0, c0, *weights = doubles(case)
    y, (h, c) = load(torch.nn.LSTM(x.shape[2], len(h0)), weights)(x, (h0[None, None], c0[None, None]))
    for index, wanted in enumerate((y, h[0, 0], c[0, 0])):
        near(case, wanted, index)


@torch.no_grad()
def test_gru():
    case = of_kind("gru")[0]
    x, h0, *weights = doubles(case)
    y, h = load(torch.nn.GRU(x.shape[2], len(h0)), weights)(x, h0[None, None])
    near(case, y)
    near(case, h[0, 0], 1)


def test_real_fft():
    case = of_kind("rfft")[0]
    near(case, torch.view_as_real(torch.fft.rfft(doubles(case)[0])))


def test_log_mel():
    case = of_kind("log_mel")[0]
    x, window, mel = doubles(case)
    frames = x.unfold(1, len(window), case.attrs["hop"]) * window
    power = torch.fft.rfft(frames, case.attrs["n_fft"]).abs().square()
    near(case, torch.log2(power @ mel.T + 2**-12))


MOVES = {
    "reshape": lambda x, a: x.reshape(a["shape"]),
    "permute": lambda x, a: x.permute(a["axes"]),
    "slice": lambda x, a: x[tuple(map(slice, a["starts"], a["ends"], a["steps"]))],
    "pad": lambda x, a: F.pad(
        x, [n for pair in zip(a["before"][::-1], a["after"][::-1], strict=True) for n in pair], value=a["value"]
    ),
    "expand": lambda x, a: x.expand(a["shape"]),
    "upsample_nearest": lambda x, a: F.interpolate(x.permute(0, 3, 1, 2), scale_factor=a["factor"]).permute(0, 2, 3, 1),
}


@pytest.mark.parametrize("case", [case for case in CASES if case.kind in MOVES])
def test_data_movement(case):
    moved = MOVES[case.kind](doubles(case)[0], case.attrs).numpy()
    found = case.run()[0]
    assert found.dtype == case.arrays[0].dtype
    np.testing.assert_array_equal(found, moved.astype(found.dtype))


def test_concat_and_embedding():
    case = of_kind("concat")[0]
    np.testing.assert_array_equal(case.run()[0], torch.cat([torch.from_numpy(a) for a in case.arrays], 1).numpy())
    (indices, table), y = of_kind("embedding")[0].arrays, of_kind("embedding")[0].run()[0]
    np.testing.assert_array_equal(y[0], table[indices[0]])
    np.testing.assert_array_equal(y[1], table[[4, 0]])  # 9 and -3 lie outside five rows


def test_quantize_and_dequantize_are_inverse_within_half_a_step(nprng):
    x = nprng.uniform(-3, 3, (50, 4)).astype(np.float32)
    scale, zero = 6 / 255, -3
    a, b = np.float32([1 / scale]), np.float32([zero])
    stored = Case("quantize", (x, a, b)).run()[0]
    back = Case("dequantize", (stored,), {"zero": zero, "scale": scale}).run()[0]
    inside = (x >= scale * (-128 - zero)) & (x <= scale * (127 - zero))
    assert inside.mean() > 0.9
    assert np.abs(back - x)[inside].max() <= scale * 0.5001


def test_quantizing_odd_values():
    y = Case("quantize", (np.float32([[np.nan, np.inf, -np.inf, 0.5, 1.5, -0.5]]), np.ones(1, "f4"), np.zeros(1, "f4")))
    assert y.run()[0].tolist() == [[-128, 127, -128, 1, 2, 0]]
