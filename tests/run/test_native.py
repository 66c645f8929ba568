"""A compiled model in this process: called as its header says, states kept, bad arguments refused."""

import ctypes

import numpy as np
import pytest

from core.sketch import Sketch
from edgesmith.core.errors import BadInput
from edgesmith.pipeline.build import host_library, host_program, native
from edgesmith.run.native import Native


def counter():
    """y = state + x; the state becomes y."""
    sketch = Sketch()
    x, state = sketch.input(3), sketch.state(3)
    y = sketch("add", x, state)
    return sketch.graph(y, updates=(y,))


def one(value: float) -> dict[str, np.ndarray]:
    return {"in0": np.full(3, value, np.float32)}


def test_states_are_kept_from_run_to_run_until_reset():
    runner = native(counter())
    assert [runner.run(one(1))["add0"].tolist() for _ in range(3)] == [[1] * 3, [2] * 3, [3] * 3]
    runner.reset()
    assert runner.run(one(5))["add0"].tolist() == [5] * 3


def test_two_instances_share_no_state():
    first, second = native(counter()), native(counter())
    first.run(one(1))
    assert second.run(one(1))["add0"].tolist() == [1] * 3


def test_outputs_are_copies():
    runner = native(counter())
    kept = runner.run(one(1))["add0"]
    runner.run(one(1))
    assert kept.tolist() == [1] * 3


@pytest.mark.parametrize("inputs", [{}, {"x": np.zeros(3)}, {"in0": np.zeros(4)}, {"in0": np.array(["a"] * 3)}])
def test_missing_or_malformed_inputs_are_refused(inputs):
    with pytest.raises(BadInput, match="input 'in0'"):
        native(counter()).run(inputs)


def test_inputs_of_any_memory_layout_are_read_right():
    sketch = Sketch()
    graph = sketch.graph(sketch("neg", sketch.input(2, 3)))
    values = np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2].T
    assert native(graph).run({"in0": values})["neg0"].tolist() == (-values).tolist()


def test_the_c_functions_refuse_missing_and_misaligned_blocks():
    """As the header promises: -1, and nothing written."""
    program = host_program(counter())
    library = ctypes.CDLL(str(host_library(program)))
    room = np.zeros(256, np.uint8)
    start = room.ctypes.data + -room.ctypes.data % 16
    given, made = (ctypes.c_void_p * 1)(start), (ctypes.c_void_p * 1)()
    good, odd = ctypes.c_void_p(start), ctypes.c_void_p(start + 4)
    for state in (None, odd):
        assert library.g_init(state) == -1
        assert library.g_run(given, made, state, good) == -1
    for arena in (None, odd):
        assert library.g_run(given, made, good, arena) == -1
    assert library.g_run(None, made, good, good) == -1
    assert library.g_run(given, None, good, good) == -1
    assert not room.any()


def test_a_trace_sees_each_op_in_order_and_its_result():
    sketch = Sketch()
    graph = sketch.graph(sketch("abs", sketch("neg", sketch.input(3))))
    program = host_program(graph)
    runner = Native(host_library(program, trace=True), program.interface)
    seen = []
    offsets = program.plan.tensor_offsets()

    def look(index: int) -> None:
        (name,) = graph.ops[index].outputs
        seen.append((name, runner.peek(offsets[name], (3,), "float32").tolist()))

    runner.trace(look)
    runner.run(one(2))
    assert seen == [("neg0", [-2] * 3), ("abs1", [2] * 3)]
    runner.trace(None)
    runner.run(one(2))
    assert len(seen) == 2
