"""The planner against brute force over every cut there is."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgesmith.collaborate.links.link import Link
from edgesmith.collaborate.plan.costs import FORMS, INT4, INT8, STORED, Costs, Form, figures_of, place_of
from edgesmith.collaborate.plan.cuts import cut_at, is_valid
from edgesmith.collaborate.plan.planner import Limits, Program, best_cut, score
from edgesmith.collaborate.serve.wire import Request, encode_request
from edgesmith.core.graph import Graph, Op, Tensor

LINK = Link("l", mbps=1.0, delay_ms=3.0, jitter_ms=1.0, loss=0.02, tx_mw=500.0, rx_mw=200.0)


def random_costs(seed, count, chain=False):
    """A random program: each op reads one to three earlier results, the last reads what nobody has."""
    rng = np.random.default_rng(seed)
    tensors, ops, unread = {"x": Tensor("x", (1, 4000))}, [], ["x"]
    for index in range(count):
        names = list(tensors)
        picks = [names[-1]] if chain else [names[i] for i in rng.integers(0, len(names), rng.integers(1, 3))]
        if index == count - 1 and not chain:
            picks = unread
        inputs = tuple(dict.fromkeys(picks))
        name = f"t{index}"
        tensors[name] = Tensor(name, (1, int(rng.integers(10, 6000))))
        ops.append(Op("concat", inputs, (name,), {}, name))
        unread = [other for other in (*unread, name) if other not in inputs]
    graph = Graph("random", tensors, tuple(ops), ("x",), (f"t{count - 1}",))
    device, server = rng.uniform(1, 30, count), rng.uniform(0.05, 3, count)
    coded = {(form, name): int(rng.integers(5, 3000)) for form in FORMS if form.coded for name in tensors}
    sizes = rng.integers(0, 5000, count).tolist()
    return Costs(graph, device.tolist(), server.tolist(), sizes, 400.0, coded, (1e-5, 1e-6))


def brute_force(costs, form, goal, limits):
    """The best score over all sets of ops from which nothing flows back."""
    count, best = len(costs.graph.ops), None
    for size in range(count + 1):
        for head in combinations(range(count), size):
            if is_valid(costs.graph, head):
                figures = figures_of(costs, cut_at(costs.graph, head), form, LINK)
                if limits.hold(figures) and (best is None or score(figures, goal) < best):
                    best = score(figures, goal)
    return best


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(2, 9),
    goal=st.sampled_from(["latency", "energy", "bytes"]),
    form=st.sampled_from([STORED, INT8, INT4, Form(4, coded=True)]),
    limit=st.sampled_from([None, 40.0, 80.0]),
)
def test_no_cut_is_better_than_the_one_found(seed, count, goal, form, limit):
    costs = random_costs(seed, count)
    limits = Limits(energy_uj=limit and limit * 300) if goal == "latency" else Limits(latency_ms=limit)
    found, expected = best_cut(costs, form, LINK, goal, limits), brute_force(costs, form, goal, limits)
    if expected is None:
        assert found is None
    else:
        assert found.proven and score(found.figures, goal)[0] == pytest.approx(expected[0], abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(2, 8), goal=st.sampled_from(["latency", "energy", "bytes"]))
def test_the_bound_of_the_integer_program_is_never_above_the_truth(seed, count, goal):
    program = Program(random_costs(seed, count), INT8, LINK, goal, Limits())
    last = -np.inf
    for _ in range(12):
        cut = program.solve()
        if cut is None:
            break
        assert last - 1e-6 <= program.bound(cut) <= score(figures_of(program.costs, cut, INT8, LINK), goal)[0] + 1e-6
        last = program.bound(cut)
        program.leave_out(cut)


def test_a_cut_that_is_not_accepted_gives_way_to_the_next():
    costs, asked = random_costs(5, 8), []

    def accept(cut, form):
        asked.append(cut.head)
        return len(asked) > 3

    found = best_cut(costs, STORED, LINK, "latency", Limits(), accept)
    free = best_cut(costs, STORED, LINK, "latency", Limits())
    assert found.cut.head in asked[3:] and free.cut.head == asked[0]
    assert score(found.figures, "latency") > score(free.figures, "latency")


def test_a_fast_link_sends_everything_and_a_slow_one_nothing():
    costs = random_costs(1, 12, chain=True)
    fast, slow = Link("fast", mbps=1000.0), Link("slow", mbps=0.001, delay_ms=500)
    assert place_of(costs.graph, best_cut(costs, STORED, fast, "latency", Limits()).cut) == "server"
    assert place_of(costs.graph, best_cut(costs, STORED, slow, "latency", Limits()).cut) == "device"


def test_what_fits_no_limit_is_none():
    costs = random_costs(2, 6)
    assert best_cut(costs, STORED, LINK, "latency", Limits(latency_ms=1e-3)) is None


def test_limits_say_how_far_a_figure_is_beyond_them():
    costs = random_costs(1, 4)
    figures = figures_of(costs, cut_at(costs.graph, range(4)), STORED, LINK)
    assert Limits(latency_ms=figures.latency_ms / 2).broken(figures) == {"latency_ms": pytest.approx(2.0)}


def test_forms_carry_what_is_wider_than_they_are():
    byte, real = Tensor("a", (1, 9), "int8"), Tensor("b", (1, 9))
    assert [form.carries(byte) for form in FORMS] == [True, False, True, True, False, True]
    assert [form.carries(real) for form in FORMS] == [True, True, True, False, True, True]
    assert (INT4.nbytes(real), INT8.nbytes(real), STORED.nbytes(real)) == (5, 9, 36)


def test_a_message_takes_what_the_wire_makes_of_it():
    costs = random_costs(3, 5)
    names = ("x", "t1")
    arrays = {name: np.zeros(costs.graph.tensors[name].shape, np.float32) for name in names}
    assert costs.message_bytes(names, STORED) == len(encode_request(Request(1, bytes(16), arrays)))
    packed = {name: np.zeros(INT4.nbytes(costs.graph.tensors[name]), np.uint8) for name in names}
    assert costs.message_bytes(names, INT4) == len(encode_request(Request(1, bytes(16), packed)))
