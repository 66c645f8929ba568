"""Float ops: convolutions, products, functions of elements, rows, reductions."""

from collections.abc import Mapping, Sequence
from typing import Any

from edgesmith.core.graph import Op, Tensor
from edgesmith.kernels.bindings.convolution import matmul_fields, shape_fields
from edgesmith.kernels.bindings.integer import operand_walk, reduce_walks
from edgesmith.kernels.bindings.window import pool_fields
from edgesmith.kernels.kernel import Binding, Call, Field, floats, numbers

Attrs = Mapping[str, Any]
Tensors = Sequence[Tensor]
PLAIN_UNARY = ["hardswish", "hardsigmoid", "sigmoid", "tanh", "silu", "sqrt", "rsqrt", "exp", "log", "abs", "neg"]


def _bounds(attrs: Attrs) -> tuple[Field, ...]:
    return floats(low=attrs["low"], high=attrs["high"])


def _convolution(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    fields = (*shape_fields(inputs, outputs, attrs), *_bounds(attrs))
    return (Call(op.kind, f"es_{op.kind}", "es_conv2d_params", fields),)


def _linear(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    out_features, in_features = inputs[1].shape
    sizes = numbers(rows=outputs[0].size // out_features, in_features=in_features, out_features=out_features)
    return (Call("linear", "es_linear", "es_linear_params", (*sizes, *_bounds(attrs))),)


def _matmul(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    return (Call("matmul", "es_matmul", "es_matmul_params", matmul_fields(inputs, outputs, attrs)),)


def _arithmetic(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    fields = (*operand_walk(op.kind, inputs, outputs), *_bounds(attrs))
    return (Call("arithmetic", f"es_{op.kind}", "es_arithmetic_params", fields),)


def _unary(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    function = "es_gelu_tanh" if attrs.get("approximate") == "tanh" else f"es_{op.kind}"
    return (Call("unary", function, "es_unary_params", numbers(n=inputs[0].size)),)


def _clamp(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    return (Call("unary", "es_clamp", "es_clamp_params", (*numbers(n=inputs[0].size), *_bounds(attrs))),)


def _leaky_relu(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    fields = (*numbers(n=inputs[0].size), *floats(slope=attrs["slope"]))
    return (Call("unary", "es_leaky_relu", "es_leaky_relu_params", fields),)


def _avg_pool2d(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    fields = (*pool_fields(inputs, outputs, attrs), *numbers(count_all=attrs["count_include_pad"]))
    return (Call("avg_pool2d", "es_avg_pool2d", "es_pool2d_params", fields),)


def _reduce(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    return (Call("reduce", f"es_{op.kind}", "es_reduce_params", reduce_walks(op.kind, inputs[0], attrs["axes"])),)


def _rows(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    n = inputs[0].shape[-1]
    fields = (*numbers(rows=inputs[0].size // n, n=n), *floats(eps=attrs.get("eps", 0.0)))
    return (Call("rows", f"es_{op.kind}", "es_rows_params", fields),)


def _shiftmax(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    (rows,) = _rows(op, inputs, outputs, attrs)
    return (Call("shift", "es_shiftmax", rows.struct, rows.fields),)


def _shift_gelu(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    n = inputs[0].shape[-1]
    fields = (*numbers(rows=inputs[0].size // n, n=n), *floats(limit=attrs["limit"]))
    return (Call("shift", "es_shift_gelu", "es_shift_gelu_params", fields),)


BINDINGS: Mapping[str, Binding] = {
    "conv2d": _convolution,
    "conv_transpose2d": _convolution,
    "linear": _linear,
    "matmul": _matmul,
    **dict.fromkeys(("add", "sub", "mul", "div"), _arithmetic),
    **dict.fromkeys((*PLAIN_UNARY, "gelu"), _unary),
    "clamp": _clamp,
    "leaky_relu": _leaky_relu,
    "avg_pool2d": _avg_pool2d,
    "reduce_sum": _reduce,
    "reduce_mean": _reduce,
    "shiftmax": _shiftmax,
    "shift_gelu": _shift_gelu,
    **dict.fromkeys(("softmax", "layer_norm", "rms_norm", "affine"), _rows),
}
