"""One or more random calls of every op: small, odd-sized, with every attribute used somewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import binary_arrays
import classical_arrays
import coded_arrays
from edgesmith.core.graph import Graph, Op, Tensor
from edgesmith.core.ops import SPECS, attrs_of, tables
from edgesmith.core.ops.elementwise import BINARY, FUNCTIONS
from edgesmith.core.ops.fixed import multipliers_of

RNG = np.random.default_rng(7)


@dataclass(frozen=True)
class Case:
    """Arrays and attributes of one call."""

    kind: str
    arrays: tuple[np.ndarray, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def op(self) -> Op:
        """The call as an op of a graph: inputs i0, i1, ..., outputs o0, ..."""
        names = tuple(f"i{index}" for index in range(len(self.arrays)))
        return Op(self.kind, names, tuple(f"o{i}" for i in range(len(SPECS[self.kind].outputs))), self.attrs)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The types of the inputs."""
        return tuple(Tensor(f"i{i}", a.shape, str(a.dtype)) for i, a in enumerate(self.arrays))

    def run(self) -> list[np.ndarray]:
        """The results by the definition."""
        return SPECS[self.kind].run(self.arrays, attrs_of(self.op))

    def graph(self) -> Graph:
        """A graph of this one op: its first input is the graph's, all others are constants."""
        outputs = [Tensor(f"o{i}", a.shape, str(a.dtype)) for i, a in enumerate(self.run())]
        return Graph(
            name="case",
            tensors={t.name: t for t in (*self.tensors, *outputs)},
            ops=(self.op,),
            inputs=("i0",),
            outputs=self.op.outputs,
            constants={f"i{i}": a for i, a in enumerate(self.arrays) if i},
        )


def reals(*shape: int) -> np.ndarray:
    """Normal float32 values."""
    return RNG.normal(size=shape).astype(np.float32)


def int8s(*shape: int) -> np.ndarray:
    """All int8 values alike."""
    return RNG.integers(-128, 128, shape).astype(np.int8)


def weights(*shape: int) -> np.ndarray:
    """Symmetric int8 weights."""
    return RNG.integers(-127, 128, shape).astype(np.int8)


def scaling(count: int, real: float = 0.002) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bias, multiplier and shift for `count` channels; one multiplier is 0 when there are several."""
    factors = real * RNG.uniform(0.3, 1.0, count)
    factors[1:2] = 0
    return RNG.integers(-3000, 3000, count).astype(np.int32), *multipliers_of(factors)


REQUANT = {"multiplier": 1_500_000_000, "shift": 40}
BOUNDS = {"y_zero": -7, "low": -100, "high": 90}
WINDOW = {"stride": (2, 1), "padding": (1, 0, 2, 1), "dilation": (1, 2)}


def _convolutions() -> list[Case]:
    found = []
    for suffix, values, kernel in (("", reals, reals), ("_s8", int8s, weights)):
        for groups, per_group, out in ((1, 3, 5), (2, 2, 4), (3, 1, 6), (5, 1, 5)):
            last = (reals(out),) if suffix == "" else scaling(out)
            bounds = {"low": -0.5, "high": 2.0} if suffix == "" else {"x_zero": 5, **BOUNDS}
            arrays = (values(1, 6, 7, per_group * groups), kernel(out, 3, 2, per_group), *last)
            found.append(Case(f"conv2d{suffix}", arrays, {**WINDOW, "groups": groups, **bounds}))
            if suffix:
                coded = np.uint8(RNG.integers(0, 256, (out, 3, 2, per_group)))
                shifts = {**WINDOW, "groups": groups, "shift": 3, **bounds}
                found.append(Case("shift_add_conv2d_s8", (arrays[0], coded, arrays[2]), shifts))
            more = {"output_padding": (1, 0), "groups": groups}
            found.append(Case(f"conv_transpose2d{suffix}", arrays, {**WINDOW, **more, **bounds}))
    return found


def _products() -> list[Case]:
    zeros = {"a_zero": 3, "b_zero": -9, **REQUANT, **BOUNDS}
    return [
        Case("linear", (reals(3, 7), reals(4, 7), reals(4)), {"low": 0.0}),
        Case("linear_s8", (int8s(3, 7), weights(4, 7), *scaling(4)), BOUNDS),
        Case("linear_s8", (int8s(7), weights(4, 7), *scaling(4)), BOUNDS),
        Case("matmul", (reals(2, 3, 5), reals(5, 4))),
        Case("matmul", (reals(2, 1, 3, 5), reals(3, 4, 5)), {"transpose_b": True}),
        Case("matmul_s8", (int8s(2, 3, 5), int8s(2, 5, 4)), zeros),
        Case("matmul_s8", (int8s(2, 3, 5), int8s(4, 5)), {"transpose_b": True, **zeros}),
    ]


def _elementwise() -> list[Case]:
    zeros = {"a_zero": 3, "b_zero": -9, **BOUNDS}
    short = {"a_multiplier": 1_200_000, "b_multiplier": -700_000, "shift": 21}
    positive = ("sqrt", "rsqrt", "log")
    return [
        *(Case(kind, (reals(2, 3, 4), reals(3, 1)), {"low": -1.0}) for kind in BINARY),
        *(Case(kind, (np.abs(reals(2, 9)) if kind in positive else reals(2, 9),)) for kind in FUNCTIONS),
        Case("clamp", (reals(9),), {"low": 0.0, "high": 0.5}),
        Case("leaky_relu", (reals(9),), {"slope": 0.3}),
        Case("gelu", (reals(9),), {"approximate": "tanh"}),
        Case("add_s8", (int8s(2, 3, 4), int8s(3, 1)), {**zeros, **short}),
        Case("shift_add_s8", (int8s(2, 30), int8s(2, 30)), {**zeros, "a_left": 3, "b_left": 0, "shift": 4}),
        Case("shift_add_s8", (int8s(60), int8s(60)), {**zeros, "a_left": 0, "b_left": 1, "shift": 0}),
        Case("rescale_s8", (int8s(50),), {"x_zero": 4, "multiplier": 1_700_000, "shift": 20, **BOUNDS}),
        Case("rescale_s8", (int8s(50),), {"x_zero": 4, "multiplier": 2, "shift": 0, **BOUNDS}),
        Case("mul_s8", (int8s(2, 30), int8s(30)), {**zeros, "multiplier": 1_500_000_000, "shift": 38}),
        Case("div_s8", (int8s(40, 5), int8s(40, 1)), {**zeros, "b_zero": 0, "multiplier": 1_800_000_000, "shift": 27}),
        Case("div_s8", (int8s(9), np.int8([0, 1, -1] * 3)), {**zeros, "b_zero": 0, "multiplier": 5, "shift": 0}),
    ]


def _poolings() -> list[Case]:
    window = {"kernel": (3, 2), **WINDOW}
    pads = [{**window, "count_include_pad": counted} for counted in (False, True)]
    factors = multipliers_of(0.9 / np.arange(1, 7))
    return [
        Case("max_pool2d", (reals(1, 6, 7, 3),), window),
        Case("max_pool2d", (int8s(1, 6, 7, 3),), window),
        *(Case("avg_pool2d", (reals(1, 6, 7, 3),), attrs) for attrs in pads),
        *(Case("avg_pool2d_s8", (int8s(1, 6, 7, 3), *factors), {**attrs, "x_zero": 11, **BOUNDS}) for attrs in pads),
    ]


def _reductions() -> list[Case]:
    axes = [{"axes": (0, 2), "keepdims": True}, {"axes": (1,)}, {"axes": (0, 1, 2)}]
    kinds = ("reduce_sum", "reduce_mean", "reduce_max")
    fixed = {"x_zero": 3, "multiplier": 1_500_000_000, "shift": 33, **BOUNDS}
    return [
        *(Case(kind, (reals(3, 4, 5),), attrs) for kind in kinds for attrs in axes),
        *(Case("reduce_sum_s8", (int8s(3, 4, 5),), {**attrs, **fixed}) for attrs in axes),
    ]


def _movements() -> list[Case]:
    return [
        Case("reshape", (int8s(2, 6),), {"shape": (3, 4)}),
        Case("permute", (reals(2, 3, 4),), {"axes": (2, 0, 1)}),
        Case("slice", (int8s(5, 7),), {"starts": (1, 0), "ends": (5, 6), "steps": (1, 4)}),
        Case("concat", (int8s(2, 3), int8s(2, 1), int8s(2, 4)), {"axis": 1}),
        Case("pad", (int8s(2, 3),), {"before": (1, 0), "after": (0, 2), "value": -128}),
        Case("pad", (reals(2, 3),), {"before": (1, 0), "after": (0, 2), "value": 0.25}),
        Case("expand", (int8s(3, 1),), {"shape": (2, 3, 4)}),
        Case("upsample_nearest", (int8s(1, 2, 3, 4),), {"factor": (2, 3)}),
        Case("embedding", (np.int32([[0, 4], [9, -3]]), reals(5, 3))),
    ]


def _normalizations() -> list[Case]:
    gamma, beta = RNG.integers(-4095, 4096, 6).astype(np.int16), RNG.integers(-9999, 9999, 6).astype(np.int32)
    fixed = {"multiplier": 1_500_000_000, "shift": 48, **BOUNDS}
    return [
        Case("softmax", (reals(3, 6),)),
        Case("softmax_s8", (int8s(3, 6), tables.softmax_table(0.05, 6))),
        Case("layer_norm", (reals(3, 6), reals(6), reals(6)), {"eps": 1e-3}),
        Case("rms_norm", (reals(3, 6), reals(6)), {"eps": 1e-3}),
        Case("affine", (reals(1, 2, 2, 6), reals(6), reals(6))),
        Case("layer_norm_s8", (int8s(3, 6), gamma, beta), {"eps_q": 5000, **fixed}),
        Case("layer_norm_s8", (np.full((1, 6), 9, np.int8), gamma, beta), {"eps_q": 0, **fixed}),
        Case("rms_norm_s8", (int8s(3, 6), gamma, beta), {"eps_q": 77, "x_zero": -4, **fixed}),
    ]


def _shift_forms() -> list[Case]:
    gamma, beta = RNG.integers(-4095, 4096, 6).astype(np.int16), RNG.integers(-(1 << 22), 1 << 22, 6).astype(np.int32)
    exponent = {"exp_multiplier": 1_100_000, "exp_shift": 14}
    fixed = {"multiplier": 1_500_000_000, "shift": 45, **BOUNDS}
    relu = {"relu_multiplier": 1_500_000, "relu_shift": 9}
    narrow = np.array([[3, 3, 2, 2, 3, 3]], np.int8)
    return [
        Case("argmax", (reals(3, 6),)),
        Case("argmax", (int8s(2, 3, 6),)),
        Case("shiftmax", (reals(3, 6) * 4,)),
        Case("shift_gelu", (reals(3, 6) * 4,)),
        Case("shift_gelu", (reals(3, 6) * 4,), {"limit": 1.5}),
        Case("shiftmax_s8", (int8s(3, 6),), exponent),
        Case("shiftmax_s8", (int8s(2, 300),), exponent),
        Case("shift_gelu_s8", (int8s(3, 6),), {"x_zero": -20, **exponent, **fixed}),
        Case("shift_gelu_s8", (int8s(3, 6),), {"x_zero": 20, "limit": 70, **exponent, **fixed}),
        Case("i_layer_norm_s8", (int8s(3, 6), gamma, beta), {**fixed, "shift": 51}),
        Case("i_layer_norm_s8", (narrow, gamma, beta), {**fixed, "shift": 51}),
        Case("i_layer_norm_s8", (np.full((1, 6), 9, np.int8), gamma, beta), {**fixed, "shift": 51}),
        Case("single_pass_softmax_s8", (int8s(3, 6), tables.softmax_table(0.05, 6)), {"unit_bits": 22}),
        Case("gelu_delta_s8", (int8s(3, 20), tables.gelu_delta_table()), {"x_zero": -9, **exponent, **relu, **fixed}),
    ]


def _recurrences() -> list[Case]:
    found = []
    for kind, gates in (("lstm", 4), ("gru", 3)):
        n, inside, hidden = 5, 3, 4
        rows = gates * hidden
        states = (reals(hidden),) * (2 if kind == "lstm" else 1)
        found.append(
            Case(
                kind, (reals(n, 1, inside), *states, reals(rows, inside), reals(rows, hidden), reals(rows), reals(rows))
            )
        )
        (b_ih, *ih), (b_hh, *hh) = scaling(rows, 0.5), scaling(rows, 0.5)
        wide = RNG.integers(-32768, 32768, hidden).astype(np.int16)
        stored = (int8s(hidden), wide) if kind == "lstm" else (wide,)
        constants = (weights(rows, inside), weights(rows, hidden), b_ih, b_hh, *ih, *hh)
        for bits in (9, 12, 14) if kind == "lstm" else (None,):
            attrs = {"h_zero": -3, "multiplier": 1_100_000_000, "shift": 53 if kind == "lstm" else 38}
            found.append(
                Case(
                    f"{kind}_s8",
                    (int8s(n, 1, inside), *stored, *constants, tables.sigmoid_table(), tables.tanh_table()),
                    {**attrs, **({} if bits is None else {"cell_bits": bits})},
                )
            )
    return found


def _spectra() -> list[Case]:
    mel = np.zeros((3, 9))
    mel[0, 1:4], mel[1, 3:7] = (0.5, 1.0, 0.5), (0.2, 0.7, 1.0, 0.1)
    samples = RNG.integers(-32768, 32768, (1, 40)).astype(np.int16)
    window = np.hanning(12)
    framing = {"n_fft": 16, "hop": 5}
    fixed = (tables.window_q15(window), tables.twiddles(16), *tables.sparse_mel(mel), tables.log2_table())
    return [
        Case("rfft", (reals(3, 16),), {"n": 16}),
        Case("log_mel", (samples, window.astype(np.float32), mel.astype(np.float32)), framing),
        Case("log_mel_s8", (samples, *fixed), {**framing, "multiplier": 1_300_000_000, "shift": 41, **BOUNDS}),
    ]


def _quantizations() -> list[Case]:
    per_entry = (reals(4) * 40, reals(4) * 9)
    odd = np.float32([[np.nan, np.inf, -np.inf, 1e30]])
    return [
        Case("lookup", (int8s(3, 4), int8s(256))),
        Case("lookup", (int8s(3, 4).view(np.uint8), int8s(4, 256))),
        Case("quantize", (reals(30, 4), *per_entry)),
        Case("quantize", (odd, np.float32([2]), np.float32([-1.5]))),
        Case("dequantize", (int8s(3, 4),), {"zero": -5, "scale": 0.3}),
    ]


def _classical() -> list[Case]:
    """Drawn apart, so that the other cases stay what they are."""
    rng = np.random.default_rng(11)
    made = [make(rng) for make in (*classical_arrays.INTEGER.values(), *classical_arrays.FLOAT.values())]
    return [Case(kind, tuple(arrays), attrs) for kind, arrays, attrs in made]


def _coded() -> list[Case]:
    """Drawn apart, too."""
    rng = np.random.default_rng(13)
    made = [make(rng) for make in coded_arrays.EXACT.values() for _ in range(3)]
    return [Case(kind, tuple(arrays), attrs) for kind, arrays, attrs in made]


def _binary() -> list[Case]:
    """Drawn apart, too."""
    rng = np.random.default_rng(12)
    made = [make(rng) for make in binary_arrays.INTEGER.values() for _ in range(2)]
    return [Case(kind, tuple(arrays), attrs) for kind, arrays, attrs in made]


MAKERS = (
    _coded,
    _convolutions,
    _products,
    _elementwise,
    _poolings,
    _reductions,
    _movements,
    _normalizations,
    _shift_forms,
    _recurrences,
    _spectra,
    _quantizations,
    _classical,
    _binary,
)
CASES = [case for maker in MAKERS for case in maker()]
NAMES = [f"{case.kind}-{index}" for index, case in enumerate(CASES)]


def of_kind(*kinds: str) -> list[Case]:
    """The cases of these kinds."""
    return [case for case in CASES if case.kind in kinds]
