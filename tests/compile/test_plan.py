"""The memory plan: no overlap, exact against brute force, never below its bound."""

import itertools
from collections.abc import Sequence

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from edgesmith.compile.memory import plan as planning
from edgesmith.compile.memory.place import clashes_of, extent, lower_bound, place
from edgesmith.compile.memory.plan import Placement, Plan, Problem, plan, promoted
from edgesmith.compile.memory.search import Search
from edgesmith.compile.memory.storage import ALIGNMENT, Buffer, Demands, Part, whole
from edgesmith.core.graph import Graph, Op, Tensor
from edgesmith.kernels.kernel import raster_lead_bytes

lifetimes = st.tuples(st.integers(1, 200), st.integers(0, 5), st.integers(0, 3))


def items(sizes: list[tuple[int, int, int]]) -> list[Buffer]:
    return [whole(str(i), size, first, first + length) for i, (size, first, length) in enumerate(sizes)]


def put(order: Sequence[Buffer], leads: dict[tuple[str, str], int] | None = None) -> dict[str, int]:
    return place(order, clashes_of(order, leads))


def together(a: Buffer, b: Buffer) -> bool:
    return a.first <= b.last and b.first <= a.last


@given(st.lists(lifetimes, min_size=1, max_size=8))
def test_buffers_alive_together_never_overlap(sizes):
    placed = items(sizes)
    offsets = put(placed)
    for a, b in itertools.combinations(placed, 2):
        if together(a, b):
            assert offsets[a.name] + a.nbytes <= offsets[b.name] or offsets[b.name] + b.nbytes <= offsets[a.name]
    assert all(offset % ALIGNMENT == 0 for offset in offsets.values())


@given(st.lists(lifetimes, min_size=1, max_size=5))
def test_lower_bound_holds_for_every_order(sizes):
    placed = items(sizes)
    best = min(extent(placed, put(list(order))) for order in itertools.permutations(placed))
    assert lower_bound(placed) <= best


def chain(*kinds: str) -> Graph:
    """x -> op -> op ..., each tensor 64 bytes."""
    names = [f"t{i}" for i in range(len(kinds) + 1)]
    ops = tuple(Op(kind, (a,), (b,)) for kind, a, b in zip(kinds, names, names[1:], strict=False))
    return Graph("chain", {n: Tensor(n, (64,), "int8") for n in names}, ops, ("t0",), (names[-1],))


def test_a_chain_of_elementwise_ops_needs_one_buffer():
    placed = plan(chain("rescale_s8", "lookup", "reshape", "rescale_s8"))
    assert placed.arena_bytes == 64
    assert set(placed.tensor_offsets().values()) == {0}


def test_a_chain_of_other_ops_needs_two_buffers():
    assert plan(chain("permute", "permute", "permute")).arena_bytes == 128


def test_scratch_lives_beside_its_op_only():
    placed = plan(chain("permute", "permute"), Demands({1: 100}))
    assert placed.arena_bytes == 64 + 64 + 112
    assert placed.scratch_offset(0) == 0


def test_an_input_still_needed_is_not_written_over():
    tensors = {name: Tensor(name, (64,), "int8") for name in "xyz"}
    graph = Graph("g", tensors, (Op("lookup", ("x",), ("y",)), Op("add_s8", ("x", "y"), ("z",))), ("x",), ("z",))
    names = {name: buffer.name for buffer in plan(graph).buffers for name in buffer.tensors}
    assert names["x"] != names["y"]
    assert names["z"] in (names["x"], names["y"])


def test_an_output_survives_to_the_end():
    graph = chain("lookup", "permute")
    kept = Graph("g", graph.tensors, graph.ops, graph.inputs, ("t1", "t2"))
    placed = {buffer.name: buffer for buffer in plan(kept).buffers}
    assert placed["t0"].last == len(kept.ops)
    assert placed["t0"].tensors == {"t0": 0, "t1": 0}


@pytest.mark.parametrize("count", [2, 3])
def test_a_reshape_of_a_kept_value_keeps_it(count):
    graph = chain(*["reshape"] * count)
    assert len(plan(graph).buffers) == 1


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
    apart = plan(graph)
    led = plan(graph, Demands(lead_bytes={0: 96, 1: 96}))
    assert apart.arena_bytes == 2016 and led.arena_bytes == 1008 + 2 * 96 and led.lower_bound_bytes == 1008 + 96
    offsets = led.tensor_offsets()
    assert offsets["x"] >= offsets["y"] + 96 and offsets["y"] >= offsets["z"] + 96


def test_an_input_that_is_read_again_is_never_overlapped():
    tensors = {name: Tensor(name, (1000,), "int8") for name in ("x", "y", "z")}
    ops = (Op("permute", ("x",), ("y",)), Op("add_s8", ("x", "y"), ("z",)))
    assert plan(Graph("g", tensors, ops, ("x",), ("z",)), Demands(lead_bytes={0: 96})).arena_bytes >= 2000


def test_a_kernel_that_can_may_write_over_its_input():
    """A depthwise convolution, say: told by the kernel, since not every kernel of the op can."""
    graph = chain("permute", "permute", "permute")
    offsets = plan(graph, Demands(in_place={1})).tensor_offsets()
    assert offsets["t1"] == offsets["t2"]
    assert plan(graph, Demands(in_place={0, 1, 2})).arena_bytes == 64


def test_an_order_that_wastes_memory_is_improved_to_the_bound():
    """Five buffers; brute force over all orders shows the worst, and that the bound can be reached."""
    placed = items([(64, 0, 1), (48, 1, 1), (32, 2, 2), (48, 3, 1), (16, 0, 4)])
    worst = max(itertools.permutations(placed), key=lambda order: extent(placed, put(list(order))))
    best = min(extent(placed, put(list(order))) for order in itertools.permutations(placed))
    assert extent(placed, put(list(worst))) > best == lower_bound(placed)
    clashes = clashes_of(placed)
    start = Placement(place(list(worst), clashes), "worst", False, tuple(worst))
    assert extent(placed, promoted(start, clashes, best, 100)) == best


@given(st.lists(lifetimes, min_size=1, max_size=8))
def test_improving_an_order_never_costs_memory(sizes):
    placed = items(sizes)
    before = extent(placed, put(placed))
    start = Placement(put(placed), "given", False, tuple(placed))
    assert extent(placed, promoted(start, clashes_of(placed), lower_bound(placed), 100)) <= before


def peaceful(chosen: list[Buffer], offsets: tuple[int, ...], leads: dict[tuple[str, str], int]) -> bool:
    """Written again from the meaning: bytes used at one time belong to one buffer, but for a result over its input."""
    for (a, x), (b, y) in itertools.permutations(zip(chosen, offsets, strict=True), 2):
        for p, q in itertools.product(a.parts, b.parts):
            apart = x + p.end <= y + q.offset or y + q.end <= x + p.offset
            led = (p.name, q.name) in leads and x - y >= leads[p.name, q.name]
            led |= (q.name, p.name) in leads and y - x >= leads[q.name, p.name]
            if together(p, q) and not apart and not led:
                return False
    return True


def smallest(chosen: list[Buffer], leads: dict[tuple[str, str], int], most: int) -> int:
    """Every placement on multiples of the alignment, within `most` bytes."""
    places = [range(0, most - b.nbytes + 1, ALIGNMENT) for b in chosen]
    found = (at for at in itertools.product(*places) if peaceful(chosen, at, leads))
    return min(extent(chosen, dict(zip((b.name for b in chosen), at, strict=True))) for at in found)


def small_problem(seed: int) -> tuple[list[Buffer], dict[tuple[str, str], int]]:
    """Four buffers of up to 64 bytes, some of two parts, some that may overlap."""
    rng = np.random.default_rng(seed)
    chosen, leads = [], {}
    for index in range(4):
        first, size = int(rng.integers(0, 4)), int(rng.integers(1, 5)) * 16
        last = first + int(rng.integers(0, 3))
        if size > 16 and rng.random() < 0.4:
            cut, other = 16 * int(rng.integers(1, size // 16)), int(rng.integers(first, last + 1))
            late = rng.random() < 0.5
            parts = (Part(f"{index}", 0, cut, other if late else first, last),)
            parts += (Part(f"{index}+{cut}", cut, size - cut, first, last if late else other),)
            chosen.append(Buffer(str(index), {str(index): 0}, parts))
        else:
            chosen.append(whole(str(index), size, first, last))
    for a, b in itertools.permutations(chosen, 2):
        for p, q in itertools.product(a.parts, b.parts):
            if p.last == q.first and rng.random() < 0.5:
                leads[p.name, q.name] = 16 * int(rng.integers(-1, 3))
    return chosen, leads


@pytest.mark.parametrize("seed", range(60))
def test_the_exact_search_finds_the_smallest_of_all_placements(seed):
    chosen, leads = small_problem(seed)
    offsets = put(chosen, leads)
    greedy = extent(chosen, offsets)
    found = Search(chosen, clashes_of(chosen, leads), 0, 100_000).beat(greedy)
    best = extent(chosen, found.offsets) if found.offsets else greedy
    assert found.complete
    assert best == smallest(chosen, leads, greedy)
    if found.offsets:
        assert peaceful(chosen, tuple(found.offsets[b.name] for b in chosen), leads)


@given(st.lists(lifetimes, min_size=1, max_size=12))
def test_a_plan_is_no_larger_than_that_of_any_greedy_order(sizes):
    placed = items(sizes)
    found = placed_of(placed)
    keys = (lambda b: -b.nbytes, lambda b: b.first, lambda b: -b.last, lambda b: b.first - b.last)
    assert all(found.arena_bytes <= extent(placed, put(sorted(placed, key=key))) for key in keys)
    assert found.lower_bound_bytes <= found.arena_bytes
    assert found.optimal or found.arena_bytes > found.lower_bound_bytes


def placed_of(chosen: list[Buffer]) -> Plan:
    problem = Problem(tuple(chosen), (), frozenset())
    return planning.improved(problem, planning.greedy(problem))


def test_a_search_that_runs_out_of_steps_says_so():
    rng = np.random.default_rng(0)
    chosen = items([(int(n), int(t), int(k)) for n, t, k in rng.integers((1, 0, 1), (900, 20, 9), (40, 3))])
    found = Search(chosen, clashes_of(chosen), 0, 50).beat(extent(chosen, put(chosen)))
    assert not found.complete
