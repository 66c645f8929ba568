"""Shiftmax and ShiftGELU (arXiv:2207.01405) as ops that export keeps, with the gradients of their straight pieces."""

import torch
from torch import Tensor

from edgesmith.core.ops.shift import GELU_OCTAVES, LOG2_E, SIGMOID, octaves_of


def shift_exp(x: Tensor, octaves: int) -> Tensor:
    """e^x for x <= 0, about; see `core.ops.shift.shift_exp`."""
    p = (-x * LOG2_E).clamp(max=octaves)
    q = p.floor()
    return torch.exp2(-q) * (1 - (p - q) / 2)


def _shiftmax(x: Tensor) -> Tensor:
    e = shift_exp(x - x.amax(-1, keepdim=True).detach(), octaves_of(x.shape[-1]))
    return e / e.sum(-1, keepdim=True)


def _shift_gelu(x: Tensor, limit: float) -> Tensor:
    z = x.clamp(max=limit)
    most = z.amax(-1, keepdim=True).clamp(min=0).detach()
    e, zero = shift_exp(SIGMOID * (z - most), GELU_OCTAVES), shift_exp(-SIGMOID * most, GELU_OCTAVES)
    return z * (e / (e + zero))


@torch.library.custom_op("edgesmith::shiftmax", mutates_args=())
def shiftmax(x: Tensor) -> Tensor:
    """Softmax over the last axis, its exponential a shift and a straight line."""
    return _shiftmax(x)


@torch.library.custom_op("edgesmith::shift_gelu", mutates_args=())
def shift_gelu(x: Tensor, limit: float) -> Tensor:
    """min(x, limit) times its sigmoid by the shift exponential; rows are those of the last axis."""
    return _shift_gelu(x, limit)


@shiftmax.register_fake
def _shiftmax_shape(x: Tensor) -> Tensor:
    return torch.empty_like(x)


@shift_gelu.register_fake
def _shift_gelu_shape(x: Tensor, limit: float) -> Tensor:
    return torch.empty_like(x)


def _save(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    ctx.save_for_backward(inputs[0])
    ctx.rest = inputs[1:]


def _shiftmax_gradient(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
    with torch.enable_grad():
        x = ctx.saved_tensors[0].detach().requires_grad_()
        return torch.autograd.grad(_shiftmax(x), x, gradient)[0]


def _shift_gelu_gradient(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
    with torch.enable_grad():
        x = ctx.saved_tensors[0].detach().requires_grad_()
        return torch.autograd.grad(_shift_gelu(x, *ctx.rest), x, gradient)[0], None


shiftmax.register_autograd(_shiftmax_gradient, setup_context=_save)
shift_gelu.register_autograd(_shift_gelu_gradient, setup_context=_save)
