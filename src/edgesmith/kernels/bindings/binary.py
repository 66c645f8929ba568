"""Binary convolutions."""

from collections.abc import Mapping, Sequence
from typing import Any

from edgesmith.core.graph import Op, Tensor
from edgesmith.kernels.bindings.convolution import bounds, step_fields
from edgesmith.kernels.kernel import SUFFIX, Binding, Call, numbers

Attrs = Mapping[str, Any]
Tensors = Sequence[Tensor]


def _binarize(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    columns = inputs[0].shape[-1]
    fields = numbers(rows=inputs[0].size // columns, columns=columns, zero=attrs["zero"])
    return (Call("binarize", f"es_binarize_{SUFFIX[inputs[0].dtype]}", "es_binarize_params", fields),)


def _convolution(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    """Of both forms of weights and of results: one struct."""
    (_, in_h, in_w, _), (_, out_h, out_w, _) = inputs[0].shape, outputs[0].shape
    *_, kernel_h, kernel_w, _ = inputs[1].shape
    sizes = numbers(in_h=in_h, in_w=in_w, in_c=attrs["channels"], out_h=out_h, out_w=out_w, out_c=inputs[-1].size)
    stored = bounds({"y_zero": 0, "low": -128, "high": 127, **attrs})
    fields = (*sizes, *numbers(kernel_h=kernel_h, kernel_w=kernel_w), *step_fields(attrs))
    depth = numbers(depth=attrs.get("depth", 0))
    file = op.kind.removesuffix("_s8")
    return (Call(file, f"es_{op.kind}", "es_binary_conv2d_params", (*fields, *depth, *stored)),)


BINDINGS: Mapping[str, Binding] = {
    "binarize": _binarize,
    **dict.fromkeys(("binary_conv2d", "binary_conv2d_s8", "mst_conv2d", "mst_conv2d_s8"), _convolution),
}
