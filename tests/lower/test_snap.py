"""Rounding to formats of codes and scales in torch is that of numpy, value by value, and gradients pass it."""

import numpy as np
import pytest
import torch

from edgesmith.core.formats import (
    KINDS,
    POSITS,
    BinaryBases,
    Codebook,
    FloatFormat,
    Group,
    Posit,
    grouped,
    nf4,
    residual_bases,
    scaled_float,
    ternary,
    with_outliers,
)
from edgesmith.lower.snap import snap, tables_of, written

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
SHAPE = (6, 20)


def example(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)


W = example()
FORMATS = {
    "group": grouped(W, 10, 3),
    "group with zero points": grouped(W, 5, 4, symmetric=False),
    "nf4": nf4(W, 20),
    "vectors": Codebook((0.5,), tuple(map(float, example(1)[:2].ravel())), 4),
    "ternary": ternary((0.5,) * 6),
    "two bases": residual_bases(W, 2),
    "outliers": with_outliers(grouped(W, 10, 2), W, [3, 77]),
    **{kind: scaled_float(W, kind, 6) for kind in KINDS},
    **{f"posit {n},{es}": Posit((0.3,), n, es) for n, es in POSITS},
}


def snapped(values: np.ndarray, format_, device: str = "cpu") -> np.ndarray:
    tables = [table.to(device) for table in tables_of(format_)]
    return snap(torch.from_numpy(values).to(device), tables, written(format_)).cpu().numpy()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", FORMATS)
def test_torch_rounds_as_numpy_does(name, device):
    format_ = FORMATS[name]
    for seed, size in enumerate((1e-3, 0.1, 1.0, 3.0, 1e4)):
        values = example(seed) * np.float32(size)
        np.testing.assert_array_equal(snapped(values, format_, device), format_.dequantize(format_.quantize(values)))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    "format_", [*(FloatFormat((1.0,), kind) for kind in KINDS), *(Posit((1.0,), *each) for each in POSITS)], ids=str
)
def test_torch_breaks_ties_as_numpy_does(format_, device):
    levels = format_.dequantize(np.arange(1 << format_.bits, dtype=np.uint16))
    levels = np.unique(levels[np.isfinite(levels)])
    middles = (levels[1:] + levels[:-1]) / 2
    values = np.concatenate([middles, np.nextafter(middles, np.float32(9)), levels * 2, levels, [np.inf, -np.inf, 0]])
    values = values.astype(np.float32)
    got = snapped(values, format_, device)
    np.testing.assert_array_equal(got, format_.dequantize(format_.quantize(values)))
    assert np.isnan(snapped(np.array([np.nan], np.float32), format_, device)).all()


@pytest.mark.parametrize("device", DEVICES)
def test_torch_breaks_ties_of_tables_and_groups_as_numpy_does(device):
    steps = (np.arange(-20, 20) / 2).astype(np.float32)[None]
    zero, close = Group((1.0,), 40, 3, (1,)), Codebook((1.0,), (0.0, 1.0, 1.0 + 2**-23, 1.0 + 2**-22, 3.0))
    table, bases = Codebook((1.0,), (-2.0, -1.0, 0.0, 1.0, 4.0)), BinaryBases((1.0, 0.5), 2)
    assert len(tables_of(close)) < len(tables_of(table)), "too close for the leading bits"
    for format_ in (ternary((1.0,)), table, zero, bases, close):
        got = snapped(steps, format_, device)
        np.testing.assert_array_equal(got, format_.dequantize(format_.quantize(steps)))


def gradient(values, format_):
    x = torch.tensor([values], requires_grad=True)
    snap(x, tables_of(format_), written(format_)).sum().backward()
    return x.grad.tolist()[0]


def test_gradients_pass_straight_through_where_nothing_saturates():
    for format_ in (ternary((1.0,)), nf4(np.ones((1, 3)), 3), with_outliers(ternary((1.0,)), np.ones((1, 3)), [0])):
        assert gradient([0.1, -9.0, 9.0], format_) == [1, 1, 1]
    assert gradient([0.1, -3.9, 7.0, 5.9], FloatFormat((1.0,), "e2m1")) == [1, 1, 0, 1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_keep_their_type(dtype):
    x = torch.linspace(-3, 3, 50, dtype=dtype)
    y = snap(x, tables_of(FloatFormat()), written(FloatFormat()))
    assert y.dtype == dtype
    assert torch.equal(y.float(), x.float().to(torch.float8_e4m3fn).float())
