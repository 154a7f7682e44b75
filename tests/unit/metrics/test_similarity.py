import numpy as np
import pytest
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from scipy.stats import norm
from sklearn.metrics import roc_curve

from tts.metrics.similarity import cosine, equal_error_rate, nearer_share, secs


def test_a_cosine_is_that_of_the_angle_whatever_the_lengths():
    a = np.array([2.0, 0.0], dtype=np.float32)
    assert cosine(a, np.array([3 * np.cos(0.4), 3 * np.sin(0.4)])) == pytest.approx(np.cos(0.4))
    assert np.isnan(cosine(a, np.zeros(2)))


@pytest.mark.parametrize("seed", range(5))
def test_the_equal_error_rate_is_where_the_roc_meets_its_diagonal(seed):
    generator = np.random.default_rng(seed)
    genuine = generator.normal(1.0, 1.0, 7 + seed).round(1)  # rounded, so that scores tie
    impostor = generator.normal(0.0, 1.5, 11).round(1)
    labels = np.concatenate([np.ones_like(genuine), np.zeros_like(impostor)])
    accepted, caught, _ = roc_curve(labels, np.concatenate([genuine, impostor]), drop_intermediate=False)
    expected = brentq(lambda rate: 1 - rate - interp1d(accepted, caught)(rate), 0, 1)
    assert equal_error_rate(genuine, impostor) == pytest.approx(expected, abs=1e-9)


def test_no_threshold_gives_both_rates_below_the_equal_error_rate():
    generator = np.random.default_rng(0)
    genuine, impostor = generator.normal(1, 1, 40), generator.normal(0, 1, 50)
    worse = [max((genuine < t).mean(), (impostor >= t).mean()) for t in np.linspace(-4, 5, 9001)]
    found = equal_error_rate(genuine, impostor)
    assert found <= min(worse) + 1e-12
    assert found >= min(worse) - 1 / 40


def test_the_equal_error_rate_of_two_gaussians_is_the_tail_beyond_half_their_distance():
    quantiles = norm.ppf((np.arange(20000) + 0.5) / 20000)
    assert equal_error_rate(quantiles + 1.6, quantiles) == pytest.approx(norm.cdf(-0.8), abs=1e-3)


def test_equal_error_rates_of_closed_cases():
    assert equal_error_rate([0.8, 0.9], [0.1, 0.2]) == 0
    assert equal_error_rate([0.1, 0.2], [0.8, 0.9]) == 1
    assert equal_error_rate([0.5, 0.5], [0.5]) == 0.5
    assert equal_error_rate([0.2, 0.8], [0.2, 0.8]) == 0.5
    assert equal_error_rate([0.6, 0.8, 0.9, 0.95], [0.1, 0.2, 0.3, 0.7]) == 0.25
    assert equal_error_rate([0.8, np.nan], [0.1]) == 0
    assert np.isnan(equal_error_rate([], [0.5]))
    assert np.isnan(equal_error_rate([np.nan], [0.5]))


def test_the_share_of_nearer_pairs_counts_no_tie_and_no_pair_without_a_figure():
    found = nearer_share([0.9, 0.5, 0.5, 0.2, np.nan], [0.1, 0.5, 0.4, 0.3, 0.1])
    assert (found.value, found.n) == (0.5, 4)
    with pytest.raises(ValueError, match="found 1 and 2"):
        nearer_share([0.1, 0.2], [0.1])


def test_secs_is_the_mean_with_an_interval_that_shrinks_with_the_number_of_pairs():
    few, many = secs([0.6, 0.8] * 5), secs([0.6, 0.8] * 500)
    assert few.value == pytest.approx(0.7) == many.value
    assert few.high - few.low > 5 * (many.high - many.low) > 0
