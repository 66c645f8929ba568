"""Rounding to formats of codes and scales, as one op that export keeps; equal to the numpy formats, value by value."""

import json
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from edgesmith.core.formats import (
    KINDS,
    BinaryBases,
    Codebook,
    FloatFormat,
    Format,
    Group,
    Posit,
    from_json,
)

KEPT_FORMATS = 512  # read ones that are kept ready: a large net's
MOST_TABLES = 4
MOST_STARTS = 1 << 21


@torch.library.custom_op("edgesmith::snap", mutates_args=())
def snap(x: Tensor, tables: list[Tensor], format: str) -> Tensor:
    """x as its format holds it: dequantize(quantize(x)); a NaN stays one.

    Gradients pass straight through; those of small floats and posits where x is not saturated.

    Args:
        x: float, of the format's shape; any where the format has one scale.
        tables: of `tables_of`, on x's device.
        format: its JSON, from which export gets it back.
    """
    found, wide = read(format), x.detach().float()
    if not tables:
        back = found.dequantize(found.quantize(wide.cpu().numpy()))
        return torch.from_numpy(back).to(device=x.device, dtype=x.dtype)
    if isinstance(found, BinaryBases):
        return _sums(wide, *tables).to(x.dtype).reshape(x.shape)
    scales = tables[0][:, None]
    return _snapped(wide.reshape(len(scales), -1) / scales, tables, format).mul(scales).to(x.dtype).reshape(x.shape)


def _snapped(t: Tensor, tables: list[Tensor], text: str) -> Tensor:
    """What codes stand for before their scale, nearest to t."""
    found = read(text)
    if isinstance(found, Group):
        return (torch.round(t) + tables[1]).clamp(0, found.most) - tables[1]
    if isinstance(found, FloatFormat):
        return nearest_float(t, found.kind)
    if isinstance(found, Posit):
        near = _nearest_level(t.abs(), tables[1:], text) * t.sign()
    else:
        near = _nearest_level(t, tables[1:], text)
    return torch.where(t.isnan(), t, near)


def _nearest_level(t: Tensor, tables: list[Tensor], text: str) -> Tensor:
    """By one step from where the leading bits of t say; where thresholds lie too close for that, by bisection."""
    levels, bounds, *starts = tables
    if not starts:
        return levels[torch.bucketize(t, bounds[:-1])]
    shift, first, _ = leading_bits(text)
    at = starts[0][((ordered(t) >> shift) - first).clamp(0, len(starts[0]) - 1)]
    return levels[at + (t > bounds[at])]


def ordered(t: Tensor) -> Tensor:
    """The bits of float32 as int32 that are in the order of the numbers."""
    bits = t.view(torch.int32)
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


@lru_cache(maxsize=KEPT_FORMATS)
def leading_bits(text: str) -> tuple[int, int, np.ndarray | None]:
    """How many last bits to drop so that no two thresholds share the rest, the least such, and for each from there on
    how many thresholds are below; None where that takes too much room.
    """
    found = read(text)
    assert isinstance(found, Posit | Codebook)
    keys = ordered(torch.from_numpy(np.array(found.bounds()))).numpy()
    for shift in range(22, 7, -1):
        rest = keys >> shift
        if (np.diff(rest) > 0).all() and rest[-1] - rest[0] < MOST_STARTS:
            numbers = np.arange(rest[0], rest[-1] + 2)
            return shift, int(rest[0]), np.searchsorted(rest, numbers).astype(np.int32)
    return 0, 0, None


def nearest_float(t: Tensor, kind: str) -> Tensor:
    """`core.formats.floats.rounded_float` on float32 tensors."""
    found = KINDS[kind]
    kept = t.clamp(-found.greatest, found.greatest)
    power = (kept.view(torch.int32) & 0x7F800000).view(torch.float32)
    step = power.clamp_min(found.least_normal) * 2.0**-found.mantissa
    return torch.round(kept / step) * step


def _sums(x: Tensor, levels: Tensor, bounds: Tensor) -> Tensor:
    rows = x.reshape(len(levels), -1).contiguous()
    near = torch.gather(levels, 1, torch.searchsorted(bounds, rows))
    return torch.where(rows.isnan(), rows, near)


@snap.register_fake
def _shape(x: Tensor, tables: list[Tensor], format: str) -> Tensor:
    return torch.empty_like(x)


def _save(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    x, tables, text = inputs
    most = greatest(read(text))
    ctx.tables, ctx.clips = len(tables), most is not None
    if most is not None:
        runs = x.float().reshape(len(tables[0]), -1) / tables[0][:, None]
        ctx.save_for_backward((runs.abs() <= most).reshape(x.shape))


def _backward(ctx, gradient: Tensor):  # type: ignore[no-untyped-def]
    passed = gradient * ctx.saved_tensors[0] if ctx.clips else gradient
    return passed, [None] * ctx.tables, None


snap.register_autograd(_backward, setup_context=_save)


def greatest(format_: Format) -> float | None:
    """Beyond which a value, divided by its scale, is saturated; None for formats that gradients pass as a whole."""
    if isinstance(format_, FloatFormat):
        return KINDS[format_.kind].greatest
    return float(format_.levels()[-1]) if isinstance(format_, Posit) else None


@lru_cache(maxsize=KEPT_FORMATS)
def read(text: str) -> Format:
    """The format of a JSON text."""
    return from_json(json.loads(text))


def written(format_: Format) -> str:
    """Inverse of `read`."""
    return json.dumps(format_.to_json())


def tables_of(format_: Format) -> list[Tensor]:
    """What `snap` needs to round on a tensor's own device; empty for formats that numpy rounds.

    At most MOST_TABLES, float32: scales (runs,) first; zero points (groups, 1), or levels, thresholds with infinity
    behind (n,) and int32 `leading_bits`; of bases levels (channels, n) and thresholds (channels, n - 1) alone.
    """
    arrays: list[np.ndarray] = []
    scales = np.asarray(getattr(format_, "scales", ()), np.float32)
    if isinstance(format_, Group):
        arrays = [scales, format_.zeros()]
    elif isinstance(format_, FloatFormat):
        arrays = [scales]
    elif isinstance(format_, Posit) or (isinstance(format_, Codebook) and format_.width == 1):
        starts = leading_bits(written(format_))[2]
        bounds = np.append(format_.bounds(), np.float32(np.inf))
        arrays = [scales, format_.levels(), bounds, *([] if starts is None else [starts])]
    elif isinstance(format_, BinaryBases):
        arrays = [*format_.ordered()[1:]]
    return [torch.from_numpy(np.array(array)) for array in arrays]
