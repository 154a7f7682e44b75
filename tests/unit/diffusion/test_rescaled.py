"""VE and sub-VP diffusions as schedules of the one state: marginals, rates, inverses, and their own ODE."""

import math

import pytest
import torch

from tts.diffusion import sample, time_grid, vp_linear
from tts.diffusion.rescaled import from_published, sub_vp, variance_exploding

F64 = torch.float64
VE, SUB = variance_exploding(0.01, 50.0), sub_vp(0.1, 20.0)
T = torch.tensor([1e-3, 0.05, 0.3, 0.7, 1.0], dtype=F64)


def published(schedule, t):
    """(a, s) of X = a x0 + s eps, from the SDE's own formulas."""
    if schedule is VE:
        return torch.ones_like(t), ((0.01 * 5000**t) ** 2 - 0.01**2).sqrt()
    a = vp_linear(0.1, 20.0).alpha(t)
    return a, 1 - a**2


@pytest.mark.parametrize("schedule", [VE, SUB], ids=["ve", "subvp"])
def test_the_state_times_its_scale_has_the_published_mean_and_spread(schedule):
    a, s = published(schedule, T)
    torch.testing.assert_close(schedule.scale(T) * schedule.alpha(T), a, rtol=1e-12, atol=0)
    torch.testing.assert_close(schedule.scale(T) * schedule.sigma(T), s, rtol=1e-9, atol=0)
    torch.testing.assert_close(schedule.log_snr(T), 2 * (a / s).log(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("schedule", [VE, SUB], ids=["ve", "subvp"])
def test_beta_is_the_slope_of_log_alpha_and_times_come_back_from_the_log_snr(schedule):
    h = 1e-5
    inner = T.clamp(max=1 - h)
    slope = (schedule.alpha(inner + h).log() - schedule.alpha(inner - h).log()) / (2 * h)
    torch.testing.assert_close(schedule.beta(inner), -2 * slope, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(schedule.time_of_log_snr(schedule.log_snr(T)), T, rtol=0, atol=1e-9)
    start = torch.zeros(1, dtype=F64)
    assert schedule.alpha(start) == 1 and schedule.sigma(start) == 0 and schedule.scale(start) == 1


def test_the_flow_of_the_exploding_state_is_its_own_closed_form():
    # X / sqrt(lam + s^2) stays constant along dX = -1/2 d(s^2) score
    lam, u = 0.25, torch.linspace(-2, 2, 5, dtype=F64)[:, None]
    eps = from_published(lambda x, t: published(VE, t)[1][:, None] * x / (lam + published(VE, t)[1][:, None] ** 2), VE)
    times = time_grid(VE, 400, "log_snr")
    x0 = sample(eps, u, VE, times, sampler="heun")
    one = torch.ones(1, dtype=F64)
    start, s = VE.scale(one) * u, published(VE, one)[1]
    torch.testing.assert_close(x0, start * math.sqrt(lam) / (lam + s**2).sqrt(), rtol=0, atol=2e-3)


def test_sub_vp_has_less_noise_than_vp_and_the_same_end():
    vp = vp_linear(0.1, 20.0)
    assert (SUB.log_snr(T) >= vp.log_snr(T)).all()
    assert SUB.log_snr(T[-1:]).item() == pytest.approx(vp.log_snr(T[-1:]).item(), abs=1e-3)


@pytest.mark.parametrize("ends", [(0.0, 50.0), (1.0, 1.0), (2.0, 1.0), (0.1, math.inf), (math.nan, 1.0)])
def test_noise_that_does_not_grow_is_refused(ends):
    with pytest.raises(ValueError, match="variance_exploding needs 0 < sigma_min < sigma_max"):
        variance_exploding(*ends)
    with pytest.raises(ValueError, match="vp_linear needs"):
        sub_vp(3.0, 2.0)
