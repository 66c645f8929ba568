"""Pooling, and the largest over axes, for each element type."""

from collections.abc import Mapping, Sequence
from typing import Any

from edgesmith.core.graph import Op, Tensor
from edgesmith.kernels.bindings.convolution import bounds, step_fields
from edgesmith.kernels.bindings.integer import reduce_walks
from edgesmith.kernels.kernel import SUFFIX, Binding, Call, Field, numbers

Attrs = Mapping[str, Any]
Tensors = Sequence[Tensor]


def pool_fields(inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Field, ...]:
    """Sizes and steps of a pooling window."""
    (_, in_h, in_w, channels), (_, out_h, out_w, _) = inputs[0].shape, outputs[0].shape
    kernel_h, kernel_w = attrs["kernel"]
    sizes = numbers(in_h=in_h, in_w=in_w, channels=channels, out_h=out_h, out_w=out_w)
    return (*sizes, *numbers(kernel_h=kernel_h, kernel_w=kernel_w), *step_fields(attrs))


def _max_pool2d(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    function = f"es_max_pool2d_{SUFFIX[inputs[0].dtype]}"
    return (Call("max_pool2d", function, "es_pool2d_params", pool_fields(inputs, outputs, attrs)),)


def _avg_pool2d_s8(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    extra = numbers(count_all=attrs["count_include_pad"], x_zero=attrs["x_zero"])
    fields = (*pool_fields(inputs, outputs, attrs), *extra, *bounds(attrs))
    return (Call("avg_pool2d_s8", "es_avg_pool2d_s8", "es_pool2d_params", fields),)


def _reduce_max(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    function = f"es_reduce_max_{SUFFIX[inputs[0].dtype]}"
    fields = reduce_walks(op.kind, inputs[0], attrs["axes"])
    return (Call("reduce_max", function, "es_reduce_params", fields),)


BINDINGS: Mapping[str, Binding] = {
    "max_pool2d": _max_pool2d,
    "avg_pool2d_s8": _avg_pool2d_s8,
    "reduce_max": _reduce_max,
}
