"""Emitted C says what the graph says, whatever the graph aliases, keeps or is called."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from compile.programs import bound, disagreement, load, samples, write
from core.ops.cases import CASES, int8s, scaling, weights
from core.sketch import Sketch
from edgesmith.compile.emit.model import MAX_BLOCK_BYTES, bind
from edgesmith.compile.emit.text import comment, identifiers, literal
from edgesmith.core.errors import Unsupported
from edgesmith.core.graph import Graph, Op, State, Tensor
from edgesmith.pipeline.build import HOST_KERNELS, native
from edgesmith.toolchain import check_warnings

FLOATS = np.arange(6, dtype=np.float32).reshape(2, 3)


def agrees(graph: Graph, rng: np.random.Generator) -> None:
    assert disagreement(graph, native(graph), samples(graph, rng)) == ""


def with_states(shape: tuple[int, ...], updates: dict[str, str], outputs: tuple[str, ...], ops=(), more=()) -> Graph:
    """A graph of states that start at 1, 2, .. everywhere; `x` is its input."""
    tensors = [Tensor("x", shape), *(Tensor(name, shape) for name in updates), *more]
    states = [
        State(name, update, np.full(shape, turn + 1, np.float32)) for turn, (name, update) in enumerate(updates.items())
    ]
    return Graph("g", {t.name: t for t in tensors}, tuple(ops), ("x",), outputs, {}, tuple(states))


def test_a_reshaped_input_is_read_where_the_caller_put_it(nprng):
    sketch = Sketch()
    x = sketch.input(2, 3)
    flat = sketch("reshape", x, shape=(6,))
    agrees(sketch.graph(flat, sketch("neg", flat)), nprng)


def test_a_reshaped_constant_is_the_constant(nprng):
    sketch = Sketch()
    x = sketch.input(6)
    agrees(sketch.graph(sketch("add", x, sketch("reshape", sketch.const(FLOATS), shape=(6,)))), nprng)


def test_a_reshaped_state_is_the_state_of_before(nprng):
    ops = (Op("reshape", ("s",), ("flat",), {"shape": (6,)}), Op("add", ("s", "x"), ("sum",)))
    graph = with_states((2, 3), {"s": "sum"}, ("flat",), ops, (Tensor("flat", (6,)), Tensor("sum", (2, 3))))
    agrees(graph, nprng)


def test_states_that_take_each_others_place_both_change(nprng):
    graph = with_states((3,), {"s": "t", "t": "s"}, ("s", "t"))
    runner = native(graph)
    inputs = {"x": np.zeros(3, np.float32)}
    assert [float(runner.run(inputs)["s"][0]) for _ in range(3)] == [1, 2, 1]
    agrees(graph, nprng)


def test_an_output_that_is_a_state_shows_the_value_of_before_the_run():
    graph = with_states((3,), {"s": "x"}, ("s",))
    runner = native(graph)
    shown = [runner.run({"x": np.full(3, value, np.float32)})["s"][0] for value in (5, 6)]
    assert shown == [1, 5]


def test_a_state_may_stay_take_an_input_or_a_constant(nprng):
    graph = with_states((2, 3), {"kept": "kept", "given": "x", "fixed": "c"}, ("kept", "given", "fixed"))
    graph = replace(graph, tensors={**graph.tensors, "c": Tensor("c", (2, 3))}, constants={"c": FLOATS})
    agrees(graph, nprng)


def test_outputs_may_be_inputs_constants_and_reshapes_of_them(nprng):
    sketch = Sketch()
    x, c = sketch.input(2, 3), sketch.const(FLOATS)
    flat = [sketch("reshape", name, shape=(3, 2)) for name in (x, c)]
    agrees(sketch.graph(x, c, *flat), nprng)


def test_a_weight_that_two_kernels_want_in_different_orders_serves_both(nprng):
    """x86 packs a linear weight; as an operand of add it must stay as it is."""
    sketch = Sketch()
    w = sketch.const(weights(5, 7))
    x = sketch.input(5, 7, dtype="int8")
    rest = [sketch.const(array) for array in scaling(5)]
    product = sketch("linear_s8", x, w, *rest)
    attrs = {"a_multiplier": 1 << 20, "b_multiplier": 1 << 20, "shift": 20}
    agrees(sketch.graph(product, sketch("add_s8", x, w, **attrs), w), nprng)


def test_one_weight_read_twice_alike_is_stored_once():
    sketch = Sketch()
    w, x = sketch.const(weights(7, 7)), sketch.input(5, 7, dtype="int8")
    rest = [sketch.const(array) for array in scaling(7)]
    program = bind(sketch.graph(sketch("linear_s8", sketch("linear_s8", x, w, *rest), w, *rest)), HOST_KERNELS)
    assert len(program.arrays) == 4


HOSTILE = ("ARENA_BYTES", "arena", "X", "x", "a/b", "a.b", "in", "NULL", "es_add", "misaligned", "int8_t", "p_t_0_add")


def test_names_of_the_c_code_itself_do_no_harm(nprng):
    """Inputs, states and constants called like macros, types, functions and each other."""
    tensors, ops, constants, states, made = {}, [], {}, [], []
    for turn, name in enumerate(HOSTILE):
        x, c, s, y = name, f"{name}.", f"{name}:", f"{name}+"
        for tensor in (x, c, s, y, f"{y}+"):
            tensors[tensor] = Tensor(tensor, (3,))
        constants[c] = np.full(3, turn, np.float32)
        states.append(State(s, y, np.full(3, 2 * turn, np.float32)))
        ops += [Op("add", (x, c), (y,), name=name), Op("add", (y, s), (f"{y}+",), name=name)]
        made.append(f"{y}+")
    graph = Graph("main", tensors, tuple(ops), HOSTILE, tuple(made), constants, tuple(states))
    agrees(graph, nprng)


def test_identifiers_differ_in_capitals_too():
    names = identifiers(["x", "X", "x.", "state", "STATE"])
    assert len({name.upper() for name in names.values()}) == 5
    assert not {"STATE", "ARENA"} & {name.upper() for name in names.values()}


SOURCES = (
    "a */ #error x",
    "/* nested",
    "*/*/",
    "what??/",
    "ends in \\",
    "\u202e hidden \ud800",
    "*",
    "/",
    "*/" * 40,
    "//",
)


@pytest.mark.parametrize("source", SOURCES, ids=ascii)
def test_no_source_line_leaves_its_comment(source):
    text = comment(source)
    assert text.isascii() and not {"*/", "/*", "??"} & {text[i : i + 2] for i in range(len(text))}
    assert not text.endswith("\\")


def test_hostile_source_lines_compile_without_a_warning(tmp_path):
    ops = tuple(Op("neg", ("x",), (f"y{i}",), {}, f"n{i}", source) for i, source in enumerate(SOURCES))
    names = ["x", *(name for op in ops for name in op.outputs)]
    tensors = {name: Tensor(name, (2,)) for name in names}
    program = bind(Graph("g", tensors, ops, ("x",), tuple(names[1:])), ("reference",))
    check_warnings(write([program], tmp_path), [tmp_path, tmp_path / "kernels"])


def test_a_graph_without_inputs_or_outputs_is_refused():
    graph = Graph("g", {"x": Tensor("x", (2,))}, (), ("x",), ())
    with pytest.raises(Unsupported, match="no input or no output"):
        bind(graph, ("reference",))


def test_an_arena_that_int32_cannot_count_is_refused():
    tensors = {name: Tensor(name, (1 << 29,)) for name in "xy"}
    graph = Graph("g", tensors, (Op("permute", ("x",), ("y",), {"axes": (0,)}),), ("x",), ("x", "y"))
    with pytest.raises(Unsupported, match=f"arena has 4,294,967,296 bytes; need at most {MAX_BLOCK_BYTES:,}"):
        bind(graph, ("reference",))


@pytest.mark.parametrize(("value", "ctype"), [(1 << 31, "int32_t"), (-1, "uint32_t"), (1 << 63, "int64_t")])
def test_a_number_that_its_c_type_cannot_hold_is_refused(value, ctype):
    with pytest.raises(Unsupported, match="does not fit"):
        literal(value, ctype)


def test_models_of_every_op_compile_without_a_warning(tmp_path):
    programs = bound([case.graph() for case in CASES], ("reference",))
    check_warnings(write(programs, tmp_path), [tmp_path, tmp_path / "kernels"])


@pytest.mark.skipif(shutil.which("gcc") is None, reason="a second compiler's opinion; needs gcc")
def test_models_of_every_op_compile_without_a_warning_of_gcc(tmp_path):
    programs = bound([case.graph() for case in CASES], ("reference",))
    check_warnings(write(programs, tmp_path), [tmp_path, tmp_path / "kernels"], compiler="gcc")


@pytest.mark.parametrize("folders", [("reference",), HOST_KERNELS], ids=["reference", "x86"])
def test_models_of_every_op_run_without_undefined_behaviour(tmp_path, folders, nprng):
    """A trap would end the process. Integer results are numpy's, bit for bit."""
    graphs = [case.graph() for case in CASES]
    runners = load(bound(graphs, folders), tmp_path, sanitize="undefined")
    for case, graph, runner in zip(CASES, graphs, runners, strict=True):
        assert disagreement(graph, runner, [{"i0": case.arrays[0]}]) == "", case.kind


def test_channels_that_are_no_whole_group_still_read_their_own_weights(nprng):
    """A depthwise layer and a pointwise one in a row, on both sides of an in-place chain."""
    sketch = Sketch()
    x = sketch.input(1, 5, 4, 3, dtype="int8")
    deep = sketch("conv2d_s8", x, sketch.const(weights(6, 3, 3, 1)), *map(sketch.const, scaling(6)), groups=3)
    short = {"multiplier": 900_000, "shift": 20}
    chain = sketch("rescale_s8", sketch("lookup", deep, sketch.const(int8s(256))), **short)
    point = sketch("conv2d_s8", chain, sketch.const(weights(5, 1, 1, 6)), *map(sketch.const, scaling(5)))
    agrees(sketch.graph(point, deep), nprng)
