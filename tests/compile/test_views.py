"""Pieces, joined results and overwritten inputs: who may share bytes with whom, and that C agrees with numpy then."""

import numpy as np
import pytest

from compile.programs import bound, disagreement, load, samples
from core.sketch import Sketch
from edgesmith.compile.emit import model_files
from edgesmith.compile.memory.plan import plan
from edgesmith.compile.memory.views import roots, view_offset
from edgesmith.core.graph import Graph, Op, Tensor

ROWS = {"starts": (0, 2, 0, 0), "ends": (1, 5, 4, 2), "steps": (1, 1, 1, 1)}


def offset(shape, dtype="int8", **attrs):
    x = Tensor("x", shape, dtype)
    kept = (range(*cut) for cut in zip(attrs["starts"], attrs["ends"], attrs["steps"], strict=True))
    return view_offset(Op("slice", ("x",), ("y",), attrs), x, Tensor("y", tuple(map(len, kept)), dtype))


def test_rows_of_an_image_are_a_piece_of_it():
    assert offset((1, 6, 4, 2), **ROWS) == 2 * 4 * 2


@pytest.mark.parametrize(
    "change",
    [
        {"ends": (1, 5, 3, 2)},  # a row is not whole
        {"starts": (0, 2, 0, 1)},  # nor a cell
        {"steps": (1, 2, 1, 1)},  # every other row
    ],
)
def test_what_does_not_lie_side_by_side_is_no_piece(change):
    assert offset((1, 6, 4, 2), **{**ROWS, **change}) is None


def test_a_piece_begins_at_a_word():
    """Three bytes a row: the second row begins at 3, the fourth float at 12."""
    odd = {"starts": (1, 0), "ends": (2, 3), "steps": (1, 1)}
    assert offset((4, 3), **odd) is None
    assert offset((4, 3), "float32", **odd) == 12


def test_one_cell_of_one_row_is_a_piece_whatever_the_steps():
    assert offset((2, 3, 8), starts=(1, 2, 0), ends=(2, 3, 8), steps=(7, 2, 1)) == (1 * 3 + 2) * 8


def test_a_piece_of_a_piece_is_found_from_its_root():
    sketch = Sketch()
    x = sketch("lookup", sketch.input(8, 4, dtype="int8"), sketch.const(np.arange(256).astype(np.int8)))
    rows = sketch("slice", x, starts=(2, 0), ends=(8, 4), steps=(1, 1))
    flat = sketch("reshape", rows, shape=(24,))
    last = sketch("slice", flat, starts=(20,), ends=(24,), steps=(1,))
    assert roots(sketch.graph(last))[last] == (x, 2 * 4 + 20)


def table(sketch: Sketch) -> str:
    return sketch.const(np.random.default_rng(0).integers(-128, 128, 256).astype(np.int8))


def rows(sketch: Sketch, x: str, start: int, end: int) -> str:
    width = sketch.tensors[x].shape[1]
    return sketch("slice", x, starts=(start, 0), ends=(end, width), steps=(1, 1))


def turned(sketch: Sketch, x: str) -> str:
    """A result of its own, never over its input."""
    return sketch("permute", sketch("permute", x, axes=(1, 0)), axes=(1, 0))


def joined() -> Graph:
    """Two bands, each worked on, then put together."""
    sketch = Sketch()
    x = turned(sketch, sketch.input(8, 16, dtype="int8"))
    bands = [turned(sketch, rows(sketch, x, 4 * i, 4 * i + 4)) for i in range(2)]
    return sketch.graph(sketch("concat", *bands, axis=0))


def line_buffer() -> Graph:
    """The last rows of each band are kept for the next: a chain of joins that must not grow without end."""
    sketch = Sketch()
    x = sketch.input(32, 16, dtype="int8")
    window = turned(sketch, rows(sketch, x, 0, 8))
    sums = []
    for start in range(8, 32, 4):
        kept = rows(sketch, window, 4, 8)
        window = sketch("concat", kept, turned(sketch, rows(sketch, x, start, start + 4)), axis=0)
        sums.append(turned(sketch, rows(sketch, window, 0, 1)))
    return sketch.graph(sketch("concat", *sums, axis=0))


def used_again() -> Graph:
    """A part of the joined result is also read after an op that could write over that."""
    sketch = Sketch()
    a = turned(sketch, sketch.input(4, 16, dtype="int8"))
    b = turned(sketch, sketch.input(4, 16, dtype="int8"))
    both = sketch("concat", a, b, axis=0)
    changed = sketch("lookup", both, table(sketch))
    return sketch.graph(changed, sketch("concat", a, turned(sketch, rows(sketch, changed, 0, 4)), axis=0))


def twice() -> Graph:
    sketch = Sketch()
    a = turned(sketch, sketch.input(4, 16, dtype="int8"))
    return sketch.graph(sketch("concat", a, a, sketch.inputs[0], axis=0))


def shifted() -> Graph:
    """Two pieces of one tensor that overlap, added: the sum may lie over neither."""
    sketch = Sketch()
    x = turned(sketch, sketch.input(8, 16, dtype="int8"))
    scale = {"a_multiplier": 500_000, "b_multiplier": 400_000, "shift": 20, "a_zero": 1, "b_zero": 2}
    return sketch.graph(sketch("add_s8", rows(sketch, x, 0, 6), rows(sketch, x, 2, 8), **scale))


def swapped() -> Graph:
    """Pieces of a tensor put together the other way round."""
    sketch = Sketch()
    x = turned(sketch, sketch.input(8, 16, dtype="int8"))
    y = sketch("lookup", rows(sketch, x, 4, 8), table(sketch))
    return sketch.graph(sketch("concat", y, rows(sketch, x, 0, 4), axis=0))


def dense() -> Graph:
    """Each step reads all that was made so far, as in a DenseNet."""
    sketch = Sketch()
    parts = [turned(sketch, sketch.input(4, 16, dtype="int8"))]
    for _ in range(3):
        parts.append(
            turned(sketch, rows(sketch, sketch("concat", *parts, axis=0), 0, 4)) if len(parts) > 1 else parts[0]
        )
    return sketch.graph(sketch("concat", *parts, axis=0))


def outputs_of_all_kinds() -> Graph:
    """A part, a piece and the whole are wanted at the end; so is a piece of the input."""
    sketch = Sketch()
    x = sketch.input(4, 16, dtype="int8")
    a, b = turned(sketch, x), sketch("lookup", x, table(sketch))
    both = sketch("concat", a, b, axis=0)
    return sketch.graph(a, rows(sketch, both, 2, 6), both, rows(sketch, x, 1, 3))


GRAPHS = (joined, line_buffer, used_again, twice, shifted, swapped, dense, outputs_of_all_kinds)


def test_c_agrees_with_numpy_where_bytes_are_shared(tmp_path):
    graphs = [make() for make in GRAPHS]
    runners = load(bound(graphs, ("reference",)), tmp_path, sanitize="undefined")
    for make, graph, runner in zip(GRAPHS, graphs, runners, strict=True):
        assert disagreement(graph, runner, samples(graph, np.random.default_rng(1))) == "", make.__name__


def test_bands_are_made_where_the_whole_wants_them():
    """Only the first permute's input, a band and its halves are alive beside the result: nothing is copied."""
    (program,) = bound([joined()], ("reference",))
    (concat,) = (i for i, op in enumerate(program.graph.ops) if op.kind == "concat")
    assert program.kernels[concat] is None and concat in program.plan.settled
    assert "es_concat(" not in model_files(program)["net0.c"]
    offsets = program.plan.tensor_offsets()
    first, second = program.graph.ops[concat].inputs
    assert offsets[second] == offsets[first] + 4 * 16 == offsets[program.graph.outputs[0]] + 4 * 16


def test_a_band_takes_memory_only_from_when_it_is_made():
    """And a band of x, 64 bytes, only until it was worked on."""
    graph = joined()
    placed = plan(graph)
    home = {name: buffer for buffer in placed.buffers for name in buffer.tensors}
    result, x = home[graph.outputs[0]], home[graph.ops[2].inputs[0]]
    assert [result.live_bytes(time) for time in (result.first, len(graph.ops))] == [64, 128]
    assert [x.live_bytes(time) for time in (x.first, x.last)] == [128, 64]
    assert placed.arena_bytes == placed.lower_bound_bytes


def test_kept_rows_do_not_chain_their_windows_into_one_block():
    """Seven windows of 128 bytes one after another would take 32 rows of 16; two alive at once and a band do not."""
    graph = line_buffer()
    x_bytes = graph.tensors[graph.inputs[0]].nbytes
    longest = max(buffer.nbytes for buffer in plan(graph).buffers if buffer.name != graph.inputs[0])
    assert longest <= 8 * 16 < x_bytes


def test_joining_never_costs_memory_against_copying(monkeypatch):
    from edgesmith.compile.memory import plan as planning

    shared = [plan(make()).arena_bytes for make in GRAPHS]
    monkeypatch.setattr(planning, "WAYS", (("overwrite",),))
    copied = [plan(make()).arena_bytes for make in GRAPHS]
    assert all(a <= b for a, b in zip(shared, copied, strict=True))
    assert sum(shared) < sum(copied)
