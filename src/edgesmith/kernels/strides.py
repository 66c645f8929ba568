"""Sizes and strides with as few axes as can be: what the strided kernels walk."""

import math
from collections.abc import Sequence

from edgesmith.core.errors import Unsupported
from edgesmith.kernels.kernel import Field

MAX_RANK = 6  # ES_MAX_RANK in edgesmith_strides.h
Axis = tuple[int, ...]  # (size, stride in one tensor, stride in the next, ..)


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of a contiguous tensor, in elements.

    >>> row_major((2, 3, 4))
    (12, 4, 1)
    """
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


def broadcast_strides(shape: Sequence[int], to: Sequence[int]) -> tuple[int, ...]:
    """Strides that read a contiguous tensor of `shape` as if it had shape `to`: 0 along repeated axes.

    >>> broadcast_strides((3, 1), (2, 3, 4))
    (0, 1, 0)
    """
    lead = len(to) - len(shape)
    own = (0 if size == 1 else stride for size, stride in zip(shape, row_major(shape), strict=True))
    return (0,) * lead + tuple(own)


def merge(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """The same walk with axes of size 1 dropped and neighbours joined where every stride allows.

    >>> merge([(2, 12), (3, 4), (4, 1)])
    ((24, 1),)
    """
    merged: list[Axis] = []
    for axis in axes:
        if axis[0] == 1:
            continue
        if merged and all(a == b * axis[0] for a, b in zip(merged[-1][1:], axis[1:], strict=True)):
            merged[-1] = (merged[-1][0] * axis[0], *axis[1:])
        else:
            merged.append(tuple(axis))
    return tuple(merged)


def walk_fields(
    kind: str, axes: Sequence[Axis], names: Sequence[str], rank: str = "rank", at_least: int = 1
) -> tuple[Field, ...]:
    """Members `rank`, and one array per name: sizes first, then the strides.

    Args:
        axes: merged; padded with axes of size 1 to `at_least` of them.

    Raises:
        Unsupported: more than MAX_RANK axes are left.
    """
    if len(axes) > MAX_RANK:
        raise Unsupported(f"{kind}: {len(axes)} axes that do not join; need at most {MAX_RANK}. Reshape before it.")
    unit = (1, *(0 for _ in names[1:]))
    padded = (unit,) * (at_least - len(axes)) + tuple(axes)
    columns = zip(*padded, strict=True) if padded else [(0,)] * len(names)
    arrays = (Field(name, tuple(column), "int32_t", MAX_RANK) for name, column in zip(names, columns, strict=True))
    return (Field(rank, len(padded)), *arrays)
