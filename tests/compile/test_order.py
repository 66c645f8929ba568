"""The order of the ops: against every topological order of small graphs, never worse than the given one."""

import itertools
from collections.abc import Iterator

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from compile.programs import bound, disagreement, load, samples
from compile.wiring import inception, random_wiring
from edgesmith.compile.emit.model import bind, demands_of
from edgesmith.compile.memory import order as ordering
from edgesmith.compile.memory.order import beam, best_order, exact, model, permuted
from edgesmith.compile.memory.plan import plan
from edgesmith.compile.memory.storage import Demands
from edgesmith.core.graph import Graph, Op, Tensor
from edgesmith.kernels.abi import select

MOVED = ("permute", "matmul_s8", "lookup", "add_s8")


def random_graph(seed: int, count: int) -> Graph:
    """Ops of one or two inputs; sizes are multiples of the alignment, so that the model rounds nothing."""
    rng = np.random.default_rng(seed)
    tensors = {"x": Tensor("x", (16 * int(rng.integers(1, 6)),), "int8")}
    ops = []
    for index in range(count):
        kind = MOVED[int(rng.integers(len(MOVED)))]
        names = list(tensors)[-4:]
        first = names[int(rng.integers(len(names)))]
        shape = tensors[first].shape
        alike = [name for name in tensors if tensors[name].shape == shape and name != first]
        if kind == "add_s8" and not alike:
            kind = "lookup"
        second = {"add_s8": alike, "matmul_s8": names}.get(kind, [])
        others = [second[int(rng.integers(len(second)))]] if second else []
        if kind in ("permute", "matmul_s8"):
            shape = (16 * int(rng.integers(1, 6)),)
        ops.append(Op(kind, (first, *others), (f"t{index}",)))
        tensors[f"t{index}"] = Tensor(f"t{index}", shape, "int8")
    read = {name for op in ops for name in op.inputs}
    return Graph("g", tensors, tuple(ops), ("x",), tuple(n for n in tensors if n not in read))


def topological(graph: Graph) -> Iterator[tuple[int, ...]]:
    """Every order in which the ops can run."""
    producer = graph.producer()
    needs = [{producer[name] for name in op.inputs if name in producer} for op in graph.ops]

    def extend(done: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if len(done) == len(needs):
            yield done
        for index in range(len(needs)):
            if index not in done and needs[index] <= set(done):
                yield from extend((*done, index))

    return extend(())


def demands(graph: Graph, seed: int) -> Demands:
    rng = np.random.default_rng(seed)
    chosen = [i for i, op in enumerate(graph.ops) if op.kind == "permute" and rng.random() < 0.5]
    return Demands({i: 16 * int(rng.integers(1, 4)) for i in chosen[::2]}, dict.fromkeys(chosen[1::2], 16))


@pytest.mark.parametrize("seed", range(12))
def test_the_model_counts_what_the_plan_counts_in_every_order(seed):
    graph = random_graph(seed, 6)
    needs = demands(graph, seed)
    seen = model(graph, needs)
    for order in itertools.islice(topological(graph), 40):
        assert seen.peak(order) == plan(permuted(graph, order), needs.permuted(order)).lower_bound_bytes


@pytest.mark.parametrize("seed", range(40))
def test_no_topological_order_has_a_smaller_peak(seed):
    """Brute force over all orders of seven ops."""
    graph = random_graph(seed, 7)
    needs = demands(graph, seed)
    seen = model(graph, needs)
    smallest = min(map(seen.peak, topological(graph)))
    given_order = tuple(range(7))
    found = exact(seen, seen.peak(given_order), 10_000)
    assert seen.peak(found or given_order) == smallest
    assert found in (None, *topological(graph))


@given(st.integers(0, 10_000), st.integers(1, 20))
def test_the_order_is_one_that_can_run_and_never_worse_than_the_given(seed, count):
    graph = random_graph(seed, count)
    order, seen = best_order(graph, Demands()), model(graph, Demands())
    assert sorted(order) == list(range(count))
    made = {"x"}
    for index in order:
        assert made.issuperset(graph.ops[index].inputs)
        made.update(graph.ops[index].outputs)
    assert seen.peak(order) <= seen.peak(range(count))
    wide = beam(seen, 8)
    assert sorted(wide) == list(range(count)) and seen.peak(wide) >= seen.peak(order)


def test_two_branches_run_one_after_the_other():
    """Each branch widens and narrows again: run side by side, both are wide at once."""
    shapes = {"x": 16, "a": 160, "b": 160, "c": 16, "d": 16, "e": 32}
    tensors = {name: Tensor(name, (size,), "int8") for name, size in shapes.items()}
    steps = (("x", "a"), ("x", "b"), ("a", "c"), ("b", "d"))
    ops = (*(Op("permute", (x,), (y,)) for x, y in steps), Op("matmul_s8", ("c", "d"), ("e",)))
    graph = Graph("g", tensors, ops, ("x",), ("e",))
    order = best_order(graph, Demands())
    assert order in ((0, 2, 1, 3, 4), (1, 3, 0, 2, 4))
    assert model(graph, Demands()).peak(order) == 160 + 16 + 16
    assert model(graph, Demands()).peak(range(5)) == 160 + 160 + 16


def test_a_chain_and_a_graph_that_gains_nothing_stay_as_they_are():
    for graph in (random_graph(3, 1), permuted(random_graph(5, 12), best_order(random_graph(5, 12), Demands()))):
        assert best_order(graph, Demands()) == tuple(range(len(graph.ops)))


def test_wide_graphs_fall_back_on_a_beam(monkeypatch):
    graph = random_wiring(1, 24)
    monkeypatch.setattr(ordering, "STATES", 5)
    order, seen = best_order(graph, Demands()), model(graph, Demands())
    assert seen.peak(order) <= seen.peak(range(len(graph.ops)))


@pytest.mark.parametrize("graph", [random_wiring(0, 8), inception(0)], ids=["random wiring", "inception"])
def test_a_bound_program_takes_the_better_order_and_the_same_each_time(graph):
    program = bind(graph, ("reference",))
    kept = bind(permuted(graph, range(len(graph.ops))), ("reference",))
    assert program.plan == kept.plan
    again = bind(program.graph, ("reference",))
    assert again.plan.arena_bytes <= program.plan.arena_bytes <= plan(graph, _demands(graph)).arena_bytes


def test_c_in_the_better_order_is_numpy_in_the_given(tmp_path):
    graphs = [random_wiring(0, 8), random_wiring(2, 8), inception(0)]
    programs = bound(graphs, ("reference",))
    assert any(p.graph.ops != g.ops for p, g in zip(programs, graphs, strict=True))
    for graph, runner in zip(graphs, load(programs, tmp_path, sanitize="undefined"), strict=True):
        assert disagreement(graph, runner, samples(graph, np.random.default_rng(0), 2)) == ""


def _demands(graph: Graph) -> Demands:
    """Those of the reference kernels, in the given order."""
    return demands_of([select(op, graph.types(op.inputs), graph.types(op.outputs), ("reference",)) for op in graph.ops])
