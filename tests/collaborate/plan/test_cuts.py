"""Cuts: head and tail together are the program, bit for bit."""

from itertools import chain, combinations

import numpy as np
import pytest
import torch
from torch import nn

from edgesmith.collaborate.plan.cuts import crossing, cut_at, halves, is_chain, is_valid, prefixes
from edgesmith.core.errors import BadInput
from edgesmith.core.ops import interpret
from edgesmith.lower import lower


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.left, self.right = nn.Linear(6, 5), nn.Linear(5, 4), nn.Linear(5, 4)
        self.last = nn.Linear(4, 3)

    def forward(self, x):
        y = torch.relu(self.stem(x))
        return self.last(torch.relu(self.left(y)) + self.right(y))


@pytest.fixture(scope="module")
def branching():
    torch.manual_seed(0)
    return lower(Branching().eval(), (torch.randn(1, 6),), "branching")


@pytest.fixture(scope="module")
def straight():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3), nn.Tanh()).eval()
    return lower(net, (torch.randn(1, 6),), "straight")


def joined(graph, cut, x):
    head, tail = halves(graph, cut)
    values = {graph.inputs[0]: x}
    values |= interpret(head, values)
    return interpret(tail, {name: values[name] for name in tail.inputs})[graph.outputs[0]]


def subsets(count):
    return chain.from_iterable(combinations(range(count), size) for size in range(1, count))


def test_every_cut_of_a_graph_with_branches_leaves_its_answer_alone(branching):
    x = np.random.default_rng(1).standard_normal((1, 6)).astype(np.float32)
    whole = interpret(branching, {branching.inputs[0]: x})[branching.outputs[0]]
    valid = [head for head in subsets(len(branching.ops)) if is_valid(branching, head)]
    assert len(valid) > len(branching.ops) - 1, "branches have more cuts than their order"
    for head in valid:
        np.testing.assert_array_equal(joined(branching, cut_at(branching, head), x), whole)


def test_a_cut_in_which_something_flows_back_is_refused(branching):
    with pytest.raises(BadInput, match="need results of the others"):
        cut_at(branching, [len(branching.ops) - 1])


def test_the_payload_of_two_branches_is_both(branching):
    """After the right branch alone, what crosses is its result and what the left branch still reads."""
    by_name = {op.outputs[0]: index for index, op in enumerate(branching.ops)}
    assert len(by_name) == len(branching.ops)
    both = [cut for cut in prefixes(branching) if len(cut.payload) == 2]
    assert both
    for cut in both:
        assert set(crossing(branching, cut.head)) == set(cut.payload)


def test_a_chain_has_one_cut_between_any_two_ops(straight, branching):
    cuts = list(prefixes(straight))
    assert is_chain(straight) and not is_chain(branching)
    assert [cut.after for cut in cuts] == list(range(len(straight.ops) + 1))
    assert cuts[0].payload == straight.inputs and cuts[-1].payload == ()


def test_nothing_to_cut_is_refused(straight):
    for cut in (next(prefixes(straight)), list(prefixes(straight))[-1]):
        with pytest.raises(BadInput, match="nothing to cut"):
            halves(straight, cut)


def test_a_state_stays_in_one_place():
    torch.manual_seed(0)
    graph = lower(nn.LSTM(4, 3, batch_first=True).eval(), (torch.randn(1, 5, 4),), "lstm")
    for cut in prefixes(graph):
        assert is_valid(graph, cut.head)
