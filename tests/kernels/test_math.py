"""The float functions written without libm: units in the last place against float64 (docs/numbers.md, Float ops)."""

import ctypes
import math
from pathlib import Path

import numpy as np
import pytest

from edgesmith.kernels.abi import FOLDER
from edgesmith.toolchain import compile_library

SHIM = """
#include "edgesmith_math.h"
#define ALL(NAME) void all_##NAME(const float *x, float *y, int n); \\
    void all_##NAME(const float *x, float *y, int n) { for (int i = 0; i < n; i++) y[i] = es_##NAME(x[i]); }
ALL(expf) ALL(logf) ALL(tanhf) ALL(erff) ALL(sqrtf)
void turns(int n, float *y);
void turns(int n, float *y) { for (int k = 0; 2 * k < n; k++) es_turn(k, n, y + 2 * k, y + 2 * k + 1); }
"""
TINY = float(np.finfo(np.float32).tiny)


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    source: Path = tmp_path_factory.mktemp("math") / "shim.c"
    source.write_text(SHIM)
    return ctypes.CDLL(str(compile_library([source], [FOLDER / "include"])))


def apply(functions: ctypes.CDLL, name: str, x: np.ndarray) -> np.ndarray:
    y = np.empty_like(x)
    pointers = (ctypes.c_void_p(array.ctypes.data) for array in (x, y))
    getattr(functions, f"all_{name}")(*pointers, ctypes.c_int(len(x)))
    return y


def ulps(got: np.ndarray, exact: np.ndarray) -> float:
    return float((np.abs(got.astype(np.float64) - exact) / np.spacing(np.abs(exact).astype(np.float32))).max())


def spread(low: float, high: float) -> np.ndarray:
    """Points evenly spaced, and evenly spaced in magnitude around zero."""
    even = np.linspace(low, high, 200_001)
    small = np.geomspace(1e-30, 1, 20_001)
    return np.concatenate((even, small[small < high], -small[small < -low])).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "exact", "low", "high", "limit"),
    [
        ("expf", np.exp, -87.0, 88.7, 2.0),
        ("logf", np.log, TINY, 1e6, 2.0),
        ("tanhf", np.tanh, -20.0, 20.0, 2.0),
        ("sqrtf", np.sqrt, TINY, 1e6, 2.0),
        ("erff", np.vectorize(math.erf), -6.0, 6.0, 4.0),
    ],
)
def test_function_is_within_the_stated_ulps(functions, name, exact, low, high, limit):
    x = spread(low, high)
    assert ulps(apply(functions, name, x), exact(x.astype(np.float64))) <= limit


@pytest.mark.parametrize("name", ["logf", "sqrtf"])
def test_function_holds_over_the_whole_positive_range(functions, name):
    """Every exponent, subnormals too."""
    x = np.concatenate((np.geomspace(1e-44, 3e38, 100_001), [1.0])).astype(np.float32)
    assert ulps(apply(functions, name, x), getattr(np, name[:-1])(x.astype(np.float64))) <= 2.0


def test_edges_are_those_of_numpy(functions):
    x = np.array([0.0, np.inf, -np.inf, np.nan, 1000.0, -1000.0], np.float32)
    for name in ("exp", "log", "tanh", "sqrt"):
        with np.errstate(all="ignore"):
            wanted = getattr(np, name)(x)
        np.testing.assert_allclose(apply(functions, f"{name}f", x), wanted, rtol=2e-7, err_msg=name)
    np.testing.assert_array_equal(apply(functions, "erff", x)[1:], np.array([1, -1, np.nan, 1, -1], np.float32))


@pytest.mark.parametrize("n", [2, 4, 8, 64, 1024])
def test_turns_are_points_of_the_unit_circle(functions, n):
    y = np.empty(2 * (n // 2), np.float32)
    functions.turns(ctypes.c_int(n), ctypes.c_void_p(y.ctypes.data))
    angles = 2 * np.pi * np.arange(n // 2) / n
    np.testing.assert_allclose(y[::2], np.cos(angles), atol=1.2e-7)
    np.testing.assert_allclose(y[1::2], np.sin(angles), atol=1.2e-7)
