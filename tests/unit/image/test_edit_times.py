"""Profiles along an inversion, made to rise, and the times they set."""

import numpy as np
import pytest
import torch

from tts.config import from_dict, to_dict
from tts.diffusion import Composite, Parametrization, invert, time_grid, vp_linear
from tts.errors import ConfigError
from tts.image.edit_times import Profile, measure_profile, rising_fit, rms_distance

F64 = torch.float64
SCHEDULE = vp_linear()
PROFILE = Profile(times=(0.2, 0.4, 0.6, 0.8, 1.0), predicted=(0.1, 0.3, 0.2, 0.6, 1.0), state=(0.2, 0.7, 1.0, 1.3, 1.4))


def test_the_fit_rises_and_is_the_nearest_that_does():
    scipy_optimize = pytest.importorskip("scipy.optimize")
    values = np.random.default_rng(0).normal(size=60) + np.linspace(0, 3, 60)
    found = rising_fit(values)
    assert (np.diff(found) >= 0).all()
    np.testing.assert_allclose(found, scipy_optimize.isotonic_regression(values).x, atol=1e-12)
    assert rising_fit(np.array([3.0, 1.0, 2.0])).tolist() == [2.0, 2.0, 2.0]


def test_times_are_the_first_at_which_the_rising_profile_reaches_the_threshold():
    # the rising fit of the predictions is .1 .25 .25 .6 1
    assert PROFILE.t_edit(threshold=0.25) == 0.4 and PROFILE.t_edit(threshold=0.26) == 0.8
    assert PROFILE.t_edit() == 0.8 and PROFILE.t_edit(0.8) == 0.4  # .28, and .8 of it
    assert PROFILE.t_boost() == 0.8 and PROFILE.t_boost(threshold=0.7) == 0.4  # .86 of 1.4 is 1.204


def test_a_bigger_change_is_edited_for_longer():
    found = [PROFILE.t_edit(cosine) for cosine in (1.0, 0.9, 0.5, 0.1)]
    assert found == sorted(found, reverse=True)


def test_the_profile_of_gaussian_data_is_its_closed_form():
    # x0 = +-1 under N(0, 1/4): the inversion is linear, U = g(t) x0, and so is x0_hat = alpha / (4 q^2) U
    denoiser = Composite(SCHEDULE, [], Parametrization("preconditioned", 0.5))
    x0, times = torch.tensor([[1.0], [-1.0]], dtype=F64), time_grid(SCHEDULE, 20)
    profile = measure_profile(denoiser, x0, SCHEDULE, times, rms_distance)
    assert profile.times == pytest.approx(times[:-1].flip(0).tolist())
    for i in (0, 7, 18):
        u = invert(denoiser, x0[:1], SCHEDULE, times[19 - i :]).item()
        t = times[19 - i]
        alpha, sigma = SCHEDULE.alpha(t).item(), SCHEDULE.sigma(t).item()
        predicted = alpha * 0.25 / (alpha**2 * 0.25 + sigma**2) * u
        assert profile.state[i] == pytest.approx(abs(u - 1), rel=1e-9)
        assert profile.predicted[i] == pytest.approx(abs(predicted - 1), rel=1e-9)


def test_a_profile_survives_as_plain_values():
    assert from_dict(Profile, to_dict(PROFILE)) == PROFILE


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"times": (0.2, 0.4)}, "as many times as distances"),
        ({"times": (0.4, 0.2, 0.6, 0.8, 1.0)}, "strictly rising"),
        ({"times": (0.2, 0.4, 0.6, 0.8, 1.1)}, "strictly rising"),
        ({"state": (0.2, 0.7, float("nan"), 1.3, 1.4)}, "finite distances"),
    ],
)
def test_a_profile_that_is_none_is_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        from_dict(Profile, to_dict(PROFILE) | values)


def test_thresholds_out_of_range_are_refused():
    with pytest.raises(ValueError, match="cosine must be in"):
        PROFILE.t_edit(0.0)
    with pytest.raises(ValueError, match="share must be in"):
        PROFILE.t_boost(share=1.5)
    with pytest.raises(ValueError, match=r"the threshold 2 is not in \(0, 1.4\]"):
        PROFILE.t_boost(threshold=2.0)
