"""Integer nets made twice with the same weights: as a graph of ours and as an ONNX model of QLinear operators."""

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgesmith.core import ops
from edgesmith.core.graph import Graph, Op, Tensor
from edgesmith.core.ops.fixed import multiplier_of, multipliers_of, short_multipliers_of
from edgesmith.zoo.models.mlperf_tiny import MobilenetV1, same_padding

ZERO = -128  # of every activation: stored 0 .. 255 in ONNX's uint8, so saturation is a ReLU
TYPICAL = 60.0  # magnitude of activations and weights above their zero points, about


@dataclass
class Twin:
    """A net under construction; `tensors` holds ours, `nodes` and `weights` ONNX's. Every scale is 1."""

    name: str
    rng: np.random.Generator
    tensors: dict[str, Tensor] = field(default_factory=dict)
    steps: list[Op] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: dict[str, np.ndarray] = field(default_factory=dict)

    def input(self, height: int, width: int, channels: int) -> str:
        """The net's input."""
        self.tensors["x"] = Tensor("x", (1, height, width, channels), "int8")
        self.weights["one"], self.weights["zero"] = np.float32(1), np.uint8(0)
        return "x"

    def convolution(self, x: str, out: int, kernel: tuple[int, int] = (3, 3), stride: int = 1, groups: int = 1) -> str:
        """A convolution with padding "same", per-channel scales and ReLU."""
        _, height, width, channels = self.tensors[x].shape
        name, k = f"conv{len(self.steps)}", kernel[0] * kernel[1] * (channels // groups)
        w = self.rng.integers(-127, 128, (out, *kernel, channels // groups)).astype(np.int8)
        bias = self.rng.integers(-2000, 2000, out).astype(np.int32)
        scales = (self.rng.uniform(0.5, 1.5, out) / (TYPICAL * k**0.5)).astype(np.float32)
        pads = (*same_padding(height, kernel[0], stride), *same_padding(width, kernel[1], stride))
        multiplier, shift = multipliers_of(scales)
        ours = {"w": w, "b": bias - ZERO * w.sum((1, 2, 3), dtype=np.int32), "m": multiplier, "s": shift}
        attrs = {"stride": (stride, stride), "padding": pads, "groups": groups, "x_zero": ZERO, "y_zero": ZERO}
        y = self._step("conv2d_s8", [x, *self._constants(name, ours)], attrs)
        theirs = {"w": w.transpose(0, 3, 1, 2), "scale": scales, "zero": np.zeros(out, np.int8), "b": bias}
        self.weights.update({f"{name}.{key}": np.ascontiguousarray(array) for key, array in theirs.items()})
        w_name, scale, zero, b = (f"{name}.{key}" for key in theirs)
        inputs = [x, "one", "zero", w_name, scale, zero, "one", "zero", b]
        top, bottom, left, right = pads
        places = {"strides": [stride] * 2, "pads": [top, left, bottom, right], "group": groups}
        self.nodes.append(helper.make_node("QLinearConv", inputs, [y], kernel_shape=list(kernel), **places))
        return y

    def add(self, a: str, b: str) -> str:
        """The mean of two tensors, so that the range stays."""
        (half, _), shift = short_multipliers_of(0.5, 0.5)
        scale = {"a_multiplier": half, "b_multiplier": half, "shift": shift}
        y = self._step("add_s8", [a, b], {**scale, "a_zero": ZERO, "b_zero": ZERO, "y_zero": ZERO})
        self.weights["two"] = np.float32(2)
        inputs = [a, "one", "zero", b, "one", "zero", "two", "zero"]
        self.nodes.append(helper.make_node("QLinearAdd", inputs, [y], domain="com.microsoft"))
        return y

    def pool(self, x: str) -> str:
        """The mean over height and width."""
        _, height, width, _ = self.tensors[x].shape
        multiplier, shift = multiplier_of(1 / (height * width))
        attrs = {"axes": (1, 2), "keepdims": True, "multiplier": multiplier, "shift": shift, "x_zero": ZERO}
        y = self._step("reduce_sum_s8", [x], {**attrs, "y_zero": ZERO})
        inputs = [x, "one", "zero", "one", "zero"]
        self.nodes.append(helper.make_node("QLinearGlobalAveragePool", inputs, [y], domain="com.microsoft"))
        return y

    def _constants(self, name: str, arrays: dict[str, np.ndarray]) -> list[str]:
        for key, array in arrays.items():
            self.constants[f"{name}.{key}"] = array
            self.tensors[f"{name}.{key}"] = Tensor(f"{name}.{key}", array.shape, str(array.dtype))
        return [f"{name}.{key}" for key in arrays]

    def _step(self, kind: str, inputs: list[str], attrs: dict[str, object]) -> str:
        y = f"y{len(self.steps)}"
        op = Op(kind, tuple(inputs), (y,), attrs, y)
        ((shape, dtype),) = ops.infer(op, tuple(self.tensors[name] for name in inputs))
        self.tensors[y] = Tensor(y, shape, dtype)
        self.steps.append(op)
        return y

    def graph(self, y: str) -> Graph:
        """The net as ours."""
        return Graph(self.name, self.tensors, tuple(self.steps), ("x",), (y,), self.constants)

    def onnx_model(self, y: str) -> bytes:
        """The net as ONNX."""
        given, made = (self._value(name) for name in ("x", y))
        arrays = [numpy_helper.from_array(np.asarray(a), name) for name, a in self.weights.items()]
        body = helper.make_graph(self.nodes, self.name, [given], [made], arrays)
        versions = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(body, opset_imports=versions, ir_version=9).SerializeToString()

    def _value(self, name: str) -> onnx.ValueInfoProto:
        one, height, width, channels = self.tensors[name].shape
        return helper.make_tensor_value_info(name, TensorProto.UINT8, [one, channels, height, width])


def ds_cnn(twin: Twin) -> str:
    """Keyword spotting of MLPerf Tiny."""
    y = twin.convolution(twin.input(49, 10, 1), 64, (10, 4), 2)
    for _ in range(4):
        y = twin.convolution(twin.convolution(y, 64, groups=64), 64, (1, 1))
    return twin.pool(y)


def mobilenet_v1(twin: Twin) -> str:
    """Visual wake words of MLPerf Tiny."""
    y, inside = twin.convolution(twin.input(96, 96, 3), 8, stride=2), 8
    for outside, stride in MobilenetV1.BLOCKS:
        y = twin.convolution(twin.convolution(y, inside, stride=stride, groups=inside), outside, (1, 1))
        inside = outside
    return twin.pool(y)


def resnet8(twin: Twin) -> str:
    """Image classification of MLPerf Tiny."""
    y = twin.convolution(twin.input(32, 32, 3), 16)
    for outside, stride in ((16, 1), (32, 2), (64, 2)):
        short = y if stride == 1 else twin.convolution(y, outside, (1, 1), stride)
        y = twin.add(twin.convolution(twin.convolution(y, outside, stride=stride), outside), short)
    return twin.pool(y)


# Expansion, channels, repeats and first stride of each group of blocks: arXiv:1801.04381, table 2.
INVERTED = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def mobilenet_v2(twin: Twin) -> str:
    """Width 1.0 at 224; ReLU after every convolution, which changes no size."""
    y, inside = twin.convolution(twin.input(224, 224, 3), 32, stride=2), 32
    for expansion, outside, repeats, first in INVERTED:
        for turn in range(repeats):
            stride, wide = first if turn == 0 else 1, inside * expansion
            z = y if expansion == 1 else twin.convolution(y, wide, (1, 1))
            z = twin.convolution(twin.convolution(z, wide, stride=stride, groups=wide), outside, (1, 1))
            y = twin.add(y, z) if stride == 1 and inside == outside else z
            inside = outside
    return twin.pool(twin.convolution(y, 1280, (1, 1)))


NETS = {"ds-cnn": ds_cnn, "resnet8": resnet8, "mobilenet-v1-025-96": mobilenet_v1, "mobilenet-v2-100-224": mobilenet_v2}
