"""Which tensors are stored, and which share a format."""

import numpy as np

from core.sketch import Sketch
from edgesmith.compress.quantize.placement import annotate, cell_format, place, sources_to_observe
from edgesmith.core.formats import PerTensor


def members(graph, raw=None):
    return [group.members for group in place(graph, raw)]


def test_data_movement_shares_the_format_of_its_source():
    s = Sketch()
    x = s("hardswish", s.input(1, 4, 4, 2))
    moved = s("permute", s("max_pool2d", x, kernel=(2, 2), stride=(2, 2)), axes=(0, 3, 1, 2))
    graph = s.graph(moved)
    assert members(graph) == [("in0",), (x, "max_pool2d1", moved)]
    assert sources_to_observe(graph, place(graph)) == ("in0", x)


def test_parts_of_a_concatenation_take_its_format_unless_something_else_reads_them():
    s = Sketch()
    x = s("clamp", s.input(1, 4), low=0.0)
    a, b = s("gelu", x), s("silu", x)
    whole = s("concat", a, b, axis=1)
    other = s("abs", b)
    groups = members(s.graph(whole, other))
    assert (a, whole) in groups and (b,) in groups


def test_formats_that_ops_fix():
    s = Sketch()
    x = s.input(1, 4)
    names = [s(kind, x) for kind in ("softmax", "sigmoid", "tanh")]
    graph = s.graph(*names)
    marked = annotate(graph, place(graph), {"in0": (-1.0, 1.0)})
    found = [marked.tensors[name].format for name in names]
    assert found == [PerTensor(1 / 256, -128), PerTensor(1 / 256, -128), PerTensor(1 / 128, 0)]


def test_nothing_is_stored_inside_the_normalization_of_raw_bytes():
    s = Sketch()
    x = s("sub", s.input(1, 3, 4, 4), s.const(np.ones((3, 1, 1))))
    x = s("div", x, s.const(np.ones((3, 1, 1))))
    x = s("permute", x, axes=(0, 2, 3, 1))
    y = s("conv2d", x, s.const(np.ones((2, 1, 1, 3))), s.const(np.ones(2)))
    graph = s.graph(y)
    assert members(graph, {"in0": PerTensor(1.0, 0, "uint8")}) == [("in0",), (x,), (y,)]
    assert members(graph) == [(x,), (y,)]


def test_a_state_has_the_format_of_its_update():
    s = Sketch()
    x, state = s.input(1, 4), s.state(1, 4)
    y = s("add", x, state)
    assert (y, state) in members(s.graph(y, updates=[y])) or (state, y) in members(s.graph(y, updates=[y]))


def test_an_lstm_cell_holds_four_times_the_peak_in_a_power_of_two():
    """2^15 steps of 2^-k reach 2^(15 - k): 1, 2, 8 and 16 here."""
    peaks = {0.24: 15, 0.26: 14, 1.9: 12, 2.1: 11}
    assert {peak: cell_format(peak) for peak in peaks} == {p: PerTensor(2.0**-k, 0, "int16") for p, k in peaks.items()}


def test_a_constant_part_of_a_concatenation_is_stored_as_the_whole_is():
    s = Sketch()
    token = s.const(np.ones((1, 1, 4)))
    whole = s("concat", token, s("gelu", s.input(1, 3, 4)), axis=1)
    assert (token, "gelu0", whole) in members(s.graph(whole))


def test_a_value_that_is_padded_in_widens_the_range():
    s = Sketch()
    y = s("pad", s("gelu", s.input(1, 4)), before=(0, 1), after=(0, 0), value=9.0)
    graph = s.graph(y)
    assert y in sources_to_observe(graph, place(graph))
