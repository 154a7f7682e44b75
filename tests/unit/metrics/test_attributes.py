from itertools import pairwise

import numpy as np
import pytest
from sklearn.metrics import auc

from tts.errors import DataError
from tts.metrics.attributes import tad

GRID = np.stack(np.unravel_index(np.arange(8), (2, 2, 2)), axis=1)


def test_one_unit_for_every_attribute_gives_half_a_point_each():
    """The best unit has an area of 1, the next one of 1/2, of whatever sign."""
    score = tad(GRID * [1.0, -1e-3, 50.0], GRID)
    assert (score.tad, score.attrs, score.captured) == (pytest.approx(1.5), 3, (0, 1, 2))
    assert score.best == pytest.approx((1.0,) * 3) and score.gaps == pytest.approx((0.5,) * 3)


def test_a_unit_twice_and_a_rotation_by_45_degrees_give_nothing():
    assert tad(GRID[:, [0, 0, 1, 1, 2, 2]].astype(float), GRID).tad == pytest.approx(0.0)
    a, b = GRID[:, 0], GRID[:, 1]
    rotated = tad(np.stack([a + b, a - b], axis=1).astype(float), GRID[:, :2])
    assert rotated.best == pytest.approx((0.875, 0.875)) and rotated.tad == pytest.approx(0.0)


def test_an_attribute_that_another_tells_is_left_out():
    """The fourth is the first but for one of 40 rows; both go."""
    attributes = np.tile(GRID, (5, 1))
    near = attributes[:, 0].copy()
    near[0] = 1 - near[0]
    score = tad(attributes.astype(float), np.concatenate([attributes, near[:, None]], axis=1))
    assert score.captured == (1, 2) and score.tad == pytest.approx(1.0)


def test_noise_detects_nothing_and_a_constant_attribute_is_never_captured():
    rng = np.random.default_rng(0)
    attributes = (rng.random((2000, 5)) < 0.4).astype(int)
    attributes[:, 4] = 1
    score = tad(rng.normal(size=(2000, 6)), attributes)
    assert (score.tad, score.attrs) == (0.0, 0) and (score.best[4], score.gaps[4]) == (0.5, 0.0)


def test_units_of_several_numbers_are_reduced():
    assert tad(np.stack([GRID, -2 * GRID], axis=2).astype(float), GRID).tad == pytest.approx(1.5)


def test_the_grid_sums_right_rectangles_as_published():
    """A second implementation, threshold by threshold."""
    rng = np.random.default_rng(3)
    positive = rng.random(400) < 0.3
    codes = np.stack([rng.normal(size=400) + positive, rng.normal(size=400) - 2 * positive, 0.01 * positive], axis=1)
    expected = []
    for unit in codes.T:
        points = []
        for step in range(11):
            above = unit >= unit.min() + step / 10 * (unit.max() - unit.min())
            points.append(((above & ~positive).sum() / (~positive).sum(), (above & positive).sum() / positive.sum()))
        up = sorted(points)
        down = sorted((1 - x, 1 - y) for x, y in points)
        areas = [sum(b[1] * (b[0] - a[0]) for a, b in pairwise(curve)) for curve in (up, down)]
        assert abs(auc(*zip(*up, strict=True)) - areas[0]) < 0.1  # no more than a rough area
        expected.append(max(areas) if np.ptp(unit) > 0.2 else 0.5)
    score = tad(codes, positive[:, None], grid=0.1)
    assert score.best[0] == pytest.approx(max(expected)) and score.grid == 0.1
    assert score.gaps[0] == pytest.approx(sorted(expected)[-1] - sorted(expected)[-2])


def test_what_is_no_attribute_is_refused():
    with pytest.raises(ValueError, match="of 0 and 1"):
        tad(GRID.astype(float), GRID + 1)
    with pytest.raises(ValueError, match="grid"):
        tad(GRID.astype(float), GRID, grid=1.0)
    with pytest.raises(DataError, match="not finite"):
        tad(GRID * np.nan, GRID)
