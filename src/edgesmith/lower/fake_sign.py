"""The sign of every value times a scale, as one op that export keeps: how a module says that a tensor is signs."""

import torch
from torch import Tensor

from edgesmith.core.formats.signs import NO_AXIS
from edgesmith.lower.fake_quantize import shaped


@torch.library.custom_op("edgesmith::fake_sign", mutates_args=())
def fake_sign(x: Tensor, scale: Tensor, axis: int = NO_AXIS) -> Tensor:
    """scale where x >= 0, else -scale (docs/numbers.md, Signs).

    Gradients pass straight through where |x| <= 1 (arXiv:1602.02830, equation 4); the scale has none.

    Args:
        x: float, any shape.
        scale: (1,), or (channels,) along `axis`; above zero.
        axis: of the channels; -1 for one scale.
    """
    step = shaped(scale, x, axis)
    return torch.where(x >= 0, step, -step)


@fake_sign.register_fake
def _shape(x: Tensor, scale: Tensor, axis: int = NO_AXIS) -> Tensor:
    return torch.empty_like(x)


def _save(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    ctx.save_for_backward(inputs[0].abs() <= 1)


def _backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
    (inside,) = ctx.saved_tensors
    return gradient * inside, None, None


fake_sign.register_autograd(_backward, setup_context=_save)
