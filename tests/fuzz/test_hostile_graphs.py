"""Graphs whose every tensor is small but whose meaning would not be: refused by the specs before memory is taken."""

import tracemalloc

import pytest

from edgesmith.compile.emit.model import MAX_OPS, bind
from edgesmith.core.errors import BadInput, Unsupported
from edgesmith.core.graph import Graph, Op, Tensor
from edgesmith.core.ops import infer

FAR = 65536
CELL = Tensor("x", (1, 1, 1, 1))
WIDE = Tensor("x", (1, 1, 1, 1 << 20))
ALL_ROUND = (FAR, FAR, FAR, FAR)
KERNEL = (Tensor("w", (1, 1, 1, 1)), Tensor("b", (1,)))

BLOWN_UP = (
    ("max_pool2d", (CELL,), {"kernel": (FAR, FAR), "padding": (FAR - 1, 0, FAR - 1, 0)}, "windows of 4294967296 cells"),
    ("max_pool2d", (CELL,), {"kernel": (2048, 2048), "padding": ALL_ROUND}, "with padding; need at most"),
    ("avg_pool2d", (WIDE,), {"kernel": (9, 9), "padding": (8, 8, 8, 8)}, "with padding; need at most"),
    ("conv2d", (CELL, *KERNEL), {"padding": ALL_ROUND, "stride": (FAR, FAR)}, "with padding; need at most"),
    (
        "conv_transpose2d",
        (Tensor("x", (1, 3, 3, 1)), *KERNEL),
        {"padding": ALL_ROUND, "stride": (FAR, FAR)},
        "with padding; need at most",
    ),
)


@pytest.mark.parametrize(
    ("kind", "inputs", "attrs", "message"), BLOWN_UP, ids=lambda v: v if isinstance(v, str) else ""
)
def test_padding_cannot_blow_a_small_tensor_up(kind, inputs, attrs, message):
    tracemalloc.start()
    try:
        with pytest.raises(BadInput, match=message):
            infer(Op(kind, tuple(t.name for t in inputs), ("y",), attrs), inputs)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_huge_pooled_input_is_checked_in_little_memory():
    """Its shape follows from numbers; no table of its 2^26 windows is made."""
    tracemalloc.start()
    try:
        x = Tensor("x", (1, 1 << 26, 1, 1), "int8")
        assert infer(Op("max_pool2d", ("x",), ("y",), {"kernel": (1, 1)}), (x,)) == [((1, 1 << 26, 1, 1), "int8")]
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_window_between_the_cells_is_found_wherever_it_lies():
    """One cell, taps two apart: the window that starts one before it holds no cell, its neighbours do."""
    attrs = {"kernel": (3, 1), "dilation": (2, 1), "padding": (4, 4, 0, 0)}
    with pytest.raises(BadInput, match="holds no cell of the input"):
        infer(Op("max_pool2d", ("x",), ("y",), attrs), (CELL,))


def test_more_ops_than_can_be_placed_in_reasonable_time_are_refused():
    names = [f"t{i}" for i in range(MAX_OPS + 2)]
    ops = tuple(Op("neg", (a,), (b,)) for a, b in zip(names, names[1:], strict=False))
    graph = Graph("g", {n: Tensor(n, (1,)) for n in names}, ops, ("t0",), (names[-1],))
    with pytest.raises(Unsupported, match=f"{MAX_OPS + 1} ops; need at most {MAX_OPS}"):
        bind(graph, ("reference",))
