"""Integer arithmetic on elements and rows: add, mul, div, rescale, lookup, softmax, sums."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgesmith.core.graph import Op, Tensor
from edgesmith.core.ops.shift_s8 import norm_fraction
from edgesmith.kernels.bindings.convolution import bounds
from edgesmith.kernels.kernel import SUFFIX, Binding, Call, Field, floats, numbers
from edgesmith.kernels.strides import broadcast_strides, merge, row_major, walk_fields

Attrs = Mapping[str, Any]
Tensors = Sequence[Tensor]
EXPONENT = ("exp_multiplier", "exp_shift")


def operand_walk(kind: str, inputs: Tensors, outputs: Tensors) -> tuple[Field, ...]:
    """The walk over y with the strides of both operands."""
    shape = outputs[0].shape
    a, b = (broadcast_strides(tensor.shape, shape) for tensor in inputs)
    axes = merge([*zip(shape, a, b, strict=True)])
    return walk_fields(kind, axes, ("size", "a_stride", "b_stride"))


def _binary(kind: str, struct: str, scale: Callable[[Attrs], tuple[Field, ...]]) -> Binding:
    def bind(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
        zeros = numbers(a_zero=attrs["a_zero"], b_zero=attrs["b_zero"])
        fields = (*operand_walk(kind, inputs, outputs), *zeros, *scale(attrs), *bounds(attrs))
        return (Call(kind, f"es_{kind}", struct, fields),)

    return bind


def _add_scale(attrs: Attrs) -> tuple[Field, ...]:
    return numbers(a_multiplier=attrs["a_multiplier"], b_multiplier=attrs["b_multiplier"], shift=attrs["shift"])


def scale(attrs: Attrs) -> tuple[Field, ...]:
    """One multiplier and shift."""
    return numbers(multiplier=attrs["multiplier"], shift=attrs["shift"])


def _rescale_s8(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    fields = (*numbers(n=inputs[0].size, x_zero=attrs["x_zero"]), *scale(attrs), *bounds(attrs))
    return (Call("rescale_s8", "es_rescale_s8", "es_rescale_s8_params", fields),)


def _lookup(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    x, table = inputs
    columns = table.shape[0] if len(table.shape) == 2 else x.size
    fields = numbers(rows=x.size // columns, columns=columns, table_stride=256 if len(table.shape) == 2 else 0)
    return (Call("lookup", "es_lookup", "es_lookup_params", fields),)


def _softmax_s8(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    n = inputs[0].shape[-1]
    fields = numbers(rows=inputs[0].size // n, n=n)
    return (Call("softmax_s8", "es_softmax_s8", "es_softmax_s8_params", fields),)


def reduce_walks(kind: str, x: Tensor, axes: Sequence[int]) -> tuple[Field, ...]:
    """The walk over the kept axes and the walk over the reduced ones."""
    pairs = list(zip(x.shape, row_major(x.shape), strict=True))
    kept = merge([pair for i, pair in enumerate(pairs) if i not in axes])
    reduced = merge([pairs[i] for i in sorted(axes)])
    outer = walk_fields(kind, kept, ("kept_size", "kept_stride"), rank="kept_rank", at_least=0)
    return (*outer, *walk_fields(kind, reduced, ("size", "stride")))


def _reduce_sum_s8(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    walks = reduce_walks(op.kind, inputs[0], attrs["axes"])
    fields = (*walks, *numbers(x_zero=attrs["x_zero"]), *scale(attrs), *bounds(attrs))
    return (Call("reduce_sum_s8", "es_reduce_sum_s8", "es_reduce_params", fields),)


def _norm_s8(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    n = inputs[0].shape[-1]
    fields = (
        *numbers(rows=inputs[0].size // n, n=n, x_zero=attrs.get("x_zero", 0)),
        Field("eps", attrs["eps_q"], "int64_t"),
        *scale(attrs),
        *bounds(attrs),
    )
    return (Call("norm_s8", f"es_{op.kind}", "es_norm_s8_params", fields),)


def _row_form(*names: str) -> Binding:
    """A kernel over rows of n whose parameters are these attributes, then the bounds of y where it has them."""

    def bind(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
        n = inputs[0].shape[-1]
        given = numbers(**{name: attrs[name] for name in names})
        fields = (*numbers(rows=inputs[0].size // n, n=n), *given, *(bounds(attrs) if "y_zero" in attrs else ()))
        file = "shift_s8" if op.kind.startswith("shift") else op.kind
        return (Call(file, f"es_{op.kind}", f"es_{op.kind}_params", fields),)

    return bind


def _argmax(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    n = inputs[0].shape[-1]
    function = f"es_argmax_{SUFFIX[inputs[0].dtype]}"
    return (Call("argmax", function, "es_argmax_params", numbers(rows=inputs[0].size // n, n=n)),)


def _gelu_delta_s8(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    names = ("x_zero", *EXPONENT, "relu_multiplier", "relu_shift")
    given = numbers(n=inputs[0].size, **{name: attrs[name] for name in names})
    return (Call(op.kind, f"es_{op.kind}", f"es_{op.kind}_params", (*given, *scale(attrs), *bounds(attrs))),)


def _i_layer_norm_s8(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    n = inputs[0].shape[-1]
    sizes = numbers(rows=inputs[0].size // n, n=n, fraction=norm_fraction(n))
    return (Call(op.kind, f"es_{op.kind}", f"es_{op.kind}_params", (*sizes, *scale(attrs), *bounds(attrs))),)


def _quantize(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    x, a = inputs[:2]
    columns = a.size if a.size > 1 else x.size
    fields = numbers(rows=x.size // columns, columns=columns, step=1 if a.size > 1 else 0)
    return (Call("quantize", "es_quantize", "es_quantize_params", fields),)


def _dequantize(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    fields = (*numbers(n=inputs[0].size, zero=attrs["zero"]), *floats(scale=attrs["scale"]))
    function = f"es_dequantize_{SUFFIX[inputs[0].dtype]}"
    return (Call("dequantize", function, "es_dequantize_params", fields),)


BINDINGS: Mapping[str, Binding] = {
    "add_s8": _binary("add_s8", "es_add_s8_params", _add_scale),
    "mul_s8": _binary("mul_s8", "es_mul_s8_params", scale),
    "div_s8": _binary("div_s8", "es_mul_s8_params", scale),
    "rescale_s8": _rescale_s8,
    "lookup": _lookup,
    "softmax_s8": _softmax_s8,
    "reduce_sum_s8": _reduce_sum_s8,
    "argmax": _argmax,
    "shiftmax_s8": _row_form(*EXPONENT),
    "single_pass_softmax_s8": _row_form("unit_bits"),
    "shift_gelu_s8": _row_form("x_zero", "limit", *EXPONENT, "multiplier", "shift"),
    "gelu_delta_s8": _gelu_delta_s8,
    "i_layer_norm_s8": _i_layer_norm_s8,
    "layer_norm_s8": _norm_s8,
    "rms_norm_s8": _norm_s8,
    "quantize": _quantize,
    "dequantize": _dequantize,
}
