"""Fronts and the areas they dominate, against brute force."""

import numpy as np
import pytest

from edgesmith.collaborate.offloading.front import front, hypervolume
from edgesmith.core.errors import BadInput


def test_a_front_has_what_nothing_dominates() -> None:
    points = np.random.default_rng(1).integers(0, 12, (60, 2)).astype(float)
    found = {tuple(point) for point in front(points)}
    for point in points:
        beaten = ((points <= point).all(1) & (points < point).any(1)).any()
        assert (tuple(point) in found) == (not beaten)
    assert len(found) == len(front(points))


def test_the_area_is_that_of_a_fine_grid() -> None:
    points = np.random.default_rng(2).uniform(0, 1.2, (20, 2))
    middles = (np.arange(1000) + 0.5) / 1000
    x, y = np.meshgrid(middles, middles)
    covered = np.zeros_like(x, bool)
    for point in points:
        covered |= (x >= point[0]) & (y >= point[1])
    assert hypervolume(points, (1.0, 1.0)) == pytest.approx(covered.mean(), abs=2e-3)


def test_one_point_is_a_rectangle() -> None:
    assert hypervolume(np.array([[1.0, 2.0]]), (4.0, 7.0)) == 15.0


def test_points_beyond_the_reference_count_nothing() -> None:
    assert hypervolume(np.array([[5.0, 0.0], [0.0, 7.0]]), (4.0, 7.0)) == 0.0
    assert hypervolume(np.zeros((0, 2)), (4.0, 7.0)) == 0.0


@pytest.mark.parametrize("points", [np.zeros(3), np.zeros((2, 3)), np.array([[np.nan, 1.0]])])
def test_what_are_no_points_is_refused(points: np.ndarray) -> None:
    with pytest.raises(BadInput, match=r"need \(n, 2\)"):
        front(points)
