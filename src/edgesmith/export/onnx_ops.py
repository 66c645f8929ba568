"""How each float op of `core.ops` is written in ONNX."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from edgesmith.core.errors import Unsupported
from edgesmith.core.graph import Op
from edgesmith.core.ops import attrs_of
from edgesmith.export.onnx_file import FIRST, PLAIN, TO_FIRST, TO_PLAIN, OnnxFile, Writer

FIRST_AXIS = {0: 0, 1: 2, 2: 3, 3: 1}  # of an NHWC axis in NCHW
GATES = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2)}  # torch's i, f, g, o and r, z, n to ONNX's i, o, f, c and z, r, h
UNARY = {
    "hardswish": "HardSwish", "sigmoid": "Sigmoid", "tanh": "Tanh", "sqrt": "Sqrt", "exp": "Exp", "log": "Log",
    "abs": "Abs", "neg": "Neg",
}  # fmt: skip
BINARY = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div"}
REDUCE = {"reduce_sum": "ReduceSum", "reduce_mean": "ReduceMean", "reduce_max": "ReduceMax"}


def _attrs(op: Op) -> dict[str, Any]:
    return attrs_of(op)


def _pads(padding: Any) -> list[int]:
    top, bottom, left, right = padding
    return [top, left, bottom, right]


def _window(attrs: Mapping[str, Any]) -> dict[str, Any]:
    return {"strides": attrs["stride"], "dilations": attrs["dilation"], "pads": _pads(attrs["padding"])}


def _conv2d(f: OnnxFile, op: Op) -> None:
    attrs, w = _attrs(op), f.array(op.inputs[1])
    weight = f.weight(op.inputs[1], w.transpose(0, 3, 1, 2))
    parts = [f.value(op.inputs[0], FIRST), weight, f.bias(op)]
    made = f.node("Conv", parts, group=attrs["groups"], kernel_shape=w.shape[1:3], **_window(attrs))
    f.put(op.outputs[0], f.clipped(made, op), FIRST)


def _conv_transpose2d(f: OnnxFile, op: Op) -> None:
    attrs, w = _attrs(op), f.array(op.inputs[1])
    groups, (out, kh, kw, inside) = attrs["groups"], w.shape
    arranged = w.reshape(groups, out // groups, kh, kw, inside).transpose(0, 4, 1, 2, 3)
    arranged = arranged.reshape(groups * inside, out // groups, kh, kw)
    if groups > 1 and f.quantized:
        raise Unsupported(
            f"onnx: {op.name} is a grouped transposed convolution, whose scales ONNX cannot say. Use float."
        )
    parts = [f.value(op.inputs[0], FIRST), f.weight(op.inputs[1], arranged, axis=1), f.bias(op)]
    made = f.node("ConvTranspose", parts, group=groups, output_padding=attrs["output_padding"], **_window(attrs))
    f.put(op.outputs[0], f.clipped(made, op), FIRST)


def _linear(f: OnnxFile, op: Op) -> None:
    x, w = f.value(op.inputs[0]), f.array(op.inputs[1])
    if len(f.graph.tensors[op.inputs[0]].shape) == 2:
        made = f.node("Gemm", [x, f.weight(op.inputs[1], w), f.bias(op)], transB=1)
    else:
        product = f.node("MatMul", [x, f.weight(op.inputs[1], w.T, axis=1)])
        made = f.node("Add", [product, f.bias(op)])
    f.put(op.outputs[0], f.clipped(made, op))


def _matmul(f: OnnxFile, op: Op) -> None:
    a, b = (f.value(name) for name in op.inputs)
    if _attrs(op)["transpose_b"]:
        rank = len(f.graph.tensors[op.inputs[1]].shape)
        b = f.node("Transpose", [b], perm=[*range(rank - 2), rank - 1, rank - 2])
    f.put(op.outputs[0], f.node("MatMul", [a, b]))


def _max_pool2d(f: OnnxFile, op: Op) -> None:
    attrs = _attrs(op)
    made = f.node("MaxPool", [f.value(op.inputs[0], FIRST)], kernel_shape=attrs["kernel"], **_window(attrs))
    f.put(op.outputs[0], made, FIRST)


def _avg_pool2d(f: OnnxFile, op: Op) -> None:
    attrs = _attrs(op)
    window = {"kernel_shape": attrs["kernel"], **_window(attrs)}
    if attrs["dilation"] == (1, 1):
        del window["dilations"]  # ONNX Runtime's int8 form does not know it
    counted = int(attrs["count_include_pad"])
    made = f.node("AveragePool", [f.value(op.inputs[0], FIRST)], count_include_pad=counted, **window)
    f.put(op.outputs[0], made, FIRST)


def _upsample(f: OnnxFile, op: Op) -> None:
    scales = f.const(np.array([1, 1, *_attrs(op)["factor"]], np.float32))
    settings = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    f.put(op.outputs[0], f.node("Resize", [f.value(op.inputs[0], FIRST), "", scales], **settings), FIRST)


def _layout(f: OnnxFile, name: str) -> str:
    return FIRST if f.has(name, FIRST) and not f.has(name, PLAIN) else PLAIN


def _unary(kind: str, f: OnnxFile, op: Op) -> None:
    layout = _layout(f, op.inputs[0])
    f.put(op.outputs[0], f.node(kind, [f.value(op.inputs[0], layout)]), layout)


def _clamp(f: OnnxFile, op: Op) -> None:
    layout = _layout(f, op.inputs[0])
    f.put(op.outputs[0], f.clipped(f.value(op.inputs[0], layout), op), layout)


def _leaky_relu(f: OnnxFile, op: Op) -> None:
    layout = _layout(f, op.inputs[0])
    made = f.node("LeakyRelu", [f.value(op.inputs[0], layout)], alpha=_attrs(op)["slope"])
    f.put(op.outputs[0], made, layout)


def _hardsigmoid(f: OnnxFile, op: Op) -> None:
    layout = _layout(f, op.inputs[0])
    f.put(op.outputs[0], f.node("HardSigmoid", [f.value(op.inputs[0], layout)], alpha=1 / 6, beta=0.5), layout)


def _gelu(f: OnnxFile, op: Op) -> None:
    layout = _layout(f, op.inputs[0])
    made = f.node("Gelu", [f.value(op.inputs[0], layout)], approximate=_attrs(op)["approximate"])
    f.put(op.outputs[0], made, layout)


def _silu(f: OnnxFile, op: Op) -> None:
    layout = _layout(f, op.inputs[0])
    x = f.value(op.inputs[0], layout)
    f.put(op.outputs[0], f.node("Mul", [x, f.node("Sigmoid", [x])]), layout)


def _rsqrt(f: OnnxFile, op: Op) -> None:
    layout = _layout(f, op.inputs[0])
    f.put(op.outputs[0], f.node("Reciprocal", [f.node("Sqrt", [f.value(op.inputs[0], layout)])]), layout)


def _binary(kind: str, f: OnnxFile, op: Op) -> None:
    layout = PLAIN
    if all(len(f.graph.tensors[name].shape) == 4 for name in op.inputs) and any(f.has(n, FIRST) for n in op.inputs):
        layout = FIRST
    made = f.node(kind, [f.value(name, layout) for name in op.inputs])
    f.put(op.outputs[0], f.clipped(made, op), layout)


def _affine(f: OnnxFile, op: Op) -> None:
    x, scale, shift = op.inputs
    scaled = f.node("Mul", [f.value(x), f.const(f.array(scale), "float32")])
    f.put(op.outputs[0], f.node("Add", [scaled, f.const(f.array(shift), "float32")]))


def _reduce(kind: str, f: OnnxFile, op: Op) -> None:
    attrs, x = _attrs(op), op.inputs[0]
    layout = _layout(f, x) if attrs["keepdims"] or tuple(attrs["axes"]) == (1, 2) else PLAIN
    axes = [FIRST_AXIS[axis] if layout == FIRST else axis for axis in attrs["axes"]]
    made = f.node(kind, [f.value(x, layout), f.ints(*axes)], keepdims=int(attrs["keepdims"]))
    f.put(op.outputs[0], made, layout if attrs["keepdims"] else PLAIN)


def _concat(f: OnnxFile, op: Op) -> None:
    four = len(f.graph.tensors[op.outputs[0]].shape) == 4
    layout = FIRST if four and any(_layout(f, name) == FIRST for name in op.inputs) else PLAIN
    axis = _attrs(op)["axis"]
    made = f.node("Concat", [f.value(n, layout) for n in op.inputs], axis=FIRST_AXIS[axis] if layout == FIRST else axis)
    f.put(op.outputs[0], made, layout)


def _permute(f: OnnxFile, op: Op) -> None:
    """To and from channels first nothing is moved: the value is there, under another layout."""
    x, y, axes = op.inputs[0], op.outputs[0], tuple(_attrs(op)["axes"])
    if axes == TO_PLAIN:
        f.put(y, f.value(x), FIRST)
    elif axes == TO_FIRST and f.has(x, FIRST):
        f.put(y, f.value(x, FIRST))
    else:
        f.put(y, f.node("Transpose", [f.value(x)], perm=axes))


def _reshape(f: OnnxFile, op: Op) -> None:
    f.put(op.outputs[0], f.node("Reshape", [f.value(op.inputs[0]), f.ints(*_attrs(op)["shape"])]))


def _slice(f: OnnxFile, op: Op) -> None:
    attrs = _attrs(op)
    rank = len(attrs["starts"])
    lists = [f.ints(*attrs["starts"]), f.ints(*attrs["ends"]), f.ints(*range(rank)), f.ints(*attrs["steps"])]
    f.put(op.outputs[0], f.node("Slice", [f.value(op.inputs[0]), *lists]))


def _pad(f: OnnxFile, op: Op) -> None:
    attrs = _attrs(op)
    widths, value = f.ints(*attrs["before"], *attrs["after"]), f.const(attrs["value"], "float32")
    f.put(op.outputs[0], f.node("Pad", [f.value(op.inputs[0]), widths, value]))


def _expand(f: OnnxFile, op: Op) -> None:
    f.put(op.outputs[0], f.node("Expand", [f.value(op.inputs[0]), f.ints(*_attrs(op)["shape"])]))


def _embedding(f: OnnxFile, op: Op) -> None:
    f.put(op.outputs[0], f.node("Gather", [f.value(op.inputs[1]), f.value(op.inputs[0])], axis=0))


def _softmax(f: OnnxFile, op: Op) -> None:
    f.put(op.outputs[0], f.node("Softmax", [f.value(op.inputs[0])], axis=-1))


def _layer_norm(f: OnnxFile, op: Op) -> None:
    x, *parameters = op.inputs
    parts = [f.value(x), *(f.const(f.array(name), "float32") for name in parameters)]
    f.put(op.outputs[0], f.node("LayerNormalization", parts, axis=-1, epsilon=_attrs(op)["eps"]))


def _rms_norm(f: OnnxFile, op: Op) -> None:
    """Written out: ONNX has it from opset 23 on."""
    x = f.value(op.inputs[0])
    mean = f.node("ReduceMean", [f.node("Mul", [x, x]), f.ints(-1)], keepdims=1)
    root = f.node("Sqrt", [f.node("Add", [mean, f.const(_attrs(op)["eps"], "float32")])])
    f.put(op.outputs[0], f.node("Mul", [f.node("Div", [x, root]), f.const(f.array(op.inputs[1]), "float32")]))


def _recurrent(kind: str, f: OnnxFile, op: Op) -> None:
    """States (H,) go in and out as (1, 1, H)."""
    count = 2 if kind == "lstm" else 1
    x, states, parameters = op.inputs[0], op.inputs[1 : 1 + count], op.inputs[1 + count :]
    w_ih, w_hh, b_ih, b_hh = (_gates(kind, f.array(name)) for name in parameters)
    hidden = w_hh.shape[1]
    shape = f.ints(1, 1, hidden)
    initial = [f.node("Reshape", [f.value(name), shape]) for name in states]
    weights = [f.const(array[None], "float32") for array in (w_ih, w_hh, np.concatenate((b_ih, b_hh)))]
    settings = {"hidden_size": hidden, **({"linear_before_reset": 1} if kind == "gru" else {})}
    made = f.nodes_of(kind.upper(), [f.value(x), *weights, "", *initial], 1 + count, **settings)
    steps = f.graph.tensors[x].shape[0]
    f.put(op.outputs[0], f.node("Reshape", [made[0], f.ints(steps, 1, hidden)]))
    for name, final in zip(op.outputs[1:], made[1:], strict=True):
        f.put(name, f.node("Reshape", [final, f.ints(hidden)]))


def _gates(kind: str, array: np.ndarray) -> np.ndarray:
    """Rows in ONNX's order of gates."""
    order = GATES[kind]
    size = len(array) // len(order)
    return np.concatenate([array[gate * size : (gate + 1) * size] for gate in order])


TABLE: Mapping[str, Writer] = {
    **{kind: partial(_unary, name) for kind, name in UNARY.items()},
    **{kind: partial(_binary, name) for kind, name in BINARY.items()},
    **{kind: partial(_reduce, name) for kind, name in REDUCE.items()},
    **{kind: partial(_recurrent, kind) for kind in GATES},
    "affine": _affine,
    "avg_pool2d": _avg_pool2d,
    "clamp": _clamp,
    "concat": _concat,
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "embedding": _embedding,
    "expand": _expand,
    "gelu": _gelu,
    "hardsigmoid": _hardsigmoid,
    "layer_norm": _layer_norm,
    "leaky_relu": _leaky_relu,
    "linear": _linear,
    "matmul": _matmul,
    "max_pool2d": _max_pool2d,
    "pad": _pad,
    "permute": _permute,
    "reshape": _reshape,
    "rms_norm": _rms_norm,
    "rsqrt": _rsqrt,
    "silu": _silu,
    "slice": _slice,
    "softmax": _softmax,
    "upsample_nearest": _upsample,
}
