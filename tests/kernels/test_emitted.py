"""All kernels called as an emitted program calls them: every op once, in one graph."""

import numpy as np
import pytest

from edgesmith.core import ops
from edgesmith.core.graph import Graph, Op, Tensor
from edgesmith.pipeline.build import host_library, host_program
from edgesmith.run.native import Native
from kernels.cases import FLOAT, INTEGER, KINDS


def side_by_side(seed: int) -> tuple[Graph, dict[str, np.ndarray]]:
    """One random case of every op; its first input is the graph's, the others are constants."""
    rng = np.random.default_rng(seed)
    tensors: dict[str, Tensor] = {}
    arrays: dict[str, np.ndarray] = {}
    steps = []
    for kind, maker in KINDS.items():
        op, values = maker(rng)
        inputs, outputs = ([f"{kind}_{name}" for name in names] for names in (op.inputs, op.outputs))
        arrays.update(zip(inputs, values, strict=True))
        tensors.update({n: Tensor(n, arrays[n].shape, str(arrays[n].dtype)) for n in inputs})
        made = ops.infer(op, tuple(tensors[n] for n in inputs))
        tensors.update({n: Tensor(n, *facts) for n, facts in zip(outputs, made, strict=True)})
        steps.append(Op(kind, tuple(inputs), tuple(outputs), op.attrs, kind))
    given = tuple(op.inputs[0] for op in steps)
    results = tuple(name for op in steps for name in op.outputs)
    constants = {name: array for name, array in arrays.items() if name not in given}
    return Graph("every_op", tensors, tuple(steps), given, results, constants), arrays


@pytest.mark.parametrize("reference", [True, False])
def test_every_op_runs_in_an_emitted_program(reference: bool):
    graph, arrays = side_by_side(7)
    program = host_program(graph, reference)
    made = Native(host_library(program), program.interface).run({name: arrays[name] for name in graph.inputs})
    wanted = ops.interpret(graph, arrays)
    for op in graph:
        for name in op.outputs:
            if op.kind in INTEGER:
                np.testing.assert_array_equal(made[name], wanted[name], err_msg=op.kind)
            else:
                scale = max(1.0, float(np.abs(wanted[name]).max()))
                np.testing.assert_allclose(made[name], wanted[name], rtol=1e-4, atol=1e-5 * scale, err_msg=op.kind)
    assert {op.kind for op in graph} >= {*INTEGER, *FLOAT}
