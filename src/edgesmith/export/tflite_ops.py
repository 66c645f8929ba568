"""How each float op of `core.ops` is written for TensorFlow Lite: on integers where all it reads has formats."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from edgesmith.core.errors import Unsupported
from edgesmith.core.formats import PerChannel, PerTensor
from edgesmith.core.graph import Op
from edgesmith.core.ops import attrs_of
from edgesmith.export.tflite_writer import Form, Writer

FIXED = {"LOGISTIC": PerTensor(1 / 256, -128), "SOFTMAX": PerTensor(1 / 256, -128), "TANH": PerTensor(1 / 128, 0)}
UNARY = {"sigmoid": "LOGISTIC", "tanh": "TANH", "hardswish": "HARD_SWISH", "exp": "EXP", "log": "LOG", "sqrt": "SQRT",
         "rsqrt": "RSQRT", "abs": "ABS", "neg": "NEG"}  # fmt: skip
ON_INTEGERS = ("LOGISTIC", "TANH", "HARD_SWISH")
BINARY = {"add": ("ADD", "AddOptions"), "sub": ("SUB", "SubOptions"), "mul": ("MUL", "MulOptions"),
          "div": ("DIV", "DivOptions")}  # fmt: skip


def _attrs(op: Op) -> dict[str, Any]:
    return attrs_of(op)


def _weighted(w: Writer, op: Op) -> bool:
    return w.integers(op, 0) and isinstance(w.graph_in.tensors[op.inputs[1]].format, PerChannel)


def _conv2d(w: Writer, op: Op) -> None:
    attrs, array = _attrs(op), w.graph_in.constants[op.inputs[1]]
    integers, channels = _weighted(w, op), w.graph_in.tensors[op.inputs[0]].shape[3]
    if not integers:
        w.real(op.inputs[0])
    x, padding = _window_input(w, op, array.shape[1:3], integers)
    settings = {"padding": padding, "fusedActivationFunction": w.fused(op)}
    settings |= {"strideH": attrs["stride"][0], "strideW": attrs["stride"][1]}
    settings |= {"dilationHFactor": attrs["dilation"][0], "dilationWFactor": attrs["dilation"][1]}
    if attrs["groups"] == channels and channels > 1:
        weight = w.weight(op.inputs[1], array.transpose(3, 1, 2, 0), 3, integers)
        kind, options = "DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions"
        settings["depthMultiplier"] = array.shape[0] // channels
    else:
        weight, kind, options = w.weight(op.inputs[1], array, 0, integers), "CONV_2D", "Conv2DOptions"
    w.op(kind, [x, weight, w.bias(op, integers)], [w.result(op, integers)], options, settings)


def _window_input(w: Writer, op: Op, kernel: Any, integers: bool, lowest: bool = False) -> tuple[int, int]:
    name, padding = w.padded(op, kernel, lowest)
    if name in w.graph_in.tensors:
        return w.value(name, integers), padding
    made = (w.stored if integers else w.floats).get(name)
    if made is None:
        raise Unsupported(f"tflite: {op.kind} ({op.name}) mixes floats and integers around its padding.")
    return made, padding


def _linear(w: Writer, op: Op) -> None:
    integers = _weighted(w, op)
    weight = w.weight(op.inputs[1], w.graph_in.constants[op.inputs[1]], 0, integers)
    settings = {"fusedActivationFunction": w.fused(op), "keepNumDims": len(w.graph_in.tensors[op.outputs[0]].shape) > 2}
    parts = [w.value(op.inputs[0], integers), weight, w.bias(op, integers)]
    w.op("FULLY_CONNECTED", parts, [w.result(op, integers)], "FullyConnectedOptions", settings)


def _matmul(w: Writer, op: Op) -> None:
    integers = w.integers(op)
    parts = [w.value(name, integers) for name in op.inputs]
    w.op("BATCH_MATMUL", parts, [w.result(op, integers)], "BatchMatMulOptions", {"adjY": _attrs(op)["transpose_b"]})


def _binary(w: Writer, op: Op) -> None:
    kind, options = BINARY[op.kind]
    integers = w.integers(op) and op.kind != "div"
    parts = [w.value(name, integers) for name in op.inputs]
    w.op(kind, parts, [w.result(op, integers)], options, {"fusedActivationFunction": w.fused(op)})


def _unary(w: Writer, op: Op) -> None:
    kind = UNARY[op.kind]
    fixed = FIXED.get(kind)
    w.simple(op, kind, integers=kind in ON_INTEGERS and fixed in (None, w.format(op.outputs[0])))


def _clamp(w: Writer, op: Op) -> None:
    kind = ("QUANTIZE", "RELU", "RELU_N1_TO_1", "RELU6")[w.fused(op)]
    if kind == "QUANTIZE" and not w.integers(op):
        raise Unsupported(f"tflite: clamp ({op.name}) computes nothing on floats.")
    w.simple(op, kind, "QuantizeOptions" if kind == "QUANTIZE" else "")


def _leaky_relu(w: Writer, op: Op) -> None:
    w.simple(op, "LEAKY_RELU", "LeakyReluOptions", {"alpha": _attrs(op)["slope"]})


def _gelu(w: Writer, op: Op) -> None:
    w.simple(op, "GELU", "GeluOptions", {"approximate": _attrs(op)["approximate"] == "tanh"})


def _softmax(w: Writer, op: Op) -> None:
    w.simple(op, "SOFTMAX", "SoftmaxOptions", {"beta": 1.0}, integers=w.format(op.outputs[0]) == FIXED["SOFTMAX"])


def _pool(kind: str, w: Writer, op: Op) -> None:
    """Pools store their result as their input is stored; another format is a step behind."""
    attrs, x = _attrs(op), op.inputs[0]
    if attrs["dilation"] != (1, 1) or attrs.get("count_include_pad") and any(attrs["padding"]):
        raise Unsupported(f"tflite: {op.kind} ({op.name}) is dilated or counts its padding; need a plain pool.")
    integers = w.integers(op, 0)
    source, padding = _window_input(w, op, attrs["kernel"], integers, lowest=kind == "MAX_POOL_2D")
    settings = {"padding": padding, "strideH": attrs["stride"][0], "strideW": attrs["stride"][1]}
    settings |= {"filterHeight": attrs["kernel"][0], "filterWidth": attrs["kernel"][1]}
    format_ = w.format(x) if integers else None
    _same_format(w, op, format_, lambda made: w.op(kind, [source], [made], "Pool2DOptions", settings))


def _same_format(w: Writer, op: Op, format_: PerTensor | None, write: Callable[[int], None]) -> None:
    """An operator whose result must have its input's format, and a step to another where that is wanted.

    Args:
        format_: the input's; None for floats.
        write: appends the operator, given its result's tensor.
    """
    if format_ is None or format_ == w.format(op.outputs[0]):
        write(w.result(op, format_ is not None))
        return
    between = w.act(f"{op.outputs[0]}.before", w.graph_in.tensors[op.outputs[0]].shape, format_)
    write(between)
    w.op("QUANTIZE", [between], [w.result(op, True)], "QuantizeOptions")


def _moving(w: Writer, op: Op, kind: str, options: str, constants: list[int], settings: dict[str, Any]) -> None:
    integers = w.integers(op, 0)
    parts = [w.value(op.inputs[0], integers), *constants]
    format_ = w.format(op.inputs[0]) if integers else None
    _same_format(w, op, format_, lambda made: w.op(kind, parts, [made], options, settings))


def _reduce(kind: str, w: Writer, op: Op) -> None:
    attrs = _attrs(op)
    axes = w.ints(f"{op.outputs[0]}.axes", attrs["axes"])
    settings = {"keepDims": attrs["keepdims"]}
    if kind == "REDUCE_MAX":
        _moving(w, op, kind, "ReducerOptions", [axes], settings)
    else:
        w.simple(op, kind, "ReducerOptions", settings, constants=[axes])


def _reshape(w: Writer, op: Op) -> None:
    shape = w.ints(f"{op.outputs[0]}.shape", _attrs(op)["shape"])
    _moving(w, op, "RESHAPE", "ReshapeOptions", [shape], {"newShape": list(_attrs(op)["shape"])})


def _permute(w: Writer, op: Op) -> None:
    _moving(w, op, "TRANSPOSE", "TransposeOptions", [w.ints(f"{op.outputs[0]}.perm", _attrs(op)["axes"])], {})


def _slice(w: Writer, op: Op) -> None:
    attrs, name = _attrs(op), op.outputs[0]
    lists = [w.ints(f"{name}.{key}", attrs[key]) for key in ("starts", "ends", "steps")]
    _moving(w, op, "STRIDED_SLICE", "StridedSliceOptions", lists, {})


def _pad(w: Writer, op: Op) -> None:
    attrs = _attrs(op)
    if attrs["value"] != 0:
        raise Unsupported(f"tflite: pad ({op.name}) writes {attrs['value']}; need zeros.")
    widths = w.ints(f"{op.outputs[0]}.widths", np.stack((attrs["before"], attrs["after"]), axis=1))
    _moving(w, op, "PAD", "PadOptions", [widths], {})


def _expand(w: Writer, op: Op) -> None:
    _moving(w, op, "BROADCAST_TO", "BroadcastToOptions", [w.ints(f"{op.outputs[0]}.to", _attrs(op)["shape"])], {})


def _upsample(w: Writer, op: Op) -> None:
    size = w.ints(f"{op.outputs[0]}.size", w.graph_in.tensors[op.outputs[0]].shape[1:3])
    _moving(w, op, "RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions", [size], {})


def _concat(w: Writer, op: Op) -> None:
    integers = w.integers(op)
    format_ = w.format(op.outputs[0]) if integers else None
    parts = [w.moved(name, format_) for name in op.inputs]
    w.op("CONCATENATION", parts, [w.result(op, integers)], "ConcatenationOptions", {"axis": _attrs(op)["axis"]})


def _affine(w: Writer, op: Op) -> None:
    """A product and a sum, on floats."""
    x, scale, shift = (w.real(name) for name in op.inputs)
    between = w.act(f"{op.outputs[0]}.scaled", w.graph_in.tensors[op.outputs[0]].shape, None)
    w.op("MUL", [x, scale], [between], "MulOptions")
    w.op("ADD", [between, shift], [w.result(op, False)], "AddOptions")


TABLE: Mapping[str, Form] = {
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(BINARY, _binary),
    "affine": _affine,
    "avg_pool2d": partial(_pool, "AVERAGE_POOL_2D"),
    "clamp": _clamp,
    "concat": _concat,
    "conv2d": _conv2d,
    "expand": _expand,
    "gelu": _gelu,
    "leaky_relu": _leaky_relu,
    "linear": _linear,
    "matmul": _matmul,
    "max_pool2d": partial(_pool, "MAX_POOL_2D"),
    "pad": _pad,
    "permute": _permute,
    "reduce_max": partial(_reduce, "REDUCE_MAX"),
    "reduce_mean": partial(_reduce, "MEAN"),
    "reduce_sum": partial(_reduce, "SUM"),
    "reshape": _reshape,
    "slice": _slice,
    "softmax": _softmax,
    "upsample_nearest": _upsample,
}
