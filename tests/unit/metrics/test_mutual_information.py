"""Codes on the full grid of a few factors, where every information is known."""

import math
import sys

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score

from tts.metrics.mutual_information import mig, modularity, mutual_information, self_mig

A, B = (grid.ravel() for grid in np.meshgrid(np.arange(4), np.arange(4), indexing="ij"))
FACTORS = np.stack([A, B], axis=1)
PERFECT = FACTORS.astype(float)
ROTATED = np.stack([A + B, A - B], axis=1) / math.sqrt(2)


def test_a_perfect_code_has_a_gap_of_1():
    score = mig(PERFECT, FACTORS)
    assert score.value == pytest.approx(1.0) and score.per_factor == pytest.approx((1.0, 1.0))
    assert score.information == pytest.approx(math.log(4) * np.eye(2))


def test_a_code_rotated_by_45_degrees_has_a_gap_of_0():
    assert mig(ROTATED, FACTORS).value == pytest.approx(0.0, abs=1e-12)


def test_a_unit_twice_takes_the_gap_of_its_factor_away():
    score = mig(np.stack([A, A, B], axis=1).astype(float), FACTORS)
    assert score.per_factor == pytest.approx((0.0, 1.0)) and score.value == pytest.approx(0.5)


def test_noise_has_hardly_a_gap():
    rng = np.random.default_rng(0)
    factors = rng.integers(4, size=(5000, 3))
    assert mig(rng.normal(size=(5000, 6)), factors).value < 0.01


def test_scale_sign_and_order_of_units_do_not_count():
    rng = np.random.default_rng(0)
    factors = rng.integers(5, size=(2000, 3))
    codes = factors + rng.normal(size=(2000, 3))
    other = codes[:, [2, 0, 1]] * [-1e-4, 3.0, -200.0] + 5
    assert mig(other, factors).value == pytest.approx(mig(codes, factors).value, abs=1e-9)
    assert modularity(other, factors).value == pytest.approx(modularity(codes, factors).value, abs=1e-9)


def test_information_is_that_of_histograms_and_scikit_learn():
    rng = np.random.default_rng(1)
    factors = rng.integers(6, size=(1500, 2))
    codes = rng.normal(size=(1500, 3)) + factors[:, [0, 1, 0]]
    found = mig(codes, factors).information
    for d, unit in enumerate(codes.T):
        bins = np.digitize(unit, np.histogram(unit, 20)[1][1:-1])
        assert found[d] == pytest.approx([mutual_info_score(bins, y) for y in factors.T], abs=1e-9)


def test_modularity_of_a_perfect_a_mixed_and_a_dead_unit():
    """4 a + b knows ln 4 of either factor, so nothing of it is of one factor only."""
    codes = np.stack([A, 4 * A + B, np.zeros(16)], axis=1).astype(float)
    assert modularity(codes, FACTORS).per_unit == pytest.approx((1.0, 0.0, 0.0), abs=1e-12)
    assert modularity(codes, FACTORS).value == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="K >= 2"):
        modularity(codes, FACTORS[:, :1])


def test_independent_units_tell_nothing_of_each_other_and_a_copy_everything():
    score = self_mig(np.stack([A, B, B], axis=1).astype(float))
    assert score.per_unit == pytest.approx((1.0, 0.0, 0.0), abs=1e-12)
    assert (score.mean, score.best, score.n) == (pytest.approx(1 / 3), pytest.approx(1.0), 16)


def test_units_of_several_numbers_are_clustered_whole():
    corners = np.eye(4)
    score = self_mig(np.stack([corners[A], corners[B]], axis=1))
    assert score.per_unit == pytest.approx((1.0, 1.0))


def test_a_dead_unit_has_no_self_mig():
    assert self_mig(np.stack([A, np.ones(16)], axis=1).astype(float)).per_unit == (pytest.approx(1.0), 0.0)


def test_information_is_symmetric():
    tables = np.random.default_rng(0).integers(5, size=(2, 100, 3))
    assert mutual_information(*tables) == pytest.approx(mutual_information(*tables[::-1]).T)


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    with pytest.raises(ImportError, match=r"pip install 'glottis\[eval\]'"):
        self_mig(PERFECT)
