"""Weights from packed codes, and floats rounded to small ones."""

from collections.abc import Mapping, Sequence
from typing import Any

from edgesmith.core.formats import KINDS
from edgesmith.core.graph import Op, Tensor
from edgesmith.kernels.kernel import Binding, Call, floats, numbers

Attrs = Mapping[str, Any]
Tensors = Sequence[Tensor]


def _decode(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    scales, size = inputs[1].shape, outputs[0].size
    runs, bits, a, b, count = scales[-1], 0, 0, 0, 0
    if op.kind.startswith("decode_group"):
        bits = attrs["bits"]
    elif op.kind == "decode_table":
        a, b = inputs[2].shape
        bits = 0 if attrs["trits"] else (a - 1).bit_length()
    elif op.kind == "decode_bases":
        bits = a = scales[0]
    elif op.kind == "decode_float":
        kind = KINDS[attrs["number"]]
        bits, a, b, count = kind.bits, kind.exponent, kind.mantissa, kind.numbers
    else:
        bits, a = attrs["n"], attrs["es"]
    fields = numbers(runs=runs, run=size // runs, bits=bits, a=a, b=b, numbers=count)
    return (Call("decode", f"es_{op.kind}", "es_decode_params", fields),)


def _outliers(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    fields = numbers(n=inputs[0].size, count=inputs[1].size)
    return (Call("outliers", "es_outliers", "es_outliers_params", fields),)


def _round_float(op: Op, inputs: Tensors, outputs: Tensors, attrs: Attrs) -> tuple[Call, ...]:
    kind = KINDS[attrs["number"]]
    shape = floats(scale=attrs["scale"], greatest=kind.greatest, least=kind.least_normal, unit=2.0**-kind.mantissa)
    return (Call("round_float", "es_round_float", "es_round_float_params", (*numbers(n=inputs[0].size), *shape)),)


DECODES = ("group", "group_zeros", "table", "bases", "float", "posit")
BINDINGS: Mapping[str, Binding] = {
    **dict.fromkeys((f"decode_{kind}" for kind in DECODES), _decode),
    "outliers": _outliers,
    "round_float": _round_float,
}
