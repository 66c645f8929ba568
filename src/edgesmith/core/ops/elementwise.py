"""Float ops that treat each element alone: arithmetic with broadcasting, and functions of one value."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from edgesmith.core.graph import Tensor
from edgesmith.core.ops.conv import CLAMP
from edgesmith.core.ops.linear import broadcast
from edgesmith.core.ops.spec import Attribute, Attrs, OpSpec, Shapes, need

Function = Callable[[np.ndarray, Attrs], np.ndarray]
GELUS = ("none", "tanh", "delta")  # "delta" is "none" whose integer form is gelu_delta_s8
_erf = np.frompyfunc(math.erf, 1, 1)  # numpy has none


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _gelu(x: np.ndarray, attrs: Attrs) -> np.ndarray:
    """arXiv:1606.08415, section 2: x * Phi(x), or its tanh approximation."""
    if attrs["approximate"] == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + np.asarray(_erf(x / math.sqrt(2)), np.float64))


FUNCTIONS: Mapping[str, tuple[str, Function]] = {
    "clamp": ("x limited to [low, high]; relu is [0, inf], relu6 [0, 6]", lambda x, a: np.clip(x, a["low"], a["high"])),
    "leaky_relu": ("x, times slope where negative", lambda x, a: np.where(x < 0, x * np.float32(a["slope"]), x)),
    "hardswish": ("x * clamp(x + 3, 0, 6) / 6 (arXiv:1905.02244)", lambda x, _: x * np.clip(x + 3, 0, 6) / 6),
    "hardsigmoid": ("clamp(x + 3, 0, 6) / 6 (arXiv:1905.02244)", lambda x, _: np.clip(x + 3, 0, 6) / 6),
    "sigmoid": ("1 / (1 + exp(-x))", lambda x, _: _sigmoid(x)),
    "tanh": ("hyperbolic tangent", lambda x, _: np.tanh(x)),
    "gelu": ("x * Phi(x), or its tanh approximation", _gelu),
    "silu": ("x * sigmoid(x)", lambda x, _: x * _sigmoid(x)),
    "sqrt": ("square root; NaN below zero", lambda x, _: np.sqrt(x)),
    "rsqrt": ("one over the square root", lambda x, _: 1 / np.sqrt(x)),
    "exp": ("e to the x", lambda x, _: np.exp(x)),
    "log": ("natural logarithm", lambda x, _: np.log(x)),
    "abs": ("magnitude", lambda x, _: np.abs(x)),
    "neg": ("minus x", lambda x, _: -x),
}
UNARY_ATTRS: Mapping[str, Mapping[str, Attribute]] = {
    "clamp": CLAMP,
    "leaky_relu": {"slope": Attribute(float, 0.01)},  # torch.nn.LeakyReLU's default
    "gelu": {"approximate": Attribute(str, "none")},
}
BINARY: Mapping[str, tuple[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]] = {
    "add": ("a + b, clamped to [low, high]", np.add),
    "sub": ("a - b, clamped to [low, high]", np.subtract),
    "mul": ("a * b, clamped to [low, high]", np.multiply),
    "div": ("a / b, clamped to [low, high]", np.divide),
}


def apply(kind: str, x: np.ndarray, attrs: Attrs) -> np.ndarray:
    """A unary op on float64 values: what `lookup` tables are made from.

    Args:
        kind: a key of FUNCTIONS.
        attrs: complete, as `OpSpec.complete` returns them.

    Returns:
        float64 of the shape of x; NaN or infinite where the function is.
    """
    with np.errstate(all="ignore"):
        return FUNCTIONS[kind][1](np.asarray(x, np.float64), attrs)


def _infer_unary(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
    choice = attrs.get("approximate", "none")
    need(choice in GELUS, f"gelu: approximate is {choice!r}; need 'none' or 'tanh', or 'delta' for the integer form.")
    return [(inputs[0].shape, inputs[0].dtype)]


def _unary(kind: str) -> OpSpec:
    def run(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
        with np.errstate(all="ignore"):
            return [apply(kind, arrays[0], attrs).astype(np.float32)]

    return OpSpec(
        kind=kind,
        does=FUNCTIONS[kind][0],
        inputs=("x",),
        outputs=("y",),
        infer=_infer_unary,
        run=run,
        dtypes=("float32",),
        attrs=UNARY_ATTRS.get(kind, {}),
    )


def _binary(kind: str) -> OpSpec:
    does, function = BINARY[kind]

    def infer(inputs: Sequence[Tensor], attrs: Attrs) -> Shapes:
        return [(broadcast(kind, inputs[0].shape, inputs[1].shape), "float32")]

    def run(arrays: Sequence[np.ndarray], attrs: Attrs) -> list[np.ndarray]:
        with np.errstate(all="ignore"):
            y = function(arrays[0], arrays[1])
        return [np.clip(y, np.float32(attrs["low"]), np.float32(attrs["high"]))]

    def macs(inputs: Sequence[Tensor], outputs: Sequence[Tensor], attrs: Attrs) -> int:
        return outputs[0].size if kind == "mul" else 0

    return OpSpec(
        kind=kind,
        does=does,
        inputs=("a", "b"),
        outputs=("y",),
        infer=infer,
        run=run,
        dtypes=("float32",) * 2,
        attrs=CLAMP,
        macs=macs,
    )


OPS = (*map(_binary, BINARY), *map(_unary, FUNCTIONS))
