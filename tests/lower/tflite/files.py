"""Small .tflite files, each with the operators of a kind of net; LiteRT runs them, so it says what is right."""

from collections.abc import Callable

import numpy as np

from edgesmith.export.tflite_file import TfliteFile

SAME, VALID = 0, 1
NONE, RELU, RELU6 = 0, 1, 3
X = (0.05, 3)  # scale and zero point of activations


class Net(TfliteFile):
    """With seeded weights and int8 activations."""

    def __init__(self, seed: int = 0, quantized: bool = True) -> None:
        super().__init__()
        self.rng, self.quantized = np.random.default_rng(seed), quantized

    def act(self, *shape: int, scale: float = X[0], zero: int = X[1], dtype: str = "int8") -> int:
        """An activation."""
        name = f"t{len(self.graph.tensors)}"
        if not self.quantized:
            return self.tensor(name, shape)
        return self.tensor(name, shape, dtype, [scale], [zero])

    def weight(self, *shape: int, axis: int = 0) -> int:
        """A constant weight with a scale per entry of `axis`."""
        name = f"w{len(self.graph.tensors)}"
        if not self.quantized:
            return self.tensor(name, shape, data=self.rng.normal(0, 0.3, shape).astype(np.float32))
        scales = self.rng.uniform(0.002, 0.01, shape[axis])
        data = self.rng.integers(-127, 128, shape).astype(np.int8)
        return self.tensor(name, shape, "int8", scales, axis=axis, data=data)

    def bias(self, weight: int, axis: int = 0) -> int:
        """A bias for a weight."""
        tensor = self.graph.tensors[weight]
        size = tensor.shape[axis]
        if not self.quantized:
            return self.tensor(f"b{weight}", (size,), data=self.rng.normal(0, 0.3, size).astype(np.float32))
        scales = [X[0] * scale for scale in tensor.quantization.scale]
        return self.tensor(f"b{weight}", (size,), "int32", scales, data=self.rng.integers(-900, 900, size, np.int32))

    def done(self, inputs: list[int], outputs: list[int]) -> bytes:
        """The file."""
        self.ends(inputs, outputs)
        return self.packed()


def convolutions(quantized: bool) -> bytes:
    """Every padding, stride, dilation and fused activation; a depthwise layer; pooling; a linear layer."""
    n = Net(1, quantized)
    x = n.act(1, 9, 8, 3)
    padded = n.act(1, 12, 10, 3)
    n.op("PAD", [x, n.ints("pads", [[0, 0], [1, 2], [0, 2], [0, 0]])], [padded], "PadOptions")
    w = n.weight(4, 3, 3, 3)
    a = n.act(1, 6, 5, 4)
    settings = {"padding": SAME, "strideH": 2, "strideW": 2, "fusedActivationFunction": RELU6}
    n.op("CONV_2D", [padded, w, n.bias(w)], [a], "Conv2DOptions", settings)
    d = n.weight(1, 3, 2, 8, axis=3)
    b = n.act(1, 6, 5, 8)
    settings = {"padding": SAME, "strideH": 1, "strideW": 1, "depthMultiplier": 2, "fusedActivationFunction": RELU}
    n.op("DEPTHWISE_CONV_2D", [a, d, n.bias(d, 3)], [b], "DepthwiseConv2DOptions", settings)
    w = n.weight(6, 2, 2, 8)
    c = n.act(1, 4, 4, 6)
    settings = {"padding": VALID, "strideH": 1, "strideW": 1, "dilationHFactor": 2, "fusedActivationFunction": NONE}
    n.op("CONV_2D", [b, w, n.bias(w)], [c], "Conv2DOptions", settings)
    window = {"padding": SAME, "strideH": 2, "strideW": 2, "filterHeight": 3, "filterWidth": 3}
    pooled, averaged = n.act(1, 2, 2, 6), n.act(1, 2, 2, 6)
    n.op("MAX_POOL_2D", [c], [pooled], "Pool2DOptions", window)
    n.op("AVERAGE_POOL_2D", [c], [averaged], "Pool2DOptions", window)
    summed = n.act(1, 2, 2, 6, scale=0.08)
    n.op("ADD", [pooled, averaged], [summed], "AddOptions", {"fusedActivationFunction": RELU})
    w = n.weight(5, 24)
    y = n.act(1, 5, scale=0.3)
    n.op("FULLY_CONNECTED", [summed, w, -1], [y], "FullyConnectedOptions")
    return n.done([x], [y])


def moves(quantized: bool) -> bytes:
    """Cuts, splits, joins, permutes, means and arithmetic with a constant."""
    n = Net(2, quantized)
    x = n.act(1, 4, 6, 4)
    cut = n.act(1, 3, 2, 4)
    bounds = [n.ints("begin", [0, 1, -5, 0]), n.ints("end", [0, 0, -1, 0]), n.ints("step", [1, 1, 2, 1])]
    n.op("STRIDED_SLICE", [x, *bounds], [cut], "StridedSliceOptions", {"beginMask": 9, "endMask": 11})
    parts = [n.act(1, 3, 2, 1), n.act(1, 3, 2, 3)]
    sizes = [n.ints("sizes", [1, -1]), n.ints("axis", np.array(3))]
    n.op("SPLIT_V", [cut, *sizes], parts, "SplitVOptions", {"numSplits": 2})
    joined = n.act(1, 3, 2, 4)
    n.op("CONCATENATION", parts[::-1], [joined], "ConcatenationOptions", {"axis": -1})
    turned = n.act(1, 4, 3, 2)
    n.op("TRANSPOSE", [joined, n.ints("perm", [0, 3, 1, 2])], [turned], "TransposeOptions")
    other = (
        n.weight(1, 1, 1, 2)
        if not quantized
        else n.tensor("half", (1, 1, 1, 2), "int8", [0.02], [5], data=np.array([[[[40, -80]]]], np.int8))
    )
    scaled = n.act(1, 4, 3, 2, scale=0.1, zero=-7)
    n.op("MUL", [turned, other], [scaled], "MulOptions")
    large = n.act(1, 8, 6, 2, scale=0.1, zero=-7)
    n.op("RESIZE_NEAREST_NEIGHBOR", [scaled, n.ints("size", [8, 6])], [large], "ResizeNearestNeighborOptions")
    mean = n.act(1, 2, scale=0.07)
    n.op("MEAN", [large, n.ints("axes", [1, 2])], [mean], "ReducerOptions", {"keepDims": False})
    flat = n.act(2, scale=0.07)
    n.op("RESHAPE", [mean, n.ints("shape", [2])], [flat], "ReshapeOptions")
    return n.done([x], [scaled, flat])


def functions(quantized: bool) -> bytes:
    """Functions of one value, softmax, and a change of format."""
    n = Net(3, quantized)
    x = n.act(1, 10, scale=0.06, zero=-20)
    outputs = []
    for kind, scale, zero in (("LOGISTIC", 1 / 256, -128), ("TANH", 1 / 128, 0), ("SOFTMAX", 1 / 256, -128)):
        outputs.append(n.act(1, 10, scale=scale, zero=zero))
        n.op(kind, [x], outputs[-1:], *(("SoftmaxOptions", {"beta": 1.0}) if kind == "SOFTMAX" else ()))
    swish = n.act(1, 10, scale=0.05)
    n.op("HARD_SWISH", [x], [swish], "HardSwishOptions")
    if quantized:
        again = n.act(1, 10, scale=0.11, zero=17)
        n.op("QUANTIZE", [swish], [again], "QuantizeOptions")
        swish = again
    return n.done([x], [*outputs, swish])


def streaming(quantized: bool) -> bytes:
    """A variable that keeps the last two of three rows, as streaming nets do."""
    n = Net(4, quantized)
    handle, x = n.tensor("handle", (), "resource"), n.act(1, 1, 4)
    n.op("CALL_ONCE", [], [], "CallOnceOptions", {"initSubgraphIndex": 1})
    n.op("VAR_HANDLE", [], [handle], "VarHandleOptions", {"container": "", "sharedName": "stream"})
    past, rows, kept = n.act(1, 2, 4), n.act(1, 3, 4), n.act(1, 2, 4)
    n.op("READ_VARIABLE", [handle], [past], "ReadVariableOptions")
    n.op("CONCATENATION", [past, x], [rows], "ConcatenationOptions", {"axis": 1})
    bounds = [n.ints("begin", [0, 1, 0]), n.ints("end", [0, 0, 0]), n.ints("step", [1, 1, 1])]
    n.op("STRIDED_SLICE", [rows, *bounds], [kept], "StridedSliceOptions", {"beginMask": 5, "endMask": 7})
    n.op("ASSIGN_VARIABLE", [handle, kept], [], "AssignVariableOptions")
    w = n.weight(3, 12)
    y = n.act(1, 3, scale=0.2)
    n.op("FULLY_CONNECTED", [rows, w, n.bias(w)], [y], "FullyConnectedOptions")
    n.ends([x], [y])
    n.begin("first")
    handle = n.tensor("handle", (), "resource")
    first = n.rng.integers(-90, 90, (1, 2, 4))
    zeros = (
        n.tensor("zeros", (1, 2, 4), "int8", [X[0]], [X[1]], data=first.astype(np.int8))
        if quantized
        else n.tensor("zeros", (1, 2, 4), data=first.astype(np.float32) / 50)
    )
    n.op("VAR_HANDLE", [], [handle], "VarHandleOptions", {"container": "", "sharedName": "stream"})
    n.op("ASSIGN_VARIABLE", [handle, zeros], [], "AssignVariableOptions")
    n.ends([], [])
    return n.packed()


NETS: dict[str, Callable[[bool], bytes]] = {
    "convolutions": convolutions,
    "moves": moves,
    "functions": functions,
    "streaming": streaming,
}
