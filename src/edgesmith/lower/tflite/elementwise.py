"""Lowerings of arithmetic, activations, and steps that only change how values are stored."""

import math
from functools import partial

from edgesmith.core.errors import Unsupported
from edgesmith.core.graph import Attr
from edgesmith.lower.bounded import stored
from edgesmith.lower.tflite.node import Lowering, Node, real

GELU_APPROXIMATE = 0


def _arithmetic(kind: str, n: Node) -> str:
    return n.b.op(kind, n.x(0), n.x(1), **n.limits(0))


def _unary(kind: str, n: Node) -> str:
    return n.b.op(kind, n.x())


def _limited(low: float, high: float, n: Node) -> str:
    return n.b.op("clamp", n.x(), low=low, high=high)


def _bounded(side: str, n: Node) -> str:
    """MINIMUM and MAXIMUM with a constant on either side."""
    variable = 1 if n.value(0).is_constant else 0
    return n.b.op("clamp", n.x(variable), **{side: n.number(1 - variable)})


def leaky_relu(n: Node) -> str:
    """The slope is setting 0."""
    return n.b.op("leaky_relu", n.x(), slope=n.op.options.real(0) if n.op.options else 0.0)


def gelu(n: Node) -> str:
    """Exact or by tanh."""
    return n.b.op("gelu", n.x(), approximate="tanh" if n.flag(GELU_APPROXIMATE) else "none")


def square(n: Node) -> str:
    """x times x."""
    return n.b.op("mul", n.x(), n.x())


def quantize(n: Node) -> str:
    """Nothing is computed: the result has its format. A float that others read too is kept apart."""
    x, format_ = n.x(), n.output().format
    if format_ is None:
        raise Unsupported(f"makes {n.output().name!r} without a scale; need one.")
    if n.b.tensors[x].format is None and not n.sole_reader(n.op.inputs[0]):
        x = n.b.op("clamp", x)
    return stored(n.b, x, format_)


def dequantize(n: Node) -> str:
    """Nothing is computed: whoever reads the value as floats gets them; a constant becomes floats here."""
    value = n.value(0)
    return n.constant(value.name, real(value)) if value.is_constant else n.x()


def softmax(n: Node) -> str:
    """Along the last axis, with beta 1."""
    beta = n.op.options.real(0) if n.op.options else 1.0
    if beta != 1.0:
        raise Unsupported(f"has beta {beta}; need 1. Scale the input instead.")
    return n.b.op("softmax", n.x())


def log_softmax(n: Node) -> str:
    """x - max - log(sum(exp(x - max))), which never overflows."""
    x = n.x()
    last: dict[str, Attr] = {"axes": (len(n.b.shape(x)) - 1,), "keepdims": True}
    if n.quantized:
        raise Unsupported("is quantized; need floats. Take the scores before it, whose order is the same.")
    centred = n.b.op("sub", x, n.b.op("reduce_max", x, **last))
    total = n.b.op("reduce_sum", n.b.op("exp", centred), **last)
    return n.b.op("sub", centred, n.b.op("log", total))


UNARY = {
    "LOGISTIC": "sigmoid", "TANH": "tanh", "HARD_SWISH": "hardswish", "ABS": "abs", "NEG": "neg", "EXP": "exp",
    "LOG": "log", "SQRT": "sqrt", "RSQRT": "rsqrt",
}  # fmt: skip
ARITHMETIC = {"ADD": "add", "SUB": "sub", "MUL": "mul", "DIV": "div"}

LOWERINGS: dict[str, Lowering] = {
    **{name: partial(_unary, kind) for name, kind in UNARY.items()},
    **{name: partial(_arithmetic, kind) for name, kind in ARITHMETIC.items()},
    "RELU": partial(_limited, 0.0, math.inf),
    "RELU6": partial(_limited, 0.0, 6.0),
    "RELU_N1_TO_1": partial(_limited, -1.0, 1.0),
    "RELU_0_TO_1": partial(_limited, 0.0, 1.0),
    "MINIMUM": partial(_bounded, "high"),
    "MAXIMUM": partial(_bounded, "low"),
    "LEAKY_RELU": leaky_relu,
    "GELU": gelu,
    "SQUARE": square,
    "QUANTIZE": quantize,
    "DEQUANTIZE": dequantize,
    "SOFTMAX": softmax,
    "LOG_SOFTMAX": log_softmax,
}
