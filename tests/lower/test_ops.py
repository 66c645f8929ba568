"""Every op that can be lowered: the graph, and the module lifted from it, compute what the module does."""

import numpy as np
import pytest
import torch

from edgesmith.core.ops import attrs_of, check, interpret
from edgesmith.lower import lift, lower
from lower.small_models import CASES, Case, inputs_of

every_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def lowered(case: Case):
    torch.manual_seed(0)
    module = case.make().eval()
    return module, lower(module, inputs_of(case))


def run(graph, inputs):
    return next(iter(interpret(graph, {n: x.numpy() for n, x in zip(graph.inputs, inputs, strict=True)}).values()))


@every_case
def test_the_graph_computes_what_the_module_does(case):
    module, graph = lowered(case)
    check(graph)
    inputs = inputs_of(case, seed=1)
    expected = module(*inputs).detach().numpy()
    found = run(graph, inputs)
    assert found.shape == expected.shape
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-5 * max(1, np.abs(expected).max()))


@every_case
def test_a_lifted_graph_computes_it_too_and_lowers_to_itself(case):
    module, graph = lowered(case)
    lifted, inputs = lift(graph).eval(), inputs_of(case, seed=2)
    assert torch.allclose(lifted(*inputs), module(*inputs), rtol=1e-4, atol=1e-4)
    again = lower(lifted, inputs)
    assert [(op.kind, attrs_of(op)) for op in again.ops] == [(op.kind, attrs_of(op)) for op in graph.ops]
    assert np.allclose(run(again, inputs), run(graph, inputs), rtol=1e-6, atol=1e-6, equal_nan=True)


@every_case
def test_a_lifted_graph_runs_many_samples_at_once(case):
    _, graph = lowered(case)
    lifted = lift(graph).eval()
    if any(shape[0] != 1 for shape in case.shapes):
        pytest.skip("no leading axis of 1")
    inputs = inputs_of(case, batch=3)
    each = [lifted(*(x[i : i + 1] for x in inputs)) for i in range(3)]
    assert torch.allclose(lifted(*inputs), torch.cat(each), rtol=1e-4, atol=1e-5)
