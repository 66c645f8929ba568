"""Layers without multiplications: whatever would take a product to find is a parameter."""

from collections.abc import Mapping, Sequence
from typing import Any

from edgesmith.core.graph import Op, Tensor
from edgesmith.kernels.bindings.convolution import bounds, shape_fields
from edgesmith.kernels.kernel import Binding, Call, Field, numbers

Attrs = Mapping[str, Any]
Tensors = Sequence[Tensor]


def steps(inputs: Tensors, attrs: Attrs) -> tuple[Field, ...]:
    """Offsets in x between what the kernel visits."""
    (_, _, width, channels), (out, *_, in_per) = inputs[0].shape, inputs[1].shape
    (stride_h, stride_w), (dilation_h, dilation_w) = attrs["stride"], attrs["dilation"]
    top, _, left, _ = attrs["padding"]
    row = width * channels
    return numbers(
        in_per=in_per,
        out_per=out // attrs["groups"],
        first=-(top * row + left * channels),
        row_step=stride_h * row,
        column_step=stride_w * channels,
        tap_row_step=dilation_h * row,
        tap_column_step=dilation_w * channels,
    )


def _conv2d(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    scale = numbers(x_zero=attrs["x_zero"], shift=attrs["shift"])
    fields = (*shape_fields(inputs, outputs, attrs), *steps(inputs, attrs), *scale, *bounds(attrs))
    return (Call(op.kind, f"es_{op.kind}", f"es_{op.kind}_params", fields),)


def _add(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    names = ("a_zero", "b_zero", "a_left", "b_left", "shift")
    fields = (*numbers(n=outputs[0].size, **{name: attrs[name] for name in names}), *bounds(attrs))
    return (Call(op.kind, f"es_{op.kind}", f"es_{op.kind}_params", fields),)


BINDINGS: Mapping[str, Binding] = {"shift_add_conv2d_s8": _conv2d, "shift_add_s8": _add}
