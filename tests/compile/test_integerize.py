"""Integer graphs say the same as the annotated float graphs they come from."""

from dataclasses import replace

import numpy as np
import pytest

from core.sketch import Sketch, annotated, numpy_reference
from edgesmith.compile.integerize import integerize
from edgesmith.compile.integerize.agreement import layer_agreement
from edgesmith.core.errors import BadInput, Unsupported
from edgesmith.core.formats import PerChannel, PerTensor
from edgesmith.core.graph import Graph
from edgesmith.core.ops import interpret

RAW = {"in0": PerTensor(1.0, 0, "uint8")}


def with_formats(graph: Graph, **formats):
    return replace(graph, tensors={n: replace(t, format=formats.get(n, t.format)) for n, t in graph.tensors.items()})


def samples_of(rng, graph, count=8, scale=1.0):
    return [
        {name: (scale * rng.normal(size=graph.tensors[name].shape)).astype(np.float32) for name in graph.inputs}
        for _ in range(count)
    ]


def check_agreement(graph, samples, raw=None, stored=None):
    """Every layer within relation 2; returns the integer graph."""
    marked = annotated(graph, samples, raw)
    made = integerize(marked)
    found = layer_agreement(marked, made, stored or samples, numpy_reference)
    assert found and not [layer for layer in found if not layer.holds]
    return made


def kinds(graph):
    return [op.kind for op in graph.ops]


def test_a_linear_layer_by_hand():
    """x = 0.5 * (q - 2), w = 0.25 * q, y = 1 * (q + 1): acc = b / 0.125 + sum (q - 2) * w, y = acc / 8 - 1."""
    s = Sketch()
    x = s.input(1, 2)
    y = s("linear", x, s.const([[1.0, -0.5]]), s.const([2.0]))
    graph = with_formats(s.graph(y), in0=PerTensor(0.5, 2), const0=PerChannel((0.25,)), **{y: PerTensor(1.0, -1)})
    made = integerize(graph)
    layer = made.ops[-1]
    assert layer.kind == "linear_s8" and kinds(made) == ["quantize", "linear_s8"]
    w, b, multiplier, shift = (made.constants[name] for name in layer.inputs[1:])
    assert w.tolist() == [[4, -2]] and b.tolist() == [16 - 2 * (4 - 2)]
    assert multiplier[0] / 2.0 ** shift[0] == 0.125
    # x = [3, -1] is stored as [8, 0]; 3 + 0.5 + 2 = 5.5, one rounding half up gives 6, stored as 5.
    assert interpret(made, {"in0": np.float32([[3, -1]])})[y].tolist() == [[5]]


def test_an_addition_by_hand():
    """0.5 * (a - 1) + 0.25 * b at scale 0.5, zero point 3: (a - 1) + b / 2 + 3."""
    s = Sketch()
    y = s("add", s.input(1, 4), s.input(1, 4), low=0.0)
    graph = with_formats(s.graph(y), in0=PerTensor(0.5, 1), in1=PerTensor(0.25, 0), **{y: PerTensor(0.5, 3)})
    made = integerize(graph)
    a, b = np.int8([[11, 11, -9, 101]]), np.int8([[4, 5, 0, 100]])
    inputs = {"in0": PerTensor(0.5, 1).dequantize(a), "in1": PerTensor(0.25, 0).dequantize(b)}
    # 10 + 2 + 3; 10 + 2.5 + 3 rounds half up; -10 is below the bound, real 0 is stored as 3; 100 + 50 saturates.
    assert interpret(made, inputs)[y].tolist() == [[15, 16, 3, 127]]


def test_raw_bytes_are_normalized_by_one_table_per_channel():
    """(v - mean) / std per channel of an NCHW image, then NHWC: a permute of bytes and one lookup."""
    s = Sketch()
    x = s.input(1, 2, 3, 3)
    mean, std = np.float32([10, 20]).reshape(2, 1, 1), np.float32([4, 8]).reshape(2, 1, 1)
    x = s("permute", s("div", s("sub", x, s.const(mean)), s.const(std)), axes=(0, 2, 3, 1))
    rng = np.random.default_rng(3)
    y = s("conv2d", x, s.const(rng.normal(size=(3, 1, 1, 2))), s.const(np.zeros(3)))
    raw = rng.integers(0, 256, (4, 1, 2, 3, 3))
    floats, bytes_ = ([{"in0": v.astype(dtype)} for v in raw] for dtype in ("float32", "uint8"))
    made = check_agreement(s.graph(y), floats, RAW, bytes_)
    assert kinds(made) == ["permute", "lookup", "conv2d_s8"]
    assert made.tensors["in0"].dtype == "uint8"
    table, x_format = made.constants[made.ops[1].inputs[1]], made.tensors[x].format
    for channel, value in ((0, 37), (1, 200)):
        real = (value - mean[channel, 0, 0]) / std[channel, 0, 0]
        assert table[channel, value] == x_format.quantize(np.array(real))


def test_one_table_serves_all_channels_where_they_are_normalized_alike():
    s = Sketch()
    x = s("mul", s.input(1, 1, 4, 4), s.const([1 / 16]))
    x = s("upsample_nearest", s("reshape", x, shape=(1, 4, 4, 1)), factor=(2, 2))
    made = integerize(annotated(s.graph(x), [{"in0": np.full((1, 1, 4, 4), 16, np.float32)}], RAW))
    assert kinds(made) == ["lookup", "reshape", "upsample_nearest"]
    assert made.constants[made.ops[0].inputs[1]].shape == (256,)


def test_a_convolution_reads_raw_bytes_shifted_by_128():
    s = Sketch()
    x = s.input(1, 4, 4, 1)
    y = s("conv2d", x, s.const(np.ones((1, 1, 1, 1))), s.const([0.0]))
    raw = np.arange(0, 256, 16, dtype=np.uint8).reshape(1, 4, 4, 1)
    marked = annotated(
        s.graph(y), [{"in0": raw.astype(np.float32)}, {"in0": np.full((1, 4, 4, 1), 255, np.float32)}], RAW
    )
    made = integerize(marked)
    assert kinds(made) == ["lookup", "conv2d_s8"]
    assert made.tensors[y].format.dequantize(interpret(made, {"in0": raw})[y]).ravel() == pytest.approx(
        raw.ravel(), abs=0.51
    )


def test_float_inputs_are_normalized_while_they_are_quantized():
    """t = (x - mean) / std, so a = 1 / (s * std) and b = zp - mean / (s * std) (docs/numbers.md, quantize)."""
    s = Sketch()
    x = s.input(1, 3)
    mean, std = np.float32([100, 200, 0]), np.float32([2, 5, 0.1])
    x = s("div", s("sub", x, s.const(mean)), s.const(std))
    y = s("linear", x, s.const(np.eye(3)), s.const(np.zeros(3)))
    rng = np.random.default_rng(5)
    samples = [{"in0": (mean + std * rng.normal(size=(1, 3))).astype(np.float32)} for _ in range(20)]
    made = check_agreement(s.graph(y), samples)
    assert kinds(made) == ["quantize", "linear_s8"]
    a, b = (made.constants[name] for name in made.ops[0].inputs[1:])
    scale, zero = made.tensors[x].format.scale, made.tensors[x].format.zero_point
    assert a == pytest.approx(1 / (scale * std)) and b == pytest.approx(zero - mean / (scale * std))


@pytest.mark.parametrize("seed", range(4))
def test_a_small_cnn_agrees_layer_by_layer(seed):
    rng = np.random.default_rng(seed)
    s = Sketch()
    x = s.input(1, 9, 7, 3)
    w = rng.normal(size=(8, 3, 3, 3)) * rng.uniform(0.1, 3, size=(8, 1, 1, 1))
    x = s("conv2d", x, s.const(w), s.const(rng.normal(size=8)), padding=(1, 1, 1, 1), low=0.0)
    d = s(
        "conv2d",
        x,
        s.const(rng.normal(size=(8, 3, 3, 1))),
        s.const(rng.normal(size=8)),
        padding=(0, 1, 1, 0),
        groups=8,
        stride=(1, 1),
    )
    p = s("pad", d, before=(0, 0, 0, 0), after=(0, 1, 1, 0))
    x = s("add", x, p, low=0.0, high=6.0)
    x = s("max_pool2d", x, kernel=(2, 2), stride=(2, 2))
    u = s(
        "conv_transpose2d",
        x,
        s.const(rng.normal(size=(4, 3, 3, 8)) / 5),
        s.const(rng.normal(size=4)),
        stride=(2, 2),
        padding=(1, 1, 1, 1),
    )
    u = s("avg_pool2d", u, kernel=(3, 3), stride=(2, 2), padding=(1, 1, 1, 1))
    x = s(
        "concat", s("hardswish", x), s("slice", u, starts=(0, 0, 0, 0), ends=(1, 4, 3, 4), steps=(1, 1, 1, 1)), axis=3
    )
    x = s("reduce_mean", x, axes=(1, 2))
    x = s("softmax", s("linear", x, s.const(rng.normal(size=(10, 12))), s.const(rng.normal(size=10))))
    graph = s.graph(x)
    made = check_agreement(graph, samples_of(rng, graph, 6))
    assert all(made.tensors[name].dtype != "float32" for op in made.ops for name in op.outputs)


@pytest.mark.parametrize("seed", range(3))
def test_attention_agrees_layer_by_layer(seed):
    rng = np.random.default_rng(seed)
    s, width, tokens = Sketch(), 16, 6
    x = s("add", s.input(1, tokens, width), s.const(0.5 * rng.normal(size=(1, tokens, width))))
    n = s("layer_norm", x, s.const(rng.uniform(0.5, 2, width)), s.const(rng.normal(size=width)))
    heads = []
    for _ in range(3):
        h = s("linear", n, s.const(rng.normal(size=(width, width)) / 4), s.const(rng.normal(size=width)))
        heads.append(s("permute", s("reshape", h, shape=(1, tokens, 2, 8)), axes=(0, 2, 1, 3)))
    scores = s("mul", s("matmul", heads[0], heads[1], transpose_b=True), s.const([8**-0.5]))
    mixed = s("permute", s("matmul", s("softmax", scores), heads[2]), axes=(0, 2, 1, 3))
    x = s("add", x, s("reshape", mixed, shape=(1, tokens, width)))
    x = s("rms_norm", s("gelu", x), s.const(rng.uniform(0.5, 2, width)))
    x = s("reduce_mean", x, axes=(1,))
    graph = s.graph(x)
    made = check_agreement(graph, samples_of(rng, graph, 6))
    assert not {"quantize", "dequantize"} & set(kinds(made)[1:])


def test_arithmetic_agrees_layer_by_layer(nprng):
    s = Sketch()
    a, b = s.input(1, 40), s.input(1, 40)
    d = s("div", s("sub", a, b), s("clamp", s("abs", b), low=0.5))
    y = s("sqrt", s("reduce_mean", s("mul", d, d), axes=(1,), keepdims=True))
    graph = s.graph(y, s("affine", s("neg", a), s.const(nprng.normal(size=40)), s.const(nprng.normal(size=40))))
    check_agreement(graph, samples_of(nprng, graph, 20))


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_a_recurrent_layer_agrees_over_its_window(nprng, kind):
    s, size, steps = Sketch(), 8, 12
    gates = 4 if kind == "lstm" else 3
    x = s.input(steps, 1, 3)
    states = [s.state(size) for _ in range(2 if kind == "lstm" else 1)]
    shapes = ((gates * size, 3), (gates * size, size), (gates * size,), (gates * size,))
    y, *after = s(kind, x, *states, *(s.const(nprng.normal(size=shape) * 0.6) for shape in shapes))
    graph = s.graph(y, updates=after)
    made = check_agreement(graph, samples_of(nprng, graph, 10))
    assert kinds(made) == ["quantize", f"{kind}_s8"]
    assert [str(state.initial.dtype) for state in made.states] == ["int8", "int16"][-len(states) :]


def test_what_has_no_format_stays_float(nprng):
    s = Sketch()
    x = s("linear", s.input(1, 16), s.const(nprng.normal(size=(16, 16))), s.const(nprng.normal(size=16)))
    bins = s("rfft", x, n=16)
    y = s("linear", s("reshape", bins, shape=(1, 18)), s.const(nprng.normal(size=(2, 18))), s.const(np.zeros(2)))
    graph = s.graph(y)
    made = check_agreement(graph, samples_of(nprng, graph))
    assert kinds(made) == ["quantize", "linear_s8", "dequantize", "rfft", "quantize", "reshape", "linear_s8"]


def test_a_graph_without_formats_is_left_as_it_is(nprng):
    s = Sketch()
    y = s("exp", s("mul", s("clamp", s.input(1, 5), low=0.0), s.const([0.5])))
    graph = s.graph(y)
    sample = samples_of(nprng, graph, 1)[0]
    made = integerize(graph)
    assert kinds(made) == kinds(graph)
    assert interpret(made, sample)[y] == pytest.approx(interpret(graph, sample)[y])


def test_samples_of_a_microphone_become_log_mel_in_integers(nprng):
    s = Sketch()
    mel = np.zeros((4, 17))
    for band in range(4):
        mel[band, 3 * band + 1 : 3 * band + 6] = (0.25, 0.75, 1.0, 0.5, 0.25)
    y = s("log_mel", s.input(1, 300), s.const(np.hanning(32) * 32767 / 32768), s.const(mel), n_fft=32, hop=16)
    graph = s.graph(y)
    audio = [nprng.integers(-20000, 20000, (1, 300)) for _ in range(4)]
    raw = {"in0": PerTensor(1.0, 0, "int16")}
    floats, ints = ([{"in0": v.astype(dtype)} for v in audio] for dtype in ("float32", "int16"))
    made = check_agreement(graph, floats, raw, ints)
    assert kinds(made) == ["log_mel_s8"] and made.tensors["in0"].dtype == "int16"


def test_a_bias_far_above_the_weights_raises_their_scale():
    """docs/numbers.md: s_w is raised so that |bias_q| < 2^30."""
    s = Sketch()
    y = s("linear", s.input(1, 1), s.const([[1e-6]]), s.const([1000.0]))
    made = integerize(annotated(s.graph(y), [{"in0": np.float32([[1.0]])}]))
    _, w, b, *_ = made.ops[-1].inputs
    assert abs(int(made.constants[b][0])) < 2**30 + 128 * 127
    assert made.tensors[w].format.scales[0] > 1e-6 / 127
    y_format = made.tensors[y].format
    assert y_format.dequantize(interpret(made, {"in0": np.float32([[1.0]])})[y]) == pytest.approx(1000, rel=0.01)


def test_a_sum_that_could_leave_int32_is_refused():
    s = Sketch()
    y = s("linear", s.input(1, 70000), s.const(np.ones((1, 70000))), s.const([0.0]))
    graph = s.graph(y)
    with pytest.raises(Unsupported, match="can reach .* need below 2\\^31"):
        integerize(annotated(graph, [{"in0": np.ones((1, 70000), np.float32)}]))


def test_softmax_in_another_format_is_refused():
    s = Sketch()
    y = s("softmax", s.input(1, 4))
    graph = with_formats(s.graph(y), in0=PerTensor(0.1), **{y: PerTensor(0.01)})
    with pytest.raises(BadInput, match="need 1/256, -128"):
        integerize(graph)


def test_agreement_names_the_layer_that_breaks(nprng):
    s = Sketch()
    a = s("linear", s.input(1, 20), s.const(nprng.normal(size=(20, 20))), s.const(nprng.normal(size=20)))
    b = s("linear", a, s.const(nprng.normal(size=(20, 20))), s.const(nprng.normal(size=20)))
    graph = s.graph(b)
    samples = samples_of(nprng, graph)
    marked = annotated(graph, samples)
    made = integerize(marked)
    bias = made.ops[-1].inputs[2]
    broken = replace(made, constants={**made.constants, bias: made.constants[bias] + 2000})
    found = {layer.tensor: layer.holds for layer in layer_agreement(marked, broken, samples, numpy_reference)}
    assert found == {a: True, b: False}


def test_stacked_recurrent_states_move_as_int16(nprng):
    """Two LSTM layers whose states are kept as torch keeps them, (layers, 1, H)."""
    s, size = Sketch(), 6
    x = s.input(4, 1, size)
    h, c = s.state(2, 1, size), s.state(2, 1, size)
    ends = ([], [])
    for layer in range(2):
        cut = {"starts": (layer, 0, 0), "ends": (layer + 1, 1, size), "steps": (1, 1, 1)}
        states = [s("reshape", s("slice", rows, **cut), shape=(size,)) for rows in (h, c)]
        shapes = ((24, 6), (24, 6), (24,), (24,))
        x, *after = s("lstm", x, *states, *(s.const(nprng.normal(size=shape) * 0.5) for shape in shapes))
        for kept, end in zip(ends, after, strict=True):
            kept.append(s("reshape", end, shape=(1, 1, size)))
    graph = s.graph(x, updates=[s("concat", *kept, axis=0) for kept in ends])
    made = check_agreement(graph, samples_of(nprng, graph, 10))
    assert not {"dequantize", "lstm", "rescale_s8"} & set(kinds(made))
    assert [str(state.initial.dtype) for state in made.states] == ["int8", "int16"]


def test_int16_readings_that_no_integer_op_reads_go_through_floats(nprng):
    """An accelerometer's int16 values, scaled: dequantized, computed in float, quantized for the layer."""
    s = Sketch()
    x = s("mul", s.input(1, 6), s.const([1 / 1000]))
    y = s("linear", x, s.const(nprng.normal(size=(3, 6))), s.const(np.zeros(3)))
    graph = s.graph(y)
    readings = [nprng.integers(-4000, 4000, (1, 6)) for _ in range(6)]
    floats, ints = ([{"in0": v.astype(dtype)} for v in readings] for dtype in ("float32", "int16"))
    made = check_agreement(graph, floats, {"in0": PerTensor(1.0, 0, "int16")}, ints)
    assert kinds(made) == ["dequantize", "mul", "quantize", "linear_s8"]


def test_float_images_are_quantized_before_they_are_moved(nprng):
    """A permute of bytes is a quarter of the work of a permute of floats."""
    s = Sketch()
    moved = s("permute", s.input(1, 3, 4, 4), axes=(0, 2, 3, 1))
    scaled = s("permute", s("div", s.input(1, 3, 4, 4), s.const([4.0])), axes=(0, 2, 3, 1))
    w = s.const(nprng.normal(size=(2, 1, 1, 3)))
    graph = s.graph(*(s("conv2d", x, w, s.const(np.zeros(2))) for x in (moved, scaled)))
    made = check_agreement(graph, samples_of(nprng, graph))
    assert sorted(kinds(made)) == sorted(["quantize", "permute", "conv2d_s8"] * 2)
    assert all(made.tensors[op.inputs[0]].dtype == "int8" for op in made.ops if op.kind == "permute")
