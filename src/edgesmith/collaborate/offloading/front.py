"""Pareto fronts of two objectives that are both to be small, and the area they dominate."""

import numpy as np

from edgesmith.core.errors import BadInput


def front(points: np.ndarray) -> np.ndarray:
    """(k, 2): the points that no other is as good as in both and better in one, by the first objective.

    Args:
        points: (n, 2) float, finite.

    Raises:
        BadInput: another shape, or a value that is not finite.
    """
    points = checked(points)
    ordered = points[np.lexsort((points[:, 1], points[:, 0]))]
    before = np.minimum.accumulate(np.concatenate(([np.inf], ordered[:-1, 1])))
    return ordered[ordered[:, 1] < before]


def hypervolume(points: np.ndarray, reference: tuple[float, float]) -> float:
    """The area between the front and a reference point, in the product of both units; points beyond it count nothing.

    Raises:
        BadInput: as in `front`, or a reference that is not finite.
    """
    if not np.isfinite(reference).all():
        raise BadInput(f"hypervolume: the reference is {reference}; need two finite values.")
    inside = checked(points)
    inside = front(inside[(inside < reference).all(1)])
    rights = np.append(inside[1:, 0], reference[0])
    return float(((rights - inside[:, 0]) * (reference[1] - inside[:, 1])).sum())


def checked(points: np.ndarray) -> np.ndarray:
    """The points as float64."""
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise BadInput(f"front: points of shape {points.shape}; need (n, 2), all finite.")
    return points
