"""Lowerings of arithmetic with broadcasting and functions of one value."""

import math
from functools import partial

from edgesmith.core.errors import Unsupported
from edgesmith.lower.builder import Builder
from edgesmith.lower.call import Call, Lowering


def _operand(b: Builder, value: object, like: str) -> str:
    """A tensor's name, or a number as a constant."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return b.scalar(float(value), like)
    raise Unsupported(f"has the operand {value!r}; need a tensor or a number.")


def _arithmetic(kind: str, b: Builder, call: Call) -> str:
    left, right = call["self"], call["other"]
    like = left if isinstance(left, str) else right
    alpha = call.get("alpha", 1)
    right = _operand(b, right, like)
    if alpha != 1:
        right = b.op("mul", right, b.scalar(float(alpha), right))
    if call.get("rounding_mode") is not None:
        raise Unsupported("rounds its quotient; need a true division.")
    return b.op(kind, _operand(b, left, like), right)


def reversed_sub(b: Builder, call: Call) -> str:
    """other - alpha * self."""
    x = call.tensor("self")
    if call["alpha"] != 1:
        x = b.op("mul", x, b.scalar(float(call["alpha"]), x))
    return b.op("sub", _operand(b, call["other"], x), x)


def _unary(kind: str, b: Builder, call: Call) -> str:
    return b.op(kind, call.tensor("self"))


def _limited(low: float, high: float, b: Builder, call: Call) -> str:
    return b.op("clamp", call.tensor("self"), low=low, high=high)


def clamp(b: Builder, call: Call) -> str:
    """Also clamp_min, clamp_max, hardtanh; a missing bound is infinite."""
    low = call.get("min", call.get("min_val"))
    high = call.get("max", call.get("max_val"))
    if isinstance(low, str) or isinstance(high, str):
        raise Unsupported("has a tensor as a bound; need numbers.")
    low = -math.inf if low is None else float(low)
    high = math.inf if high is None else float(high)
    return b.op("clamp", call.tensor("self"), low=min(low, high), high=high)


def leaky_relu(b: Builder, call: Call) -> str:
    """x, times the slope where negative."""
    return b.op("leaky_relu", call.tensor("self"), slope=float(call["negative_slope"]))


def gelu(b: Builder, call: Call) -> str:
    """Exact or by tanh."""
    return b.op("gelu", call.tensor("self"), approximate=call["approximate"])


def absolute(b: Builder, call: Call) -> str:
    """Of a complex value: the root of re^2 + im^2."""
    x = call.tensor("self")
    if x not in call.complex_inputs:
        return b.op("abs", x)
    power = b.op("reduce_sum", b.op("mul", x, x), axes=(len(b.shape(x)) - 1,))
    return b.op("sqrt", power)


def power(b: Builder, call: Call) -> str:
    """Whole powers up to 4, roots and their inverses."""
    x, exponent = call.tensor("self"), call["exponent"]
    simple = {0.5: "sqrt", -0.5: "rsqrt"}
    if exponent in simple:
        return b.op(simple[exponent], x)
    if exponent == -1:
        return b.op("div", b.scalar(1.0, x), x)
    if exponent not in (1, 2, 3, 4):
        raise Unsupported(f"has the exponent {exponent}; need 1 to 4, -1, 0.5 or -0.5.")
    y = x
    for _ in range(int(exponent) - 1):
        y = b.op("mul", y, x)
    return y


def square(b: Builder, call: Call) -> str:
    """x times x."""
    return b.op("mul", call.tensor("self"), call.tensor("self"))


def reciprocal(b: Builder, call: Call) -> str:
    """1 / x."""
    x = call.tensor("self")
    return b.op("div", b.scalar(1.0, x), x)


def _scaled_log(factor: float, b: Builder, call: Call) -> str:
    y = b.op("log", call.tensor("self"))
    return b.op("mul", y, b.scalar(factor, y))


def log1p(b: Builder, call: Call) -> str:
    """log(x + 1)."""
    x = call.tensor("self")
    return b.op("log", b.op("add", x, b.scalar(1.0, x)))


def softplus(b: Builder, call: Call) -> str:
    """clamp(x, 0) + log(1 + exp(-|beta x|)) / beta, which never overflows."""
    x, beta = call.tensor("self"), float(call["beta"])
    scaled = b.op("mul", b.op("abs", x), b.scalar(-beta, x))
    tail = b.op("log", b.op("add", b.op("exp", scaled), b.scalar(1.0, x)))
    return b.op("add", b.op("clamp", x, low=0.0), b.op("mul", tail, b.scalar(1 / beta, x)))


def elu(b: Builder, call: Call) -> str:
    """clamp(x, 0) + alpha * (exp(min(x, 0)) - 1)."""
    x, alpha = call.tensor("self"), float(call["alpha"])
    if call["scale"] != 1 or call["input_scale"] != 1:
        raise Unsupported("scales its input or output; need plain elu.")
    grown = b.op("sub", b.op("exp", b.op("clamp", x, high=0.0)), b.scalar(1.0, x))
    return b.op("add", b.op("clamp", x, low=0.0), b.op("mul", grown, b.scalar(alpha, x)))


def same(b: Builder, call: Call) -> str:
    """Nothing is computed: dropout in inference, copies, changes of memory format."""
    name = next(key for key in ("self", "input", "x") if key in call.arguments)
    return call.tensor(name)


def cast(b: Builder, call: Call) -> str:
    """To float32 from a raw input, which the graph holds as floats already."""
    x, dtype = call.tensor("self"), str(call.get("dtype"))
    target = {"torch.float32": "float32", "torch.int32": "int32", "torch.int64": "int32", "None": b.tensors[x].dtype}
    if target.get(dtype) != b.tensors[x].dtype:
        raise Unsupported(f"casts {b.tensors[x].dtype} to {dtype}; need float32. Keep the model in float32.")
    return x


IDENTITIES = (
    "aten.alias.default",
    "aten.clone.default",
    "aten.contiguous.default",
    "aten.detach.default",
    "aten.detach_.default",
    "aten.dropout.default",
    "aten.feature_dropout.default",
    "aten.lift_fresh_copy.default",
    "aten.lift_fresh.default",
)
CASTS = ("aten.to.dtype", "aten._to_copy.default", "aten.to.dtype_layout", "aten.type_as.default")
SAME_NAME = ("hardswish", "hardsigmoid", "sigmoid", "tanh", "silu", "sqrt", "rsqrt", "exp", "log", "neg")
ARITHMETIC = ("add", "sub", "mul", "div")

LOWERINGS: dict[str, Lowering] = {
    **{f"aten.{kind}.{form}": partial(_arithmetic, kind) for kind in ARITHMETIC for form in ("Tensor", "Scalar")},
    "aten.div.Tensor_mode": partial(_arithmetic, "div"),
    "aten.rsub.Scalar": reversed_sub,
    "aten.rsub.Tensor": reversed_sub,
    **{f"aten.{kind}.default": partial(_unary, kind) for kind in SAME_NAME},
    "aten.abs.default": absolute,
    "aten.relu.default": partial(_limited, 0.0, math.inf),
    "aten.relu6.default": partial(_limited, 0.0, 6.0),
    "aten.clamp.default": clamp,
    "aten.clamp_min.default": clamp,
    "aten.clamp_max.default": clamp,
    "aten.hardtanh.default": clamp,
    "aten.leaky_relu.default": leaky_relu,
    "aten.gelu.default": gelu,
    "aten.elu.default": elu,
    "aten.softplus.default": softplus,
    "aten.pow.Tensor_Scalar": power,
    "aten.square.default": square,
    "aten.reciprocal.default": reciprocal,
    "aten.log2.default": partial(_scaled_log, 1 / math.log(2)),
    "aten.log10.default": partial(_scaled_log, 1 / math.log(10)),
    "aten.log1p.default": log1p,
    **dict.fromkeys(IDENTITIES, same),
    **dict.fromkeys(CASTS, cast),
}
