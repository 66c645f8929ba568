"""Patches and line buffers: every value as it was, work and memory as reckoned."""

import numpy as np
import pytest

from compile.patch.stages import image_net, schedules, stages_of
from compile.programs import bound, disagreement, load, samples
from edgesmith.compile.patch.patches import patch_macs, spans_of
from edgesmith.compile.patch.reach import AXES
from edgesmith.compile.patch.schedule import parse
from edgesmith.compile.patch.stage import Stage, pieces, stage_of
from edgesmith.core import ops
from edgesmith.core.errors import BadInput, Unsupported
from edgesmith.core.graph import Graph
from edgesmith.pipeline.build import HOST_KERNELS
from random_modules import module_graph
from random_networks import network
from test_random_networks import BOARDS, on_board

# Modules go through torch.export, which takes a second each.
MAKERS = pytest.mark.parametrize(
    ("make", "few", "many"), [(network, 6, 1500), (module_graph, 2, 200)], ids=["integer graphs", "torch modules"]
)


def work(graph: Graph) -> int:
    return sum(ops.macs(graph, op) for op in graph.ops)


def scheduled(make, seed: int) -> list[Graph]:
    """A network of a seed under random schedules of each of its stages."""
    graph, rng = make(seed), np.random.default_rng(seed)
    found = [schedule.apply(graph) for stage in stages_of(graph) for schedule in schedules(stage, rng)]
    for changed in found:
        ops.check(changed)
    return found


@pytest.mark.soak
@MAKERS
def test_patches_change_no_value(make, few, many, repeats):
    """arXiv:2110.15352, section 3.1: same network, same result; here bit for bit, and line buffers likewise."""
    for seed in range(repeats(few, many)):
        graph = make(seed)
        inputs = samples(graph, np.random.default_rng(seed), 1)[0]
        wanted = ops.interpret(graph, inputs)
        for changed in scheduled(make, seed):
            for name, value in ops.interpret(changed, inputs).items():
                np.testing.assert_array_equal(value, wanted[name], err_msg=f"seed {seed}: {changed.ops}")


@pytest.mark.soak
def test_lines_add_no_work(repeats):
    """Every row is computed at most once, in however many bands."""
    for seed in range(repeats(8, 500)):
        graph, rng = network(seed), np.random.default_rng(seed)
        for stage in stages_of(graph):
            assert work(schedules(stage, rng)[1].apply(graph)) <= work(graph)


@pytest.mark.soak
def test_the_work_of_patches_is_reckoned_exactly(repeats):
    for seed in range(repeats(8, 500)):
        graph, rng = network(seed), np.random.default_rng(seed)
        for stage in stages_of(graph):
            patched, _ = schedules(stage, rng)
            tall, wide = spans_of(stage, (patched.rows, patched.columns))
            inside = sum(ops.macs(graph, op) for op in stage.ops)
            assert work(patched.apply(graph)) - work(graph) == patch_macs(stage, tall, wide) - inside


def influence(stage: Stage, axis: int, cell: int) -> tuple[int, int]:
    """First and last cell of the input along an axis whose change reaches a cell of the cut, by trying each."""
    graph = Graph("g", stage.graph.tensors, stage.ops, stage.sources, (stage.cut,), stage.graph.constants)
    base = np.full(graph.tensors[stage.sources[0]].shape, 0.5, np.float32)
    before = ops.interpret(graph, {stage.sources[0]: base})[stage.cut]
    reached = []
    for row in range(base.shape[axis]):
        changed = base.copy()
        changed[(slice(None),) * axis + (row,)] += np.random.default_rng(row).uniform(1, 9)
        after = ops.interpret(graph, {stage.sources[0]: changed})[stage.cut]
        if (np.take(after, cell, axis) != np.take(before, cell, axis)).any():
            reached.append(row)
    return reached[0], reached[-1]


@pytest.mark.parametrize("axis", AXES)
def test_receptive_fields_are_what_changes_reach(axis):
    """By brute force: moving any other cell of the image leaves the patch as it is."""
    stage = stage_of(image_net(), "conv2d4")
    for cell in range(stage.size(stage.cut, axis)):
        first, end = stage.spans(axis, (cell, cell + 1))[stage.sources[0]]
        least, most = influence(stage, axis, cell)
        assert first <= least and most < end
        assert (first, end) == (max(0, 2 * cell - 4), min(12, 2 * cell + 5))  # 3 + 2 + 2 + 2 cells, stride 2 last


def test_borders_are_clipped_and_interior_sides_are_not_padded():
    """A corner patch keeps two sides of the padding, one inside none; nothing beyond the image is computed."""
    graph = image_net()
    patched = parse("3x3@conv2d4", graph).apply(graph)
    padding = {op.name: op.attrs["padding"] for op in patched.ops if op.kind == "conv2d"}
    assert padding["conv2d0:0.0"] == (1, 0, 1, 0) and padding["conv2d0:1.1"] == (0, 0, 0, 0)
    assert padding["conv2d0:2.2"] == (0, 1, 0, 1)


def test_what_several_ops_read_is_made_once():
    graph = image_net()
    patched = parse("2x2@conv2d4", graph).apply(graph)
    made = [op for op in patched.ops if op.kind == "conv2d" and op.name.startswith("conv2d0:")]
    assert len(made) == 4


def test_a_result_that_is_needed_elsewhere_is_not_split():
    """A skip around the stage keeps its tensor whole, so the stage begins behind it."""
    graph = image_net()
    assert stage_of(graph, "conv2d2").sources == ("conv2d0",)
    with pytest.raises(Unsupported, match="cannot be made piece by piece"):
        stage_of(graph, graph.outputs[0])


def test_pieces_differ_by_at_most_one():
    for size in range(1, 20):
        for count in range(1, size + 1):
            parts = pieces(size, count)
            assert parts[0][0] == 0 and parts[-1][1] == size and len(parts) == count
            assert {end - first for first, end in parts} <= {size // count, -(-size // count)}


@pytest.mark.soak
def test_patched_programs_are_c_on_this_machine(repeats, tmp_path):
    count = repeats(2, 100)
    graphs = [graph for seed in range(count) for graph in scheduled(network, seed)[-4:]]
    runners = load(bound(graphs, HOST_KERNELS), tmp_path, sanitize="undefined")
    for graph, runner in zip(graphs, runners, strict=True):
        assert disagreement(graph, runner, samples(graph, np.random.default_rng(0))) == ""


@pytest.mark.soak
def test_patched_programs_run_on_boards_in_exactly_the_predicted_memory(repeats, tmp_path):
    for seed in range(repeats(1, 100)):
        for turn, graph in enumerate(scheduled(network, seed)[-2:]):
            board, inputs = BOARDS[(seed + turn) % len(BOARDS)], samples(graph, np.random.default_rng(seed), 2)
            found = on_board(graph, board, inputs, tmp_path / f"{seed}.{turn}")
            assert found == "", f"seed {seed}, {turn} on {board}: {found}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4x4", "is no schedule"),
        ("axb@conv2d0", "is no schedule"),
        ("4x4@conv", "is no layer; there are conv2d0"),
        ("4x4@99", "is no layer"),
        ("0x4@conv2d0", "makes 0 pieces"),
        ("999x999@conv2d0", "makes 998001 pieces"),
        ("lines:0@conv2d0", "makes 0 pieces"),
    ],
)
def test_a_schedule_that_is_none_is_refused(text, message):
    with pytest.raises(BadInput, match=message):
        parse(text, image_net())


def test_a_schedule_is_written_as_it_is_read():
    graph = image_net()
    for text in ("4x2@conv2d4", "lines:5@conv2d4"):
        assert str(parse(text, graph)) == text
    assert parse("4x2@4", graph) == parse("4x2@conv2d4", graph)
    with pytest.raises(BadInput, match="more patches than conv2d4 has cells, 6x6"):
        parse("7x1@conv2d4", graph).apply(graph)
