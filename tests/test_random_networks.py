"""Random small networks: numpy, C on this machine, on emulated boards and in wasmtime give every bit alike."""

import numpy as np
import pytest

from compile.programs import bound, disagreement, load, samples
from edgesmith import targets
from edgesmith.core.artifact import graph_files, graph_from
from edgesmith.core.graph import Graph
from edgesmith.core.ops import interpret
from edgesmith.pipeline.build import HOST_KERNELS, bind_for, firmware, on_target
from edgesmith.run.emulated import Emulated
from random_modules import module_graph
from random_networks import network

# Cortex-M4, M3, M0+, M33; AArch64 with and without dot product, RISC-V, WebAssembly
BOARDS = ("nucleo-l4r5zi", "stm32f103", "rp2040", "nrf5340", "raspberry-pi-5", "raspberry-pi-4", "esp32c3", "wasm")
BATCH = 25  # networks a build


def on_board(graph: Graph, board: str, inputs, folder) -> str:
    """What differs on an emulated board, in values or in the memory that was predicted; empty when nothing does."""
    target = targets.load(board)
    compiled = bind_for(graph, target)
    face = compiled.program.interface
    if target.isa == "wasm":
        with on_target(compiled, folder) as runner:
            return disagreement(graph, runner, inputs)
    linked = firmware(compiled, folder, roomy=True)
    if linked.symbol("arena").size_bytes != face.arena_bytes:
        return f"arena: predicted {face.arena_bytes}, linked {linked.symbol('arena').size_bytes}"
    state_bytes = linked.symbols["state"].size_bytes if "state" in linked.symbols else 0
    if state_bytes != face.state_bytes:
        return f"state: predicted {face.state_bytes}, linked {state_bytes}"
    with Emulated(linked, face, target) as runner:
        return disagreement(graph, runner, inputs)


MAKERS = pytest.mark.parametrize("make", [network, module_graph], ids=["integer graphs", "torch modules"])


@pytest.mark.soak
@MAKERS
@pytest.mark.parametrize("folders", [("reference",), HOST_KERNELS], ids=["reference", "x86"])
def test_numpy_is_c_on_this_machine(make, folders, repeats, tmp_path):
    """Undefined behaviour would trap."""
    count = repeats(12, 500)
    for first in range(0, count, BATCH):
        seeds = range(first, min(first + BATCH, count))
        graphs = [make(seed) for seed in seeds]
        runners = load(bound(graphs, folders), tmp_path / str(first), sanitize="undefined")
        for seed, graph, runner in zip(seeds, graphs, runners, strict=True):
            inputs = samples(graph, np.random.default_rng(seed))
            assert (found := disagreement(graph, runner, inputs)) == "", f"seed {seed}: {found}"


@pytest.mark.soak
@MAKERS
def test_numpy_is_c_on_emulated_boards_in_exactly_the_predicted_memory(make, repeats, tmp_path):
    """Each network on one board, the boards in turn; touches outside the program's memory fault."""
    for seed in range(repeats(len(BOARDS), 500)):
        graph = make(seed)
        inputs = samples(graph, np.random.default_rng(seed), 2)
        board = BOARDS[seed % len(BOARDS)]
        found = on_board(graph, board, inputs, tmp_path / str(seed))
        assert found == "", f"seed {seed} on {board}: {found}"


@pytest.mark.soak
@MAKERS
def test_an_artifact_gives_back_the_same_network(make, repeats):
    for seed in range(repeats(20, 500)):
        graph = make(seed)
        back = graph_from(graph_files(graph))
        sample = samples(graph, np.random.default_rng(seed), 1)[0]
        for name, value in interpret(graph, sample).items():
            np.testing.assert_array_equal(interpret(back, sample)[name], value, err_msg=f"seed {seed}")
