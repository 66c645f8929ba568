"""Random ops of the sizes that small nets have, to measure what kernels cost: (generator) to a Case."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import cost_cases_classical
import numpy as np

from edgesmith.core.ops import tables

Rng = np.random.Generator
MAX_MACS = 250_000  # of one op: the emulator runs dozens of them a kernel
MAX_WEIGHTS = 12_000  # constants reach the compiler as text
KERNELS = ((3, 3), (3, 3), (5, 5), (7, 7), (1, 5), (3, 1), (10, 4))  # of a convolution that is not pointwise


@dataclass(frozen=True)
class Case:
    """An op on arrays.

    Attributes:
        live: inputs that come at run time; the arrays after them are constants of the program.
        bits: of the first constant, where it is a weight whose format states fewer than 8.
    """

    kind: str
    live: list[np.ndarray]
    constants: list[np.ndarray]
    attrs: Mapping[str, Any]
    outputs: int = 1
    bits: int = 8


Maker = Callable[[Rng], Case]


def log_size(rng: Rng, low: int, high: int) -> int:
    """A size whose logarithm is uniform; mostly a multiple of four above eight, as channels are."""
    value = round(math.exp(rng.uniform(math.log(low), math.log(high + 0.5))))
    return value if value < 8 or rng.random() < 0.25 else max(low, min(round(value / 4) * 4, high))


def s8(rng: Rng, *shape: int) -> np.ndarray:
    """Symmetric int8 values."""
    return rng.integers(-127, 128, shape).astype(np.int8)


def f32(rng: Rng, *shape: int, scale: float = 1.0) -> np.ndarray:
    """Normal floats."""
    return (rng.standard_normal(shape) * scale).astype(np.float32)


def requantizers(rng: Rng, window: int, count: int) -> list[np.ndarray]:
    """Bias, multiplier and shift near the scale that a real layer has."""
    shift = 37 + round(0.5 * math.log2(window)) + rng.integers(-1, 2, count)
    bias = rng.integers(-(1 << 12), 1 << 12, count)
    return [bias.astype(np.int32), rng.integers(1 << 30, 1 << 31, count).astype(np.int32), shift.astype(np.uint8)]


def scaled(real: float) -> dict[str, int]:
    """Multiplier and shift of one requantizer."""
    return {"multiplier": 3 << 29, "shift": 30 - math.floor(math.log2(real))}


def _shapes(rng: Rng, form: str) -> tuple[tuple[int, int, int], tuple[int, int, int, int], dict[str, Any]]:
    """(height, width, channels) of x, the shape of w, and the attributes of a convolution within the limits."""
    while True:
        kernel = (1, 1) if form in ("pointwise", "scale") else KERNELS[rng.integers(len(KERNELS))]
        channels = log_size(rng, 3 if form != "full" or rng.random() < 0.8 else 1, 144)
        apart = form in ("depthwise", "scale")
        groups = channels if apart else 2 if form == "grouped" and channels % 2 == 0 else 1
        made = channels if apart else max(groups, log_size(rng, 4, 128) // groups * groups)
        side = log_size(rng, max(kernel), 36), log_size(rng, max(kernel), 36)
        padding = (
            tuple(n // 2 for n in (kernel[0], kernel[0], kernel[1], kernel[1])) if rng.random() < 0.7 else (0,) * 4
        )
        stride = (2, 2) if rng.random() < 0.3 and form != "transposed" else (1, 1)
        weights = made * kernel[0] * kernel[1] * channels // groups
        pixels = side[0] * side[1] // (stride[0] * stride[1])
        if weights <= MAX_WEIGHTS and weights * pixels <= MAX_MACS:
            attrs = {"stride": stride, "padding": padding, "groups": groups}
            return (*side, channels), (made, *kernel, channels // groups), attrs


def conv(kind: str, *forms: str) -> Maker:
    """Convolutions of the given forms."""

    def make(rng: Rng) -> Case:
        x, w, attrs = _shapes(rng, str(rng.choice(forms)))
        if not kind.endswith("_s8"):
            return Case(kind, [f32(rng, 1, *x)], [f32(rng, *w, scale=0.1), f32(rng, w[0])], attrs)
        constants = [s8(rng, *w), *requantizers(rng, math.prod(w[1:]), w[0])]
        return Case(kind, [s8(rng, 1, *x)], constants, {**attrs, "x_zero": -3, "y_zero": 5})

    return make


def linear(kind: str) -> Maker:
    """Linear layers, most of one row."""

    def make(rng: Rng) -> Case:
        k, rows = log_size(rng, 4, 700), 1 if rng.random() < 0.6 else log_size(rng, 2, 50)
        out = min(log_size(rng, 2, 128), MAX_WEIGHTS // k)
        if not kind.endswith("_s8"):
            return Case(kind, [f32(rng, rows, k)], [f32(rng, out, k, scale=0.1), f32(rng, out)], {})
        return Case(kind, [s8(rng, rows, k)], [s8(rng, out, k), *requantizers(rng, k, out)], {"y_zero": -7})

    return make


def narrow(make: Maker, bits: int) -> Maker:
    """The case with weights of fewer bits."""

    def made(rng: Rng) -> Case:
        case, half = make(rng), 1 << (bits - 1)
        weight = rng.integers(-half, half, case.constants[0].shape).astype(np.int8)
        return replace(case, constants=[weight, *case.constants[1:]], bits=bits)

    return made


def matmul(kind: str) -> Maker:
    """Products of two activations, as in attention."""

    def make(rng: Rng) -> Case:
        heads, m, k, n = log_size(rng, 1, 4), log_size(rng, 2, 50), log_size(rng, 4, 64), log_size(rng, 2, 50)
        turned = bool(rng.random() < 0.5)
        shapes = (heads, m, k), (heads, n, k) if turned else (heads, k, n)
        if not kind.endswith("_s8"):
            return Case(kind, [f32(rng, *shape) for shape in shapes], [], {"transpose_b": turned})
        attrs = {"transpose_b": turned, "a_zero": 3, "b_zero": -5, **scaled(2.0**-8 / k**0.5)}
        return Case(kind, [s8(rng, *shape) for shape in shapes], [], attrs)

    return make


def image(rng: Rng) -> tuple[int, int, int]:
    """Height, width and channels of an activation."""
    side = log_size(rng, 3, 28)
    return side, log_size(rng, 3, 28), min(log_size(rng, 1, 128), 30_000 // (side * side) + 1)


def binary(kind: str, attrs: Mapping[str, Any]) -> Maker:
    """Two operands, half of the time one of them repeated."""

    def make(rng: Rng) -> Case:
        height, width, channels = image(rng)
        a = (1, height, width, channels)
        b = a if rng.random() < 0.5 else [(channels,), (1,), (1, height, width, 1)][rng.integers(3)]
        draw = s8 if kind.endswith("_s8") else f32
        return Case(kind, [draw(rng, *a), draw(rng, *b)], [], attrs)

    return make


def elementwise(kind: str, positive: bool = False, **attrs: Any) -> Maker:
    """A function of each element."""

    def make(rng: Rng) -> Case:
        x = f32(rng, 1, log_size(rng, 2, 4000), scale=2.0)
        return Case(kind, [np.abs(x) + np.float32(1e-3) if positive else x], [], attrs)

    return make


def rescale_s8(rng: Rng) -> Case:
    """Int8 into another scale."""
    attrs = {"x_zero": 3, "multiplier": 900_000, "shift": 20, "y_zero": -4}
    return Case("rescale_s8", [s8(rng, 1, log_size(rng, 4, 9000))], [], attrs)


def lookup(rng: Rng) -> Case:
    """One table for all, or a table a column."""
    columns = log_size(rng, 4, 200)
    table = s8(rng, 256) if rng.random() < 0.7 or columns > 40 else s8(rng, columns, 256)
    return Case("lookup", [s8(rng, log_size(rng, 1, 60), columns)], [table], {})


def softmax_s8(rng: Rng) -> Case:
    """Softmax of rows of int8."""
    n = log_size(rng, 2, 200)
    x = s8(rng, 1 if rng.random() < 0.5 else log_size(rng, 2, 60), n)
    return Case("softmax_s8", [x], [tables.softmax_table(0.1, n)], {})


def shift_rows(kind: str) -> Maker:
    """Shift and single-pass forms over rows of int8."""
    exponent = {"exp_multiplier": 1_100_000, "exp_shift": 14}
    fixed = {"y_zero": -4, **scaled(2.0**-13)}
    relu = {"relu_multiplier": 1_500_000, "relu_shift": 9}
    attrs = {
        "shiftmax_s8": exponent,
        "shift_gelu_s8": {"x_zero": 3, **exponent, **fixed},
        "gelu_delta_s8": {"x_zero": 3, **exponent, **relu, **fixed},
        "single_pass_softmax_s8": {},
    }[kind]

    def make(rng: Rng) -> Case:
        n = log_size(rng, 2, 200)
        x = s8(rng, 1 if rng.random() < 0.5 else log_size(rng, 2, 60), n)
        if kind == "single_pass_softmax_s8":
            table = tables.softmax_table(0.1, n)
            return Case(kind, [x], [table], {"unit_bits": int(table[0]).bit_length() - 1})
        return Case(kind, [x], [tables.gelu_delta_table()] if kind == "gelu_delta_s8" else [], attrs)

    return make


def argmax(rng: Rng) -> Case:
    """Classes of pixels."""
    make = s8 if rng.random() < 0.5 else f32
    return Case("argmax", [make(rng, log_size(rng, 1, 400), log_size(rng, 2, 100))], [], {})


def i_layer_norm_s8(rng: Rng) -> Case:
    """I-LayerNorm of rows of int8."""
    usual = norm_s8("layer_norm_s8")(rng)
    return Case("i_layer_norm_s8", usual.live, usual.constants, scaled(2.0**-20))


def rows_f32(kind: str, vectors: int) -> Maker:
    """Norms and softmax of rows of floats."""

    def make(rng: Rng) -> Case:
        n = log_size(rng, 2, 200)
        x = f32(rng, 1 if rng.random() < 0.5 else log_size(rng, 2, 40), n)
        return Case(kind, [x], [f32(rng, n) for _ in range(vectors)], {})

    return make


def norm_s8(kind: str) -> Maker:
    """Norms of rows of int8."""

    def make(rng: Rng) -> Case:
        n = log_size(rng, 4, 200)
        gamma, beta = rng.integers(-4095, 4096, n).astype(np.int16), rng.integers(-9999, 9999, n).astype(np.int32)
        extra = {"x_zero": 3} if kind == "rms_norm_s8" else {}
        return Case(kind, [s8(rng, log_size(rng, 1, 60), n)], [gamma, beta], {"eps_q": 9, **scaled(2.0**-16), **extra})

    return make


def pool(kind: str) -> Maker:
    """Small windows, and the whole image."""

    def make(rng: Rng) -> Case:
        height, width, channels = image(rng)
        whole = rng.random() < 0.3
        kernel = (height, width) if whole else [(2, 2), (3, 3), (2, 1), (5, 5)][rng.integers(4)]
        kernel = min(kernel[0], height), min(kernel[1], width)
        pads = (
            (0,) * 4
            if whole or rng.random() < 0.6
            else (kernel[0] // 2, kernel[0] // 2, kernel[1] // 2, kernel[1] // 2)
        )
        attrs: dict[str, Any] = {"kernel": kernel, "stride": kernel if rng.random() < 0.5 else (2, 2), "padding": pads}
        if kind == "max_pool2d":
            x = s8(rng, 1, height, width, channels) if rng.random() < 0.5 else f32(rng, 1, height, width, channels)
            return Case(kind, [x], [], attrs)
        if kind == "avg_pool2d":
            return Case(kind, [f32(rng, 1, height, width, channels)], [], attrs)
        cells = kernel[0] * kernel[1]
        shift = np.array([30 + math.floor(math.log2(i + 1)) for i in range(cells)], np.uint8)
        scales = [np.full(cells, 3 << 29, np.int32), shift]
        return Case(kind, [s8(rng, 1, height, width, channels)], scales, {**attrs, "x_zero": 2})

    return make


def reduction(kind: str) -> Maker:
    """Sums, means and maxima over axes."""

    def make(rng: Rng) -> Case:
        shape = (1, *image(rng))
        axes = [(1, 2), (3,), (1,), (1, 2, 3)][rng.integers(4)]
        count = math.prod(shape[axis] for axis in axes)
        if kind == "reduce_sum_s8":
            return Case(kind, [s8(rng, *shape)], [], {"axes": axes, "x_zero": 2, **scaled(0.7 / count)})
        integer = kind == "reduce_max" and rng.random() < 0.5
        return Case(kind, [s8(rng, *shape) if integer else f32(rng, *shape)], [], {"axes": axes})

    return make


def stored(rng: Rng, *shape: int) -> np.ndarray:
    """Int8 or floats, for ops that only move values."""
    return s8(rng, *shape) if rng.random() < 0.6 else f32(rng, *shape)


def permute(rng: Rng) -> Case:
    """Axes in another order."""
    axes = [(0, 3, 1, 2), (0, 2, 3, 1), (0, 2, 1, 3)][rng.integers(3)]
    return Case("permute", [stored(rng, 1, *image(rng))], [], {"axes": axes})


def slice_(rng: Rng) -> Case:
    """A part of each axis."""
    shape = (1, *image(rng))
    starts = tuple(int(rng.integers((n + 1) // 2)) for n in shape)
    ends = tuple(int(rng.integers(start + 1, n + 1)) for start, n in zip(starts, shape, strict=True))
    steps = (1, 1, 1, 1) if rng.random() < 0.7 else (1, 2, 1, 1)
    return Case("slice", [stored(rng, *shape)], [], {"starts": starts, "ends": ends, "steps": steps})


def concat(rng: Rng) -> Case:
    """Two to four parts."""
    height, width, channels = image(rng)
    axis, count, first = (1, 3)[rng.integers(2)], int(rng.integers(2, 5)), stored(rng, 1)
    shapes = []
    for _ in range(count):
        size = log_size(rng, 1, 32)
        shapes.append((1, size, width, channels) if axis == 1 else (1, height, width, size))
    draw = s8 if first.dtype == np.int8 else f32
    return Case("concat", [draw(rng, *shape) for shape in shapes], [], {"axis": axis})


def pad(rng: Rng) -> Case:
    """Borders of up to two cells."""
    before, after = ((0, *(int(v) for v in rng.integers(0, 3, 2)), 0) for _ in range(2))
    return Case("pad", [stored(rng, 1, *image(rng))], [], {"before": before, "after": after})


def expand(rng: Rng) -> Case:
    """A vector, a plane or a column repeated."""
    height, width, channels = image(rng)
    cut = [(1, 1, 1, channels), (1, height, width, 1), (1, height, 1, channels)][rng.integers(3)]
    return Case("expand", [stored(rng, *cut)], [], {"shape": (1, height, width, channels)})


def upsample(rng: Rng) -> Case:
    """Cells repeated two to four times."""
    height, width, channels = image(rng)
    shape = (1, min(height, 12), min(width, 12), 1 if rng.random() < 0.4 else channels)
    return Case("upsample_nearest", [stored(rng, *shape)], [], {"factor": (int(rng.integers(2, 5)),) * 2})


def embedding(rng: Rng) -> Case:
    """Rows of a table."""
    rows, width = log_size(rng, 4, 60), log_size(rng, 4, 64)
    indices = rng.integers(0, rows, (1, log_size(rng, 1, 60))).astype(np.int32)
    return Case("embedding", [indices], [stored(rng, rows, width)], {})


def decode(kind: str) -> Maker:
    """A weight of codes and scales, some runs of a row."""

    def make(rng: Rng) -> Case:
        rows, width, pieces = log_size(rng, 2, 48), 4 * log_size(rng, 2, 60), (1, 2, 4)[rng.integers(3)]
        scales = np.abs(f32(rng, rows * pieces)) + np.float32(0.1)
        attrs: dict[str, Any] = {"shape": (rows, width)}
        bits, others = 4, []
        if kind == "decode_group":
            bits = attrs["bits"] = (2, 3, 4, 8)[rng.integers(4)]
        elif kind == "decode_table":
            attrs["trits"], others = False, [np.sort(f32(rng, 16, 1), axis=0)]
        else:
            bits, attrs["number"] = 8, ("e4m3", "e5m2")[rng.integers(2)]
        codes = rng.integers(0, 96, -(-rows * width * bits // 8)).astype(np.uint8)  # of floats none is infinite
        return Case(kind, [codes], [scales, *others], attrs)

    return make


def quantize(rng: Rng) -> Case:
    """Floats to int8."""
    x = f32(rng, log_size(rng, 1, 40), log_size(rng, 2, 100))
    count = 1 if rng.random() < 0.7 else x.shape[-1]
    return Case("quantize", [x], [f32(rng, count), f32(rng, count, scale=30.0)], {})


def dequantize(rng: Rng) -> Case:
    """Int8 to floats."""
    return Case("dequantize", [s8(rng, 1, log_size(rng, 2, 4000))], [], {"zero": 3, "scale": 0.0625})


def recurrent(kind: str, gates: int) -> Maker:
    """LSTM and GRU layers."""

    def make(rng: Rng) -> Case:
        steps, width, hidden = log_size(rng, 1, 24), log_size(rng, 2, 32), log_size(rng, 4, 32)
        weights = [s8(rng, gates * hidden, n) for n in (width, hidden)]
        if not kind.endswith("_s8"):
            states = [f32(rng, hidden) for _ in range(gates - 2)]
            floats = [f32(rng, gates * hidden, n, scale=0.3) for n in (width, hidden)]
            biases = [f32(rng, gates * hidden) for _ in range(2)]
            return Case(kind, [f32(rng, steps, 1, width), *states], [*floats, *biases], {}, gates - 1)
        scales = [requantizers(rng, n * 4, gates * hidden) for n in (width, hidden)]
        wide = rng.integers(-9999, 9999, hidden).astype(np.int16)
        live = [s8(rng, steps, 1, width), *([s8(rng, hidden), wide] if kind == "lstm_s8" else [wide])]
        constants = [*weights, scales[0][0], scales[1][0], *scales[0][1:], *scales[1][1:]]
        constants += [tables.sigmoid_table(), tables.tanh_table()]
        attrs = {"cell_bits": 12, **scaled(2.0**-23)} if kind == "lstm_s8" else scaled(2.0**-8)
        return Case(kind, live, constants, attrs, gates - 1)

    return make


def rfft(rng: Rng) -> Case:
    """Real transforms of powers of two."""
    n = 2 ** int(rng.integers(4, 11))
    return Case("rfft", [f32(rng, 1, n)], [], {"n": n})


def _framing(rng: Rng) -> tuple[int, int, int, np.ndarray]:
    """n_fft, window length, samples and a band matrix."""
    n_fft, bands = 2 ** int(rng.integers(6, 10)), log_size(rng, 8, 40)
    length = int(rng.integers(n_fft * 2 // 3, n_fft + 1))
    mel = np.zeros((bands, n_fft // 2 + 1), np.float32)
    edges = np.linspace(0, n_fft // 2, bands + 2)
    for row, (low, high) in zip(mel, zip(edges[:-2], edges[2:], strict=True), strict=True):
        row[int(low) : max(int(high), int(low) + 1)] = 0.5
    return n_fft, length, length * int(rng.integers(1, 8)), mel


def log_mel(rng: Rng) -> Case:
    """Spectrogram of int16 samples in floats."""
    n_fft, length, samples, mel = _framing(rng)
    x = rng.integers(-9000, 9000, (1, samples)).astype(np.int16)
    window = np.hanning(length).astype(np.float32)
    return Case("log_mel", [x], [window, mel], {"n_fft": n_fft, "hop": length // 2})


def log_mel_s8(rng: Rng) -> Case:
    """Spectrogram of int16 samples in integers."""
    n_fft, length, samples, mel = _framing(rng)
    x = rng.integers(-9000, 9000, (1, samples)).astype(np.int16)
    constants = [tables.window_q15(np.hanning(length)), tables.twiddles(n_fft), *tables.sparse_mel(mel)]
    attrs = {"n_fft": n_fft, "hop": length // 2, **scaled(2.0**-10)}
    return Case("log_mel_s8", [x], [*constants, tables.log2_table()], attrs)


def classical(make: cost_cases_classical.Maker) -> Maker:
    """A case of a classical model's op."""

    def made(rng: Rng) -> Case:
        return Case(*make(rng))

    return made


FLOAT_UNARY = ("hardswish", "hardsigmoid", "abs", "neg", "sigmoid", "tanh", "silu", "exp")
ZEROS = {"a_zero": 3, "b_zero": -2}
CASES: Mapping[str, Maker] = {
    "conv2d_s8": conv("conv2d_s8", "full", "full", "pointwise"),
    "conv2d_s8 grouped": conv("conv2d_s8", "grouped"),
    "conv2d_s8 depthwise": conv("conv2d_s8", "depthwise"),
    "conv2d_s8 scale": conv("conv2d_s8", "scale"),
    "conv_transpose2d_s8": conv("conv_transpose2d_s8", "full"),
    "linear_s8": linear("linear_s8"),
    **{
        f"{name} w{bits}": narrow(make, bits)
        for bits in (4, 2)
        for name, make in {
            "conv2d_s8": conv("conv2d_s8", "full", "full", "pointwise"),
            "conv2d_s8 grouped": conv("conv2d_s8", "grouped"),
            "conv2d_s8 depthwise": conv("conv2d_s8", "depthwise"),
            "linear_s8": linear("linear_s8"),
        }.items()
    },
    "matmul_s8": matmul("matmul_s8"),
    "add_s8": binary("add_s8", {**ZEROS, "a_multiplier": 900_000, "b_multiplier": 700_000, "shift": 20}),
    "mul_s8": binary("mul_s8", {**ZEROS, **scaled(2.0**-7)}),
    "div_s8": binary("div_s8", {**ZEROS, "multiplier": 1 << 28, "shift": 24}),
    "rescale_s8": rescale_s8,
    "lookup": lookup,
    "softmax_s8": softmax_s8,
    "layer_norm_s8": norm_s8("layer_norm_s8"),
    "rms_norm_s8": norm_s8("rms_norm_s8"),
    "argmax": argmax,
    "i_layer_norm_s8": i_layer_norm_s8,
    **{kind: shift_rows(kind) for kind in ("shiftmax_s8", "shift_gelu_s8", "gelu_delta_s8", "single_pass_softmax_s8")},
    "avg_pool2d_s8": pool("avg_pool2d_s8"),
    "max_pool2d": pool("max_pool2d"),
    "reduce_sum_s8": reduction("reduce_sum_s8"),
    "reduce_max": reduction("reduce_max"),
    "lstm_s8": recurrent("lstm_s8", 4),
    "gru_s8": recurrent("gru_s8", 3),
    "log_mel_s8": log_mel_s8,
    "permute": permute,
    "slice": slice_,
    **{kind: decode(kind) for kind in ("decode_group", "decode_table", "decode_float")},
    "concat": concat,
    "pad": pad,
    "expand": expand,
    "upsample_nearest": upsample,
    "embedding": embedding,
    "quantize": quantize,
    "dequantize": dequantize,
    "conv2d": conv("conv2d", "full", "full", "pointwise"),
    "conv2d depthwise": conv("conv2d", "depthwise"),
    "conv2d grouped": conv("conv2d", "grouped"),
    "conv_transpose2d": conv("conv_transpose2d", "full"),
    "linear": linear("linear"),
    "matmul": matmul("matmul"),
    **{kind: binary(kind, {}) for kind in ("add", "sub", "mul", "div")},
    "avg_pool2d": pool("avg_pool2d"),
    "reduce_sum": reduction("reduce_sum"),
    "reduce_mean": reduction("reduce_mean"),
    "round_float": elementwise("round_float", number="e4m3", scale=0.05),
    "clamp": elementwise("clamp", low=0.0, high=6.0),
    "leaky_relu": elementwise("leaky_relu", slope=0.1),
    **{
        kind: elementwise(kind) for kind in ("hardswish", "hardsigmoid", "abs", "neg", "sigmoid", "tanh", "silu", "exp")
    },
    "gelu": elementwise("gelu"),
    **{kind: elementwise(kind, positive=True) for kind in ("sqrt", "rsqrt", "log")},
    "softmax": rows_f32("softmax", 0),
    "shiftmax": rows_f32("shiftmax", 0),
    "shift_gelu": rows_f32("shift_gelu", 0),
    "layer_norm": rows_f32("layer_norm", 2),
    "rms_norm": rows_f32("rms_norm", 1),
    "affine": rows_f32("affine", 2),
    "lstm": recurrent("lstm", 4),
    "gru": recurrent("gru", 3),
    "rfft": rfft,
    "log_mel": log_mel,
    **{kind: classical(make) for kind, make in cost_cases_classical.CASES.items()},
}
