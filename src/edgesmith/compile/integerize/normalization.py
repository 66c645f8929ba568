"""Softmax and normalizations as integer ops."""

import numpy as np

from edgesmith.compile.integerize.builder import Builder
from edgesmith.compile.integerize.scaling import bounds, requantize
from edgesmith.core.errors import BadInput, Unsupported
from edgesmith.core.formats import BIAS_LIMIT
from edgesmith.core.graph import Op
from edgesmith.core.ops import attrs_of
from edgesmith.core.ops.norm_s8 import ROOT_BITS
from edgesmith.core.ops.tables import softmax_table

GAMMA_STEPS = 4095
Z_STEPS = 1024  # the normalized value is Q10
EPS_LIMIT = 1 << 62
SOFTMAX_SCALE, SOFTMAX_ZERO = 1 / 256, -128


def softmax(builder: Builder, op: Op) -> None:
    """Exponentials from a table of 256.

    Raises:
        BadInput: the output's format is not the only one this op has.
    """
    x, x_format = builder.int8(op.inputs[0])
    y = builder.affine(op.outputs[0])
    if (y.scale, y.zero_point) != (SOFTMAX_SCALE, SOFTMAX_ZERO):
        raise BadInput(
            f"integerize: softmax ({op.name}) has scale {y.scale}, zero point {y.zero_point}; need 1/256, -128."
        )
    table = softmax_table(x_format.scale, builder.tensors[x].shape[-1])
    builder.result(op, "softmax_s8", (x, builder.constant(f"{op.outputs[0]}.table", table)))


def normalize(builder: Builder, op: Op) -> None:
    """Layer norm and RMS norm: gamma int16, beta int32, the mean square in integers."""
    x, x_format = builder.int8(op.inputs[0])
    y = builder.affine(op.outputs[0])
    layer = op.kind == "layer_norm"
    constants = builder.source.constants
    gamma = constants[op.inputs[1]].astype(np.float64)
    beta = constants[op.inputs[2]].astype(np.float64) if layer else np.zeros_like(gamma)
    scale, gamma_q, beta_q = quantized_scale_and_shift(gamma, beta)
    names = (builder.constant(f"{op.outputs[0]}.gamma", gamma_q), builder.constant(f"{op.outputs[0]}.beta", beta_q))
    eps = attrs_of(op)["eps"] / x_format.scale**2 * (len(gamma) ** 2 if layer else 1)  # type: ignore[operator]
    attrs = {"eps_q": _stored_eps(op, eps), **requantize(op, scale / Z_STEPS / y.scale), **bounds(op, y)}
    builder.result(op, f"{op.kind}_s8", (x, *names), attrs if layer else {**attrs, "x_zero": x_format.zero_point})


def quantized_scale_and_shift(gamma: np.ndarray, beta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """s_gamma, gamma as int16 in [-4095, 4095], beta as int32 at s_gamma / 1024, below 2^30."""
    scale = max(float(np.abs(gamma).max()) / GAMMA_STEPS, float(np.abs(beta).max()) * Z_STEPS / BIAS_LIMIT) or 1.0
    return scale, np.rint(gamma / scale).astype(np.int16), np.rint(beta * Z_STEPS / scale).astype(np.int32)


def _stored_eps(op: Op, eps: float) -> int:
    stored = round(eps * (1 << ROOT_BITS))
    if stored > EPS_LIMIT:
        raise Unsupported(f"integerize: {op.kind} ({op.name}) has an input hardly larger than eps; leave it float.")
    return stored
