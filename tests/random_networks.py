"""Random small integer networks, each from a seed: every shape of graph the compiler may meet."""

import math
from collections.abc import Callable

import numpy as np

from core.sketch import Sketch
from edgesmith.core.graph import Graph, Tensor
from edgesmith.core.ops import tables
from edgesmith.core.ops.fixed import multipliers_of

MOST_ELEMENTS = 3000  # of one tensor, so that a board of 20 KB holds most networks
Step = Callable[["Grower", str], str]


class Grower(Sketch):
    """Adds random valid ops to int8 tensors."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__()
        self.rng = rng

    def pick(self, choices):
        return choices[int(self.rng.integers(len(choices)))]

    def whole(self, low: int, high: int) -> int:
        """An integer in [low, high]."""
        return int(self.rng.integers(low, high + 1))

    def shape(self, name: str) -> tuple[int, ...]:
        return self.tensors[name].shape

    def bounds(self) -> dict[str, int]:
        """Zero point and bounds of an int8 output."""
        low, high = sorted((self.whole(-128, -20), self.whole(20, 127)))
        return {"y_zero": self.whole(-30, 30), "low": low, "high": high} if self.rng.random() < 0.5 else {}

    def weights(self, *shape: int) -> str:
        return self.const(self.rng.integers(-127, 128, shape).astype(np.int8))

    def scaling(self, count: int, addends: int) -> tuple[str, str, str]:
        """Bias, multiplier and shift that keep most of `addends` random products within int8."""
        factors = self.rng.uniform(0.3, 2.0, count) * 40 / (127 * 74 * math.sqrt(addends))
        bias = self.rng.integers(-5000, 5000, count).astype(np.int32)
        return tuple(map(self.const, (bias, *multipliers_of(factors))))

    def remembered(self, array: np.ndarray) -> str:
        """A state that starts as `array`."""
        name = f"state{len(self.states)}"
        self.tensors[name] = Tensor(name, array.shape, str(array.dtype))
        self.states.append((name, array))
        return name

    def random_state(self, shape: tuple[int, ...], dtype: str = "int8") -> str:
        info = np.iinfo(dtype)
        return self.remembered(self.rng.integers(info.min, info.max + 1, shape).astype(dtype))


def window(grow: Grower, x: str, most: int = 3) -> dict[str, tuple[int, ...]]:
    """A kernel with stride, dilation and asymmetric padding that fits x."""
    sizes = grow.shape(x)[1:3]
    kernel = tuple(grow.whole(1, min(most, size)) for size in sizes)
    dilation = tuple(grow.whole(1, 2) if (k - 1) * 2 < size else 1 for k, size in zip(kernel, sizes, strict=True))
    padding = tuple(grow.whole(0, min(1, kernel[i // 2] - 1)) for i in range(4))
    return {"kernel": kernel, "stride": (grow.whole(1, 2), grow.whole(1, 2)), "dilation": dilation, "padding": padding}


def convolve(grow: Grower, x: str) -> str:
    channels = grow.shape(x)[3]
    attrs = window(grow, x, grow.pick((1, 3, 5)))
    groups = grow.pick([d for d in range(1, channels + 1) if channels % d == 0])
    out = groups * grow.whole(1, max(1, 9 // groups))
    kernel = attrs.pop("kernel")
    w = grow.weights(out, *kernel, channels // groups)
    scaling = grow.scaling(out, math.prod(kernel) * channels // groups)
    return grow("conv2d_s8", x, w, *scaling, groups=groups, x_zero=grow.whole(-128, 127), **attrs, **grow.bounds())


def convolve_back(grow: Grower, x: str) -> str:
    channels, out = grow.shape(x)[3], grow.whole(1, 5)
    attrs = window(grow, x)
    kernel = attrs.pop("kernel")
    scaling = grow.scaling(out, math.prod(kernel) * channels)
    zeros = {"x_zero": grow.whole(-20, 20), **grow.bounds()}
    return grow("conv_transpose2d_s8", x, grow.weights(out, *kernel, channels), *scaling, **attrs, **zeros)


def pool(grow: Grower, x: str) -> str:
    attrs = window(grow, x)
    attrs["dilation"] = (1, 1)  # so that every window holds a cell
    if grow.rng.random() < 0.5:
        return grow("max_pool2d", x, **attrs)
    factors = map(grow.const, multipliers_of(1 / np.arange(1, math.prod(attrs["kernel"]) + 1)))
    counted = bool(grow.whole(0, 1))
    return grow("avg_pool2d_s8", x, *factors, **attrs, count_include_pad=counted, x_zero=grow.whole(-9, 9))


def arithmetic(grow: Grower, x: str) -> str:
    """With a tensor of the same shape, a constant per channel, or a state that takes the sum's place."""
    same = [n for n, t in grow.tensors.items() if t.shape == grow.shape(x) and t.dtype == "int8"]
    turn = grow.rng.random()
    other = grow.pick(same) if turn < 0.5 else grow.weights(grow.shape(x)[-1])
    zeros = {"a_zero": grow.whole(-9, 9), "b_zero": grow.whole(-9, 9), **grow.bounds()}
    if turn > 0.8:
        other = grow.random_state(grow.shape(x))
    if grow.rng.random() < 0.25:
        return grow("mul_s8", x, other, **zeros, multiplier=1_500_000_000, shift=37)
    sides = {"a_multiplier": grow.whole(200_000, 900_000), "b_multiplier": grow.whole(-900_000, 900_000)}
    return grow("add_s8", x, other, **zeros, **sides, shift=20)


def elementwise(grow: Grower, x: str) -> str:
    if grow.rng.random() < 0.5:
        return grow("lookup", x, grow.weights(256))
    zeros = {"x_zero": grow.whole(-9, 9), **grow.bounds()}
    return grow("rescale_s8", x, multiplier=grow.whole(100_000, 1_500_000), shift=20, **zeros)


def outermost(shape: tuple[int, ...]) -> int:
    """The first axis that is not 1, or the last; an image keeps its batch of one."""
    return next((i for i, n in enumerate(shape) if n > 1), len(shape) - 1)


def join(grow: Grower, x: str) -> str:
    """Along the last axis, which copies, or the first that is not 1, where the inputs can lie in the result."""
    shape = grow.shape(x)
    axis = grow.pick((len(shape) - 1, outermost(shape)))
    rest = (*shape[:axis], *shape[axis + 1 :])
    fitting = [
        n
        for n, t in grow.tensors.items()
        if t.dtype == "int8" and len(t.shape) == len(shape) and (*t.shape[:axis], *t.shape[axis + 1 :]) == rest
    ]
    others = [grow.pick(fitting) for _ in range(grow.whole(1, 2))]
    others.insert(grow.whole(0, len(others)), x)
    return grow("concat", *others, axis=axis)


def bands(grow: Grower, x: str) -> str:
    """Rows cut apart, worked on one after another, and put together: some from before, some twice, in any order."""
    shape = grow.shape(x)
    axis = outermost(shape)
    cuts = sorted({0, shape[axis], *(grow.whole(0, shape[axis]) for _ in range(2))})
    pieces = []
    for start, end in zip(cuts, cuts[1:], strict=False):
        starts = tuple(start if i == axis else 0 for i in range(len(shape)))
        ends = tuple(end if i == axis else n for i, n in enumerate(shape))
        piece = grow("slice", x, starts=starts, ends=ends, steps=(1,) * len(shape))
        pieces.append(grow.pick((lambda _, same: same, elementwise, elementwise, arithmetic))(grow, piece))
    if grow.rng.random() < 0.3:
        pieces.append(grow.pick(pieces))
    if grow.rng.random() < 0.3:
        grow.rng.shuffle(pieces)
    return grow("concat", *pieces, axis=axis)


def move(grow: Grower, x: str) -> str:
    shape = grow.shape(x)
    kind = grow.pick(("pad", "slice", "permute", "reshape", "upsample_nearest"))
    if kind == "pad":
        sides = {side: tuple(grow.whole(0, 1) if n > 1 else 0 for n in shape) for side in ("before", "after")}
        return grow("pad", x, **sides, value=float(grow.whole(-128, 127)))
    if kind == "slice":
        starts = tuple(grow.whole(0, (n - 1) // 2) for n in shape)
        ends = tuple(grow.whole(start + 1, n) for start, n in zip(starts, shape, strict=True))
        return grow("slice", x, starts=starts, ends=ends, steps=tuple(grow.whole(1, 2) for _ in shape))
    if kind == "upsample_nearest" and len(shape) == 4:
        return grow("upsample_nearest", x, factor=(grow.whole(1, 2), grow.whole(1, 2)))
    if kind == "permute":
        first = int(len(shape) == 4)
        return grow(
            "permute", x, axes=(*range(first), *(int(a) + first for a in grow.rng.permutation(len(shape) - first)))
        )
    return grow("reshape", grow("reshape", x, shape=(math.prod(shape),)), shape=shape)


def rows(grow: Grower, x: str) -> str:
    """Something along the last axis."""
    n = grow.shape(x)[-1]
    turn = grow.rng.random()
    if turn < 0.4:
        return grow("softmax_s8", x, grow.const(tables.softmax_table(0.05, n)))
    if turn < 0.6:
        gamma = grow.const(grow.rng.integers(-4095, 4096, n).astype(np.int16))
        beta = grow.const(grow.rng.integers(-9999, 9999, n).astype(np.int32))
        return grow("layer_norm_s8", x, gamma, beta, eps_q=100, multiplier=1_500_000_000, shift=46)
    out = grow.whole(1, 12)
    return grow("linear_s8", x, grow.weights(out, n), *grow.scaling(out, n), **grow.bounds())


def recur(grow: Grower, x: str) -> str:
    """An LSTM or GRU over the flattened tensor, its state kept from run to run."""
    shape = grow.shape(x)
    width, hidden = shape[-1], grow.whole(1, 5)
    sequence = grow("reshape", x, shape=(math.prod(shape) // width, 1, width))
    gates = 4 if grow.rng.random() < 0.5 else 3
    (b_ih, *ih), (b_hh, *hh) = (grow.scaling(gates * hidden, 1) for _ in range(2))
    constants = (grow.weights(gates * hidden, width), grow.weights(gates * hidden, hidden), b_ih, b_hh, *ih, *hh)
    curves = tuple(map(grow.const, (tables.sigmoid_table(), tables.tanh_table())))
    wide = grow.random_state((hidden,), "int16")
    if gates == 4:
        h0 = grow.random_state((hidden,))
        attrs = {"cell_bits": grow.whole(9, 14), "h_zero": 3, "multiplier": 1_100_000_000, "shift": 53}
        y, h, c = grow("lstm_s8", sequence, h0, wide, *constants, *curves, **attrs)
        grow.taken |= {h0: h, wide: c}
        return y
    y, h = grow("gru_s8", sequence, wide, *constants, *curves, h_zero=-3, multiplier=1_100_000_000, shift=38)
    grow.taken[wide] = h
    return y


IMAGES: tuple[Step, ...] = (
    convolve,
    convolve,
    convolve,
    pool,
    arithmetic,
    elementwise,
    join,
    bands,
    move,
    convolve_back,
)
ROWS: tuple[Step, ...] = (rows, rows, arithmetic, elementwise, join, bands, move, recur)


def network(seed: int) -> Graph:
    """The network of a seed: one to three inputs, five to twelve steps, any number of states."""
    grow = Grower(np.random.default_rng(seed))
    grow.taken: dict[str, str] = {}  # state to the result that it takes
    channels = grow.pick((1, 2, 3, 4, 4, 5, 6, 8))
    image = (1, grow.whole(3, 9), grow.whole(3, 9), channels)
    live = [grow.input(*image, dtype="int8") for _ in range(grow.whole(1, 2))]
    if grow.rng.random() < 0.3:
        live.append(grow.input(grow.whole(1, 4), grow.whole(1, 12), dtype="int8"))
    for _ in range(grow.whole(5, 12)):
        x = grow.pick(live[-3:])
        steps = IMAGES if len(grow.shape(x)) == 4 and grow.rng.random() < 0.8 else ROWS
        made = grow.pick(steps)(grow, x)
        if grow.tensors[made].size <= MOST_ELEMENTS:
            live.append(made)
    return finish(grow, live)


def finish(grow: Grower, live: list[str]) -> Graph:
    """Choose outputs, among them now and then an input, a constant or a state, and what the states become."""
    names = [live[-1], *(grow.pick(live) for _ in range(grow.whole(0, 2)))]
    if grow.rng.random() < 0.15:
        names.append(grow.pick(sorted(grow.constants)) if grow.constants else live[0])
    if grow.states and grow.rng.random() < 0.4:
        names.append(grow.pick(grow.states)[0])
    return grow.graph(*dict.fromkeys(names), updates=[becomes(grow, name) for name, _ in grow.states])


def becomes(grow: Grower, state: str) -> str:
    """What a state takes: what its op says, or any tensor of its type, itself and other states included."""
    kind = grow.tensors[state]
    alike = [n for n, t in grow.tensors.items() if (t.shape, t.dtype) == (kind.shape, kind.dtype)]
    return grow.taken.get(state) or grow.pick(alike)
