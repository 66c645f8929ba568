"""A compiled model in wasmtime: the same calls as on this machine."""

import sys

import numpy as np
import pytest

from cost.nets import random_net
from edgesmith import targets
from edgesmith.core.errors import BadInput, Missing
from edgesmith.core.interface import random_input
from edgesmith.core.ops import interpret
from edgesmith.pipeline.build import bind_for, on_target, place, runs, wasm_module
from edgesmith.run.wasm import Wasm
from run.test_native import counter, one

WASM = targets.load("wasm")


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    with on_target(bind_for(counter(), WASM), tmp_path_factory.mktemp("wasm")) as running:
        yield running


def test_states_are_kept_from_run_to_run_until_reset(runner):
    runner.reset()
    assert [runner.run(one(1))["add0"].tolist() for _ in range(3)] == [[1] * 3, [2] * 3, [3] * 3]
    runner.reset()
    assert runner.run(one(5))["add0"].tolist() == [5] * 3


@pytest.mark.parametrize("inputs", [{}, {"in0": np.zeros(4)}])
def test_missing_or_malformed_inputs_are_refused(runner, inputs):
    with pytest.raises(BadInput, match="input 'in0'"):
        runner.run(inputs)


@pytest.mark.parametrize("precision", ["int8", "float32"])
@pytest.mark.parametrize("name", ["wasm", "raspberry-pi-4", "raspberry-pi-5", "esp32c3"])
def test_a_random_net_computes_what_numpy_defines(name, precision, tmp_path):
    """int8 to the byte; floats to a few steps of float32."""
    graph, target = random_net(11, precision), targets.load(name)
    rng = np.random.default_rng(11)
    with on_target(bind_for(graph, target), tmp_path) as running:
        for _ in range(2):
            given = {tensor: random_input(graph, tensor, rng) for tensor in graph.inputs}
            found, wanted = running.run(given), interpret(graph, given)
            for tensor in graph.outputs:
                if precision == "int8":
                    np.testing.assert_array_equal(found[tensor], wanted[tensor])
                else:
                    np.testing.assert_allclose(found[tensor], wanted[tensor], rtol=1e-4, atol=1e-5)


def test_instructions_and_ops_are_counted(tmp_path):
    """The same run takes the same instructions; the host hears of every op in order."""
    graph = random_net(12, "int8")
    compiled = bind_for(graph, WASM)
    heard: list[int] = []
    rng = np.random.default_rng(12)
    given = {tensor: random_input(graph, tensor, rng) for tensor in graph.inputs}
    module = wasm_module(compiled, tmp_path, traced=True)
    face = compiled.program.interface
    with Wasm(module.path, face, WASM, count=True, traced=heard.append) as running:
        first = running.run(given)
        count = running.instructions
        running.run(given)
        assert count == running.instructions > sum(t.size for t in graph.tensors.values()) / 16 and not heard
        running.trace()
        assert running.prepared(given)(3) == 0
        assert heard == 3 * [i for i, kernel in enumerate(compiled.program.kernels) if kernel]
        np.testing.assert_array_equal(running.run(given)[graph.outputs[0]], first[graph.outputs[0]])


def test_what_runs_where_is_said():
    assert runs(WASM) and place(WASM) == "in wasmtime"
    assert place(targets.load("raspberry-pi-5")) == "on the emulated raspberry-pi-5"
    assert not runs(targets.load("x86-64")), "it is this machine, where everything runs anyway"


def test_a_missing_wasmtime_names_the_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wasmtime", None)
    with pytest.raises(Missing, match="pip install"):
        Wasm(tmp_path / "none.wasm", bind_for(counter(), WASM).program.interface, WASM)
