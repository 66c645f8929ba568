"""The graph: what makes one valid, how it is pruned, stored and read back, and what hostile files meet."""

import copy
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.ops.cases import CASES, NAMES
from edgesmith.core.errors import BadInput
from edgesmith.core.formats import PerChannel, PerTensor
from edgesmith.core.graph import MAX_ENTRIES, STATE_PREFIX, Graph, Op, State, Tensor, from_json, to_json, validate
from edgesmith.core.ops import check, interpret


def counter() -> Graph:
    """y = relu(w x + total), where total adds up every x: a weight, a state and a dead op."""
    names = ("x", "total", "next", "scaled", "sum", "y", "unused")
    tensors = {name: Tensor(name, (1, 3)) for name in names}
    tensors["w"] = Tensor("w", (3,), format=PerChannel((0.5, 1.0, 2.0)))
    tensors["x"] = Tensor("x", (1, 3), format=PerTensor(0.5, -3))
    return Graph(
        name="counter",
        tensors=tensors,
        ops=(
            Op("add", ("x", "total"), ("next",), name="step", source="model.py:3"),
            Op("mul", ("x", "w"), ("scaled",)),
            Op("exp", ("x",), ("unused",)),
            Op("add", ("scaled", "next"), ("sum",), {"low": -5.0}),
            Op("clamp", ("sum",), ("y",), {"low": 0.0, "high": math.inf}),
        ),
        inputs=("x",),
        outputs=("y",),
        constants={"w": np.float32([1, 2, -3])},
        states=(State("total", "next", np.float32([[0, 0, 10]])),),
    )


def arrays_of(graph: Graph) -> dict[str, np.ndarray]:
    """What is stored beside the JSON."""
    return {**graph.constants, **{STATE_PREFIX + s.tensor: s.initial for s in graph.states}}


def stored(graph: Graph) -> dict:
    """The graph's JSON after a trip through text."""
    return json.loads(json.dumps(to_json(graph)))


def test_a_graph_computes_and_its_state_goes_on():
    graph, states = counter(), {"total": np.float32([[0, 0, 10]])}
    check(graph)
    x = np.float32([[1, -1, 1]])
    assert interpret(graph, {"x": x}, states)["y"].tolist() == [[2, 0, 8]]
    assert states["total"].tolist() == [[1, -1, 11]]
    assert interpret(graph, {"x": x}, states)["y"].tolist() == [[3, 0, 9]]
    assert interpret(graph, {"x": x})["y"].tolist() == [[2, 0, 8]], "without states it starts afresh"
    assert counter().states[0].initial.tolist() == graph.states[0].initial.tolist(), "the initial value is not written"


def test_watchers_see_every_op_in_order():
    seen = []
    interpret(counter(), {"x": np.zeros((1, 3), np.float32)}, watch=lambda op, results: seen.append(op.kind))
    assert seen == ["add", "mul", "exp", "add", "clamp"]


def test_a_graph_knows_who_makes_and_reads_what():
    graph = counter()
    assert graph.producer() == {"next": 0, "scaled": 1, "unused": 2, "sum": 3, "y": 4}
    assert graph.consumers()["x"] == [0, 1, 2] and graph.consumers()["y"] == []
    assert graph.kept() == {"y", "next"}
    assert graph.weight_bytes() == 12 and graph.tensors["x"].nbytes == 12
    assert [op.kind for op in graph] == [op.kind for op in graph.ops]


def test_pruning_drops_only_what_nothing_needs():
    pruned = counter().pruned()
    assert [op.outputs[0] for op in pruned.ops] == ["next", "scaled", "sum", "y"]
    assert "unused" not in pruned.tensors and "w" in pruned.constants
    check(pruned)


def test_a_size_one_tensor_without_axes_has_one_element():
    assert Tensor("t", ()).size == 1 and Tensor("t", (2, 3), "int16").nbytes == 12


def with_ops(*ops: Op) -> Graph:
    return replace(counter(), ops=ops)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (replace(counter(), inputs=("x", "ghost")), "'ghost' has no tensor"),
        (replace(counter(), outputs=("ghost",)), "'ghost' has no tensor"),
        (with_ops(*counter().ops[:-1]), "nothing makes 'y'"),
        (replace(counter(), outputs=("y", "y")), "an output is listed twice"),
        (replace(counter(), inputs=("x", "x")), "listed twice"),
        (replace(counter(), inputs=("x", "w")), "'w' is listed twice among inputs, constants and states"),
        (replace(counter(), constants={"w": np.zeros(4, np.float32)}), "constant 'w' is"),
        (replace(counter(), constants={"w": np.zeros(3)}), "constant 'w' is"),
        (with_ops(*counter().ops[::-1]), "before it is made"),
        (with_ops(*counter().ops, counter().ops[1]), "made twice"),
        (with_ops(Op("exp", ("x",), ("x",))), "made twice"),
        (with_ops(Op("exp", ("x",), ("ghost",))), "'ghost' has no tensor"),
        (replace(counter(), states=(State("total", "next", np.zeros((1, 2), np.float32)),)), "initial value differ"),
        (replace(counter(), states=(State("total", "next", np.zeros((1, 3))),)), "initial value differ"),
        (replace(counter(), tensors={**counter().tensors, "y": Tensor("y", (1, 0))}), "at least 1"),
        (replace(counter(), tensors={**counter().tensors, "y": Tensor("z", (1, 3))}), "tensor 'y' is 'z'"),
        (replace(counter(), name="no spaces"), "the graph's name"),
        (with_ops(Op("exp", ("x",), ("y",), name='quote"')), "an op's name"),
        (with_ops(Op("exp", ("x",), ("y",), source="two\nlines")), "an op's source"),
    ],
)  # fmt: skip
def test_a_malformed_graph_is_refused(graph, message):
    with pytest.raises(BadInput, match=message):
        validate(graph)


def test_a_result_of_another_shape_than_inferred_is_refused():
    wrong = {**counter().tensors, "y": Tensor("y", (1, 3), "int8")}
    with pytest.raises(BadInput, match=r"clamp .* makes .* its tensors say"):
        check(replace(counter(), tensors=wrong))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "input 'x' is missing; need float32"),
        ({"x": np.zeros((1, 4), np.float32)}, r"input 'x' is float32 \(1, 4\); need float32 \(1, 3\)"),
        ({"x": np.zeros((1, 3))}, "input 'x' is float64"),
    ],
)
def test_wrong_inputs_are_refused(inputs, message):
    with pytest.raises(BadInput, match=message):
        interpret(counter(), inputs)


def test_a_graph_comes_back_from_json_as_it_was():
    graph = counter()
    back = from_json(stored(graph), arrays_of(graph))
    assert to_json(back) == to_json(graph)
    assert back.ops == graph.ops and back.tensors == graph.tensors
    x = np.float32([[1, -1, 1]])
    np.testing.assert_array_equal(interpret(back, {"x": x})["y"], interpret(graph, {"x": x})["y"])


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_every_op_comes_back_from_json(case):
    graph = case.graph()
    back = from_json(stored(graph), arrays_of(graph))
    check(back)
    for name, wanted in interpret(graph, {"i0": case.arrays[0]}).items():
        np.testing.assert_array_equal(interpret(back, {"i0": case.arrays[0]})[name], wanted)


def set_at(path: tuple, value: object):
    """A change of the stored JSON: the entry at `path` becomes `value`."""

    def change(data: dict) -> None:
        for key in path[:-1]:
            data = data[key]
        data[path[-1]] = value

    return change


TENSOR = {"name": "x", "shape": [1, 3], "dtype": "float32"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_at(("extra",), 1), "lacks or adds the field 'extra'"),
        (lambda d: d.pop("states"), "lacks or adds the field 'states'"),
        (set_at(("name",), "a; int main"), "the graph's name"),
        (set_at(("name",), 7), "the graph's name"),
        (set_at(("tensors",), {}), "tensors is no list"),
        (set_at(("tensors",), [TENSOR] * 2), "same name"),
        (set_at(("tensors", 0), "x"), "a tensor is str"),
        (set_at(("tensors", 0, "shape"), [1, 1 << 40]), "need 1 to"),
        (set_at(("tensors", 0, "shape"), [1, -3]), "need 1 to"),
        (set_at(("tensors", 0, "shape"), [0]), "need 1 to"),
        (set_at(("tensors", 0, "shape"), [1.0, 3]), "whole numbers"),
        (set_at(("tensors", 0, "shape"), [True, 3]), "whole numbers"),
        (set_at(("tensors", 0, "shape"), [1] * 9), "at most 8"),
        (set_at(("tensors", 0, "dtype"), "float16"), "unknown dtype"),
        (set_at(("tensors", 0, "dtype"), ["float32"]), "unknown dtype"),
        (set_at(("tensors", 0, "name"), "*/ evil"), "a tensor's name"),
        (set_at(("tensors", 0, "quantization", "zero_point"), math.inf), "malformed"),
        (set_at(("tensors", 0, "quantization", "scale"), -1.0), "scale is -1.0"),
        (set_at(("tensors", 0, "quantization"), []), "malformed"),
        (set_at(("tensors", 7, "quantization", "axis"), 1), "channels of its format"),
        (set_at(("tensors", 7, "quantization", "scales"), [1.0] * 4), "channels of its format"),
        (set_at(("ops",), None), "ops is no list"),
        (set_at(("ops", 0), []), "an op is list"),
        (set_at(("ops", 0, "inputs"), "xy"), "is no list"),
        (set_at(("ops", 0, "inputs"), [["x"]]), "a name in the inputs"),
        (set_at(("ops", 0, "attrs"), [1]), "no object"),
        (set_at(("ops", 0, "attrs"), {"low": None}), "need numbers or a word"),
        (set_at(("ops", 0, "attrs"), {"low": [[1]]}), "need numbers or a word"),
        (set_at(("ops", 0, "attrs"), {"low": 1 << 70}), "need numbers or a word"),
        (set_at(("ops", 0, "attrs"), {"low": [1] * 33}), "need numbers or a word"),
        (set_at(("ops", 0, "attrs"), {"low": "x" * 65}), "need numbers or a word"),
        (set_at(("ops", 0, "source"), "a\nb"), "an op's source"),
        (set_at(("ops", 0, "kind"), 3), "an op's kind"),
        (set_at(("constants",), ["w", "w"]), "listed twice"),
        (set_at(("constants",), []), "array 'w'"),
        (set_at(("constants",), ["w", "ghost"]), "array 'ghost'"),
        (set_at(("states", 0, "tensor"), {"a": 1}), "array"),
        (set_at(("states", 0, "update"), "ghost"), "'ghost' has no tensor"),
        (set_at(("states",), []), "array 'state:total'"),
        (set_at(("inputs",), ["x"] * (MAX_ENTRIES + 1)), "at most 131072 entries"),
    ],
)
def test_a_hostile_file_meets_a_clear_error(change, message):
    data = stored(counter())
    change(data)
    with pytest.raises(BadInput, match=message):
        from_json(data, arrays_of(counter()))


@pytest.mark.parametrize("data", [None, [], "graph", 3, {}])
def test_json_that_is_no_graph_is_refused(data):
    with pytest.raises(BadInput, match="graph"):
        from_json(data, {})


def places(data: object, path: tuple = ()) -> list[tuple]:
    """Every path into nested JSON."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path + (key,) for key, _ in items] + [deep for key, value in items for deep in places(value, path + (key,))]


PLACES = places(stored(counter()))
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "format", "low"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@settings(max_examples=300)
@given(st.sampled_from(PLACES), JUNK)
def test_junk_anywhere_is_read_or_refused_and_nothing_else(path, junk):
    data = copy.deepcopy(stored(counter()))
    set_at(path, junk)(data)
    try:
        graph = from_json(data, arrays_of(counter()))
        check(graph)
    except BadInput:
        return
    assert to_json(from_json(stored(graph), arrays_of(graph))) == to_json(graph)
