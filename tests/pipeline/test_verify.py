"""The certificate: it holds for what is right, and names the op and the index where something is wrong."""

from dataclasses import replace

import numpy as np
import pytest

from core.sketch import Sketch, annotated
from edgesmith import targets
from edgesmith.compile.integerize import integerize
from edgesmith.core.graph import Graph
from edgesmith.core.task import ACCURACY, Metric
from edgesmith.pipeline import verify
from edgesmith.pipeline.build import bind_for, native
from edgesmith.pipeline.verify import against_torch, certify, first_difference, metric_kept
from edgesmith.run.native import Native

BOARD = targets.load("stm32f103")


def two_layers() -> Graph:
    """Linear, relu, linear on four numbers; float."""
    rng = np.random.default_rng(0)
    sketch = Sketch()
    x = sketch.input(1, 4)
    hidden = sketch("linear", x, sketch.const(rng.normal(size=(6, 4))), sketch.const(rng.normal(size=6)))
    hidden = sketch("clamp", hidden, low=0.0)
    y = sketch("linear", hidden, sketch.const(rng.normal(size=(3, 6))), sketch.const(np.zeros(3)))
    return sketch.graph(y)


def samples(count: int = 4) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    return [{"in0": rng.normal(size=(1, 4)).astype(np.float32)} for _ in range(count)]


def quantized() -> Graph:
    return annotated(two_layers(), samples(32))


def stored(graph: Graph) -> list[dict[str, np.ndarray]]:
    """Samples as the integer graph's input keeps them."""
    rng = np.random.default_rng(2)
    tensor = graph.tensors[graph.inputs[0]]
    if tensor.dtype == "float32":
        return samples()
    return [{tensor.name: rng.integers(-128, 128, tensor.shape).astype(tensor.dtype)} for _ in range(4)]


def patched(graph: Graph, op: int, row: int) -> Graph:
    """The graph with one row of a linear layer negated: what a broken kernel of that op would compute."""
    name = graph.ops[op].inputs[1]
    weight = graph.constants[name].copy()
    weight[row] = -weight[row]
    return replace(graph, constants={**graph.constants, name: weight})


def linears(graph: Graph) -> list[int]:
    return [index for index, op in enumerate(graph.ops) if op.kind.startswith("linear")]


@pytest.mark.parametrize("make", [two_layers, lambda: integerize(quantized())], ids=["float32", "int8"])
def test_right_implementations_agree_everywhere(make):
    graph = make()
    here, board = certify(graph, BOARD, stored(graph))
    assert here.holds and board.holds
    assert (here.name, board.name) == ("numpy = C on this machine", "numpy = C on the emulated stm32f103")
    assert here.checked == board.checked == 4 * 3


@pytest.mark.parametrize("which", [0, 1])
def test_a_broken_kernel_here_is_named_with_its_index(monkeypatch, which):
    graph = integerize(quantized())
    index = linears(graph)[which]
    monkeypatch.setattr(verify, "native", lambda g: native(patched(g, index, row=2)))
    here, board = certify(graph, BOARD, stored(graph))
    op = graph.ops[index]
    assert board.holds and here.holds is False
    assert f"first diverging op: {op.kind} {op.name!r}" in here.detail
    assert "at (0, 2)" in here.detail.partition("first diverging")[2]


def test_a_broken_kernel_on_the_board_is_named_with_its_index(monkeypatch):
    graph = integerize(quantized())
    index = linears(graph)[0]
    monkeypatch.setattr(verify, "bind_for", lambda g, target: bind_for(patched(g, index, row=5), target))
    here, board = certify(graph, BOARD, stored(graph))
    assert here.holds and board.holds is False
    assert f"first diverging op: {graph.ops[index].kind} {graph.ops[index].name!r}" in board.detail
    assert "at (0, 5)" in board.detail.partition("first diverging")[2]


def test_results_that_only_differ_where_memory_is_shared_are_blamed_on_the_plan(monkeypatch):
    graph = integerize(quantized())

    class Overlapping(Native):
        def run(self, inputs):
            outputs = super().run(inputs)
            return {name: array ^ 1 for name, array in outputs.items()} if len(outputs) == 1 else outputs

    def build(g):
        runner = native(g)
        runner.__class__ = Overlapping
        return runner

    monkeypatch.setattr(verify, "native", build)
    here, _ = certify(graph, BOARD, stored(graph))
    assert here.holds is False and "buffers of the memory plan overlap" in here.detail


def test_a_target_without_emulation_leaves_its_relation_open():
    graph = two_layers()
    here, there = certify(graph, targets.load("x86-64"), samples())
    assert here.holds and there.holds is None and there.checked == 0


def test_states_run_on_from_sample_to_sample():
    sketch = Sketch()
    x, state = sketch.input(3), sketch.state(3)
    y = sketch("add", x, state)
    relations = certify(sketch.graph(y, updates=(y,)), BOARD, [{"in0": np.ones(3, np.float32)}] * 5)
    assert all(relation.holds for relation in relations)


def test_torch_agrees_with_the_integers_and_a_wrong_scale_is_found(monkeypatch):
    source = quantized()
    integer = integerize(source)
    inputs = stored(integer)
    relation = against_torch(source, inputs)
    assert relation.holds and relation.checked > 0
    index = linears(integer)[0]
    monkeypatch.setattr(verify, "integerize", lambda g, stored: shifted(integerize(g, stored), index))
    broken = against_torch(source, inputs)
    assert broken.holds is False and "first beyond its limit" in broken.detail


def shifted(graph: Graph, op: int) -> Graph:
    """A whole layer of weights off by twenty steps."""
    name = graph.ops[op].inputs[1]
    weight = np.clip(graph.constants[name].astype(np.int32) + 20, -127, 127).astype(np.int8)
    return replace(graph, constants={**graph.constants, name: weight})


def test_what_is_not_quantized_is_not_called_equal():
    assert against_torch(two_layers(), samples()).holds is None


def test_integers_differ_by_one_step_floats_beyond_the_tolerance():
    integers = np.zeros((2, 3), np.int8)
    other = integers.copy()
    other[1, 2] = 1
    assert first_difference(integers, integers) is None and first_difference(integers, other) == (1, 2)
    floats = np.array([100.0, np.nan, np.inf], np.float32)
    assert first_difference(floats, floats + np.float32(0.005)) is None, "1e-4 of the largest is 0.01"
    assert first_difference(floats, floats + np.array([0.02, 0, 0], np.float32)) == (0,)
    assert first_difference(floats, np.array([100, 0, np.inf], np.float32)) == (1,)


@pytest.mark.parametrize(
    ("in_torch", "compiled", "count", "holds"),
    [(0.98, 0.976, 1000, True), (0.98, 0.974, 1000, False), (0.98, 0.96, 50, True), (0.98, 0.95, 50, False)],
)
def test_accuracy_may_move_by_half_a_point_or_one_sample(in_torch, compiled, count, holds):
    assert metric_kept(ACCURACY, in_torch, compiled, count).holds is holds


def test_an_error_may_move_by_half_a_percent_of_itself():
    error = Metric("mean squared error", "min", ACCURACY.compute)
    assert metric_kept(error, 0.001, 0.001004, 1000).holds
    assert not metric_kept(error, 0.001, 0.00101, 1000).holds
    assert metric_kept(error, 1000.0, 1004.0, 1000).holds


def test_a_layer_with_a_wider_limit_is_named():
    """docs/numbers.md allows a layer norm more than other layers; who reads the certificate must see that it did."""
    sketch = Sketch()
    y = sketch("layer_norm", sketch.input(1, 4), sketch.const(np.ones(4)), sketch.const(np.zeros(4)), eps=1e-5)
    normed, plain = annotated(sketch.graph(y), samples(16)), quantized()
    said = [against_torch(source, stored(integerize(source))).detail for source in (normed, plain)]
    assert "wider limits of docs/numbers.md apply to layer_norm" in said[0] and "wider" not in said[1]
