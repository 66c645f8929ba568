"""Rounding to any format: equal to the format's own, gradients by hand, scales by brute force; noise by integrals."""

import numpy as np
import pytest
import torch

from edgesmith.compress.quantize.kinds import KINDS
from edgesmith.compress.quantize.snapping import Rounding, grid_of, rounded, tensor_scale, tops_of, weight_scales
from edgesmith.compress.quantize.sqnr import DISTRIBUTIONS, mean_squared_error, sqnr_db, student_t
from edgesmith.core.formats import PerTensor

EIGHT = ("e2m5", "e3m4", "e4m3", "e5m2")
INT8 = grid_of(PerTensor(1.0), np.arange(-127, 128, dtype=np.int8))
GRIDS = {"int8": INT8, **{name: KINDS[name].grid for name in EIGHT}}
quick_kinds = pytest.mark.parametrize("name", [*EIGHT, "fp4", "posit4", "posit8"])


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_grid_rounds_as_its_format_does(name):
    """Bounds, their neighbours, values of all magnitudes, zeros of both signs, the least floats."""
    kind, rng = KINDS[name], np.random.default_rng(0)
    grid, format_ = kind.grid, kind.make((1.0,))
    every = [rng.standard_normal(4000) * size for size in (1e-9, 1e-2, 1, 1e2, 1e9)]
    bounds = grid.bounds.numpy()
    every += [bounds, np.nextafter(bounds, np.float32(np.inf)), grid.values.numpy(), [0.0, -0.0, 1e-45, -1e-45]]
    x = np.concatenate(every).astype(np.float32)
    assert (grid.nearest(torch.from_numpy(x)).numpy() == format_.dequantize(format_.quantize(x))).all()
    assert grid.nearest(torch.tensor([torch.nan])).isnan().all()


def test_a_grid_of_integers_rounds_half_to_even():
    assert INT8.nearest(torch.tensor([0.5, 1.5, -2.5, 300.0])).tolist() == [0, 2, -2, 127]


def test_the_gradient_is_lsqs_for_any_grid():
    """y = s Q(x / s): dy/dx is 1 inside; dy/ds is Q(v) - v inside and the bound outside."""
    grid = KINDS["fp4"].grid  # 0, 0.5, 1, 1.5, 2, 3, 4, 6
    x = torch.tensor([1.1, -0.9, 40.0], requires_grad=True)
    scale = torch.tensor([0.5], requires_grad=True)
    rounded(x, scale, grid).sum().backward()
    assert x.grad.tolist() == [1, 1, 0]
    assert float(scale.grad) == pytest.approx((2 - 2.2) + (-2 + 1.8) + 6, abs=1e-6)


@quick_kinds
def test_the_searched_scale_beats_its_rivals(name):
    """No other scale that brings the peak to one of the values of the search has a smaller error."""
    grid = KINDS[name].grid
    weight = torch.randn(2, 200, generator=torch.Generator().manual_seed(1))
    weight[1] *= 30
    found = weight_scales(weight, grid)
    for row, scale in zip(weight, found, strict=True):
        errors = [
            float((row - rounded(row, row.abs().max()[None] / float(top), grid)).square().sum())
            for top in tops_of(grid)
        ]
        assert float((row - rounded(row, scale[None], grid)).square().sum()) == pytest.approx(min(errors))
        counted = tensor_scale(row, torch.ones(200), grid)
        assert counted == pytest.approx(float(scale))


@quick_kinds
def test_zeros_stay_zeros(name):
    grid = KINDS[name].grid
    assert weight_scales(torch.zeros(2, 3), grid).tolist() == [1, 1]
    assert tensor_scale(torch.zeros(4), torch.ones(4), grid) == 1
    assert (rounded(torch.zeros(2, 3), torch.ones(1), grid) == 0).all()


def test_a_rounding_gives_the_format_of_its_scales():
    kind = KINDS["e3m4"]
    module = Rounding(kind.grid, torch.tensor([0.5, 0.25]), lambda scale: kind.make(tuple(scale.tolist())))
    x = torch.randn(2, 50, generator=torch.Generator().manual_seed(2))
    format_ = module.format(None)
    assert format_ == kind.make((0.5, 0.25))
    assert np.array_equal(format_.dequantize(format_.quantize(x.numpy())), module(x).detach().numpy())


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))
def test_moments_are_those_of_scipys_distributions(name):
    """Integrals of p, x p and x^2 p by quadrature."""
    stats, integrate = pytest.importorskip("scipy.stats"), pytest.importorskip("scipy.integrate")
    law = {"uniform": stats.uniform(-1, 2), "gaussian": stats.norm(), "student-t": stats.t(3)}[name]
    low, high = -0.7, 0.9
    ours = np.diff(DISTRIBUTIONS[name](np.array([low, high])), axis=1)[:, 0]
    for power in range(3):
        wanted = integrate.quad(lambda x, power=power: x**power * law.pdf(x), low, high)[0]
        assert ours[power] == pytest.approx(wanted, rel=1e-9)
    whole = np.diff(DISTRIBUTIONS[name](np.array([-np.inf, np.inf])), axis=1)[:, 0]
    assert whole == pytest.approx([1, 0, law.var()], abs=1e-9)


def test_the_error_is_what_samples_have():
    x = torch.randn(400_000, generator=torch.Generator().manual_seed(3))
    for name in ("int8", "e4m3"):
        scale = 3.0 / GRIDS[name].greatest
        sampled = float((x - rounded(x, torch.tensor([scale]), GRIDS[name])).square().mean())
        assert mean_squared_error(GRIDS[name], scale, DISTRIBUTIONS["gaussian"]) == pytest.approx(sampled, rel=0.05)


def test_int8_is_best_for_uniform_values():
    """The more exponent bits the worse, as steps near the ends are coarser.

    A step of 2/255 on [-1, 1] gives 20 log10(255) = 48.1 dB.
    """
    found = [sqnr_db(GRIDS[name], DISTRIBUTIONS["uniform"]) for name in ("int8", *EIGHT)]
    assert found == sorted(found, reverse=True)
    assert found[0] == pytest.approx(20 * np.log10(255), abs=0.15)


def test_e2m5_is_best_for_gaussian_values():
    """By integrals checked above against quadrature and samples: then int8, then the others in their order."""
    found = {name: sqnr_db(grid, DISTRIBUTIONS["gaussian"]) for name, grid in GRIDS.items()}
    assert sorted(found, key=found.get, reverse=True) == ["e2m5", "int8", "e3m4", "e4m3", "e5m2"]


def test_outliers_ask_for_exponent_bits():
    """By the same integrals, Student's t: of 3 degrees of freedom E4M3 is best, of 5 E3M4; int8 is behind both."""
    heavy = {name: sqnr_db(grid, DISTRIBUTIONS["student-t"]) for name, grid in GRIDS.items()}
    lighter = {name: sqnr_db(grid, student_t(5)) for name, grid in GRIDS.items()}
    assert max(heavy, key=heavy.get) == "e4m3" and min(heavy, key=heavy.get) == "int8"
    assert max(lighter, key=lighter.get) == "e3m4" and lighter["int8"] < lighter["e4m3"]
