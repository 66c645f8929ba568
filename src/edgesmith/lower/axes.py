"""Arithmetic of axis orders. Permuting x by `axes` gives y whose axis i is axis axes[i] of x."""

Axes = tuple[int, ...]


def identity(rank: int) -> Axes:
    """The order that changes nothing."""
    return tuple(range(rank))


def is_identity(axes: Axes) -> bool:
    """Whether the order changes nothing."""
    return axes == identity(len(axes))


def compose(first: Axes, then: Axes) -> Axes:
    """One order for two in a row.

    >>> compose((0, 2, 3, 1), (0, 3, 1, 2))
    (0, 1, 2, 3)
    """
    return tuple(first[axis] for axis in then)


def inverse(axes: Axes) -> Axes:
    """The order that undoes `axes`.

    >>> inverse((0, 3, 1, 2))
    (0, 2, 3, 1)
    """
    return tuple(axes.index(axis) for axis in range(len(axes)))


def only_moves_ones(shape: tuple[int, ...], axes: Axes) -> bool:
    """Whether the order leaves the elements of a tensor of `shape` where they are: a reshape does.

    >>> only_moves_ones((1, 5, 7), (1, 0, 2)), only_moves_ones((1, 5, 7), (0, 2, 1))
    (True, False)
    """
    wide = [axis for axis in axes if shape[axis] != 1]
    return wide == sorted(wide)


def groups(before: tuple[int, ...], after: tuple[int, ...]) -> list[tuple[list[int], list[int]]]:
    """The smallest runs of axes of both shapes that hold the same elements.

    >>> groups((1, 6, 4, 5), (1, 2, 3, 20))
    [([0], [0]), ([1], [1, 2]), ([2, 3], [3])]
    """
    result = []
    i = j = 0
    while i < len(before) or j < len(after):
        left, right = [i] if i < len(before) else [], [j] if j < len(after) else []
        a, b = before[i] if left else 1, after[j] if right else 1
        i, j = i + len(left), j + len(right)
        while a != b:
            if a < b:
                a, i = a * before[i], i + 1
                left.append(i - 1)
            else:
                b, j = b * after[j], j + 1
                right.append(j - 1)
        result.append((left, right))
    return result


def regroup(base: tuple[int, ...], axes: Axes, shape: tuple[int, ...]) -> tuple[tuple[int, ...], Axes] | None:
    """Do a reshape before a permute instead of after it.

    Args:
        base: shape of the tensor that is permuted by `axes` and then reshaped to `shape`.

    Returns:
        The shape to which the base is reshaped, and the order that then gives the same value; None where the
        reshape joins axes that lie apart in the base.

    >>> regroup((1, 4, 5, 6), (0, 3, 1, 2), (1, 6, 20))
    ((1, 20, 6), (0, 2, 1))
    """
    permuted = tuple(base[axis] for axis in axes)
    if only_moves_ones(base, axes):
        return shape, identity(len(shape))
    runs = groups(permuted, shape)
    placed: list[tuple[int, list[int]]] = []
    for left, right in runs:
        places = [axes[axis] for axis in left]
        wide = [place for place in places if base[place] != 1]
        if wide and not _adjacent(wide, base):
            return None
        if right:
            placed.append((min(wide or places or [-1]), right))
    order = [axis for _, right in sorted(placed, key=lambda entry: entry[0]) for axis in right]
    return tuple(shape[axis] for axis in order), inverse(tuple(order))


def _adjacent(places: list[int], base: tuple[int, ...]) -> bool:
    """Whether the axes lie in order, with nothing but axes of size 1 between them."""
    if places != sorted(places):
        return False
    return all(base[axis] == 1 for axis in range(places[0], places[-1]) if axis not in places)
