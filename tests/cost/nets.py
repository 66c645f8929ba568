"""Random small nets as graphs, int8 and float: convolutions, pooling, a residual add, a linear layer, softmax."""

import math
from typing import Any

import numpy as np

from edgesmith.core import ops
from edgesmith.core.graph import Graph, Op, State, Tensor
from edgesmith.core.ops import tables

Rng = np.random.Generator


class Net:
    """A graph being built op by op on the tensor called `top`."""

    def __init__(self, rng: Rng, precision: str) -> None:
        self.rng, self.int8 = rng, precision == "int8"
        size = int(rng.integers(8, 17))
        first = Tensor("x", (1, size, size, int(rng.choice([1, 3, 4]))), "int8" if self.int8 else "float32")
        self.tensors, self.top = {"x": first}, "x"
        self.ops: list[Op] = []
        self.constants: dict[str, np.ndarray] = {}

    def op(self, kind: str, constants: list[np.ndarray], also: tuple[str, ...] = (), **attrs: Any) -> None:
        index = len(self.ops)
        names = [f"c{index}_{i}" for i in range(len(constants))]
        self.constants.update(zip(names, constants, strict=True))
        self.tensors.update({n: Tensor(n, c.shape, str(c.dtype)) for n, c in zip(names, constants, strict=True)})
        op = Op(kind, (self.top, *also, *names), (f"y{index}",), attrs, f"layer{index}")
        (shape, dtype) = ops.infer(op, tuple(self.tensors[name] for name in op.inputs))[0]
        self.tensors[f"y{index}"] = Tensor(f"y{index}", shape, dtype)  # type: ignore[arg-type]
        self.ops.append(op)
        self.top = f"y{index}"

    def weights(self, *shape: int) -> list[np.ndarray]:
        """Weights, bias and, for int8, requantizers."""
        if not self.int8:
            return [
                (self.rng.standard_normal(n) / math.prod(shape[1:]) ** 0.5).astype(np.float32)
                for n in (shape, shape[:1])
            ]
        out, window = shape[0], math.prod(shape[1:])
        shift = np.full(out, 37 + round(0.5 * math.log2(window)), np.uint8)
        multiplier = self.rng.integers(1 << 30, 1 << 31, out).astype(np.int32)
        return [
            self.rng.integers(-127, 128, shape).astype(np.int8),
            np.zeros(out, np.int32),
            multiplier,
            shift,
        ]

    def conv(self, out: int, kernel: int, stride: int = 1, depthwise: bool = False) -> None:
        channels = self.tensors[self.top].shape[3]
        out, groups = (channels, channels) if depthwise and channels > 1 else (out, 1)
        weights = self.weights(out, kernel, kernel, channels // groups)
        kind = "conv2d_s8" if self.int8 else "conv2d"
        self.op(kind, weights, stride=(stride, stride), padding=(kernel // 2,) * 4, groups=groups)

    def residual(self) -> None:
        before = self.top
        self.conv(self.tensors[before].shape[3], 3)
        scale = {"a_multiplier": 1 << 19, "b_multiplier": 1 << 19, "shift": 20} if self.int8 else {}
        self.op("add_s8" if self.int8 else "add", [], (before,), **scale)

    def head(self, classes: int) -> None:
        _, height, width, channels = self.tensors[self.top].shape
        self.op("max_pool2d", [], kernel=(2, 2), stride=(2, 2))
        features = (height // 2) * (width // 2) * channels
        self.op("reshape", [], shape=(1, features))
        self.op("linear_s8" if self.int8 else "linear", self.weights(classes, features))
        if self.int8:
            self.op("softmax_s8", [tables.softmax_table(0.1, classes)])
        else:
            self.op("softmax", [])

    def graph(self) -> Graph:
        return Graph("net", self.tensors, tuple(self.ops), ("x",), (self.top,), self.constants)


def random_net(seed: int, precision: str) -> Graph:
    """A net of five to nine ops."""
    rng = np.random.default_rng(seed)
    net = Net(rng, precision)
    net.conv(int(rng.integers(2, 7)) * 4, 3, stride=int(rng.integers(1, 3)))
    for _ in range(int(rng.integers(1, 3))):
        [net.residual, lambda: net.conv(0, 3, depthwise=True)][rng.integers(2)]()
        net.conv(int(rng.integers(4, 40)), 1)
    net.head(int(rng.integers(2, 12)))
    return net.graph()


def recurrent_net(seed: int) -> Graph:
    """One LSTM layer with its two states and a linear layer after it."""
    rng = np.random.default_rng(seed)
    hidden, width = 12, 5
    f32 = {
        name: rng.standard_normal(shape).astype(np.float32)
        for name, shape in {
            "w_ih": (4 * hidden, width),
            "w_hh": (4 * hidden, hidden),
            "b_ih": (4 * hidden,),
            "b_hh": (4 * hidden,),
            "w": (3, hidden),
            "b": (3,),
        }.items()
    }
    shapes = {"x": (1, 1, width), "h": (hidden,), "c": (hidden,), "h1": (hidden,), "c1": (hidden,)}
    lstm = Op("lstm", ("x", "h", "c", "w_ih", "w_hh", "b_ih", "b_hh"), ("y", "h1", "c1"), {}, "lstm")
    tensors = {name: Tensor(name, shape) for name, shape in {**shapes, "y": (1, 1, hidden)}.items()}
    tensors.update({name: Tensor(name, array.shape) for name, array in f32.items()})
    made = ops.infer(lstm, tuple(tensors[name] for name in lstm.inputs))
    tensors.update({name: Tensor(name, shape) for name, (shape, _) in zip(lstm.outputs, made, strict=True)})
    linear = Op("linear", ("y", "w", "b"), ("z",), {}, "linear")
    tensors["z"] = Tensor("z", ops.infer(linear, tuple(tensors[name] for name in linear.inputs))[0][0])
    states = (
        State("h", "h1", np.zeros(hidden, np.float32)),
        State("c", "c1", np.ones(hidden, np.float32)),
    )
    return Graph("net", tensors, (lstm, linear), ("x",), ("z",), f32, states)
