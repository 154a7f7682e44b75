"""Linear separability: planes that tell all, nothing, or all of one attribute; entropy by hand."""

import numpy as np
import pytest

from tts.metrics.linear_separability import conditional_entropy, linear_separability


def noises(n=2000, d=6):
    return np.random.default_rng(0).standard_normal((n, d))


def test_an_attribute_on_one_side_of_a_plane_scores_next_to_1_and_chance_costs_a_factor_of_2():
    z = noises()
    clear = (z[:, 0] + z[:, 1] > 0).astype(int)
    coin = np.random.default_rng(1).integers(2, size=len(z))
    found = linear_separability(z, np.stack([clear, coin], axis=1))
    assert found.entropies[0] < 0.1 and found.entropies[1] == pytest.approx(np.log(2), abs=0.01)
    assert found.score == pytest.approx(np.exp(sum(found.entropies))) and found.n == 2000


def test_what_was_fitted_is_not_judged_so_more_numbers_than_images_separate_nothing():
    z, coin = noises(200, 500), np.random.default_rng(1).integers(2, size=(200, 1))
    assert linear_separability(z, coin).entropies[0] > 0.6


def test_a_ball_has_no_plane():
    z = noises()
    inside = ((z**2).sum(axis=1) < np.median((z**2).sum(axis=1)))[:, None]
    assert linear_separability(z.reshape(-1, 2, 3), inside.astype(int)).score == pytest.approx(2, abs=0.05)


def test_the_entropy_by_hand():
    y, x = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 1, 1])
    # H(Y | X = 0) = 0; H(Y | X = 1) of 1 : 3 counts 4 / 6
    expected = 4 / 6 * -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert conditional_entropy(y, x) == pytest.approx(expected)


def test_attributes_that_cannot_be_judged_are_refused():
    with pytest.raises(ValueError, match=r"attributes are \(10, K\) of 0 and 1"):
        linear_separability(noises(10), np.full((10, 1), 2))
    with pytest.raises(ValueError, match="attribute 1 has one value only"):
        linear_separability(noises(10), np.stack([[0, 0, 1, 1] * 2 + [0, 1], np.zeros(10, dtype=int)], axis=1))
