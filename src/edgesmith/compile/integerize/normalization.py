"""Softmax and normalizations as integer ops."""

import numpy as np

from edgesmith.compile.integerize.builder import Builder
from edgesmith.compile.integerize.scaling import bounds, one_short, requantize
from edgesmith.core.errors import BadInput, Unsupported
from edgesmith.core.formats import BIAS_LIMIT
from edgesmith.core.graph import Attr, Op
from edgesmith.core.ops import attrs_of
from edgesmith.core.ops.norm_s8 import ROOT_BITS
from edgesmith.core.ops.shift import SIGMOID
from edgesmith.core.ops.shift_s8 import FRACTION, SHARE_BITS
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
    _only_format(builder, op)
    table = softmax_table(x_format.scale, builder.tensors[x].shape[-1])
    names = (x, builder.constant(f"{op.outputs[0]}.table", table))
    if attrs_of(op)["form"] == "single_pass":
        builder.result(op, "single_pass_softmax_s8", names, {"unit_bits": int(table[0]).bit_length() - 1})
    else:
        builder.result(op, "softmax_s8", names)


def shiftmax(builder: Builder, op: Op) -> None:
    """Exponentials from shifts: no table.

    Raises:
        BadInput: the output's format is not the only one this op has.
    """
    x, x_format = builder.int8(op.inputs[0])
    _only_format(builder, op)
    builder.result(op, "shiftmax_s8", (x,), _exponent(op, x_format.scale))


def shift_gelu(builder: Builder, op: Op) -> None:
    """The sigmoid from shifts; the limit is rounded to the input's grid."""
    x, x_format = builder.int8(op.inputs[0])
    y = builder.affine(op.outputs[0])
    limit = int(x_format.quantize(np.array(attrs_of(op)["limit"])))
    attrs = {"x_zero": x_format.zero_point, "limit": limit, **_exponent(op, SIGMOID * x_format.scale)}
    scale = requantize(op, x_format.scale / (1 << SHARE_BITS) / y.scale)
    builder.result(op, "shift_gelu_s8", (x,), {**attrs, **scale, **bounds(op, y)})


def _exponent(op: Op, scale: float) -> dict[str, Attr]:
    multiplier, shift = one_short(op, scale * (1 << FRACTION))
    return {"exp_multiplier": multiplier, "exp_shift": shift}


def _i_layer_norm(builder: Builder, op: Op, x: str) -> None:
    """z is in Q15 over the root of the row's length; no epsilon."""
    y = builder.affine(op.outputs[0])
    gamma, beta = (builder.source.constants[name].astype(np.float64) for name in op.inputs[1:])
    steps = (1 << SHARE_BITS) / len(gamma) ** 0.5
    scale, gamma_q, beta_q = quantized_scale_and_shift(gamma, beta, steps)
    names = (builder.constant(f"{op.outputs[0]}.gamma", gamma_q), builder.constant(f"{op.outputs[0]}.beta", beta_q))
    builder.result(op, "i_layer_norm_s8", (x, *names), {**requantize(op, scale / steps / y.scale), **bounds(op, y)})


def _only_format(builder: Builder, op: Op) -> None:
    y = builder.affine(op.outputs[0])
    if (y.scale, y.zero_point) != (SOFTMAX_SCALE, SOFTMAX_ZERO):
        raise BadInput(
            f"integerize: {op.kind} ({op.name}) has scale {y.scale}, zero point {y.zero_point}; need 1/256, -128."
        )


def normalize(builder: Builder, op: Op) -> None:
    """Layer norm and RMS norm: gamma int16, beta int32, the mean square in integers."""
    x, x_format = builder.int8(op.inputs[0])
    y = builder.affine(op.outputs[0])
    layer = op.kind == "layer_norm"
    if layer and attrs_of(op)["form"] == "i_layer_norm":
        return _i_layer_norm(builder, op, x)
    constants = builder.source.constants
    gamma = constants[op.inputs[1]].astype(np.float64)
    beta = constants[op.inputs[2]].astype(np.float64) if layer else np.zeros_like(gamma)
    scale, gamma_q, beta_q = quantized_scale_and_shift(gamma, beta)
    names = (builder.constant(f"{op.outputs[0]}.gamma", gamma_q), builder.constant(f"{op.outputs[0]}.beta", beta_q))
    eps = attrs_of(op)["eps"] / x_format.scale**2 * (len(gamma) ** 2 if layer else 1)  # type: ignore[operator]
    attrs = {"eps_q": _stored_eps(op, eps), **requantize(op, scale / Z_STEPS / y.scale), **bounds(op, y)}
    zero = {} if layer else {"x_zero": x_format.zero_point}
    return builder.result(op, f"{op.kind}_s8", (x, *names), {**attrs, **zero})


def quantized_scale_and_shift(
    gamma: np.ndarray, beta: np.ndarray, steps: float = Z_STEPS
) -> tuple[float, np.ndarray, np.ndarray]:
    """s_gamma, gamma as int16 in [-4095, 4095], beta as int32 at s_gamma / steps, below 2^30.

    Args:
        steps: of the normalized value, per 1.
    """
    scale = max(float(np.abs(gamma).max()) / GAMMA_STEPS, float(np.abs(beta).max()) * steps / BIAS_LIMIT) or 1.0
    return scale, np.rint(gamma / scale).astype(np.int16), np.rint(beta * steps / scale).astype(np.int32)


def _stored_eps(op: Op, eps: float) -> int:
    stored = round(eps * (1 << ROOT_BITS))
    if stored > EPS_LIMIT:
        raise Unsupported(f"integerize: {op.kind} ({op.name}) has an input hardly larger than eps; leave it float.")
    return stored
