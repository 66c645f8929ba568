"""A compiled model on an emulated board: the same calls as on this machine, within the board's own memory."""

import numpy as np
import pytest

from edgesmith import targets
from edgesmith.core.errors import BadInput, DoesNotFit
from edgesmith.core.graph import Graph, Op, Tensor
from edgesmith.pipeline.build import bind_for, firmware
from edgesmith.run.emulated import Emulated
from run.test_native import counter, one

BOARD = targets.load("stm32f103")


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    compiled = bind_for(counter(), BOARD)
    linked = firmware(compiled, tmp_path_factory.mktemp("firmware"))
    with Emulated(linked, compiled.program.interface, BOARD) as runner:
        yield runner


def test_states_are_kept_from_run_to_run_until_reset(board):
    board.reset()
    assert [board.run(one(1))["add0"].tolist() for _ in range(3)] == [[1] * 3, [2] * 3, [3] * 3]
    board.reset()
    assert board.run(one(5))["add0"].tolist() == [5] * 3


def test_instructions_of_the_last_run_are_counted(board):
    board.run(one(1))
    first = board.last.instructions
    board.run(one(1))
    assert first == board.last.instructions > 9, "the same run takes the same instructions, more than one an element"


@pytest.mark.parametrize("inputs", [{}, {"in0": np.zeros(4)}])
def test_missing_or_malformed_inputs_are_refused(board, inputs):
    with pytest.raises(BadInput, match="input 'in0'"):
        board.run(inputs)


def test_a_model_above_the_boards_memory_is_refused_with_the_excess(tmp_path):
    """20 KB of RAM against two tensors of 40,000 bytes."""
    tensors = {name: Tensor(name, (10_000,)) for name in ("x", "y")}
    graph = Graph("big", tensors, (Op("exp", ("x",), ("y",)),), ("x",), ("x", "y"))
    with pytest.raises(DoesNotFit, match="ram by [0-9,]+ bytes \\(it has 20,480\\)"):
        firmware(bind_for(graph, BOARD), tmp_path)
