"""Layers by shifts and additions: the same results, wherever that is exact and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest

from core.ops.cases import Case
from edgesmith.compile.shift_add import shift_add
from edgesmith.core.graph import Graph, Op
from edgesmith.core.ops import interpret
from edgesmith.core.ops.shift_add import decode, encode, k_hot


@pytest.mark.parametrize("terms", [1, 2])
def test_the_nearest_sum_is_taken(terms):
    """Against every sum of powers of two up to 64, by brute force."""
    codes = np.arange(-127, 128)
    powers = [0, *(1 << e for e in range(7))]
    sums = {a + b for a in powers for b in (powers if terms == 2 else [0]) if a != b or a == 0}
    for code, found in zip(codes.tolist(), k_hot(codes, terms).tolist(), strict=True):
        assert abs(found) in sums and abs(abs(code) - abs(found)) == min(abs(abs(code) - s) for s in sums)
        assert found * code >= 0


def test_codes_give_back_every_sum_and_refuse_others():
    for weight in range(-127, 128):
        codes = encode(np.array([weight], np.int8))
        if abs(weight).bit_count() <= 2:
            assert decode(codes).tolist() == [weight]
        else:
            assert codes is None
    assert encode(np.array([-128], np.int8)) is None


def conv(weights: np.ndarray, multiplier: int = 1 << 30, shift: int = 35) -> Graph:
    rng = np.random.default_rng(3)
    x = rng.integers(-128, 128, (1, 5, 6, weights.shape[3])).astype(np.int8)
    out = len(weights)
    scale = (np.full(out, multiplier, np.int32), np.full(out, shift, np.uint8))
    bias = rng.integers(-500, 500, out).astype(np.int32)
    attrs = {"padding": (1, 0, 1, 1), "stride": (2, 1), "x_zero": -7, "y_zero": 4, "low": -100, "high": 90}
    return Case("conv2d_s8", (x, weights, bias, *scale), attrs).graph()


def results(graph: Graph) -> np.ndarray:
    rng = np.random.default_rng(4)
    x = rng.integers(-128, 128, graph.tensors[graph.inputs[0]].shape).astype(np.int8)
    return interpret(graph, {graph.inputs[0]: x})[graph.outputs[0]]


def kinds(graph: Graph) -> set[str]:
    return {op.kind for op in graph.ops}


@pytest.mark.parametrize("shift", [24, 30, 31, 36])
def test_a_convolution_computes_the_same(shift):
    weights = k_hot(np.random.default_rng(1).integers(-127, 128, (4, 3, 2, 5)), 2).astype(np.int8)
    graph = conv(weights, shift=shift)
    made = shift_add(graph)
    assert kinds(made) == {"shift_add_conv2d_s8"}
    np.testing.assert_array_equal(results(made), results(graph))


def test_a_linear_layer_computes_the_same():
    rng = np.random.default_rng(1)
    weights = k_hot(rng.integers(-7, 8, (6, 20)), 2).astype(np.int8)
    x = rng.integers(-128, 128, (3, 20)).astype(np.int8)
    scale = (np.full(6, 1 << 30, np.int32), np.full(6, 34, np.uint8))
    graph = Case("linear_s8", (x, weights, np.arange(6, dtype=np.int32), *scale), {"y_zero": 3}).graph()
    made = shift_add(graph)
    assert kinds(made) == {"reshape", "shift_add_conv2d_s8"}
    np.testing.assert_array_equal(results(made), results(graph))


def test_what_shifts_cannot_do_stays_as_it_is():
    sums, others = np.full((2, 1, 1, 3), 6, np.int8), np.full((2, 1, 1, 3), 7, np.int8)
    for graph in (conv(others), conv(sums, multiplier=(1 << 30) + 1), conv(sums, shift=21), conv(sums, shift=62)):
        assert shift_add(graph).ops == graph.ops


@pytest.mark.parametrize("factors", [(1 << 20, 1 << 18, 20), (1 << 5, 1 << 20, 22), (1 << 3, 1 << 4, 0)])
def test_a_sum_computes_the_same(factors):
    rng = np.random.default_rng(2)
    a, b = (rng.integers(-128, 128, (2, 9)).astype(np.int8) for _ in range(2))
    names = ("a_multiplier", "b_multiplier", "shift")
    attrs = {"a_zero": 5, "b_zero": -128, "y_zero": 1, **dict(zip(names, factors, strict=True))}
    graph = Case("add_s8", (a, b), attrs).graph()
    made = shift_add(graph)
    assert kinds(made) == {"shift_add_s8"}
    np.testing.assert_array_equal(results(made), results(graph))
    minus = replace(
        graph, ops=tuple(Op(o.kind, o.inputs, o.outputs, {**o.attrs, "b_multiplier": -4}) for o in graph.ops)
    )
    assert kinds(shift_add(minus)) == {"add_s8"}
