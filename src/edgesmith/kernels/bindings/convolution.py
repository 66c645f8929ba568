"""Convolutions and linear layers on int8."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from edgesmith.core.graph import Op, Tensor
from edgesmith.kernels.kernel import Binding, Call, Field, numbers
from edgesmith.kernels.packing import channels_last, width_of
from edgesmith.kernels.strides import broadcast_strides, merge, walk_fields

Attrs = Mapping[str, Any]
Tensors = Sequence[Tensor]


def bounds(attrs: Attrs) -> tuple[Field, ...]:
    """Zero point and bounds of an int8 output."""
    return numbers(y_zero=attrs["y_zero"], low=attrs["low"], high=attrs["high"])


def shape_fields(inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Field, ...]:
    """Sizes and steps of a convolution, the members shared by its int8 and float structs."""
    (_, in_h, in_w, in_c), (_, out_h, out_w, out_c) = inputs[0].shape, outputs[0].shape
    _, kernel_h, kernel_w, _ = inputs[1].shape
    sizes = numbers(in_h=in_h, in_w=in_w, in_c=in_c, out_h=out_h, out_w=out_w, out_c=out_c)
    kernel = numbers(kernel_h=kernel_h, kernel_w=kernel_w)
    return (*sizes, *kernel, *step_fields(attrs), *numbers(groups=attrs["groups"]))


def step_fields(attrs: Attrs) -> tuple[Field, ...]:
    """Stride, padding before, dilation."""
    (stride_h, stride_w), (dilation_h, dilation_w) = attrs["stride"], attrs["dilation"]
    pad_top, _, pad_left, _ = attrs["padding"]
    steps = numbers(stride_h=stride_h, stride_w=stride_w, pad_top=pad_top, pad_left=pad_left)
    return (*steps, *numbers(dilation_h=dilation_h, dilation_w=dilation_w))


def _with_packed(weight: Tensor, call: Call) -> tuple[Call, ...]:
    """The call on packed weights, where their format has so few bits, then the call on bytes.

    Every folder that has a version of a packed kernel packs them in its own order.
    """
    width = width_of(weight.format)
    if width is None:
        return (call,)
    return (replace(call, file=f"{call.file}_w{width}", function=f"{call.function}_w{width}"), call)


def _conv2d_s8(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    """Depthwise where every channel is its own group, then pointwise where the kernel is one cell, then any."""
    fields = (*shape_fields(inputs, outputs, attrs), *numbers(x_zero=attrs["x_zero"]), *bounds(attrs))
    struct = "es_conv2d_s8_params"
    channels = inputs[0].shape[3]
    if attrs["groups"] == channels and channels > 1:
        call = Call("depthwise_conv2d_s8", "es_depthwise_conv2d_s8", struct, fields, arrange={1: channels_last})
    else:
        call = Call("conv2d_s8", "es_conv2d_s8", struct, fields)
    return _with_packed(inputs[1], call)


def _conv_transpose2d_s8(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    fields = (*shape_fields(inputs, outputs, attrs), *numbers(x_zero=attrs["x_zero"]), *bounds(attrs))
    return (Call("conv_transpose2d_s8", "es_conv_transpose2d_s8", "es_conv2d_s8_params", fields),)


def _linear_s8(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    out_features, in_features = inputs[1].shape
    rows = outputs[0].size // out_features
    sizes = numbers(rows=rows, in_features=in_features, out_features=out_features)
    call = Call("linear_s8", "es_linear_s8", "es_linear_s8_params", (*sizes, *bounds(attrs)))
    return _with_packed(inputs[1], call)


def matmul_fields(inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Field, ...]:
    """The walk over the leading axes, in elements, and the sizes and steps of one product."""
    a, b = inputs[0].shape, inputs[1].shape
    *lead, rows, columns = outputs[0].shape
    a_steps = [stride * rows * a[-1] for stride in broadcast_strides(a[:-2], lead)]
    b_steps = [stride * b[-2] * b[-1] for stride in broadcast_strides(b[:-2], lead)]
    axes = merge([*zip(lead, a_steps, b_steps, strict=True)])
    walk = walk_fields("matmul", axes, ("size", "a_stride", "b_stride"), at_least=0)
    b_row, b_column = (1, a[-1]) if attrs["transpose_b"] else (columns, 1)
    return (*walk, *numbers(rows=rows, inner=a[-1], columns=columns, b_row=b_row, b_column=b_column))


def _matmul_s8(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    zeros = numbers(a_zero=attrs["a_zero"], b_zero=attrs["b_zero"])
    scale = numbers(multiplier=attrs["multiplier"], shift=attrs["shift"])
    fields = (*matmul_fields(inputs, outputs, attrs), *zeros, *scale, *bounds(attrs))
    return (Call("matmul_s8", "es_matmul_s8", "es_matmul_s8_params", fields),)


BINDINGS: Mapping[str, Binding] = {
    "conv2d_s8": _conv2d_s8,
    "conv_transpose2d_s8": _conv_transpose2d_s8,
    "linear_s8": _linear_s8,
    "matmul_s8": _matmul_s8,
}
