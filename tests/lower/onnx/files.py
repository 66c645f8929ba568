"""Small .onnx files, each with the operators of a kind of net; ONNX Runtime runs them, so it says what is right."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

OPSET = 20


class Net:
    """With seeded weights."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def const(self, array: Any, dtype: str = "") -> str:
        """A constant."""
        name = f"c{len(self.constants)}"
        array = np.asarray(array, dtype or None)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def weight(self, *shape: int) -> str:
        """A float constant of seeded values."""
        return self.const(self.rng.normal(0, 0.4, shape), "float32")

    def ints(self, *values: int) -> str:
        """A constant of int64."""
        return self.const(list(values), "int64")

    def __call__(self, kind: str, *inputs: str, outputs: int = 1, **attrs: Any) -> Any:
        """Append a node and return the names of its outputs."""
        names = [f"{kind.lower()}{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, **attrs))
        return names[0] if outputs == 1 else names

    def done(self, shape: Sequence[int | str], *outputs: str, opset: int = OPSET) -> ModelProto:
        """The model of one input "x"."""
        ends = [[helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]]
        ends.append([helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs])
        graph = helper.make_graph(self.nodes, "net", *ends, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def convolutions() -> ModelProto:
    """Uneven pads, automatic ones, strides, dilations, groups; batch norm; pooling; a linear layer."""
    n = Net(1)
    y = n("Conv", "x", n.weight(8, 3, 3, 3), n.weight(8), pads=[0, 1, 2, 1], strides=[2, 1], dilations=[1, 2])
    y = n("Relu", n("BatchNormalization", y, *(n.const(n.rng.uniform(0.5, 1.5, 8), "float32") for _ in range(4))))
    y = n("Conv", y, n.weight(8, 1, 3, 2), auto_pad="SAME_UPPER", group=8)
    y = n("Clip", y, n.const(0.0, "float32"), n.const(6.0, "float32"))
    y = n("Conv", y, n.weight(4, 8, 2, 2), n.weight(4), auto_pad="SAME_LOWER")
    a = n("MaxPool", y, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    b = n("AveragePool", y, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    y = n("Concat", a, b, axis=1)
    y = n("ConvTranspose", y, n.weight(8, 3, 2, 2), n.weight(3), strides=[2, 2])
    y = n("Resize", y, "", "", n.ints(1, 3, 18, 20), mode="nearest")
    flat = n("Flatten", n("GlobalAveragePool", y))
    return n.done(("batch", 3, 9, 12), n("Gemm", flat, n.weight(5, 3), n.weight(5), transB=1))


def moves() -> ModelProto:
    """Cuts, splits, permutes, pads, and shapes that are computed from shapes."""
    n = Net(2)
    y = n("Slice", "x", n.ints(1, -5), n.ints(9, -1), n.ints(2, 3), n.ints(1, 2))
    y = n("Transpose", n("Concat", n("Identity", y), n("Neg", y), axis=1), perm=[0, 2, 3, 1])
    a, b = n("Split", y, n.ints(1, 7), axis=3, outputs=2)
    y = n("Add", b, n("Expand", a, n.ints(1, 1, 1, 7)))
    y = n("Pad", y, n.ints(0, 1, 0, 0, 0, 0, 2, 0), n.const(0.5, "float32"))
    rows = n("Gather", n("Shape", y), n.ints(0), axis=0)
    y = n("Reshape", y, n("Concat", rows, n.ints(-1), axis=0))
    y = n("Unsqueeze", y, n.ints(1))
    last = n("Gather", n("Squeeze", y, n.ints(1)), n.const(0, "int64"), axis=0)
    return n.done((1, 4, 8, 6), y, n("ReduceMax", last, n.ints(0), keepdims=1))


def functions() -> ModelProto:
    """Functions of one value, and arithmetic."""
    n = Net(3)
    kinds = ("Sigmoid", "Tanh", "HardSwish", "Gelu", "LeakyRelu", "HardSigmoid", "Abs", "Exp", "Softmax", "LogSoftmax")
    outputs = [n(kind, "x") for kind in kinds]
    positive = n("Add", n("Pow", "x", n.const(2.0, "float32")), n.const(0.1, "float32"))
    outputs += [
        n("Sqrt", positive),
        n("Log", positive),
        n("Reciprocal", positive),
        n("Min", "x", n.const(0.2, "float32")),
    ]
    outputs += [n("Softmax", "x", axis=1), n("Div", n("Sub", "x", n.weight(5)), positive)]
    return n.done((1, 4, 5), *outputs)


def sequences() -> ModelProto:
    """LSTM, GRU, layer norm, and a matrix product of two activations."""
    n = Net(4)
    x = n("Transpose", "x", perm=[1, 0, 2])
    y, _, _ = n("LSTM", x, n.weight(1, 24, 5), n.weight(1, 24, 6), n.weight(1, 48), hidden_size=6, outputs=3)
    z = n("GRU", n("Squeeze", y, n.ints(1)), n.weight(1, 12, 6), n.weight(1, 12, 4), n.weight(1, 24),
          hidden_size=4, linear_before_reset=1, outputs=2)[0]  # fmt: skip
    z = n("Squeeze", z, n.ints(1))
    z = n("LayerNormalization", z, n.weight(4), n.weight(4), axis=-1)
    scores = n("MatMul", z, n("Transpose", z, perm=[0, 2, 1]))
    return n.done((1, 7, 5), n("Add", n("MatMul", z, n.weight(4, 3)), n.weight(3)), scores)


NETS: dict[str, Callable[[], ModelProto]] = {
    "convolutions": convolutions,
    "moves": moves,
    "functions": functions,
    "sequences": sequences,
}
