"""Lowerings of arithmetic and functions of one value."""

import math
from functools import partial

import numpy as np

from edgesmith.core.errors import Unsupported
from edgesmith.lower.onnx.node import Lowering, Node, Value


def _arithmetic(kind: str, n: Node) -> Value:
    return n.b.op(kind, n.x(0), n.x(1))


def add(n: Node) -> Value:
    """A constant vector added to a linear layer's result is its bias."""
    for layer, vector in ((0, 1), (1, 0)):
        if n.constant(vector) and isinstance(n.inputs[layer], str) and n.readers[layer] == 1:
            made = _with_bias(n, n.x(layer), n.array(vector))
            if made:
                return made
    return n.b.op("add", n.x(0), n.x(1))


def _with_bias(n: Node, x: str, vector: np.ndarray) -> str | None:
    last = n.b.ops[-1] if n.b.ops else None
    if last is None or last.outputs != (x,) or last.kind != "linear" or n.b.tensors[x].format is not None:
        return None
    if n.b.constants[last.inputs[2]].any() or vector.shape != n.b.shape(last.inputs[2]):
        return None
    n.b.ops.pop()
    bias = n.b.constant(f"{n.b.stem}.bias", vector.astype(np.float32))
    return n.b.op("linear", last.inputs[0], last.inputs[1], bias)


def _unary(kind: str, n: Node) -> Value:
    return n.b.op(kind, n.x())


def relu(n: Node) -> Value:
    """Bounds 0 and none."""
    return n.b.op("clamp", n.x(), low=0.0)


def clip(n: Node) -> Value:
    """A missing bound is infinite."""
    low, high = n.number("min", 1, -math.inf), n.number("max", 2, math.inf)
    if math.isnan(low) or math.isnan(high):
        raise Unsupported("has a bound that is not a number.")
    return n.b.op("clamp", n.x(), low=min(low, high), high=high)


def _bounded(side: str, n: Node) -> Value:
    """Min and Max of a value and a constant."""
    if len(n.inputs) != 2:
        raise Unsupported(f"compares {len(n.inputs)} values; need a value and a constant.")
    variable = 1 if n.constant(0) else 0
    return n.b.op("clamp", n.x(variable), **{side: n.number("bound", 1 - variable, 0.0)})


def leaky_relu(n: Node) -> Value:
    """ONNX's own default slope."""
    return n.b.op("leaky_relu", n.x(), slope=n.real("alpha", 0.01))


def gelu(n: Node) -> Value:
    """Exact or by tanh."""
    return n.b.op("gelu", n.x(), approximate="tanh" if n.attr("approximate") == "tanh" else "none")


def hard_sigmoid(n: Node) -> Value:
    """clamp(alpha x + beta, 0, 1); alpha of 1/6 and beta of 1/2 is our own op."""
    alpha, beta = n.real("alpha", 0.2), n.real("beta", 0.5)
    x = n.x()
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return n.b.op("hardsigmoid", x)
    scaled = n.b.op("mul", x, n.b.scalar(alpha, x))
    return n.b.op("clamp", n.b.op("add", scaled, n.b.scalar(beta, x)), low=0.0, high=1.0)


def power(n: Node) -> Value:
    """Whole powers up to 4, roots and their inverses."""
    x, exponent = n.x(), n.number("exponent", 1, 1.0)
    if exponent in (0.5, -0.5):
        return n.b.op("sqrt" if exponent > 0 else "rsqrt", x)
    if exponent == -1:
        return n.b.op("div", n.b.scalar(1.0, x), x)
    if exponent not in (1, 2, 3, 4):
        raise Unsupported(f"has the exponent {exponent}; need 1 to 4, -1, 0.5 or -0.5.")
    y = x
    for _ in range(int(exponent) - 1):
        y = n.b.op("mul", y, x)
    return y


def reciprocal(n: Node) -> Value:
    """1 / x."""
    return n.b.op("div", n.b.scalar(1.0, n.x()), n.x())


def same(n: Node) -> Value:
    """Nothing is computed: Identity, and Dropout in inference."""
    return n.inputs[0]


def cast(n: Node) -> Value:
    """To float32 from a raw input, which the graph holds as floats already."""
    x = n.x()
    wanted = {1: "float32", 6: "int32", 7: "int32"}.get(n.whole("to"))
    if wanted != n.b.tensors[x].dtype:
        raise Unsupported(f"casts {n.b.tensors[x].dtype} to type {n.whole('to')}; need float32.")
    return x


UNARY = {
    "Sigmoid": "sigmoid", "Tanh": "tanh", "HardSwish": "hardswish", "Abs": "abs", "Neg": "neg", "Exp": "exp",
    "Log": "log", "Sqrt": "sqrt",
}  # fmt: skip

LOWERINGS: dict[str, Lowering] = {
    **{name: partial(_unary, kind) for name, kind in UNARY.items()},
    **{name: partial(_arithmetic, name.lower()) for name in ("Sub", "Mul", "Div")},
    "Add": add,
    "Relu": relu,
    "Clip": clip,
    "Min": partial(_bounded, "high"),
    "Max": partial(_bounded, "low"),
    "LeakyRelu": leaky_relu,
    "Gelu": gelu,
    "HardSigmoid": hard_sigmoid,
    "Pow": power,
    "Reciprocal": reciprocal,
    "Identity": same,
    "Dropout": same,
    "Cast": cast,
}
