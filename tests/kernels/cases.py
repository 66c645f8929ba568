"""Random inputs for every op kind: (generator) to (op, arrays), odd sizes and edge values included."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import binary_arrays
import classical_arrays
import coded_arrays
from edgesmith.core.ops import tables
from kernels.drawing import (
    Case,
    Maker,
    Rng,
    bounds,
    case,
    clamps,
    f32,
    multipliers,
    pair,
    s8,
    scaled,
    size,
    zero,
)


def window_attrs(rng: Rng, kernel: tuple[int, int], padding: int = 2) -> dict[str, Any]:
    pads = tuple(int(v) for v in rng.integers(0, padding + 1, 4))
    return {"stride": pair(rng, 1, 3), "dilation": pair(rng, 1, 2), "padding": pads}


def conv_shapes(rng: Rng, groups_of: str) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """x and w shapes and groups: any, depthwise, pointwise or plain."""
    kernel = (1, 1) if groups_of == "pointwise" else pair(rng, 1, 4)
    groups = {"any": size(rng, 1, 4), "depthwise": size(rng, 2, 21), "pointwise": 1, "plain": 1}[groups_of]
    in_per = 1 if groups_of == "depthwise" else size(rng, 1, 37)
    out_per = size(rng, 1, 2) if groups_of == "depthwise" else size(rng, 1, 19)
    height, width = size(rng, 8, 13), size(rng, 8, 13)
    return (1, height, width, groups * in_per), (groups * out_per, *kernel, in_per), groups


def conv_s8(rng: Rng) -> Case:
    x, w, groups = conv_shapes(rng, str(rng.choice(["any", "depthwise", "pointwise", "plain"])))
    return _integer_conv(rng, "conv2d_s8", x, w, {**window_attrs(rng, w[1:3]), "groups": groups})


def shift_add_conv(rng: Rng) -> Case:
    x, w, groups = conv_shapes(rng, str(rng.choice(["any", "depthwise", "pointwise", "plain"])))
    codes = rng.integers(0, 256, w).astype(np.uint8)
    bias = rng.integers(-(1 << 14), 1 << 14, w[0]).astype(np.int32)
    attrs = {**window_attrs(rng, w[1:3]), "groups": groups, "shift": int(rng.integers(-3, 15)), "x_zero": zero(rng)}
    return case("shift_add_conv2d_s8", [s8(rng, *x), codes, bias], **attrs, **bounds(rng))


def shift_add(rng: Rng) -> Case:
    shape = (size(rng), size(rng, 1, 50))
    scale = {"a_left": size(rng, 0, 20), "b_left": size(rng, 0, 20), "shift": size(rng, 0, 30)}
    zeros = {"a_zero": zero(rng), "b_zero": zero(rng)}
    return case("shift_add_s8", [s8(rng, *shape), s8(rng, *shape)], **zeros, **scale, **bounds(rng))


def conv_transpose_s8(rng: Rng) -> Case:
    x, w, groups = conv_shapes(rng, "any")
    return _integer_conv(rng, "conv_transpose2d_s8", x, w, {**window_attrs(rng, w[1:3], 0), "groups": groups})


def _integer_conv(rng: Rng, kind: str, x: tuple[int, ...], w: tuple[int, ...], attrs: dict[str, Any]) -> Case:
    m, s = multipliers(rng, 2.0**-7 / math.prod(w[1:]) ** 0.5, w[0])
    bias = rng.integers(-(1 << 14), 1 << 14, w[0]).astype(np.int32)
    arrays = [s8(rng, *x), s8(rng, *w, low=-127), bias, m, s]
    return case(kind, arrays, x_zero=zero(rng), **attrs, **bounds(rng))


def conv_f32(rng: Rng) -> Case:
    x, w, groups = conv_shapes(rng, str(rng.choice(["any", "depthwise", "pointwise", "plain"])))
    arrays = [f32(rng, *x), f32(rng, *w, scale=0.1), f32(rng, w[0])]
    return case("conv2d", arrays, groups=groups, **window_attrs(rng, w[1:3]), **clamps(rng))


def conv_transpose_f32(rng: Rng) -> Case:
    x, w, groups = conv_shapes(rng, "any")
    arrays = [f32(rng, *x), f32(rng, *w, scale=0.1), f32(rng, w[0])]
    return case("conv_transpose2d", arrays, groups=groups, **window_attrs(rng, w[1:3], 0), **clamps(rng))


def linear_s8(rng: Rng) -> Case:
    k, out = size(rng, 1, 150), size(rng, 1, 40)
    m, s = multipliers(rng, 2.0**-7 / k**0.5, out)
    lead = [(), (1,), (size(rng), size(rng))][rng.integers(3)]
    bias = rng.integers(-(1 << 14), 1 << 14, out).astype(np.int32)
    return case("linear_s8", [s8(rng, *lead, k), s8(rng, out, k, low=-127), bias, m, s], **bounds(rng))


def linear_f32(rng: Rng) -> Case:
    k, out = size(rng, 1, 50), size(rng, 1, 20)
    return case("linear", [f32(rng, size(rng), k), f32(rng, out, k, scale=0.2), f32(rng, out)], **clamps(rng))


def matmul_shapes(rng: Rng) -> tuple[tuple[int, ...], tuple[int, ...], bool]:
    m, k, n, heads = size(rng), size(rng, 1, 40), size(rng), size(rng, 1, 3)
    turned = bool(rng.random() < 0.5)
    inner = (n, k) if turned else (k, n)
    lead_a, lead_b = [((), ()), ((heads,), (heads,)), ((2, 1), (heads,)), ((1, heads), ())][rng.integers(4)]
    return (*lead_a, m, k), (*lead_b, *inner), turned


def matmul_s8(rng: Rng) -> Case:
    a, b, turned = matmul_shapes(rng)
    attrs = {**scaled(rng, 2.0**-8 / a[-1] ** 0.5), **bounds(rng), "a_zero": zero(rng), "b_zero": zero(rng)}
    return case("matmul_s8", [s8(rng, *a), s8(rng, *b)], transpose_b=turned, **attrs)


def matmul_f32(rng: Rng) -> Case:
    a, b, turned = matmul_shapes(rng)
    return case("matmul", [f32(rng, *a), f32(rng, *b)], transpose_b=turned)


def broadcast_shapes(rng: Rng) -> tuple[tuple[int, ...], tuple[int, ...]]:
    full = tuple(size(rng, 1, 5) for _ in range(size(rng, 1, 5)))
    cut = tuple(1 if rng.random() < 0.3 else n for n in full)
    shorter = cut[size(rng, 0, len(cut)) :]
    pairs = [(full, full), (full, shorter), (shorter, full), (full, (full[-1],)), (full, ())]
    return pairs[rng.integers(len(pairs))]


def binary_s8(kind: str, scale: Callable[[Rng], dict[str, int]]) -> Maker:
    def make(rng: Rng) -> Case:
        a, b = broadcast_shapes(rng)
        zeros = {"a_zero": zero(rng), "b_zero": zero(rng)}
        return case(kind, [s8(rng, *a), s8(rng, *b)], **zeros, **scale(rng), **bounds(rng))

    return make


def short_scale(rng: Rng) -> dict[str, int]:
    a, b = (int(v) for v in rng.integers(1 - (1 << 21), 1 << 21, 2))
    return {"a_multiplier": a, "b_multiplier": b, "shift": size(rng, 18, 30) if rng.random() < 0.9 else 0}


def division_scale(rng: Rng) -> dict[str, int]:
    return {"multiplier": int(rng.integers(0, 1 << 31)), "shift": size(rng, 0, 31)}


def binary_f32(kind: str) -> Maker:
    def make(rng: Rng) -> Case:
        a, b = broadcast_shapes(rng)
        return case(kind, [f32(rng, *a), f32(rng, *b)], **clamps(rng))

    return make


def rescale_s8(rng: Rng) -> Case:
    scale = {"multiplier": int(rng.integers(1 - (1 << 21), 1 << 21)), "shift": size(rng, 0, 30)}
    return case("rescale_s8", [s8(rng, size(rng), size(rng))], x_zero=zero(rng), **scale, **bounds(rng))


def lookup(rng: Rng) -> Case:
    x = s8(rng, size(rng), size(rng, 1, 40))
    x = x.view(np.uint8) if rng.random() < 0.5 else x
    shape = (256,) if rng.random() < 0.5 else (x.shape[-1], 256)
    return case("lookup", [x, s8(rng, *shape)])


def softmax_s8(rng: Rng) -> Case:
    n = size(rng, 1, 900)
    table = tables.softmax_table(float(rng.uniform(0.01, 0.5)), n)
    return case("softmax_s8", [s8(rng, size(rng), n), table])


def norm_s8(kind: str) -> Maker:
    def make(rng: Rng) -> Case:
        n = size(rng, 1, 300)
        x = s8(rng, size(rng), n)
        if rng.random() < 0.2:
            x[:] = x.flat[0]  # no variance at all
        gamma = rng.integers(-4095, 4096, n).astype(np.int16)
        beta = rng.integers(-(1 << 20), 1 << 20, n).astype(np.int32)
        eps = int(rng.integers(0, 1 << int(rng.integers(1, 40))))
        extra = {"x_zero": zero(rng)} if kind == "rms_norm_s8" else {}
        return case(kind, [x, gamma, beta], eps_q=eps, **scaled(rng, 2.0**-16), **bounds(rng), **extra)

    return make


def exponent(rng: Rng) -> dict[str, int]:
    return {"exp_multiplier": int(rng.integers(0, 1 << 21)), "exp_shift": size(rng, 8, 30) if rng.random() < 0.9 else 0}


def shiftmax_s8(rng: Rng) -> Case:
    return case("shiftmax_s8", [s8(rng, size(rng), size(rng, 1, 900))], **exponent(rng))


def single_pass_softmax_s8(rng: Rng) -> Case:
    _, (x, table) = softmax_s8(rng)
    return case("single_pass_softmax_s8", [x, table], unit_bits=int(table[0]).bit_length() - 1)


def shift_gelu_s8(rng: Rng) -> Case:
    limit = {} if rng.random() < 0.5 else {"limit": zero(rng)}
    x = s8(rng, size(rng), size(rng, 1, 90))
    return case(
        "shift_gelu_s8", [x], x_zero=zero(rng), **limit, **exponent(rng), **scaled(rng, 2.0**-15), **bounds(rng)
    )


def gelu_delta_s8(rng: Rng) -> Case:
    relu = {"relu_multiplier": int(rng.integers(0, 1 << 21)), "relu_shift": size(rng, 0, 30)}
    x = s8(rng, size(rng), size(rng, 1, 90))
    fixed = {**exponent(rng), **relu, **scaled(rng, 2.0**-11), **bounds(rng)}
    return case("gelu_delta_s8", [x, tables.gelu_delta_table()], x_zero=zero(rng), **fixed)


def i_layer_norm_s8(rng: Rng) -> Case:
    n = size(rng, 1, 300) if rng.random() < 0.9 else 2048
    x = s8(rng, size(rng), n)
    if rng.random() < 0.2:
        x[:] = x.flat[0]  # no variance at all
    gamma = rng.integers(-4095, 4096, n).astype(np.int16)
    beta = rng.integers(-(1 << 24), 1 << 24, n).astype(np.int32)
    return case("i_layer_norm_s8", [x, gamma, beta], **scaled(rng, 2.0**-20), **bounds(rng))


def argmax(rng: Rng) -> Case:
    return case("argmax", [_any(rng, (*shape_of(rng, 2), size(rng, 1, 256)), ("float32", "int8"))])


def shift_gelu_f32(rng: Rng) -> Case:
    limit = {} if rng.random() < 0.5 else {"limit": float(np.float32(rng.random() * 3))}
    return case("shift_gelu", [f32(rng, size(rng), size(rng, 1, 40), scale=3.0)], **limit)


def pooling(kind: str) -> Maker:
    def make(rng: Rng) -> Case:
        kernel = pair(rng, 2, 4)
        pads = tuple(int(v) for v in rng.integers(0, 2, 4))
        attrs: dict[str, Any] = {"kernel": kernel, "stride": pair(rng, 1, 3), "padding": pads}
        shape = (1, size(rng, 4, 11), size(rng, 4, 11), size(rng, 1, 33))
        if kind == "max_pool2d":
            return case(kind, [_any(rng, shape, NUMERIC)], **attrs)
        attrs["count_include_pad"] = bool(rng.random() < 0.5)
        if kind == "avg_pool2d":
            return case(kind, [f32(rng, *shape)], **attrs)
        m, s = multipliers(rng, 0.2, kernel[0] * kernel[1])
        return case(kind, [s8(rng, *shape), m, s], **attrs, x_zero=zero(rng), **bounds(rng))

    return make


NUMERIC = ("float32", "int8", "uint8", "int16", "int32")
ANY = (*NUMERIC, "uint16", "uint32", "int64")


def _any(rng: Rng, shape: tuple[int, ...], dtypes: tuple[str, ...] = ANY) -> np.ndarray:
    dtype = np.dtype(str(rng.choice(dtypes)))
    if dtype.kind == "f":
        return f32(rng, *shape, scale=100.0)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, dtype, endpoint=True)


def shape_of(rng: Rng, rank: int | None = None) -> tuple[int, ...]:
    return tuple(size(rng, 1, 6) for _ in range(rank or size(rng, 1, 5)))


def axes_of(rng: Rng, rank: int) -> tuple[int, ...]:
    return tuple(int(a) for a in rng.permutation(rank)[: size(rng, 1, rank)])


def reduction(kind: str) -> Maker:
    def make(rng: Rng) -> Case:
        shape = shape_of(rng)
        attrs: dict[str, Any] = {"axes": axes_of(rng, len(shape)), "keepdims": bool(rng.random() < 0.5)}
        if kind == "reduce_sum_s8":
            return case(kind, [s8(rng, *shape)], **attrs, x_zero=zero(rng), **scaled(rng, 0.1), **bounds(rng))
        return case(kind, [_any(rng, shape, NUMERIC if kind == "reduce_max" else ("float32",))], **attrs)

    return make


def permute(rng: Rng) -> Case:
    shape = shape_of(rng)
    return case("permute", [_any(rng, shape)], axes=tuple(int(a) for a in rng.permutation(len(shape))))


def slice_(rng: Rng) -> Case:
    shape = shape_of(rng)
    starts = tuple(int(rng.integers(n)) for n in shape)
    ends = tuple(int(rng.integers(start + 1, n + 1)) for start, n in zip(starts, shape, strict=True))
    return case("slice", [_any(rng, shape)], starts=starts, ends=ends, steps=tuple(size(rng, 1, 3) for _ in shape))


def concat(rng: Rng) -> Case:
    shape, dtype = shape_of(rng), ANY[rng.integers(len(ANY))]
    axis = int(rng.integers(len(shape)))
    sizes = [size(rng, 1, 4) for _ in range(size(rng, 1, 4))]
    arrays = [_any(rng, (*shape[:axis], n, *shape[axis + 1 :]), (dtype,)) for n in sizes]
    return case("concat", arrays, axis=axis)


def pad(rng: Rng) -> Case:
    shape = shape_of(rng)
    before, after = (tuple(int(v) for v in rng.integers(0, 3, len(shape))) for _ in range(2))
    x = _any(rng, shape, (*NUMERIC, "uint16"))
    value = float(rng.integers(0, 100)) if x.dtype.kind != "f" else float(rng.standard_normal())
    return case("pad", [x], before=before, after=after, value=value)


def expand(rng: Rng) -> Case:
    full = shape_of(rng)
    cut = tuple(1 if rng.random() < 0.4 else n for n in full)[size(rng, 0, len(full)) :]
    return case("expand", [_any(rng, cut)], shape=full)


def upsample(rng: Rng) -> Case:
    return case("upsample_nearest", [_any(rng, (1, *shape_of(rng, 3)))], factor=pair(rng, 1, 3))


def embedding(rng: Rng) -> Case:
    rows = size(rng, 1, 20)
    indices = rng.integers(-3, rows + 3, shape_of(rng, 2)).astype(np.int32)
    return case("embedding", [indices, _any(rng, (rows, size(rng, 1, 17)))])


def quantize(rng: Rng) -> Case:
    x = f32(rng, size(rng), size(rng, 1, 12), scale=100.0)
    x[rng.random(x.shape) < 0.05] = rng.choice(np.array([np.nan, np.inf, -np.inf, 1e38], np.float32))
    count = 1 if rng.random() < 0.5 else x.shape[-1]
    return case("quantize", [x, f32(rng, count), f32(rng, count, scale=30.0)])


def dequantize(rng: Rng) -> Case:
    x = _any(rng, shape_of(rng), ("int8", "uint8", "int16", "int32"))
    return case("dequantize", [x], zero=int(rng.integers(-32768, 32768)), scale=float(np.float32(rng.random() + 0.01)))


def unary(kind: str, scale: float = 3.0, positive: bool = False, **attrs: Any) -> Maker:
    def make(rng: Rng) -> Case:
        x = f32(rng, *shape_of(rng), scale=scale)
        return case(kind, [np.abs(x) + np.float32(1e-6) if positive else x], **attrs)

    return make


def gelu(rng: Rng) -> Case:
    return unary("gelu", approximate=str(rng.choice(["none", "tanh"])))(rng)


def rows_f32(kind: str, vectors: int) -> Maker:
    def make(rng: Rng) -> Case:
        n = size(rng, 1, 40)
        return case(kind, [f32(rng, size(rng), n, scale=3.0), *(f32(rng, n) for _ in range(vectors))])

    return make


def recurrent_f32(kind: str, gates: int) -> Maker:
    def make(rng: Rng) -> Case:
        steps, width, hidden = size(rng), size(rng), size(rng, 1, 11)
        states = [f32(rng, hidden) for _ in range(gates - 2)]
        weights = [f32(rng, gates * hidden, n, scale=0.4) for n in (width, hidden)]
        biases = [f32(rng, gates * hidden) for _ in range(2)]
        return case(kind, [f32(rng, steps, 1, width), *states, *weights, *biases], outputs=gates - 1)

    return make


def recurrent_s8(kind: str, gates: int) -> Maker:
    def make(rng: Rng) -> Case:
        steps, width, hidden = size(rng), size(rng, 1, 40), size(rng, 1, 19)
        h0 = s8(rng, hidden) if kind == "lstm_s8" else rng.integers(-32768, 32768, hidden).astype(np.int16)
        cell = [rng.integers(-32768, 32768, hidden).astype(np.int16)] if kind == "lstm_s8" else []
        weights = [s8(rng, gates * hidden, n, low=-127) for n in (width, hidden)]
        biases = [rng.integers(-(1 << 15), 1 << 15, gates * hidden).astype(np.int32) for _ in range(2)]
        scales = [v for n in (width, hidden) for v in multipliers(rng, 0.05 / n**0.5, gates * hidden)]
        arrays = [s8(rng, steps, 1, width), h0, *cell, *weights, *biases, *scales]
        extra = {"cell_bits": size(rng, 0, 15)} if kind == "lstm_s8" else {}
        real = 2.0**-23 if kind == "lstm_s8" else 2.0**-8
        clip = {name: v for name, v in bounds(rng).items() if name != "y_zero"}
        attrs = {**extra, **scaled(rng, real), **clip, "h_zero": zero(rng)}
        return case(kind, [*arrays, tables.sigmoid_table(), tables.tanh_table()], outputs=gates - 1, **attrs)

    return make


def rfft(rng: Rng) -> Case:
    n = 2 ** size(rng, 1, 10)
    return case("rfft", [f32(rng, size(rng, 1, 3), n)], n=n)


def framing(rng: Rng) -> tuple[int, int, int, int]:
    n_fft = 2 ** size(rng, 5, 9)
    length = size(rng, n_fft // 2 + 1, n_fft)
    return n_fft, length, size(rng, 5, length), length + size(rng, 0, 700)


def mel_matrix(rng: Rng, n_fft: int) -> np.ndarray:
    mel = np.zeros((size(rng, 1, 12), n_fft // 2 + 1), np.float32)
    for row in mel:
        start = size(rng, 0, n_fft // 2 - 4)
        end = size(rng, start + 1, n_fft // 2 + 1)
        row[start:end] = rng.random(end - start)
    return mel


def log_mel(rng: Rng) -> Case:
    n_fft, length, hop, samples = framing(rng)
    x = rng.integers(-32768, 32768, (1, samples)).astype(np.int16)
    x = x.astype(np.float32) if rng.random() < 0.5 else x
    window = rng.random(length).astype(np.float32)
    return case("log_mel", [x, window, mel_matrix(rng, n_fft)], n_fft=n_fft, hop=hop)


def log_mel_s8(rng: Rng) -> Case:
    n_fft, length, hop, samples = framing(rng)
    loud = 2 ** size(rng, 0, 15)
    x = np.clip(rng.integers(-loud, loud + 1, (1, samples)), -32768, 32767).astype(np.int16)
    window = tables.window_q15(rng.random(length))
    mel = tables.sparse_mel(mel_matrix(rng, n_fft))
    arrays = [x, window, tables.twiddles(n_fft), *mel, tables.log2_table()]
    return case("log_mel_s8", arrays, n_fft=n_fft, hop=hop, **scaled(rng, 2.0**-10), **bounds(rng))


def classical(make: classical_arrays.Maker) -> Maker:
    def made(rng: Rng) -> Case:
        kind, arrays, attrs = make(rng)
        return case(kind, arrays, **attrs)

    return made


INTEGER: Mapping[str, Maker] = {
    "conv2d_s8": conv_s8,
    "conv_transpose2d_s8": conv_transpose_s8,
    "linear_s8": linear_s8,
    "matmul_s8": matmul_s8,
    "add_s8": binary_s8("add_s8", short_scale),
    "shift_add_conv2d_s8": shift_add_conv,
    "shift_add_s8": shift_add,
    "mul_s8": binary_s8("mul_s8", lambda rng: scaled(rng, 2.0**-7)),
    "div_s8": binary_s8("div_s8", division_scale),
    "rescale_s8": rescale_s8,
    "lookup": lookup,
    "argmax": argmax,
    "shiftmax_s8": shiftmax_s8,
    "single_pass_softmax_s8": single_pass_softmax_s8,
    "shift_gelu_s8": shift_gelu_s8,
    "gelu_delta_s8": gelu_delta_s8,
    "i_layer_norm_s8": i_layer_norm_s8,
    "softmax_s8": softmax_s8,
    "layer_norm_s8": norm_s8("layer_norm_s8"),
    "rms_norm_s8": norm_s8("rms_norm_s8"),
    "avg_pool2d_s8": pooling("avg_pool2d_s8"),
    "max_pool2d": pooling("max_pool2d"),
    "reduce_sum_s8": reduction("reduce_sum_s8"),
    "reduce_max": reduction("reduce_max"),
    "lstm_s8": recurrent_s8("lstm_s8", 4),
    "gru_s8": recurrent_s8("gru_s8", 3),
    "log_mel_s8": log_mel_s8,
    "permute": permute,
    "slice": slice_,
    "concat": concat,
    "pad": pad,
    "expand": expand,
    "upsample_nearest": upsample,
    "embedding": embedding,
    "quantize": quantize,
    "dequantize": dequantize,
    **{kind: classical(make) for kind, make in coded_arrays.EXACT.items()},
    **{kind: classical(make) for kind, make in binary_arrays.INTEGER.items()},
    **{kind: classical(make) for kind, make in classical_arrays.INTEGER.items()},
}
FLOAT: Mapping[str, Maker] = {
    "conv2d": conv_f32,
    "conv_transpose2d": conv_transpose_f32,
    "linear": linear_f32,
    "matmul": matmul_f32,
    **{kind: binary_f32(kind) for kind in ("add", "sub", "mul", "div")},
    "avg_pool2d": pooling("avg_pool2d"),
    "clamp": unary("clamp", low=-1.0, high=6.0),
    "leaky_relu": unary("leaky_relu", slope=0.1),
    **{kind: unary(kind) for kind in ("hardswish", "hardsigmoid", "abs", "neg")},
    **{kind: unary(kind, 10.0) for kind in ("sigmoid", "tanh", "silu", "exp")},
    **{kind: unary(kind, 100.0, positive=True) for kind in ("sqrt", "rsqrt", "log")},
    "gelu": gelu,
    "softmax": rows_f32("softmax", 0),
    "shiftmax": rows_f32("shiftmax", 0),
    "shift_gelu": shift_gelu_f32,
    "layer_norm": rows_f32("layer_norm", 2),
    "rms_norm": rows_f32("rms_norm", 1),
    "affine": rows_f32("affine", 2),
    "lstm": recurrent_f32("lstm", 4),
    "gru": recurrent_f32("gru", 3),
    "rfft": rfft,
    "log_mel": log_mel,
    **{kind: classical(make) for kind, make in classical_arrays.FLOAT.items()},
}
# Sums that may cancel: their error is measured against the sum of magnitudes.
SUMS: Mapping[str, Maker] = {"reduce_sum": reduction("reduce_sum"), "reduce_mean": reduction("reduce_mean")}
KINDS: Mapping[str, Maker] = {**INTEGER, **FLOAT, **SUMS}
