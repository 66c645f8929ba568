"""Real factors and bounds as the integers that ops carry (docs/numbers.md, Requantization)."""

import math
from collections.abc import Mapping

import numpy as np

from edgesmith.core.errors import Unsupported
from edgesmith.core.formats import PerTensor
from edgesmith.core.graph import Attr, Op
from edgesmith.core.ops import attrs_of
from edgesmith.core.ops.fixed import multiplier_of, multipliers_of, short_multipliers_of

DIVISION_BITS = 30  # of a division's multiplier: it stays below 2^31


def requantize(op: Op, factor: float) -> dict[str, Attr]:
    """The attributes `multiplier` and `shift` of one real factor.

    Raises:
        Unsupported: the output's scale is so small that no multiplier of 31 bits reaches it.
    """
    multiplier, shift = _checked(op, factor, lambda: multiplier_of(factor))
    return {"multiplier": multiplier, "shift": shift}


def requantize_each(op: Op, factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int32 multipliers and uint8 shifts, one of each per factor."""
    return _checked(op, float(np.max(factors)), lambda: multipliers_of(factors))


def requantize_short(op: Op, *factors: float) -> tuple[tuple[int, ...], int]:
    """Multipliers below 2^21 with one common shift, for 9-bit operands."""
    return _checked(op, max(map(abs, factors)), lambda: short_multipliers_of(*factors))


def one_short(op: Op, factor: float) -> tuple[int, int]:
    """A multiplier below 2^21 and its shift, for one 9-bit operand."""
    (multiplier,), shift = requantize_short(op, factor)
    return multiplier, shift


def _checked(op: Op, factor: float, make):  # type: ignore[no-untyped-def]
    try:
        return make()
    except ValueError as error:
        raise Unsupported(
            f"integerize: {op.kind} ({op.name}, {op.source or 'no source line'}) scales by {factor:.3g}, beyond the "
            "integers. Its output hardly varies: calibrate on other data, or leave the op float."
        ) from error


def division(factor: float) -> dict[str, Attr]:
    """m and s with factor = m / 2^s, m < 2^31, 0 <= s <= 31 (docs/numbers.md, div_s8)."""
    shift = min(31, max(0, DIVISION_BITS - math.floor(math.log2(factor))))
    return {"multiplier": min(round(factor * 2.0**shift), (1 << 31) - 1), "shift": shift}


def bounds(op: Op, y: PerTensor) -> dict[str, Attr]:
    """A fused activation's real bounds as `low` and `high` in y's integers, with y's zero point."""
    attrs = attrs_of(op)
    low, high = (y.quantize(np.array(attrs.get(key, limit))) for key, limit in (("low", -np.inf), ("high", np.inf)))
    return {"y_zero": y.zero_point, "low": int(low), "high": int(high)}


def kept(op: Op, *names: str) -> Mapping[str, Attr]:
    """The source op's attributes that its integer form has too."""
    return {name: op.attrs[name] for name in names if name in op.attrs}
