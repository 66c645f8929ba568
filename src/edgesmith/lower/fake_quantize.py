"""Rounding to a stored format and back, as one op that export keeps: how a module says that a tensor is quantized."""

import torch
from torch import Tensor

from edgesmith.core.errors import Unsupported
from edgesmith.core.formats import WIDTH, Integers, PerChannel, PerTensor

NO_AXIS = -1


def shaped(scale: Tensor, x: Tensor, axis: int) -> Tensor:
    """The scale in the dtype of x, ready to broadcast along `axis`."""
    shape = [1] * x.ndim
    if axis != NO_AXIS:
        shape[axis] = -1
    return scale.to(x.dtype).reshape(shape if axis != NO_AXIS else ())


@torch.library.custom_op("edgesmith::fake_quantize", mutates_args=())
def fake_quantize(x: Tensor, scale: Tensor, zero_point: int, low: int, high: int, axis: int = NO_AXIS) -> Tensor:
    """x rounded to the grid scale * (q - zero_point), q in [low, high]; half to even.

    Gradients pass straight through where q lies inside the range (arXiv:1712.05877, section 3). The scale's, for those
    who learn it, is the rounding error inside and the bound outside (arXiv:1902.08153, equation 3).

    Args:
        x: float, any shape.
        scale: (1,), or (channels,) along `axis`; float64 where fixed, so that a format survives the way back.
        axis: of the channels; -1 for one scale.
    """
    step = shaped(scale, x, axis)
    return (torch.round(x / step) + zero_point).clamp(low, high).sub(zero_point).mul(step)


@fake_quantize.register_fake
def _shape(x: Tensor, scale: Tensor, zero_point: int, low: int, high: int, axis: int = NO_AXIS) -> Tensor:
    return torch.empty_like(x)


def _save(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    x, scale, zero_point, low, high, axis = inputs
    steps = x / shaped(scale, x, axis)
    nearest = torch.round(steps)
    inside = (nearest + zero_point >= low) & (nearest + zero_point <= high)
    ctx.learns, ctx.axis, ctx.scale_shape, ctx.scale_dtype = scale.requires_grad, axis, scale.shape, scale.dtype
    if not ctx.learns:
        ctx.save_for_backward(inside)
        return
    bound = nearest.clamp(low - zero_point, high - zero_point)
    ctx.save_for_backward(inside, torch.where(inside, nearest - steps, bound))


def _backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
    inside, *slope = ctx.saved_tensors
    return gradient * inside, _scale_gradient(ctx, gradient, *slope) if ctx.learns else None, None, None, None, None


def _scale_gradient(ctx, gradient: Tensor, slope: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
    """The slope at each value, summed over those that share a scale."""
    each = gradient * slope
    others = [axis for axis in range(each.ndim) if ctx.axis == NO_AXIS or axis != ctx.axis % each.ndim]
    return each.sum(others).reshape(ctx.scale_shape).to(ctx.scale_dtype)


fake_quantize.register_autograd(_backward, setup_context=_save)


def settings(format_: Integers) -> tuple[list[float], int, int, int, int]:
    """A format as the op's arguments: scales, zero_point, low, high, axis."""
    if isinstance(format_, PerTensor):
        return [format_.scale], format_.zero_point, format_.low, format_.high, NO_AXIS
    return list(format_.scales), 0, format_.low, format_.high, format_.axis


def format_of(scales: list[float], zero_point: int, low: int, high: int, axis: int) -> Integers:
    """Inverse of `settings`.

    Raises:
        Unsupported: a range that no format has.
    """
    bits = (high - low).bit_length() if axis == NO_AXIS else high.bit_length() + 1
    for dtype in (dtype for dtype, width in WIDTH.items() if 2 <= bits <= width and low <= zero_point <= high):
        signed = dtype != "uint8" and low < 0
        if axis == NO_AXIS and signed == (dtype != "uint8"):
            found: Integers = PerTensor(scales[0], zero_point, dtype, bits)
        elif axis != NO_AXIS and signed and not zero_point:
            found = PerChannel(tuple(scales), axis, dtype, bits)
        else:
            continue
        if (found.low, found.high) == (low, high):
            return found
    raise Unsupported(f"rounds to [{low}, {high}] with zero point {zero_point}; no stored type has that range.")
