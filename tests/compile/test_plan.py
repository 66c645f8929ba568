"""The memory plan: no overlap, exact against brute force, never below its bound."""

import itertools

import hypothesis.strategies as st
import pytest
from hypothesis import given

from edgesmith.compile.memory.place import extent, lower_bound, place
from edgesmith.compile.memory.plan import improved, plan
from edgesmith.compile.memory.storage import ALIGNMENT, Buffer, whole
from edgesmith.core.graph import Graph, Op, Tensor
from edgesmith.kernels.kernel import raster_lead_bytes

lifetimes = st.tuples(st.integers(1, 200), st.integers(0, 5), st.integers(0, 3))


def items(sizes: list[tuple[int, int, int]]) -> list[Buffer]:
    return [whole(str(i), size, first, first + length) for i, (size, first, length) in enumerate(sizes)]


def together(a: Buffer, b: Buffer) -> bool:
    return a.first <= b.last and b.first <= a.last


@given(st.lists(lifetimes, min_size=1, max_size=8))
def test_buffers_alive_together_never_overlap(sizes):
    placed = items(sizes)
    offsets = place(placed)
    for a, b in itertools.combinations(placed, 2):
        if together(a, b):
            assert offsets[a.name] + a.nbytes <= offsets[b.name] or offsets[b.name] + b.nbytes <= offsets[a.name]
    assert all(offset % ALIGNMENT == 0 for offset in offsets.values())


@given(st.lists(lifetimes, min_size=1, max_size=5))
def test_lower_bound_holds_for_every_order(sizes):
    placed = items(sizes)
    best = min(extent(placed, place(list(order))) for order in itertools.permutations(placed))
    assert lower_bound(placed) <= best


def chain(*kinds: str) -> Graph:
    """x -> op -> op ..., each tensor 64 bytes."""
    names = [f"t{i}" for i in range(len(kinds) + 1)]
    ops = tuple(Op(kind, (a,), (b,)) for kind, a, b in zip(kinds, names, names[1:], strict=False))
    return Graph("chain", {n: Tensor(n, (64,), "int8") for n in names}, ops, ("t0",), (names[-1],))


def test_a_chain_of_elementwise_ops_needs_one_buffer():
    placed = plan(chain("rescale_s8", "lookup", "reshape", "rescale_s8"), {})
    assert placed.arena_bytes == 64
    assert set(placed.tensor_offsets().values()) == {0}


def test_a_chain_of_other_ops_needs_two_buffers():
    assert plan(chain("permute", "permute", "permute"), {}).arena_bytes == 128


def test_scratch_lives_beside_its_op_only():
    placed = plan(chain("permute", "permute"), {1: 100})
    assert placed.arena_bytes == 64 + 64 + 112
    assert placed.scratch_offset(0) == 0


def test_an_input_still_needed_is_not_written_over():
    tensors = {name: Tensor(name, (64,), "int8") for name in "xyz"}
    graph = Graph("g", tensors, (Op("lookup", ("x",), ("y",)), Op("add_s8", ("x", "y"), ("z",))), ("x",), ("z",))
    names = {name: buffer.name for buffer in plan(graph, {}).buffers for name in buffer.tensors}
    assert names["x"] != names["y"]
    assert names["z"] in (names["x"], names["y"])


def test_an_output_survives_to_the_end():
    graph = chain("lookup", "permute")
    kept = Graph("g", graph.tensors, graph.ops, graph.inputs, ("t1", "t2"))
    placed = {buffer.name: buffer for buffer in plan(kept, {}).buffers}
    assert placed["t0"].last == len(kept.ops)
    assert placed["t0"].tensors == {"t0": 0, "t1": 0}


@pytest.mark.parametrize("count", [2, 3])
def test_a_reshape_of_a_kept_value_keeps_it(count):
    graph = chain(*["reshape"] * count)
    assert len(plan(graph, {}).buffers) == 1


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(1, 5))
def test_no_row_that_is_still_read_lies_under_what_a_window_kernel_has_written(height, width, c, out_c, stride, kernel):
    """Walk the kernel's promise: rows of y in order; row oy reads its own windows' rows, some of them again."""
    pad = kernel // 2
    out_h, out_w = (height + 2 * pad - kernel) // stride + 1, (width + 2 * pad - kernel) // stride + 1
    values = {"in_w": width, "in_c": c, "out_h": out_h, "out_w": out_w, "out_c": out_c}
    lead = raster_lead_bytes({**values, "stride_h": stride, "pad_top": pad})
    x_start = lead  # y starts at 0
    tight = False
    for oy in range(out_h):
        written = (oy + 1) * out_w * out_c
        needed = x_start + max(0, oy * stride - pad) * width * c
        assert written <= needed
        tight |= written == needed
    assert tight, "a smaller lead would do"


def test_a_result_that_may_overlap_its_input_does_and_no_other():
    tensors = {name: Tensor(name, (1000,), "int8") for name in ("x", "y", "z")}
    graph = Graph("g", tensors, (Op("permute", ("x",), ("y",)), Op("permute", ("y",), ("z",))), ("x",), ("z",))
    apart = plan(graph, {})
    led = plan(graph, {}, {0: 96, 1: 96})
    assert apart.arena_bytes == 2016 and led.arena_bytes == 1008 + 2 * 96 and led.lower_bound_bytes == 1008 + 96
    offsets = led.tensor_offsets()
    assert offsets["x"] >= offsets["y"] + 96 and offsets["y"] >= offsets["z"] + 96


def test_an_input_that_is_read_again_is_never_overlapped():
    tensors = {name: Tensor(name, (1000,), "int8") for name in ("x", "y", "z")}
    ops = (Op("permute", ("x",), ("y",)), Op("add_s8", ("x", "y"), ("z",)))
    assert plan(Graph("g", tensors, ops, ("x",), ("z",)), {}, {0: 96}).arena_bytes >= 2000


def test_a_kernel_that_can_may_write_over_its_input():
    """A depthwise convolution, say: told by the kernel, since not every kernel of the op can."""
    graph = chain("permute", "permute", "permute")
    assert plan(graph, {}, in_place={1}).tensor_offsets()["t1"] == plan(graph, {}, in_place={1}).tensor_offsets()["t2"]
    assert plan(graph, {}, in_place={0, 1, 2}).arena_bytes == 64


def test_an_order_that_wastes_memory_is_improved_to_the_bound():
    """Five buffers; brute force over all orders shows the worst, and that the bound can be reached."""
    placed = items([(64, 0, 1), (48, 1, 1), (32, 2, 2), (48, 3, 1), (16, 0, 4)])
    worst = max(itertools.permutations(placed), key=lambda order: extent(placed, place(list(order))))
    best = min(extent(placed, place(list(order))) for order in itertools.permutations(placed))
    assert extent(placed, place(list(worst))) > best == lower_bound(placed)
    assert extent(placed, place(list(improved(worst, {}, best)))) == best


@given(st.lists(lifetimes, min_size=1, max_size=8))
def test_improving_an_order_never_costs_memory(sizes):
    placed = items(sizes)
    before = extent(placed, place(placed))
    assert extent(placed, place(list(improved(placed, {}, lower_bound(placed))))) <= before
