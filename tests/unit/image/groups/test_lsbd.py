"""D_LSBD on codes that are known (T13)."""

from itertools import product

import numpy as np
import pytest

from tts.errors import DataError
from tts.image.groups.lsbd import d_lsbd

ANGLES = 2 * np.pi * np.arange(16) / 16
A, B = np.meshgrid(ANGLES, ANGLES, indexing="ij")


def circles(*angles):
    return np.stack([f(angle) for angle in angles for f in (np.cos, np.sin)], axis=-1)


def test_a_torus_scores_0_at_any_speed_and_after_any_invertible_map():
    mixing = np.random.default_rng(0).normal(size=(4, 4))
    for codes in (circles(A, B), circles(3 * A, -2 * B), circles(A, B) @ mixing + 5):
        assert d_lsbd(codes).score < 1e-20
    assert tuple(abs(omega) for omega in d_lsbd(circles(3 * A, -2 * B)).omegas) == (3, 2)


def test_codes_that_no_rotation_explains_score_about_1():
    assert 0.9 < d_lsbd(np.random.default_rng(0).normal(size=(16, 16, 4))).score < 1.05
    # mean |z|^2 = 255 / 256 by the unbiased deviation, of which nothing is explained
    assert d_lsbd(circles(A + B, A - B)).score == pytest.approx(0.99609375, abs=1e-9)


def test_a_line_lacks_half_a_plane_and_a_factor_that_does_not_move_lacks_all():
    # a ramp of 16 values: |c_1|^2 of its first harmonic over its variance, c_1 = 1 / (2 sin(pi / 16)) in its steps
    explained = (1 / (2 * np.sin(np.pi / 16))) ** 2 / ((16**2 - 1) / 12) / 2 * 255 / 256
    assert d_lsbd(np.stack([A, B], axis=-1)).score == pytest.approx(255 / 256 / 2 - explained + 1 / 2, abs=1e-9)
    assert d_lsbd(circles(A)).parts == pytest.approx((0, 1), abs=1e-20)


def test_the_search_for_each_factor_alone_finds_the_minimum_over_all_pairs():
    codes = circles(A, B) + 0.5 * np.random.default_rng(1).normal(size=(16, 16, 4)) + 0.4 * circles(2 * A, B)
    joint = min(np.mean([d_lsbd(codes, [o]).parts[k] for k, o in enumerate(pair)]) for pair in product(range(-3, 4), repeat=2))
    assert d_lsbd(codes, range(-3, 4)).score == pytest.approx(joint, abs=1e-12)


def test_what_is_no_grid_of_codes_is_refused():
    with pytest.raises(ValueError, match="n_k >= 3"):
        d_lsbd(np.zeros((2, 16, 4)))
    with pytest.raises(ValueError, match="winding numbers"):
        d_lsbd(circles(A, B), [])
    with pytest.raises(DataError, match="not finite"):
        d_lsbd(np.full((4, 4, 2), np.nan))
